"""A chat backend: many users, many conversations, one run configuration.

    pip install -c constraints.txt '.[server]' && uvicorn --app-dir examples chat_backend:app
    curl -H 'Authorization: Bearer token-of-ada' -d '{"text": "We deploy to Hetzner."}' \
         -H 'Content-Type: application/json' localhost:8000/chats/monday

Who speaks is told by the credential, and by nothing else: neither a body nor a model can name another user.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

from agents import Agent, Runner
from agents.extensions.memory import SQLAlchemySession
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from offline import offline_model
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import create_async_engine

from semantic_memory import SemanticMemory

USERS = {"token-of-ada": "ada", "token-of-bob": "bob"}  # yours: whatever checks your credentials
AGENT = Agent["Caller"](name="Assistant", instructions="You help software teams.", model=offline_model())


@dataclass
class Caller:
    """The context object of a run: what your agents and tools know about who speaks."""

    user_id: str


class Said(BaseModel):
    text: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.engine = create_async_engine("sqlite+aiosqlite:///chats.db")
    async with SemanticMemory.open("memory") as memory:
        app.state.memory = memory
        app.state.run_config = memory.run_config(user=lambda caller: caller.user_id)
        yield
    await app.state.engine.dispose()


def caller(bearer: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> Caller:
    if bearer.credentials not in USERS:
        raise HTTPException(status_code=401)
    return Caller(USERS[bearer.credentials])


app = FastAPI(lifespan=lifespan)


@app.post("/chats/{chat}")
async def say(
    chat: str, said: Said, who: Annotated[Caller, Depends(caller)], request: Request, later: BackgroundTasks
) -> dict[str, str]:
    """Answer, and learn behind the answer."""
    state = request.app.state
    session = SQLAlchemySession(f"{who.user_id}/{chat}", engine=state.engine, create_tables=True)
    result = await Runner.run(AGENT, said.text, session=session, context=who, run_config=state.run_config)
    later.add_task(state.memory.user(who.user_id).learn, session, result=result)
    return {"answer": result.final_output}
