"""Commands of the server: `serve`, and the keys that its callers show."""

from typing import Annotated, get_args

import typer
from rich.text import Text

from semantic_memory import InvalidInput, MissingExtra, Settings
from semantic_memory.facts import Key, Scope
from semantic_memory.frontends import pages
from semantic_memory.frontends.command import app, command
from semantic_memory.frontends.desk import Desk
from semantic_memory.frontends.plain import plain, printable
from semantic_memory.settings import ServerSettings

keys = typer.Typer(no_args_is_help=True, help="Make, list and revoke the keys that callers of the server show.")
app.add_typer(keys, name="keys")


@command("serve")
async def serve(
    desk: Desk,
    host: Annotated[
        str | None,
        typer.Option("--host", metavar="ADDRESS", help="Where to listen. [SEMANTIC_MEMORY_SERVER_HOST, or 127.0.0.1]"),
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", metavar="N", help="The port. [SEMANTIC_MEMORY_SERVER_PORT, or 8321]")
    ] = None,
) -> None:
    """Serve the memory over HTTP and MCP, with a page to look at it.

    Callers show a key: see `keys create`. An address that others can reach is refused while there is none.
    """
    try:
        from semantic_memory.frontends.http_api import serve as server
    except ModuleNotFoundError as error:
        raise MissingExtra.named(error.name or "fastapi", "server") from None
    settings = ServerSettings.from_environment(host=host, port=port)
    async with desk.memory(begin=True) as memory:
        server.check_address(settings, await memory.keys.all())
    await server.serve(Settings.from_environment(path=desk.folder), settings)


@command("mcp")
async def mcp(
    desk: Desk,
    user: Annotated[str, typer.Option("--user", metavar="ID", help="Whose memory it is.")],
    trusted: Annotated[
        bool, typer.Option("--trusted", help="Its agent writes in the user's name, who approves each call.")
    ] = False,
) -> None:
    """Serve one user's memory to a coding assistant, over stdio.

    What an agent that isn't trusted remembers waits aside until somebody confirms it.
    """
    try:
        from semantic_memory.frontends.mcp_server import serve_stdio
    except ModuleNotFoundError as error:
        raise MissingExtra.named(error.name or "mcp", "server") from None
    async with desk.memory(begin=True) as memory:
        await serve_stdio(memory.user(user), trusted=trusted)


@command("create", to=keys)
async def create(
    desk: Desk,
    scope: Annotated[str, typer.Option("--scope", metavar="SCOPES", help="Of read, write and admin, with commas.")],
    user: Annotated[str | None, typer.Option("--user", metavar="ID", help="Good for this user's memory only.")] = None,
    name: Annotated[str, typer.Option("--name", metavar="TEXT", help="What it is for.")] = "",
) -> None:
    """Make a key, and show the token that stands for it, once.

    Only a keyed hash of the token is kept.
    """
    scopes = [one for one in get_args(Scope) if one in scope.split(",")]
    if unknown := set(scope.split(",")) - set(scopes):
        raise InvalidInput(f"no scope {sorted(unknown)[0]!r}: read, write and admin are")
    async with desk.memory(begin=True) as memory:
        key, token = await memory.keys.create(scopes, user_id=user, name=name)
    desk.answer(plain(key) | {"token": token}, Text(token))


@command("list", to=keys)
async def list_(desk: Desk) -> None:
    """List all keys, also the revoked ones."""
    async with desk.memory() as memory:
        found = await memory.keys.all()
    desk.answers(found, pages.grid(map(_row, found)) if found else Text("no keys yet"))


@command("revoke", to=keys)
async def revoke(
    desk: Desk, key: Annotated[str, typer.Argument(metavar="KEY", help="The key's id, as `keys list` shows it.")]
) -> None:
    """End a key at once."""
    async with desk.memory() as memory:
        await memory.keys.revoke(key)
    desk.answer({"revoked": key}, Text.assemble("revoked: ", (printable(key), "cyan")))


def _row(key: Key) -> tuple[Text, Text, Text]:
    notes = (key.user_id and f"only {key.user_id}", key.name, "revoked" if key.revoked_at else "")
    return Text(key.id, "cyan"), Text(",".join(key.scopes)), Text(printable("  ".join(filter(None, notes))), "dim")
