"""One association, in one thread, from the first PDU to the last: negotiate, answer C-ECHO, stream C-STORE into the sink."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from fairlead.errors import FairleadError, NotPermitted, ServiceUnreachable, StorageFull
from fairlead.receive import dimse
from fairlead.receive.completion import Ending
from fairlead.receive.ledger import Ledger
from fairlead.receive.negotiation import APPLICATION_CONTEXT, VERIFICATION, Context, Request, answer, decode_request
from fairlead.receive.routes import CalledAeUnknown, RouteRule, RouteTable, printable
from fairlead.receive.sink import Announced, InstanceSink
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
from fairlead.records import Route
from fairlead.settings import NodeSettings

logger = logging.getLogger(__name__)
DRAIN_BYTES: Final = 4 * 1024**3
"""A refused object is read to its end so that its sender gets the status; beyond this the association is aborted."""

type Command = dict[int, int | str]


@dataclass(frozen=True, slots=True)
class Doorway:
    """What every association of a node shares."""

    settings: NodeSettings
    routes: RouteTable
    ledger: Ledger
    sink: InstanceSink
    admits: Callable[[Association], bool]
    """Counts a peer in when it asks for an association, not when it connects: a health check that only connects costs no slot."""


class Released(Exception):
    """The requestor released the association: its last word, and a good one."""


class Association:
    """The acceptor's side of one association (PS3.8 section 9.2). ``run`` returns when it is over; nothing escapes it."""

    def __init__(self, wire: Wire, peer: str, doorway: Doorway) -> None:
        self.wire = wire
        self.peer = peer
        self.doorway = doorway
        self.counted = False
        self.key = uuid4().hex
        self.contexts: dict[int, Context] = {}
        self.stored = self.refused = 0
        self.idle = True
        self._stream = self._pdvs()  # one for the whole association: a PDU may hold a command and the data set's begin

    def run(self) -> None:
        """Serve the peer until it leaves."""
        try:
            accepted = self._negotiate()
            if accepted is not None:
                self._serve(*accepted)
                self.wire.linger()
        except ProtocolBroken as error:
            logger.warning("%s: refused, %s", self.peer, error)
            self.wire.abort(error.reason)
        except ConnectionLost as error:
            logger.info("%s: %s", self.peer, error)
        except FairleadError as error:
            logger.error("%s: association given up, %s", self.peer, error)
            self.wire.abort(AbortReason.NOT_SPECIFIED)
        except Exception:
            logger.exception("%s: association given up after a defect", self.peer)
            self.wire.abort(AbortReason.NOT_SPECIFIED)
        finally:
            self.wire.close()

    # --- association establishment

    def _negotiate(self) -> tuple[RouteRule, Route] | None:
        wait = self.doorway.settings.acse_timeout_s
        kind, body = self.wire.read(limit=ASSOCIATE_LIMIT_BYTES, idle_s=wait, whole_s=wait)
        if kind != PduType.ASSOCIATE_RQ:
            raise ProtocolBroken("something other than an association request came first", AbortReason.UNEXPECTED_PDU)
        request = decode_request(bytes(body))
        try:
            rule, route = self._admit(request)
        except _Rejected as error:
            logger.warning("%s: association of %s rejected, %s", self.peer, printable(request.calling_ae), error)
            self._send(error.pdu)
            self.wire.linger()
            return None
        accept, self.contexts = answer(request, private=rule.private_sop_classes, max_pdu_bytes=self.doorway.settings.max_pdu_bytes)
        self.doorway.ledger.association_opened(self.key, route)
        return self._accepted(accept, rule, route)

    def _accepted(self, accept: bytes, rule: RouteRule, route: Route) -> tuple[RouteRule, Route]:
        try:
            self._send(accept)
        except ConnectionLost:
            self.doorway.ledger.association_closed(self.key, Ending.ABORTED)
            raise
        return rule, route

    def _admit(self, request: Request) -> tuple[RouteRule, Route]:
        if not self.doorway.admits(self):
            raise _Rejected("too many associations", reject(result=2, source=3, reason=2))
        if request.application_context != APPLICATION_CONTEXT:
            raise _Rejected("unknown application context", reject(result=1, source=1, reason=2))
        try:
            admitted = self.doorway.routes.match_rule(calling_ae=request.calling_ae, called_ae=request.called_ae, peer=self.peer)
            self.doorway.sink.archive.require_room(self.doorway.settings.low_water_bytes)
        except CalledAeUnknown as error:
            raise _Rejected(error.message, reject(result=1, source=1, reason=7)) from error
        except NotPermitted as error:
            raise _Rejected(error.message, reject(result=1, source=1, reason=3)) from error
        except StorageFull as error:
            raise _Rejected(error.message, reject(result=2, source=3, reason=1)) from error
        return admitted

    # --- messages

    def _serve(self, rule: RouteRule, route: Route) -> None:
        ending = Ending.ABORTED
        try:
            while True:
                self._one_message(rule, route)
        except Released:
            ending = Ending.RELEASED
            self._send(RELEASE_REPLY)
        finally:
            self.doorway.ledger.association_closed(self.key, ending)
            counts = (self.stored, self.refused)
            logger.info("%s: association of %s %s, %d stored, %d refused", self.peer, printable(route.calling_ae), ending, *counts)

    def _one_message(self, rule: RouteRule, route: Route) -> None:
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
        self._answer(dimse.decode_command(bytes(data)), context_id, rule, route)

    def _answer(self, command: Command, context_id: int, rule: RouteRule, route: Route) -> None:
        match command.get(dimse.COMMAND_FIELD):
            case dimse.C_ECHO_RQ:
                self._reply(context_id, command, dimse.SUCCESS)
            case dimse.C_STORE_RQ:
                self._store(command, context_id, rule, route)
            case dimse.C_CANCEL_RQ:
                return
            case int():
                if command.get(dimse.DATA_SET_TYPE) != dimse.NO_DATA_SET:
                    self._drain(self._data_set(context_id))
                self._reply(context_id, command, dimse.UNRECOGNISED_OPERATION)
            case _:
                raise ProtocolBroken("a command set without a command", AbortReason.INVALID_PARAMETER)

    def _store(self, command: Command, context_id: int, rule: RouteRule, route: Route) -> None:
        if command.get(dimse.DATA_SET_TYPE, dimse.NO_DATA_SET) == dimse.NO_DATA_SET:
            self._reply(context_id, command, dimse.CANNOT_UNDERSTAND, "The request has no data set.")
            return
        chunks = self._data_set(context_id)
        status, comment = self._stored(command, chunks, self.contexts[context_id], rule, route)
        self._drain(chunks)
        if status == dimse.SUCCESS:
            self.stored += 1
        else:
            self.refused += 1
        self._reply(context_id, command, status, comment)

    def _stored(self, command: Command, chunks: Iterator[memoryview], context: Context, rule: RouteRule, route: Route) -> tuple[int, str]:
        if context.abstract_syntax == VERIFICATION:
            return dimse.DOES_NOT_MATCH, "The presentation context is for C-ECHO."
        if command.get(dimse.AFFECTED_CLASS) != context.abstract_syntax:
            return dimse.DOES_NOT_MATCH, "The SOP class is not the negotiated one."
        announced = Announced(
            transfer_syntax_uid=context.transfer_syntax,
            sop_class_uid=str(command[dimse.AFFECTED_CLASS]),
            sop_instance_uid=str(command.get(dimse.AFFECTED_INSTANCE, "")),
        )
        try:
            self.doorway.sink.store(chunks, route=route, announced=announced, holder=self.key, max_bytes=rule.max_instance_bytes)
        except FairleadError as error:
            if isinstance(error, ServiceUnreachable | StorageFull):
                logger.error("%s: not stored, %s", self.peer, error.message)
            return dimse.status_of(error), error.message
        except OSError as error:
            logger.error("%s: not stored, the archive failed: %s", self.peer, error.strerror)
            return dimse.OUT_OF_RESOURCES, "The archive cannot be written."
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


class _Rejected(Exception):
    """The request is refused with an A-ASSOCIATE-RJ."""

    def __init__(self, message: str, pdu: bytes) -> None:
        super().__init__(message)
        self.pdu = pdu
