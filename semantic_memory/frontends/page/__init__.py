"""A page to look at the memory: plain files, served beside the API that it asks with the reader's own key."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from importlib import resources
from pathlib import PurePath

from fastapi import APIRouter, FastAPI, Request, Response

KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
# Nothing from elsewhere, no inline script or style, and no way from a text to markup.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)


def add_page(app: FastAPI) -> None:
    """Serve the page at the root, and its files below `/page/`."""
    router = APIRouter(include_in_schema=False)
    for file in resources.files(__name__).joinpath("static").iterdir():
        path = "/" if file.name == "index.html" else f"/page/{file.name}"
        router.add_api_route(path, _answering(file.name, file.read_bytes()), methods=["GET"])
    app.include_router(router)


def _answering(name: str, content: bytes) -> Callable[[Request], Awaitable[Response]]:
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    kind = f"{KINDS[PurePath(name).suffix]}; charset=utf-8"
    headers = {"ETag": tag, "Cache-Control": "no-cache", "Content-Security-Policy": POLICY}

    async def answer(request: Request) -> Response:
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=kind, headers=headers)

    return answer
