"""Promise 11: nothing leaves the machine: no telemetry of ours or of Chroma's, and no network is needed.

Every other test runs behind the guard of `tests/network.py`. What Python can't see, a thread of Chroma's Rust side for
example, the kernel does: here a memory lives in a network namespace without any route and counts what tried to leave.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from semantic_memory import SemanticMemory
from tests.network import LeavesTheMachine
from tests.trust.children import Child
from tests.trust.counts import note


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("2001:db8::1", 80)])
def test_the_guard_lets_nothing_out(address: tuple[str, int]) -> None:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family) as one, pytest.raises(LeavesTheMachine):
        one.connect(address)
    with pytest.raises(LeavesTheMachine):
        socket.getaddrinfo("telemetry.example.com", 443)


def test_the_guard_is_in_every_python_that_a_test_starts() -> None:
    code = "import socket; socket.getaddrinfo('telemetry.example.com', 443)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "LeavesTheMachine" in ran.stderr


def no_network() -> None:
    """Leave this process nothing but a loopback."""
    kernel = ctypes.CDLL(None, use_errno=True)
    namespaces = 0x40000000 if os.geteuid() == 0 else 0x50000000  # CLONE_NEWNET, CLONE_NEWUSER
    if kernel.unshare(namespaces):
        raise OSError(ctypes.get_errno(), "no namespace of its own for this process")


def attempts() -> int:
    """How many packets had nowhere to go, as the kernel counts for this namespace."""
    names, values = [line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Ip:")]
    v6 = dict(line.split() for line in Path("/proc/net/snmp6").read_text().splitlines())
    return int(values[names.index("OutNoRoutes")]) + int(v6["Ip6OutNoRoutes"])


def try_to_leave_past_python() -> None:
    """What a library in another language would do."""
    address = struct.pack("=HH4s8x", socket.AF_INET, socket.htons(53), socket.inet_aton("192.0.2.1"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        assert ctypes.CDLL(None).connect(one.fileno(), address, len(address)) == -1


async def live_without_a_network(line: Connection, folder: Path) -> None:
    """A whole life with the bundled model and Chroma; how often anything tried to leave."""
    try:
        no_network()
    except OSError as error:
        line.send(str(error))
        return
    line.send("alone")
    async with SemanticMemory.open(folder) as memory:
        ada = memory.user("ada")
        await ada.remember_all([f"My colleague number {number} is called Ed{number}." for number in range(50)])
        await memory.health(repair=True)
        found = await ada.recall("Who is colleague number 7?", min_relevance=0.0)
        time.sleep(0.5)  # noqa: ASYNC251 - for a thread that would report later
    line.send((attempts(), found.answered_by, len(found.facts) > 0))
    try_to_leave_past_python()
    line.send(attempts())


def test_a_life_without_a_network_tries_to_reach_nobody(tmp_path: Path) -> None:
    alone, *said = Child(live_without_a_network, tmp_path / "memory").rest()
    if alone != "alone":
        pytest.skip(alone)
    assert said == [(0, "index", True), 1], "the last one shows that an attempt is counted"
    note(11, "a life in a network namespace without routes", attempts_to_leave=0)
