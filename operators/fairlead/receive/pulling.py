"""Query/Retrieve as SCU: ask a peer what it has, fetch what is not here with C-GET or C-MOVE, and count (PS3.4 Annex C).

C-GET needs no entry for us in the peer's table and no open port here. C-MOVE, for archives that know no C-GET, lets the peer
send to the node, which must be running under the title and address that the peer has for it; its routes decide where the objects
belong. Every object goes through the sink like any other; what the ledger has already is not fetched again, so a pull that was
cut off goes on where it was.
"""

from __future__ import annotations

import io
import logging
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from fairlead.errors import FairleadError, InvalidInput, NotFound, ServiceUnreachable
from fairlead.progress import Progress
from fairlead.receive.completion import Ending
from fairlead.receive.dimse import SUCCESS, status_of
from fairlead.receive.heads import EXPLICIT_LE, IMPLICIT_LE
from fairlead.receive.ledger import Ledger
from fairlead.receive.listening import require_listener
from fairlead.receive.routes import Peer
from fairlead.receive.sink import Announced, InstanceSink
from fairlead.receive.tls import client_context
from fairlead.records import Route, is_uid
from fairlead.settings import Settings

if TYPE_CHECKING:
    from pydicom import Dataset
    from pynetdicom.association import Association

logger = logging.getLogger(__name__)
FIND: Final = "1.2.840.10008.5.1.4.1.2.2.1"
MOVE: Final = "1.2.840.10008.5.1.4.1.2.2.2"
GET: Final = "1.2.840.10008.5.1.4.1.2.2.3"
PENDING: Final = (0xFF00, 0xFF01)
COMPRESSED: Final = tuple(
    f"1.2.840.10008.1.2.{arc}" for arc in ("4.50", "4.51", "4.57", "4.70", "4.80", "4.81", "4.90", "4.91", "5", "1.99")
)
CONTEXTS: Final = 128
WAIT_S: Final = 60.0


@dataclass(slots=True)
class SeriesPull:
    """What became of one series: how many objects the peer names, how many were here, how many came, and which did not."""

    study_uid: str
    series_uid: str
    expected: int
    present: int = 0
    stored: int = 0
    missing: list[str] = field(default_factory=list)


