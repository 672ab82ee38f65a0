"""An assistant in the terminal that knows you better every time.

    python examples/cli_assistant.py

Each start is a new session. `/facts` lists what is known, `/why` what the last answer was told and where that comes
from, `/forget ID` blanks a fact, an empty line ends.
"""

import asyncio
import uuid

from agents import Agent, SQLiteSession, set_tracing_disabled
from offline import offline_model

from semantic_memory import SemanticMemory, UserMemory


async def answer(me: UserMemory, agent: Agent, session: SQLiteSession, said: str) -> None:
    """One line of the user."""
    match said.split():
        case ["/facts"]:
            for fact in await me.facts():
                print(f"{fact.id}  {fact.text}")
        case ["/why"]:
            for receipt in await me.receipts(session_id=session.session_id, limit=1):
                for known in await me.shown(receipt_id=receipt.id):
                    print(f"{known.fact.text}\n  you said so in session {known.evidence[0].session_id}")
        case ["/forget", fact_id]:
            await me.forget(fact_id)
        case _:
            result = await me.run(agent, said, session=session, learn="wait")
            print(result.final_output)


async def main() -> None:
    agent = Agent(name="Assistant", instructions="Reply concisely.", model=offline_model())
    session = SQLiteSession(uuid.uuid4().hex[:8], "chats.db")
    async with SemanticMemory.open("memory") as memory:
        me = memory.user("me")
        while said := (await asyncio.to_thread(input, "> ")).strip():
            await answer(me, agent, session, said)
    session.close()


if __name__ == "__main__":
    set_tracing_disabled(True)
    asyncio.run(main())
