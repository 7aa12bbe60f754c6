"""The upper layer on a socket: whole PDUs with a length cap and a deadline, whatever the peer sends or withholds.

Source: DICOM PS3.8 section 9.3. A peer that announces 4 GiB, sends half a header or trickles one byte a second gets
its connection closed and costs nothing but its own thread until then.
"""

from __future__ import annotations

import socket
import ssl
import struct
import time
from contextlib import suppress
from enum import IntEnum
from typing import Final

from fairlead.receive.tls import common_name

HEADER_BYTES: Final = 6
ASSOCIATE_LIMIT_BYTES: Final = 1024 * 1024
PDU_MARGIN_BYTES: Final = 1024
PDV_HEADER_BYTES: Final = 6
QUICK_ACK: Final = getattr(socket, "TCP_QUICKACK", socket.TCP_NODELAY)
"""Re-armed before every read (Linux forgets it): senders with Nagle's algorithm on, as DCMTK's and pynetdicom's are, otherwise
wait 40 ms for our delayed acknowledgement between the command and the data set of each object."""
TIMEVAL: Final = struct.Struct("@ll")
HEADER: Final = struct.Struct(">BxL")
FIRST_BUFFER_BYTES: Final = 64 * 1024
BUFFER_BYTES: Final = 512 * 1024
"""Once a peer sends PDUs that the first buffer cannot hold."""


class PduType(IntEnum):
    """First byte of a PDU (PS3.8 Table 9-11 and following)."""

    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    P_DATA = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


class AbortReason(IntEnum):
    """Provider reasons of an A-ABORT (PS3.8 Table 9-26)."""

    NOT_SPECIFIED = 0
    UNRECOGNISED_PDU = 1
    UNEXPECTED_PDU = 2
    INVALID_PARAMETER = 6


class ConnectionLost(Exception):
    """The peer went away, was silent for too long, or sent an A-ABORT."""


class ProtocolBroken(Exception):
    """The peer sent something that PS3.8 does not allow here; it gets an A-ABORT with ``reason``."""

    def __init__(self, message: str, reason: AbortReason) -> None:
        super().__init__(message)
        self.reason = reason


