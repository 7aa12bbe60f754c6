"""OME files in the ledger: seen, stable, indexed, gone. A file is read in place; the ledger knows which content was indexed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, String, and_, cast, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from fairlead.database import database_errors
from fairlead.receive.claims import BATCH, SeriesClaims
from fairlead.receive.refusals import note_refusal
from fairlead.receive.tables import files
from fairlead.records import ReceivedFile, Refusal, Route


class FileState(StrEnum):
    """Life of a watched file."""

    SETTLING = "settling"
    STABLE = "stable"
    INDEXED = "indexed"
    QUARANTINED = "quarantined"
    GONE = "gone"


class Recorded(StrEnum):
    """What recording a file changed."""

    ADDED = "added"
    UNCHANGED = "unchanged"
    CHANGED = "changed"


def received_file(row: Row[Any]) -> ReceivedFile:
    """Return the record of a file row."""
    return ReceivedFile(
        path=row.path,
        name=row.name,
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        route=Route.model_validate(row.route),
        seen_at=row.seen_at,
    )


class FileLedger(SeriesClaims):
    """Files of the watched folder and of imports."""

    def record_file(self, file: ReceivedFile, *, fingerprint: str) -> Recorded:
        """Put a stable file on the work list; the same content under the same path is no news."""
        with database_errors(), self.engine.begin() as connection:
            row = self._file_row(connection, file)
            if row is None:
                if self._insert_file(connection, file, fingerprint):
                    return Recorded.ADDED
                row = self._file_row(connection, file)  # another watcher was first, and its row is committed now
            if row is None:
                return Recorded.UNCHANGED
            same = row.sha256 == file.sha256 and row.state not in (FileState.GONE, FileState.SETTLING)
            values = {"sha256": file.sha256, "size_bytes": file.size_bytes, "fingerprint": fingerprint}
            if not same:
                values |= {"state": FileState.STABLE.value, "changed_at": self.clock(), "claimant": None, "claimed_until": None}
            connection.execute(update(files).where(files.c.id == row.id), values)
            return Recorded.UNCHANGED if same else Recorded.CHANGED

    def _insert_file(self, connection: Connection, file: ReceivedFile, fingerprint: str) -> bool:
        """Return whether the row is ours; two watchers may see one file at the same moment."""
        values = {
            "project": file.route.project,
            "center": file.route.center,
            "path": file.path,
            "name": file.name,
            "state": FileState.STABLE.value,
            "sha256": file.sha256,
            "size_bytes": file.size_bytes,
            "fingerprint": fingerprint,
            "route": file.route.model_dump(mode="json"),
            "record_ids": [],
            "seen_at": file.seen_at,
            "changed_at": self.clock(),
        }
        dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
        statement = dialect.insert(files).values(values).on_conflict_do_nothing(index_elements=["project", "center", "path"])
        return connection.execute(statement.returning(files.c.id)).first() is not None

    def _file_row(self, connection: Connection, file: ReceivedFile) -> Row[Any] | None:
        here = and_(files.c.project == file.route.project, files.c.center == file.route.center, files.c.path == file.path)
        return connection.execute(select(files).where(here)).one_or_none()

    def fingerprints(self, route: Route) -> dict[str, str]:
        """Return path to fingerprint of every present file of a route's project and centre."""
        here = and_(files.c.project == route.project, files.c.center == route.center, files.c.state != FileState.GONE.value)
        with database_errors(), self.engine.connect() as connection:
            return {row.path: row.fingerprint for row in connection.execute(select(files.c.path, files.c.fingerprint).where(here))}

    def file_gone(self, path: str, route: Route) -> None:
        """Write down that a file is no longer there; its records stay until the index asks with ``gone_files``."""
        here = and_(files.c.project == route.project, files.c.center == route.center, files.c.path == path)
        with database_errors(), self.engine.begin() as connection:
            connection.execute(update(files).where(here), {"state": FileState.GONE.value, "changed_at": self.clock()})

    def gone_files(self) -> tuple[tuple[ReceivedFile, tuple[str, ...]], ...]:
        """Return files that disappeared after they were indexed, with the record ids to remove; ``file_removed`` ends it."""
        with database_errors(), self.engine.connect() as connection:
            rows = connection.execute(select(files).where(files.c.state == FileState.GONE.value)).all()
            return tuple((received_file(row), tuple(row.record_ids)) for row in rows if row.record_ids)

    def claim_files(self, limit: int, *, claimant: str, lease_s: float = 600) -> tuple[ReceivedFile, ...]:
        """Take up to ``limit`` stable files for ``lease_s`` seconds, oldest first."""
        now = self.clock()
        free = or_(files.c.claimed_until.is_(None), files.c.claimed_until < now)
        wanted = select(files).where(and_(files.c.state == FileState.STABLE.value, free)).order_by(files.c.changed_at, files.c.id)
        with database_errors(), self.engine.begin() as connection:
            rows = connection.execute(wanted.limit(limit).with_for_update(skip_locked=True)).all()
            lease = {"claimant": claimant, "claimed_until": now + timedelta(seconds=lease_s)}
            connection.execute(update(files).where(files.c.id.in_([row.id for row in rows])), lease)
            return tuple(received_file(row) for row in rows)

    def file_removed(self, file: ReceivedFile) -> None:
        """Forget the records of a file that is gone; one that came back meanwhile is indexed again."""
        with database_errors(), self.engine.begin() as connection:
            row = self._file_row(connection, file)
            if row is None:
                return
            if row.state == FileState.GONE.value:
                connection.execute(update(files).where(files.c.id == row.id), {"record_ids": []})
            elif row.state == FileState.INDEXED.value:
                self._index_again(connection, [row.id])

    def unshared(self, file: ReceivedFile, record_ids: Sequence[str]) -> tuple[str, ...]:
        """Return which records of ``file`` no other file holds; equal files share theirs.

        A file that keeps a shared record is indexed again, so that the record points at it.
        """
        kept: set[str] = set()
        with database_errors(), self.engine.begin() as connection:
            row = self._file_row(connection, file)
            for record_id in record_ids:
                holds = cast(files.c.record_ids, String).contains(f'"{record_id}"', autoescape=True)
                live = files.c.state.in_([FileState.INDEXED.value, FileState.STABLE.value])
                others = select(files.c.id).where(holds, live, files.c.id != (row.id if row is not None else 0))
                if holders := list(connection.scalars(others)):
                    kept.add(record_id)
                    self._index_again(connection, holders)
        return tuple(record_id for record_id in record_ids if record_id not in kept)

    def _index_again(self, connection: Connection, ids: Sequence[int]) -> None:
        values = {"state": FileState.STABLE.value, "claimant": None, "claimed_until": None, "changed_at": self.clock()}
        connection.execute(update(files).where(files.c.id.in_(ids)), values)

    def file_indexed(self, file: ReceivedFile, record_ids: Sequence[str]) -> tuple[str, ...]:
        """Mark a content as indexed; return record ids of an older content under the same path, to be removed from the index."""
        with database_errors(), self.engine.begin() as connection:
            row = self._file_row(connection, file)
            if row is None:
                return ()
            self._finish_file(connection, row, file, FileState.INDEXED, {"record_ids": list(record_ids)})
            return tuple(sorted(set(row.record_ids) - set(record_ids)))

    def file_quarantined(self, file: ReceivedFile, *, code: str, reason: str) -> None:
        """Take a file that cannot be indexed out of the work list, with the reason; a changed content tries again."""
        with database_errors(), self.engine.begin() as connection:
            row = self._file_row(connection, file)
            if row is not None:
                self._finish_file(connection, row, file, FileState.QUARANTINED, {})
            refusal = Refusal(source=file.name, code=code, reason=reason)
            note_refusal(connection, refusal, now=self.clock(), sha256=file.sha256)

    def _finish_file(self, connection: Connection, row: Row[Any], file: ReceivedFile, state: FileState, values: dict[str, Any]) -> None:
        if row.state == FileState.STABLE.value and row.sha256 == file.sha256:
            values = values | {"state": state.value, "claimant": None, "claimed_until": None}
        if values:
            connection.execute(update(files).where(files.c.id == row.id), values)

    def indexed_files(self) -> Iterator[ReceivedFile]:
        """Yield every indexed file, for a rebuild of the index; holds one batch at a time."""
        last = 0
        while rows := self._indexed_files_after(last):
            last = rows[-1].id
            yield from map(received_file, rows)

    def _indexed_files_after(self, last: int) -> Sequence[Row[Any]]:
        wanted = select(files).where(files.c.id > last, files.c.state == FileState.INDEXED.value).order_by(files.c.id).limit(BATCH)
        with database_errors(), self.engine.connect() as connection:
            return connection.execute(wanted).all()
