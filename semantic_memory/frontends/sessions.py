"""Sessions of the SDK in a database, opened by URL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from semantic_memory import InvalidInput, MissingExtra, NotFound

if TYPE_CHECKING:
    from agents.extensions.memory import SQLAlchemySession

ASYNC_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "mysql": "mysql+aiomysql"}


@asynccontextmanager
async def open_session(url: str, session_id: str) -> AsyncIterator[SQLAlchemySession]:
    """A session that holds something; the database is only read.

    Raises `InvalidInput` for a database that can't be used, `NotFound` for a session without messages.
    """
    from agents.extensions.memory import SQLAlchemySession

    place = _checked(url)
    shown = place.render_as_string(hide_password=True)
    try:
        session = SQLAlchemySession.from_url(session_id, url=place.render_as_string(hide_password=False))
    except ModuleNotFoundError as error:
        raise MissingExtra(f"{shown} needs the driver {error.name}: pip install {error.name}") from None
    try:
        if not await session.get_items(limit=1):
            raise NotFound(f"session {session_id} has no messages in {shown}")
        yield session
    except (SQLAlchemyError, OSError) as error:
        raise InvalidInput(f"{shown} can't be read: {getattr(error, 'orig', None) or error}") from error
    finally:
        await session.engine.dispose()


def _checked(url: str) -> URL:
    """The URL with an asynchronous driver; a missing SQLite file is not created."""
    try:
        place = make_url(url)
    except SQLAlchemyError:
        raise InvalidInput("not a database URL, such as sqlite:///conversations.db") from None
    place = place.set(drivername=ASYNC_DRIVERS.get(place.drivername, place.drivername))
    if place.get_backend_name() == "sqlite" and not Path(place.database or "").is_file():
        raise NotFound(f"there is no file {place.database}")
    return place
