"""How much is tried: short counts by default, the full ones with SEMANTIC_MEMORY_TRUST=full; and what was seen."""

from __future__ import annotations

import json
import os
import sys
from typing import TypeVar

T = TypeVar("T")

FULL = os.environ.get("SEMANTIC_MEMORY_TRUST") == "full"
SEED = int(os.environ.get("SEMANTIC_MEMORY_TRUST_SEED", "20261122"))
FIGURES = "SEMANTIC_MEMORY_TRUST_FIGURES"  # a file that gets a line for each promise that was tried


def count(short: T, full: T) -> T:
    """The count, or whatever else depends on how much is tried."""
    return full if FULL else short


def note(promise: int, what: str, **figures: object) -> None:
    """Keep what a test saw, for the page that publishes it."""
    line = json.dumps({"promise": promise, "what": what, "figures": figures})
    sys.stdout.write(f"{line}\n")
    if path := os.environ.get(FIGURES):
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"{line}\n")
