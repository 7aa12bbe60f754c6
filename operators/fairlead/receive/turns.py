"""One turn to write for all processes of a node on SQLite: they queue at a lock, where SQLite would let them poll with growing pauses."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine

TURN: Final = ".incoming/turn.lock"


class Turns:
    """The lock on one file; the system gives it back when a process dies, so that nobody waits for the dead."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / TURN

    @contextmanager
    def mine(self) -> Iterator[None]:
        """Hold the turn."""
        with self._file.open("ab") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def govern(self, engine: Engine) -> None:
        """Let every ``engine.begin()`` of an SQLite ledger wait for its turn first."""
        begin = engine.begin

        @contextmanager
        def in_turn() -> Iterator[Connection]:
            """Give out a transaction when it is this process's turn to write."""
            with self.mine(), begin() as connection:
                yield connection

        engine.begin = in_turn  # type: ignore[method-assign]  # as the database module does it to tell writing from reading
