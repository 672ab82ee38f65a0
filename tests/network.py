"""Nothing leaves the machine: who tries to reach another one gets an error, in this process and those it starts."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from pathlib import Path
from typing import Any

ALLOW = "SEMANTIC_MEMORY_TEST_NETWORK"  # "allowed" for the live tests of models that are elsewhere
ROOT = Path(__file__).parents[1]
# Where a Python that is started finds this package, and a sitecustomize.py that puts the guard into it.
PATHS = os.pathsep.join([str(Path(__file__).parent / "offline"), str(ROOT)])


class LeavesTheMachine(BaseException):
    """A test tried to reach another machine. Not an `Exception`, so that nothing takes it for a failing network."""


def guard() -> None:
    """Forbid every connection but those to this machine, from now on."""
    if os.environ.get(ALLOW) == "allowed":
        return
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [PATHS, os.environ.get("PYTHONPATH")]))
    watch()


def watch() -> None:
    """Look at every connection that this process's Python makes."""
    sys.addaudithook(_hook)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
        target = arguments[0] if event.startswith("socket.get") else arguments[1]
        host = target[0] if isinstance(target, tuple) else target
        if str(host).endswith(".invalid"):  # of which the whole world knows that it is not there
            raise socket.gaierror(socket.EAI_NONAME, "no such host")
        if not _is_here(host):
            raise LeavesTheMachine(f"{event} to {host!r}")


def _is_here(host: object) -> bool:
    """Whether a host is this machine; a path is, being a Unix socket."""
    if host is None or isinstance(host, bytes) or not isinstance(host, str):
        return True
    if host in ("", "localhost") or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False
