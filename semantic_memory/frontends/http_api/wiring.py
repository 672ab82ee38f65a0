"""What the app was made with, for the routes that need it."""

from __future__ import annotations

from fastapi import Request

from semantic_memory.frontends.http_api.backlog import Backlog


def backlog(request: Request) -> Backlog:
    """The learn passes that go on behind the answers."""
    found: Backlog = request.app.state.backlog
    return found
