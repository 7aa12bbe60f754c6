"""Who gets an association: limits, routes and free space turned into an A-ASSOCIATE-RJ with the right reason (PS3.8 Table 9-21)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fairlead.errors import NotPermitted, StorageFull
from fairlead.receive.audit import AuditTrail
from fairlead.receive.completion import Ending
from fairlead.receive.ledger import Ledger
from fairlead.receive.metrics import NodeMetrics
from fairlead.receive.negotiation import APPLICATION_CONTEXT, Offer, Request
from fairlead.receive.routes import CalledAeUnknown, RouteRule, RouteTable
from fairlead.receive.sink import InstanceSink, Terms
from fairlead.receive.wire import reject
from fairlead.records import Route
from fairlead.settings import NodeSettings

if TYPE_CHECKING:
    from fairlead.receive.association import Association

ECHO_ONLY: Final = Offer(storage=False)


@dataclass(slots=True)
class Doorway:
    """What every association of a node shares. ``routes`` is replaced as a whole when they are read again."""

    settings: NodeSettings
    routes: RouteTable
    ledger: Ledger
    sink: InstanceSink
    audit: AuditTrail
    metrics: NodeMetrics
    admits: Callable[[int, str, int], bool]
    """Counts a connection (its number, calling AE title, how many that title may have) in when it asks for an association, not when
    it connects: a health check that only connects costs no slot."""
    leaves: Callable[[str, Ending], None]
    health_title: str
    """A secret that this process chose at start: whoever calls itself so is the node's own health check, and gets C-ECHO only."""
    key_prefix: str = ""
    """How the keys of this process's associations begin, where several processes serve."""


class Rejected(Exception):
    """The request is refused with an A-ASSOCIATE-RJ."""

    def __init__(self, message: str, pdu: bytes) -> None:
        super().__init__(message)
        self.pdu = pdu


@dataclass(frozen=True, slots=True)
class Admission:
    """A sender that is let in: by which rule, to where, and what it may negotiate."""

    rule: RouteRule
    route: Route

    @property
    def offer(self) -> Offer:
        """What the sender may negotiate."""
        return Offer(private=self.rule.private_sop_classes, sop_classes=frozenset(self.rule.sop_classes))

    @property
    def terms(self) -> Terms:
        """What each of its objects may be."""
        return Terms(max_bytes=self.rule.max_instance_bytes, duplicates=self.rule.duplicates)


def admit(request: Request, association: Association) -> Admission:
    """Return where the requestor belongs; raise Rejected with the answer it gets."""
    doorway = association.doorway
    if request.application_context != APPLICATION_CONTEXT:
        raise Rejected("unknown application context", reject(result=1, source=1, reason=2))
    try:
        rule, route = doorway.routes.match_rule(
            calling_ae=request.calling_ae, called_ae=request.called_ae, peer=association.peer, tls_subject=association.tls_subject
        )
        doorway.sink.archive.require_room(doorway.settings.low_water_bytes)
    except CalledAeUnknown as error:
        raise Rejected(error.message, reject(result=1, source=1, reason=7)) from error
    except NotPermitted as error:
        raise Rejected(error.message, reject(result=1, source=1, reason=3)) from error
    except StorageFull as error:
        raise Rejected(error.message, reject(result=2, source=3, reason=1)) from error
    most = rule.max_associations or doorway.settings.max_associations_per_title
    if not doorway.admits(association.number, request.calling_ae, most):
        raise Rejected("too many associations", reject(result=2, source=3, reason=2))
    return Admission(rule, route)
