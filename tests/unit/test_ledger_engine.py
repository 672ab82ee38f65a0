"""The connections of a SQLite ledger."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sqlalchemy import URL

from semantic_memory.ledger.engine import file_engine


def test_several_make_one_new_file_at_the_same_moment(tmp_path: Path) -> None:
    """Whatever its timeout, SQLite answers `locked` at once where another connection is changing the journal."""
    together = threading.Barrier(4)

    def opening(number: int) -> str:
        engine = file_engine(URL.create("sqlite", database=str(tmp_path / f"{number}.db")))
        together.wait()
        with engine.connect() as connection:
            mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
        engine.dispose()
        return str(mode)

    with ThreadPoolExecutor(4) as pool:
        for number in range(60):
            assert list(pool.map(opening, [number] * 4)) == ["wal"] * 4
