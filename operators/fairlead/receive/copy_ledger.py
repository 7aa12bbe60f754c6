"""Which objects have a verified copy in the archive bucket; a place is told by the hash of its address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, and_, delete, exists, func, select, update

from fairlead.database import database_errors
from fairlead.receive.commitments import CommitmentLedger
from fairlead.receive.series_ledger import MOVING, has_no_copy
from fairlead.receive.tables import instances, quarantine, series

NO_COPY: Final = "no-copy"
"""Code of the refusal that tells of an object which the place, or our own disk, holds with other bytes."""


@dataclass(frozen=True, slots=True)
class Uncopied:
    """An object that has no copy yet."""

    id: int
    path: str
    sha256: str


class CopyLedger(CommitmentLedger):
    """The work list of the copy, and what it has done."""

    def uncopied_series(self, place: str) -> list[int]:
        """Return the moving series that hold objects without a copy, the oldest first."""
        wanted = select(series.c.id).where(MOVING, exists().where(_of_series(place))).order_by(series.c.id)
        with database_errors(), self.engine.connect() as connection:
            return list(connection.scalars(wanted))

    def uncopied(self, place: str, series_ids: Sequence[int]) -> list[Uncopied]:
        """Return what these series hold without a copy, superseded versions too."""
        columns = (instances.c.id, instances.c.path, instances.c.sha256)
        wanted = select(*columns).where(instances.c.series_id.in_(series_ids), has_no_copy(place)).order_by(instances.c.id)
        with database_errors(), self.engine.connect() as connection:
            return [Uncopied(row.id, row.path, row.sha256) for row in connection.execute(wanted)]

    def uncopied_count(self, place: str) -> int:
        """Return how many objects of moving series wait for their copy."""
        wanted = select(func.count()).select_from(series.join(instances, instances.c.series_id == series.c.id))
        with database_errors(), self.engine.connect() as connection:
            return int(connection.scalar(wanted.where(MOVING, has_no_copy(place))) or 0)

    def copied(self, ids: Sequence[int], place: str) -> None:
        """Note that these objects were read back from the place, byte by byte; what held one of them back is over."""
        paths = select(instances.c.path).where(instances.c.id.in_(ids))
        over = and_(quarantine.c.code == NO_COPY, quarantine.c.source.in_(paths))
        with database_errors(), self.engine.begin() as connection:
            connection.execute(update(instances).where(instances.c.id.in_(ids)), {"copied_to": place})
            connection.execute(delete(quarantine).where(over))


def _of_series(place: str) -> ColumnElement[bool]:
    return and_(instances.c.series_id == series.c.id, has_no_copy(place))
