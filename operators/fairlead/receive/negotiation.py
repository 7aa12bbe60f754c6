"""Who is let in and with which encodings: A-ASSOCIATE-RQ to A-ASSOCIATE-AC or -RJ, as a function of values.

pynetdicom decodes and encodes the PDUs (PS3.8 section 9.3.2, 9.3.3); the choice of transfer syntax is ours: the first
one the requestor names that is not Implicit VR, so that private VRs and compressed originals survive. Implicit VR is
taken only when nothing else is offered.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from fairlead.receive.heads import EXPLICIT_BE, EXPLICIT_LE, GE_IMPLICIT, IMPLICIT_LE
from fairlead.receive.part10 import IMPLEMENTATION_UID, IMPLEMENTATION_VERSION
from fairlead.receive.wire import AbortReason, ProtocolBroken
from fairlead.records import is_uid

if TYPE_CHECKING:
    from pynetdicom.presentation import PresentationContext

COMMITMENT: Final = "1.2.840.10008.1.20.1"
VERIFICATION: Final = "1.2.840.10008.1.1"
APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"
DICOM_ROOT: Final = "1.2.840.10008."
STORAGE_ARC: Final = "1.2.840.10008.5.1.4.1.1."  # also holds classes that are retired or newer than our list
UNCOMPRESSED: Final = frozenset({IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE})
"""What a message other than C-STORE may be encoded in: those are decoded here."""
ACCEPTED, NO_ABSTRACT_SYNTAX, NO_TRANSFER_SYNTAX = 0, 3, 4


@dataclass(frozen=True, slots=True)
class Proposal:
    """One presentation context as the requestor proposes it."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """What an A-ASSOCIATE-RQ asks for."""

    calling_ae: str
    called_ae: str
    application_context: str
    proposals: tuple[Proposal, ...]
    implementation: str
    primitive: Any


@dataclass(frozen=True, slots=True)
class Context:
    """An accepted presentation context."""

    abstract_syntax: str
    transfer_syntax: str


@cache
def storage_classes() -> frozenset[str]:
    """Return every storage SOP class that the standard names."""
    from pynetdicom.sop_class import _STORAGE_CLASSES

    return frozenset(str(uid) for uid in _STORAGE_CLASSES.values())


@cache
def transfer_syntaxes() -> frozenset[str]:
    """Return every transfer syntax that is stored as sent: all of the standard, and GE's private one."""
    from pynetdicom._globals import ALL_TRANSFER_SYNTAXES

    return frozenset({*map(str, ALL_TRANSFER_SYNTAXES), GE_IMPLICIT})


def decode_request(body: bytes) -> Request:
    """Return what the requestor asks for.

    Raises
    ------
    ProtocolBroken : the PDU cannot be decoded; what exactly stays in our log, not in the answer.
    """
    from pynetdicom.pdu import A_ASSOCIATE_RQ

    whole = b"\x01\x00" + len(body).to_bytes(4, "big") + body
    try:
        decoded = A_ASSOCIATE_RQ()
        decoded.decode(whole)
        primitive = decoded.to_primitive()
        return Request(
            calling_ae=str(primitive.calling_ae_title).strip(),
            called_ae=str(primitive.called_ae_title).strip(),
            application_context=str(primitive.application_context_name or ""),
            proposals=tuple(_proposal(item) for item in primitive.presentation_context_definition_list),
            implementation=_implementation(primitive),
            primitive=primitive,
        )
    except Exception as error:  # the decoder meets hostile bytes: whatever it raises means "not an A-ASSOCIATE-RQ"
        raise ProtocolBroken(f"an A-ASSOCIATE-RQ that cannot be read ({type(error).__name__})", AbortReason.INVALID_PARAMETER) from error


def _implementation(primitive: Any) -> str:
    """Return version name and class UID of the requestor's software, for the audit trail."""
    found = (getattr(item, "implementation_version_name", None) for item in primitive.user_information)
    return f"{next(filter(None, found), '')} {primitive.implementation_class_uid or ''}".strip()[:100]


