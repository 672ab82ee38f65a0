"""`python -m benchmarks SCENE ... [--record] [--set NAME=VALUE ...]`: figures as JSON, beside those last recorded.

Timings are medians, each with the middle half of its times; a ratio is to the floor, which is timed in turns with
what it is compared with: `SentenceTransformer.encode` as installed, in float32, in a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import json
import logging
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.figures import compared, machine, record
from benchmarks.scenes import SCENES


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    told = "; ".join(f"{name}: {' '.join((scene.__doc__ or '').split())}" for name, scene in SCENES.items())
    parser.add_argument("scenes", nargs="+", choices=[*SCENES], metavar="SCENE", help=told)
    parser.add_argument("--record", action="store_true", help="keep the figures in benchmarks/recorded")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="a parameter of the scenes")
    asked = parser.parse_args()
    logging.getLogger("semantic_memory").setLevel(logging.ERROR)
    for name in asked.scenes:
        given = _given(name, asked.set)
        with tempfile.TemporaryDirectory() as folder:
            result = asyncio.run(SCENES[name](Path(folder), **given))
        at = datetime.now(UTC).isoformat(timespec="minutes")
        counts = {key: value for key, value in given.items() if isinstance(value, int)}  # no paths of this machine
        report = {"scene": name, "given": counts, "machine": machine(), "at": at, "result": result}
        print(json.dumps(report | {"since_last_recorded": compared(name, result)}, indent=1))
        if asked.record:
            record(name, report)


def _given(name: str, settings: list[str]) -> dict[str, int | str]:
    """The parameters of a scene among `settings`."""
    known = inspect.signature(SCENES[name]).parameters
    pairs = dict(one.split("=", 1) for one in settings)
    return {key: int(value) if value.isdigit() else value for key, value in pairs.items() if key in known}


if __name__ == "__main__":
    main()