@dataclass(slots=True)
class PullReport:
    """Every series of a pull."""

    series: list[SeriesPull] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether everything that the peer names is here."""
        return not any(one.missing for one in self.series)


@dataclass(frozen=True, slots=True)
class Wish:
    """What to fetch: studies that match ``keys`` (DICOM keywords at study level), by C-GET, or by C-MOVE to the running node."""

    keys: Mapping[str, str]
    by_move: bool = False


def pull(settings: Settings, ledger: Ledger, peer: Peer, *, wish: Wish, route: Route, progress: Progress) -> PullReport:
    """Fetch every study that is wished for and return what became of each series.

    Raises
    ------
    ServiceUnreachable : the peer is not there, or refuses the association. NotFound : nothing matches. InvalidInput : no DICOM keyword.
    """
    puller = _Puller(settings, ledger, peer, route)
    fetch = puller.move if wish.by_move else puller.get
    report = PullReport()
    with puller.asking() as association:
        wanted = [one for study in puller.studies(association, wish.keys) for one in puller.series(association, study)]
    if not wanted:
        raise NotFound(f"The peer {peer.ae_title} has no study that matches.", remedy="Check the query, and what the peer lets us see.")
    progress.start("fetching", len(wanted))
    try:
        for one, classes in wanted:
            with puller.holding(one):
                puller.fetch(one, classes, fetch)
            report.series.append(one)
            progress.step()
    finally:
        progress.finish()
    return report


class _Puller:
    def __init__(self, settings: Settings, ledger: Ledger, peer: Peer, route: Route) -> None:
        self.settings = settings
        self.ledger = ledger
        self.peer = peer
        self.route = route
        self.sink = InstanceSink(settings, ledger)
        self.holder = ""
        self._tls: ssl.SSLContext | None = client_context(settings.node.tls) if peer.tls else None

    # --- asking

    @contextmanager
    def asking(self) -> Iterator[Association]:
        """Open an association for C-FIND."""
        from pynetdicom import AE

        caller = AE(ae_title=self.settings.node.ae_title)
        caller.add_requested_context(FIND, [EXPLICIT_LE, IMPLICIT_LE])
        with self._associated(caller) as association:
            yield association

    @contextmanager
    def _associated(self, caller: Any, **more: Any) -> Iterator[Association]:
        caller.connection_timeout = caller.acse_timeout = caller.dimse_timeout = caller.network_timeout = WAIT_S
        require_listener(self.peer.host, self.peer.port, within_s=WAIT_S)
        secured = (self._tls, self.peer.host) if self._tls is not None else None
        association = caller.associate(self.peer.host, self.peer.port, ae_title=self.peer.ae_title, tls_args=secured, **more)
        if not association.is_established:
            raise ServiceUnreachable(
                f"The peer {self.peer.ae_title} takes no association of ours.", remedy="Check AE titles on both sides."
            )
        try:
            yield association
        finally:
            association.release()

    def studies(self, association: Association, keys: Mapping[str, str]) -> list[str]:
        """Return the UIDs of the studies that match."""
        found = (str(answer.get("StudyInstanceUID", "")) for answer in self._find(association, "STUDY", {"StudyInstanceUID": "", **keys}))
        return sorted({uid for uid in found if is_uid(uid)})

    def series(self, association: Association, study: str) -> list[tuple[SeriesPull, dict[str, str]]]:
        """Return each series of a study, with SOP instance to SOP class of what it holds."""
        here = {"StudyInstanceUID": study}
        wanted = []
        asked = here | {"SeriesInstanceUID": "", "NumberOfSeriesRelatedInstances": ""}
        for answer in self._find(association, "SERIES", asked):
            uid = str(answer.get("SeriesInstanceUID", ""))
            inside = here | {"SeriesInstanceUID": uid, "SOPInstanceUID": "", "SOPClassUID": ""}
            images = self._find(association, "IMAGE", inside) if is_uid(uid) else []
            classes = {str(image.SOPInstanceUID): str(image.get("SOPClassUID", "")) for image in images if image.get("SOPInstanceUID")}
            stated = int(answer.get("NumberOfSeriesRelatedInstances") or 0)
            wanted.append((SeriesPull(study, uid, max(stated, len(classes))), classes))
        return wanted

    def _find(self, association: Association, level: str, keys: Mapping[str, str]) -> list[Dataset]:
        from pydicom import Dataset

        query = Dataset()
        query.QueryRetrieveLevel = level
        for name, value in keys.items():
            try:
                setattr(query, name, value)
            except (ValueError, TypeError) as error:
                raise InvalidInput(f"The value of {name} does not fit.") from error
        found = []
        for status, answer in association.send_c_find(query, FIND):
            if status.get("Status") in PENDING and answer is not None:
                found.append(answer)
            elif status.get("Status") != SUCCESS:
                raise ServiceUnreachable(f"The peer {self.peer.ae_title} does not answer a query at {level} level.")
        return found

    # --- fetching

    @contextmanager
    def holding(self, one: SeriesPull) -> Iterator[None]:
        """Keep a series open while it is fetched; it is complete at once only with everything that the peer names, and else waits."""
        self.holder, ending = uuid4().hex, Ending.ABORTED
        with self.sink.archive.importing(self.holder):
            try:
                yield
                ending = Ending.ABORTED if one.missing else Ending.FINISHED
            finally:
                self.ledger.expect_of(self.route, one.series_uid, one.expected)
                self.ledger.sender_left(self.holder, ending)

    def fetch(self, one: SeriesPull, classes: Mapping[str, str], how: Callable[[SeriesPull, Sequence[str], Sequence[str]], None]) -> None:
        """Fetch what is not here of one series; a peer that breaks off leaves the rest as missing."""
        absent = {uid: name for uid, name in classes.items() if not self.ledger.known_versions(self.route, uid)}
        one.present = len(classes) - len(absent)
        if absent:
            try:
                how(one, sorted(set(absent.values())), sorted(absent) if one.present else ())
            except ServiceUnreachable as error:
                logger.error("pull: %s", error)
        one.missing = sorted(uid for uid in absent if not self.ledger.known_versions(self.route, uid))
        one.stored = len(absent) - len(one.missing)
        one.missing += ["?"] * max(one.expected - len(classes), 0)

    def get(self, one: SeriesPull, classes: Sequence[str], resume: Sequence[str]) -> None:
        """Let the peer send on our own association; ``resume`` names the instances when not the whole series is wanted."""
        from pynetdicom import AE, build_role, evt

        caller = AE(ae_title=self.settings.node.ae_title)
        caller.add_requested_context(GET, [EXPLICIT_LE, IMPLICIT_LE])
        for name, syntaxes in _offers(classes):
            caller.add_requested_context(name, list(syntaxes))
        roles = [build_role(name, scp_role=True) for name in {str(one.abstract_syntax) for one in caller.requested_contexts} - {GET}]
        with self._associated(caller, ext_neg=roles, evt_handlers=[(evt.EVT_C_STORE, self._take)]) as association:
            for wanted in _identifiers(one, resume):
                self._finished(association.send_c_get(wanted, GET))

    def move(self, one: SeriesPull, _classes: Sequence[str], resume: Sequence[str]) -> None:
        """Let the peer send to the running node."""
        from pynetdicom import AE

        caller = AE(ae_title=self.settings.node.ae_title)
        caller.add_requested_context(MOVE, [EXPLICIT_LE, IMPLICIT_LE])
        with self._associated(caller) as association:
            for wanted in _identifiers(one, resume):
                self._finished(association.send_c_move(wanted, self.settings.node.ae_title, MOVE))

    def _finished(self, answers: Iterator[tuple[Dataset, Dataset | None]]) -> None:
        """Wait for the last answer; what did not come is found by counting, so a failure is only worth a line of the log."""
        for status, _ in answers:
            if not status:
                raise ServiceUnreachable(f"The peer {self.peer.ae_title} broke off.")
            if status.Status not in (SUCCESS, *PENDING):
                logger.warning("pull: the peer %s ended with status %04X", self.peer.ae_title, status.Status)

    def _take(self, event: Any) -> int:
        """Store one object that a C-GET brings."""
        request = event.request
        announced = Announced(
            transfer_syntax_uid=str(event.context.transfer_syntax),
            sop_class_uid=str(request.AffectedSOPClassUID),
            sop_instance_uid=str(request.AffectedSOPInstanceUID),
        )
        data: io.BytesIO = request.DataSet
        try:
            self.sink.store([data.getbuffer()], route=self.route, announced=announced, holder=self.holder)
        except FairleadError as error:
            logger.error("pull: an object was not stored: %s", error)
            return status_of(error)
        return SUCCESS


def _identifiers(one: SeriesPull, resume: Sequence[str]) -> Iterator[Dataset]:
    """Yield what to ask for: the series, or each instance that is named (PS3.4 C.4.2.1.4)."""
    from pydicom import Dataset

    for uid in resume or ("",):
        wanted = Dataset()
        wanted.QueryRetrieveLevel = "IMAGE" if uid else "SERIES"
        wanted.StudyInstanceUID, wanted.SeriesInstanceUID = one.study_uid, one.series_uid
        if uid:
            wanted.SOPInstanceUID = uid
        yield wanted


def _offers(classes: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Return (SOP class, transfer syntaxes) for each context: one for each encoding, so that the peer can send objects as it has them.

    A peer that does not name the classes (DCMTK's archive does not) is offered all that fit into one association, uncompressed.
    """
    from pynetdicom import StoragePresentationContexts

    plain: tuple[str, ...] = (EXPLICIT_LE, IMPLICIT_LE)
    if not all(map(is_uid, classes)):
        return [(str(context.abstract_syntax), plain) for context in StoragePresentationContexts][: CONTEXTS - 1]
    return [(name, offer) for offer in (plain, *((syntax,) for syntax in COMPRESSED)) for name in classes][: CONTEXTS - 1]