def _proposal(item: PresentationContext) -> Proposal:
    return Proposal(int(item.context_id or 0), str(item.abstract_syntax or ""), tuple(str(syntax) for syntax in item.transfer_syntax))


def is_storage(abstract_syntax: str, *, private: bool) -> bool:
    """Return whether a SOP class is one that stores objects; private ones only where the route allows them."""
    if abstract_syntax in storage_classes() or abstract_syntax.startswith(STORAGE_ARC):
        return True
    return private and is_uid(abstract_syntax) and not abstract_syntax.startswith(DICOM_ROOT)


@dataclass(frozen=True, slots=True)
class Offer:
    """What one sender may negotiate: storage at all, private classes, and whether only some classes."""

    storage: bool = True
    private: bool = False
    sop_classes: frozenset[str] = frozenset()

    def admits(self, abstract_syntax: str) -> bool:
        """Return whether a service class is open to the sender."""
        if abstract_syntax == VERIFICATION:
            return True
        if abstract_syntax == COMMITMENT:
            return self.storage
        named = not self.sop_classes or abstract_syntax in self.sop_classes
        return self.storage and named and is_storage(abstract_syntax, private=self.private)


def choose(proposal: Proposal, offer: Offer) -> tuple[int, str]:
    """Return (result, transfer syntax) for one proposal (PS3.8 Table 9-18).

    >>> choose(Proposal(1, "1.2.840.10008.5.1.4.1.1.2", ("1.2.840.10008.1.2", "1.2.840.10008.1.2.4.80")), Offer())
    (0, '1.2.840.10008.1.2.4.80')
    """
    usable = UNCOMPRESSED if proposal.abstract_syntax == COMMITMENT else transfer_syntaxes()
    known = [syntax for syntax in proposal.transfer_syntaxes if syntax in usable]
    if not offer.admits(proposal.abstract_syntax):
        return NO_ABSTRACT_SYNTAX, IMPLICIT_LE
    if not known:
        return NO_TRANSFER_SYNTAX, IMPLICIT_LE
    explicit = [syntax for syntax in known if syntax not in (IMPLICIT_LE, GE_IMPLICIT)]
    return ACCEPTED, (explicit or known)[0]


def answer(request: Request, offer: Offer, *, max_pdu_bytes: int) -> tuple[bytes, dict[int, Context]]:
    """Return the A-ASSOCIATE-AC and the contexts it opens, by id."""
    from pynetdicom.presentation import PresentationContext

    opened: dict[int, Context] = {}
    results: list[PresentationContext] = []
    for proposal in request.proposals:
        result, syntax = choose(proposal, offer)
        item = PresentationContext()
        item.context_id = proposal.context_id
        item.add_transfer_syntax(syntax)
        item.result = result
        results.append(item)
        if result == ACCEPTED:
            opened[proposal.context_id] = Context(proposal.abstract_syntax, syntax)
    return _accept(request, results, max_pdu_bytes), opened


def _accept(request: Request, results: list[PresentationContext], max_pdu_bytes: int) -> bytes:
    from pynetdicom.pdu import A_ASSOCIATE_AC
    from pynetdicom.pdu_primitives import (
        A_ASSOCIATE,
        ImplementationClassUIDNotification,
        ImplementationVersionNameNotification,
        MaximumLengthNotification,
    )

    maximum, implementation, version = (
        MaximumLengthNotification(),
        ImplementationClassUIDNotification(),
        ImplementationVersionNameNotification(),
    )
    maximum.maximum_length_received = max_pdu_bytes
    implementation.implementation_class_uid = IMPLEMENTATION_UID
    version.implementation_version_name = IMPLEMENTATION_VERSION
    primitive = A_ASSOCIATE()
    primitive.application_context_name = APPLICATION_CONTEXT
    primitive.calling_ae_title = request.primitive.calling_ae_title
    primitive.called_ae_title = request.primitive.called_ae_title
    primitive.result = 0
    primitive.result_source = 1
    primitive.presentation_context_definition_results_list = results
    primitive.user_information = [maximum, implementation, version]
    pdu = A_ASSOCIATE_AC()
    pdu.from_primitive(primitive)
    return bytes(pdu.encode())
