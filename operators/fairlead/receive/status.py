"""What the node's ledger and disk look like now; answered from the ledger, so it works whether the node runs or not."""

from __future__ import annotations

import shutil

from fairlead.database import open_database
from fairlead.receive.copying import required_place
from fairlead.receive.ledger import Ledger
from fairlead.records import Record, Refusal, SeriesState
from fairlead.settings import Settings


class NodeStatus(Record):
    """Series by state, open associations, free bytes of the archive's disk, quarantine with reasons, work that waits.

    ``uncopied`` counts objects on their way to the archive bucket; None where there is none.
    """

    series: dict[SeriesState, int]
    associations: int
    disk_free: int
    quarantine: tuple[Refusal, ...]
    waiting: int
    uncopied: int | None = None


def node_status(settings: Settings) -> NodeStatus:
    """Return the present state; raise ServiceUnreachable when the ledger does not answer."""
    engine = open_database(settings)
    try:
        ledger = Ledger(engine)
        folder = next(path for path in (settings.archive_folder, *settings.archive_folder.parents) if path.exists())
        return NodeStatus(
            series=ledger.counts(),
            associations=ledger.open_associations(),
            disk_free=shutil.disk_usage(folder).free,
            quarantine=ledger.quarantine(),
            waiting=ledger.waiting(),
            uncopied=ledger.uncopied_count(place) if (place := required_place(settings)) else None,
        )
    finally:
        engine.dispose()
