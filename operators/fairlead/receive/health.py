"""Is the node alive: a C-ECHO over its own port, and the numbers of the ledger and the disk as gauges."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from fairlead.errors import ServiceUnreachable
from fairlead.receive.copying import place_of
from fairlead.receive.heads import IMPLICIT_LE
from fairlead.receive.listening import require_listener
from fairlead.receive.metrics import Labels
from fairlead.receive.negotiation import VERIFICATION

if TYPE_CHECKING:
    from fairlead.receive.admission import Doorway

WAIT_S: Final = 5.0
ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # what is listened on, and how that is reached


def echo(address: tuple[str, int], *, calling: str, called: str) -> float:
    """Associate, echo and release; return the seconds it took.

    Raises
    ------
    ServiceUnreachable : no association, or no Success.
    """
    from pynetdicom import AE

    started = time.perf_counter()
    caller = AE(ae_title=calling)
    caller.connection_timeout = caller.acse_timeout = caller.dimse_timeout = caller.network_timeout = WAIT_S
    caller.add_requested_context(VERIFICATION, IMPLICIT_LE)
    host, port = ANY.get(address[0], address[0]), address[1]
    require_listener(host, port, within_s=WAIT_S)
    association = caller.associate(host, port, ae_title=called)
    if not association.is_established:
        raise ServiceUnreachable("The node takes no association.")
    status = association.send_c_echo().get("Status")
    association.release()
    if status != 0:
        raise ServiceUnreachable("The node does not answer C-ECHO.")
    return time.perf_counter() - started


def gauges(doorway: Doorway) -> Iterator[tuple[str, str, Labels, float]]:
    """Yield (name, help, labels, value) of what ledger and disk hold now; a ledger that is away shows as 0 in ``ledger_up``."""
    yield "fairlead_node_disk_free_bytes", "Free space of the archive.", (), doorway.sink.archive.free_bytes()
    for loop, age in doorway.metrics.loop_ages().items():
        yield "fairlead_node_loop_age_seconds", "Since a loop last ended a round well.", (("loop", loop),), age
    ledger = doorway.ledger
    try:
        counts, reports = ledger.counts(), ledger.commitments_by_state()
        rows: list[tuple[str, str, Labels, float]] = [
            ("fairlead_node_associations_open", "Associations that are open.", (), ledger.open_associations()),
            ("fairlead_node_waiting", "Complete series and stable files that wait for the index.", (), ledger.waiting()),
            ("fairlead_node_queue_age_seconds", "Age of the oldest complete series that waits.", (), ledger.queue_age_s()),
            ("fairlead_node_quarantine", "Refusals that wait for somebody.", (), len(ledger.quarantine())),
        ]
        if doorway.settings.archive_bucket:
            waiting = ledger.uncopied_count(place_of(doorway.settings.archive_bucket))
            rows.append(("fairlead_node_uncopied", "Objects of moving series without a copy in the archive bucket.", (), waiting))
        rows += [("fairlead_node_series", "Series by state.", (("state", state.value),), n) for state, n in counts.items()]
        rows += [("fairlead_node_commitments", "Storage commitments by state.", (("state", state),), n) for state, n in reports.items()]
    except ServiceUnreachable:
        rows = []
    yield "fairlead_node_ledger_up", "Whether the ledger answers.", (), float(bool(rows))
    yield from rows