class Wire:
    """One accepted connection; blocking, with a deadline for every PDU. The buffer is reused, so a PDU is valid until the next read."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        connection.settimeout(None)  # the kernel keeps the deadlines, which saves a call for each read
        self._in_kernel = True
        self._armed = {socket.SO_RCVTIMEO: 0.0, socket.SO_SNDTIMEO: 0.0}
        self._buffer = bytearray(FIRST_BUFFER_BYTES)
        self._begin = self._end = 0
        """What of the buffer is received and not yet read."""

    def secure(self, context: ssl.SSLContext, *, within_s: float) -> str | None:
        """Do the TLS handshake and return the common name of the peer's certificate; one deadline counts for the whole of it."""
        try:
            self.connection.settimeout(within_s)
            secured = context.wrap_socket(self.connection, server_side=True, do_handshake_on_connect=False)
            self.connection, self._in_kernel = secured, False
            secured.do_handshake()
            return common_name(secured)
        except OSError as error:  # ssl.SSLError is one
            reason = getattr(error, "reason", None) or error.strerror or "silent"
            raise ConnectionLost(f"no TLS handshake ({reason})") from error

    def read(self, *, limit: int, idle_s: float, whole_s: float) -> tuple[int, memoryview]:
        """Return (type, body) of the next PDU.

        ``idle_s`` is how long its header may take to come, ``whole_s`` how long the rest of it.

        Raises
        ------
        ConnectionLost : closed, silent, or too slow.
        ProtocolBroken : unknown type, or a body longer than ``limit``.
        """
        self._await(HEADER_BYTES, time.monotonic() + idle_s)
        kind, length = HEADER.unpack_from(self._buffer, self._begin)
        if kind not in PduType:
            raise ProtocolBroken("not a DICOM PDU", AbortReason.UNRECOGNISED_PDU)
        if length > limit:
            raise ProtocolBroken(f"a PDU announces {length} bytes, {limit} are allowed", AbortReason.INVALID_PARAMETER)
        self._begin += HEADER_BYTES
        self._await(length, time.monotonic() + whole_s)
        body = memoryview(self._buffer)[self._begin : self._begin + length]
        self._begin += length
        return kind, body

    def _await(self, count: int, deadline: float) -> None:
        """Have ``count`` unread bytes in the buffer; takes more where more is there, because every call costs a turn at the interpreter."""
        if self._end - self._begin >= count:
            return
        self._make_room(count)
        with memoryview(self._buffer) as free:
            while self._end - self._begin < count:
                self._set_timeout(deadline)
                try:
                    self.connection.setsockopt(socket.IPPROTO_TCP, QUICK_ACK, 1)
                    received = self.connection.recv_into(free[self._end :])
                except OSError as error:
                    raise ConnectionLost("the peer was silent, too slow, or the connection broke") from error
                if not received:
                    raise ConnectionLost("the peer closed the connection")
                self._end += received

    def _make_room(self, count: int) -> None:
        """Move what is unread to the front, and into a larger buffer where a PDU needs one."""
        unread = self._buffer[self._begin : self._end]
        if count > len(self._buffer):
            self._buffer = bytearray(max(count, BUFFER_BYTES))
        self._buffer[: len(unread)] = unread
        self._begin, self._end = 0, len(unread)

    def _set_timeout(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise ConnectionLost("the peer was silent or too slow")
        try:
            self._limit(socket.SO_RCVTIMEO, left)
        except OSError as error:
            raise ConnectionLost("the connection was closed") from error

    def _limit(self, what: int, seconds: float) -> None:
        """Let the next call end in time: in the kernel, or for TLS, which reads in turns of its own, in Python.

        A limit that is set already and at most a tenth longer stays, because most calls ask for nearly the same one.
        """
        if self._in_kernel:
            if seconds <= self._armed[what] <= seconds * 1.1:
                return
            self._armed[what] = seconds
            whole, rest = divmod(max(int(seconds * 1e6), 1), 1_000_000)
            self.connection.setsockopt(socket.SOL_SOCKET, what, TIMEVAL.pack(whole, rest))
        else:
            self.connection.settimeout(seconds)

    def send(self, data: bytes, *, within_s: float) -> None:
        """Send bytes; raise ConnectionLost when the peer does not take them in time."""
        try:
            self._limit(socket.SO_SNDTIMEO, within_s)
            self.connection.sendall(data)
        except OSError as error:
            raise ConnectionLost("the peer does not read") from error

    def abort(self, reason: AbortReason) -> None:
        """Tell the peer that the association is over (provider abort), as far as it still listens, and close."""
        with suppress(ConnectionLost):
            self.send(pdu(PduType.ABORT, struct.pack(">xxBB", 2, reason)), within_s=1.0)
        self.linger()

    def linger(self, within_s: float = 1.0) -> None:
        """Wait a moment for the peer to read our last word and close first (PS3.8 section 9.2, Sta13); bytes it still sends are dropped.

        Closing with unread input would make the kernel send a reset, which can overtake the answer.
        """
        deadline = time.monotonic() + within_s
        with suppress(OSError):
            while (left := deadline - time.monotonic()) > 0:
                self.connection.settimeout(left)
                if not self.connection.recv_into(self._buffer):
                    break
        self.close()

    def close(self) -> None:
        """Close the connection at once; safe to call twice, and from another thread."""
        with suppress(OSError):  # not connected any more: that is what we want
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()


def pdu(kind: PduType, body: bytes) -> bytes:
    """Return one PDU."""
    return struct.pack(">BxL", kind, len(body)) + body


RELEASE_REPLY: Final = pdu(PduType.RELEASE_RP, bytes(4))


def reject(*, result: int, source: int, reason: int) -> bytes:
    """Return an A-ASSOCIATE-RJ (PS3.8 Table 9-21)."""
    return pdu(PduType.ASSOCIATE_RJ, struct.pack(">xBBB", result, source, reason))
