"""Customer support: agents that hand over to one another, and know what a customer said in other conversations.

    python examples/support_agent.py

Each customer has three conversations, each with a session of its own. What Ada told the billing agent in the first is
known to the shipping agent in the third, and nobody tells it to Bob's.
"""

import asyncio

from agents import Agent, set_tracing_disabled
from agents.extensions.memory import SQLAlchemySession
from agents.testing import ScriptedModel, function_call
from offline import offline_model
from sqlalchemy.ext.asyncio import create_async_engine

from semantic_memory import SemanticMemory

CONVERSATIONS = {
    "ada": {
        "ada-invoice": ("billing", "I work for Acme, so every invoice needs our VAT number."),
        "ada-holiday": ("shipping", "My parcels go to the pharmacy next door while I am away."),
        "ada-order-7": ("shipping", "Where will you leave my parcel?"),
    },
    "bob": {
        "bob-hello": ("shipping", "I live on the fourth floor, without a lift."),
        "bob-order-8": ("shipping", "Where will you leave my parcel?"),
        "bob-order-9": ("billing", "Does my invoice need a VAT number?"),
    },
}


def support_team() -> Agent:
    """Triage, which hands every conversation over to a specialist."""
    wanted = [department for conversations in CONVERSATIONS.values() for department, _ in conversations.values()]
    billing = Agent(name="billing", instructions="You answer questions about invoices.", model=offline_model())
    shipping = Agent(name="shipping", instructions="You answer questions about parcels.", model=offline_model())
    triage = ScriptedModel([[function_call(f"transfer_to_{name}", {}, call_id=name)] for name in wanted])
    return Agent(name="triage", instructions="Hand over.", model=triage, handoffs=[billing, shipping])


async def main() -> None:
    team = support_team()
    engine = create_async_engine("sqlite+aiosqlite:///support.db")
    async with SemanticMemory.open("memory") as memory:
        for name, conversations in CONVERSATIONS.items():
            customer = memory.user(name)
            for session_id, (_, said) in conversations.items():
                session = SQLAlchemySession(session_id, engine=engine, create_tables=True)
                result = await customer.run(team, said, session=session, learn="wait")
                print(f"[{session_id}] {name}: {said}")
                print(f"[{session_id}] {result.last_agent.name}: {result.final_output}\n")
    await engine.dispose()


if __name__ == "__main__":
    set_tracing_disabled(True)
    asyncio.run(main())
