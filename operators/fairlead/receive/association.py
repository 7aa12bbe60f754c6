"""One association, in one thread, from the first PDU to the last: negotiate, answer C-ECHO, stream C-STORE into the sink."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator
from typing import Final
from uuid import uuid4

from fairlead.errors import FairleadError, ServiceUnreachable, StorageFull
from fairlead.receive import dimse
from fairlead.receive.admission import ECHO_ONLY, Admission, Doorway, Rejected, admit
from fairlead.receive.audit import AuditLine
from fairlead.receive.commitment_scp import INSTANCE, REQUEST, BadManifest, gather, read_manifest
from fairlead.receive.completion import Ending
from fairlead.receive.negotiation import COMMITMENT, VERIFICATION, Context, Offer, Request, answer, decode_request
from fairlead.receive.routes import printable
from fairlead.receive.sink import Announced
from fairlead.receive.wire import (
    ASSOCIATE_LIMIT_BYTES,
    PDU_MARGIN_BYTES,
    RELEASE_REPLY,
    AbortReason,
    ConnectionLost,
    PduType,
    ProtocolBroken,
    Wire,
    reject,
)

logger = logging.getLogger(__name__)
DRAIN_BYTES: Final = 4 * 1024**3
"""A refused object is read to its end so that its sender gets the status; beyond this the association is aborted."""

type Command = dict[int, int | str]


class Released(Exception):
    """The requestor released the association: its last word, and a good one."""


class Association:
    """The acceptor's side of one association (PS3.8 section 9.2). ``run`` returns when it is over; nothing escapes it."""

    def __init__(self, wire: Wire, peer: str, doorway: Doorway, *, tls: ssl.SSLContext | None, own_only: bool, number: int) -> None:
        self.wire = wire
        self.peer = peer
        self.doorway = doorway
        self.tls = tls
        self.own_only = own_only
        self.tls_subject: str | None = None
        self.number = number
        self.key = (doorway.key_prefix + uuid4().hex)[:32]
        self.contexts: dict[int, Context] = {}
        self.idle = True
        self.audit = AuditLine(self.key, peer)
        self._stream = self._pdvs()  # one for the whole association: a PDU may hold a command and the data set's begin

    def run(self) -> None:
        """Serve the peer until it leaves."""
        try:
            if self.tls is not None:
                self.tls_subject = self.wire.secure(self.tls, within_s=self.doorway.settings.acse_timeout_s)
            self._converse()
            self.wire.linger()
        except ProtocolBroken as error:
            logger.warning("%s: refused, %s", self.peer, error)
            self.wire.abort(error.reason)
        except ConnectionLost as error:
            logger.info("%s: %s", self.peer, error)
        except FairleadError as error:
            logger.error("%s: association given up, %s", self.peer, error)
            self.wire.abort(AbortReason.NOT_SPECIFIED)
        except Exception as error:
            # A foreign error may quote header values, its type cannot; one association never takes the node down.
            logger.error("%s: association given up after a defect (%s)", self.peer, type(error).__name__)
            self.wire.abort(AbortReason.NOT_SPECIFIED)
        finally:
            self.wire.close()

    # --- association establishment

    def _converse(self) -> None:
        wait = self.doorway.settings.acse_timeout_s
        kind, body = self.wire.read(limit=ASSOCIATE_LIMIT_BYTES, idle_s=wait, whole_s=wait)
        if kind != PduType.ASSOCIATE_RQ:
            raise ProtocolBroken("something other than an association request came first", AbortReason.UNEXPECTED_PDU)
        request = decode_request(bytes(body))
        if request.calling_ae == self.doorway.health_title:
            self._check_health(request)
            return
        if self.own_only:
            raise ProtocolBroken("a stranger at the port of the health check", AbortReason.NOT_SPECIFIED)
        self._describe(request)
        try:
            admission = admit(request, self)
            self._open(admission)
        except Rejected as error:
            logger.warning("%s: association of %s rejected, %s", self.peer, printable(request.calling_ae), error)
            self._over("rejected", str(error))
            self._send(error.pdu)
            return
        self._hold(request, admission)

    def _check_health(self, request: Request) -> None:
        self._accept(request, ECHO_ONLY)
        try:
            while True:
                self._one_message(None)
        except Released:
            self._send(RELEASE_REPLY)

    def _accept(self, request: Request, offer: Offer) -> None:
        accept, self.contexts = answer(request, offer, max_pdu_bytes=self.doorway.settings.max_pdu_bytes)
        self._send(accept)

    def _open(self, admission: Admission) -> None:
        route = admission.route
        self.audit.route, self.audit.project, self.audit.center = admission.rule.name, route.project, route.center
        try:
            self.doorway.ledger.association_opened(self.key, route)
        except ServiceUnreachable as error:  # nothing could be stored: the sender shall come again
            raise Rejected(error.message, reject(result=2, source=3, reason=1)) from error

    def _hold(self, request: Request, admission: Admission) -> None:
        """Keep the association in the ledger while it lasts; how it ends decides how long its series wait."""
        route, ending = admission.route, Ending.ABORTED
        try:
            self._accept(request, admission.offer)
            while True:
                self._one_message(admission)
        except Released:
            ending = Ending.RELEASED
            self._send(RELEASE_REPLY)
        finally:
            self.doorway.leaves(self.key, ending)
            self._over(ending.value)
            counts = (self.audit.stored, self.audit.refused)
            logger.info("%s: association of %s %s, %d stored, %d refused", self.peer, printable(route.calling_ae), ending, *counts)

    def _describe(self, request: Request) -> None:
        audit = self.audit
        audit.calling_ae, audit.called_ae, audit.tls_subject = request.calling_ae, request.called_ae, self.tls_subject
        audit.implementation, audit.opened_at = request.implementation, self.doorway.audit.now()

    def _over(self, result: str, reason: str = "") -> None:
        """Count the association and write its line of the audit trail; a title that nobody admitted becomes no label."""
        self.audit.result, self.audit.reason = result, reason
        title = "" if result == "rejected" else self.audit.calling_ae
        self.doorway.metrics.count("associations", calling_ae=title, result=result)
        self.doorway.audit.write(self.audit)

    # --- messages

    def _one_message(self, admission: Admission | None) -> None:
        data, control, context_id = bytearray(), 0, 0
        self.idle = True
        while not control & 2:
            context_id, control, fragment = next(self._stream)
            self.idle = False
            if not control & 1 or len(data) + len(fragment) > dimse.COMMAND_LIMIT_BYTES:
                raise ProtocolBroken("a data set without a command, or a command without end", AbortReason.UNEXPECTED_PDU)
            data += fragment
        if context_id not in self.contexts:
            raise ProtocolBroken("a message on a presentation context that is not open", AbortReason.INVALID_PARAMETER)
        self._answer(dimse.decode_command(bytes(data)), context_id, admission)

    def _answer(self, command: Command, context_id: int, admission: Admission | None) -> None:
        match command.get(dimse.COMMAND_FIELD):
            case dimse.C_ECHO_RQ:
                self._reply(context_id, command, dimse.SUCCESS)
            case dimse.C_STORE_RQ if admission is not None:
                self._store(command, context_id, admission)
            case dimse.N_ACTION_RQ if admission is not None:
                self._commit(command, context_id, admission)
            case dimse.C_CANCEL_RQ:
                return
            case int():
                if command.get(dimse.DATA_SET_TYPE) != dimse.NO_DATA_SET:
                    self._drain(self._data_set(context_id))
                self._reply(context_id, command, dimse.UNRECOGNISED_OPERATION)
            case _:
                raise ProtocolBroken("a command set without a command", AbortReason.INVALID_PARAMETER)

    def _store(self, command: Command, context_id: int, admission: Admission) -> None:
        if command.get(dimse.DATA_SET_TYPE, dimse.NO_DATA_SET) == dimse.NO_DATA_SET:
            self._reply(context_id, command, dimse.CANNOT_UNDERSTAND, "The request has no data set.")
            return
        chunks = self._data_set(context_id)
        status, comment = self._stored(command, chunks, self.contexts[context_id], admission)
        self._drain(chunks)
        if status == dimse.SUCCESS:
            self.audit.stored += 1
        else:
            self.audit.refused += 1
        self.doorway.metrics.count("instances", calling_ae=self.audit.calling_ae, result=f"{status:04X}")
        self._reply(context_id, command, status, comment)

    def _stored(self, command: Command, chunks: Iterator[memoryview], context: Context, admission: Admission) -> tuple[int, str]:
        if context.abstract_syntax in (VERIFICATION, COMMITMENT):
            return dimse.DOES_NOT_MATCH, "The presentation context is not for storage."
        if command.get(dimse.AFFECTED_CLASS) != context.abstract_syntax:
            return dimse.DOES_NOT_MATCH, "The SOP class is not the negotiated one."
        announced = Announced(
            transfer_syntax_uid=context.transfer_syntax,
            sop_class_uid=str(command[dimse.AFFECTED_CLASS]),
            sop_instance_uid=str(command.get(dimse.AFFECTED_INSTANCE, "")),
        )
        try:
            outcome = self.doorway.sink.store(chunks, route=admission.route, announced=announced, holder=self.key, terms=admission.terms)
        except FairleadError as error:
            if isinstance(error, ServiceUnreachable | StorageFull):
                logger.error("%s: not stored, %s", self.peer, error.message)
            return dimse.status_of(error), error.message
        except OSError as error:
            logger.error("%s: not stored, the archive failed: %s", self.peer, error.strerror)
            return dimse.OUT_OF_RESOURCES, "The archive cannot be written."
        self.audit.bytes += outcome.instance.size_bytes
        self.doorway.metrics.count("bytes", outcome.instance.size_bytes, calling_ae=self.audit.calling_ae)
        return dimse.SUCCESS, ""

    def _commit(self, command: Command, context_id: int, admission: Admission) -> None:
        """Take a request for storage commitment: durable first, answered then, reported later."""
        chunks = self._data_set(context_id) if command.get(dimse.DATA_SET_TYPE) != dimse.NO_DATA_SET else iter(())
        try:
            status, comment = self._committed(command, chunks, self.contexts[context_id], admission)
        except BadManifest as error:
            status, comment = dimse.INVALID_ARGUMENT, error.message
        self._drain(chunks)
        self._reply(context_id, command, status, comment)

    def _committed(self, command: Command, chunks: Iterator[memoryview], context: Context, admission: Admission) -> tuple[int, str]:
        if context.abstract_syntax != COMMITMENT or command.get(dimse.REQUESTED_INSTANCE) != INSTANCE:
            return dimse.NO_SUCH_OBJECT, "No such SOP instance."
        if command.get(dimse.ACTION_TYPE) != REQUEST:
            return dimse.NO_SUCH_ACTION, "No such action type."
        if self.doorway.routes.peer(admission.route.calling_ae) is None:
            return dimse.NOT_AUTHORISED, "The sender is not among the peers of routes.yaml."
        transaction, manifest = read_manifest(gather(chunks), context.transfer_syntax)
        self.doorway.ledger.request_commitment(transaction, manifest, route=admission.route, holder=self.key)
        self.audit.commitments += 1
        return dimse.SUCCESS, ""

    def _data_set(self, context_id: int) -> Iterator[memoryview]:
        for found, control, fragment in self._stream:
            if found != context_id or control & 1:
                raise ProtocolBroken("a command inside a data set", AbortReason.UNEXPECTED_PDU)
            yield fragment
            if control & 2:
                return

    def _drain(self, chunks: Iterator[memoryview]) -> None:
        left = max(self.doorway.settings.max_instance_bytes, DRAIN_BYTES)
        for chunk in chunks:  # the rest of a refused object: the answer may only follow its last fragment
            left -= len(chunk)
            if left < 0:
                raise ProtocolBroken("an object without end", AbortReason.NOT_SPECIFIED)

    def _pdvs(self) -> Iterator[tuple[int, int, memoryview]]:
        """Yield the fragments of every message in turn; each is valid until the next one is asked for."""
        settings = self.doorway.settings
        while True:
            kind, body = self.wire.read(
                limit=settings.max_pdu_bytes + PDU_MARGIN_BYTES, idle_s=settings.network_timeout_s, whole_s=settings.network_timeout_s
            )
            match kind:
                case PduType.P_DATA:
                    yield from dimse.fragments(body)
                case PduType.RELEASE_RQ if self.idle:
                    raise Released
                case PduType.ABORT:
                    raise ConnectionLost("the peer aborted the association")
                case _:
                    raise ProtocolBroken("a PDU that does not belong into an association", AbortReason.UNEXPECTED_PDU)

    def _reply(self, context_id: int, command: Command, status: int, comment: str = "") -> None:
        self._send(dimse.command_pdu(context_id, dimse.response(command, status, comment)))

    def _send(self, data: bytes) -> None:
        self.wire.send(data, within_s=self.doorway.settings.network_timeout_s)
