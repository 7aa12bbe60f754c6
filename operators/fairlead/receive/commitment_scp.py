"""Storage Commitment as SCP: the N-ACTION data set in, the N-EVENT-REPORT out on an association of our own (PS3.4 J.3)."""

from __future__ import annotations

import io
import logging
import ssl
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from fairlead.errors import InvalidInput, ServiceUnreachable
from fairlead.receive.commitments import Commitment, Verdict
from fairlead.receive.heads import EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from fairlead.receive.listening import require_listener
from fairlead.receive.negotiation import COMMITMENT
from fairlead.receive.routes import Peer
from fairlead.records import is_uid

if TYPE_CHECKING:
    from pydicom import Dataset

logger = logging.getLogger(__name__)
INSTANCE: Final = "1.2.840.10008.1.20.1.1"
REQUEST: Final = 1
MANIFEST_LIMIT_BYTES: Final = 32 * 1024**2
ALL_COMMITTED, SOME_FAILED = 1, 2
CONNECT_S, ANSWER_S = 10.0, 30.0


class BadManifest(InvalidInput):
    """An N-ACTION data set without a transaction or without usable references (PS3.4 Table J.3-1)."""

    code = "bad-manifest"
    default_remedy = "Correct the sender: Transaction UID and Referenced SOP Sequence are required."


def gather(chunks: Iterator[memoryview]) -> bytes:
    """Return a whole small data set; raise BadManifest when it is larger than any manifest."""
    data = bytearray()
    for chunk in chunks:
        if len(data) + len(chunk) > MANIFEST_LIMIT_BYTES:
            raise BadManifest(f"The request is larger than {MANIFEST_LIMIT_BYTES} bytes.")
        data += chunk
    return bytes(data)


def read_manifest(data: bytes, transfer_syntax_uid: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return the transaction and the (SOP class, SOP instance) pairs that it lists.

    Raises
    ------
    BadManifest : the data set cannot be read, or something in it is missing or no UID.
    """
    from pydicom.filereader import read_dataset

    try:
        found = read_dataset(io.BytesIO(data), transfer_syntax_uid == IMPLICIT_LE, transfer_syntax_uid != EXPLICIT_BE)
        transaction = str(found.get("TransactionUID", ""))
        items = found.get("ReferencedSOPSequence") or ()
        pairs = tuple((str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID)) for item in items)
    except Exception as error:  # the decoder meets hostile bytes: whatever it raises means "no manifest"
        raise BadManifest(f"The data set of the request cannot be read ({type(error).__name__}).") from error
    if not is_uid(transaction) or not pairs or not all(is_uid(uid) for pair in pairs for uid in pair):
        raise BadManifest("Transaction or references are missing or malformed.")
    return transaction, tuple(dict.fromkeys(pairs))


def event_report(commitment: Commitment, verdict: Verdict) -> tuple[int, Dataset]:
    """Return event type and data set of the report (PS3.4 Table J.3-2)."""
    from pydicom import Dataset

    report = Dataset()
    report.TransactionUID = commitment.transaction_uid
    if verdict.committed or not verdict.failed:
        report.ReferencedSOPSequence = _references(verdict.committed)
    if verdict.failed:
        report.FailedSOPSequence = _references(verdict.failed)
    return SOME_FAILED if verdict.failed else ALL_COMMITTED, report


def _references(rows: Sequence[tuple[Any, ...]]) -> list[Dataset]:
    from pydicom import Dataset

    items = []
    for sop_class, sop_instance, *reason in rows:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, sop_instance
        if reason:
            item.FailureReason = reason[0]
        items.append(item)
    return items


def send_report(event: int, report: Dataset, *, peer: Peer, own_title: str, tls: ssl.SSLContext | None) -> None:
    """Deliver a report on a new association, in the SCP role that the requestor of it has to ask for (PS3.7 D.3.3.4).

    Raises
    ------
    ServiceUnreachable : no connection, no association, no context, or an answer other than Success.
    """
    from pynetdicom import AE, build_role

    caller = AE(ae_title=own_title)
    caller.connection_timeout, caller.acse_timeout = CONNECT_S, CONNECT_S
    caller.dimse_timeout = caller.network_timeout = ANSWER_S
    caller.add_requested_context(COMMITMENT, [EXPLICIT_LE, IMPLICIT_LE])
    role = build_role(COMMITMENT, scp_role=True)
    require_listener(peer.host, peer.port, within_s=CONNECT_S)
    secured = (tls, peer.host) if tls is not None else None
    association = caller.associate(peer.host, peer.port, ae_title=peer.ae_title, ext_neg=[role], tls_args=secured)
    if not association.is_established:
        raise ServiceUnreachable(f"The peer {peer.ae_title} takes no association for a storage commitment report.")
    try:
        status, _ = association.send_n_event_report(report, event, COMMITMENT, INSTANCE)
    except ValueError as error:
        raise ServiceUnreachable(f"The peer {peer.ae_title} does not take storage commitment reports.") from error
    finally:
        association.release()
    if status.get("Status") != 0:
        raise ServiceUnreachable(f"The peer {peer.ae_title} did not accept a storage commitment report.")
