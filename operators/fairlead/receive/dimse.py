"""DIMSE messages at the byte level: command sets, fragments, and the one table from refusals to status codes.

Source: DICOM PS3.7 sections 6.3, 9.3.1 (C-STORE), 9.3.5 (C-ECHO), Annex C (status), E.1 (elements);
PS3.4 Table B.2-1 (storage status codes). A command set is always Implicit VR Little Endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Final

from fairlead.errors import Conflict, FairleadError, InvalidInput, NotPermitted, ServiceUnreachable, StorageFull
from fairlead.receive.series_ledger import RelationConflict
from fairlead.receive.sink import AnnouncedOtherwise, DuplicateRefused
from fairlead.receive.wire import PDV_HEADER_BYTES, AbortReason, PduType, ProtocolBroken, pdu

AFFECTED_CLASS, COMMAND_FIELD, MESSAGE_ID, MESSAGE_ID_ANSWERED = 0x0002, 0x0100, 0x0110, 0x0120
DATA_SET_TYPE, STATUS, ERROR_COMMENT, AFFECTED_INSTANCE = 0x0800, 0x0900, 0x0902, 0x1000
REQUESTED_CLASS, REQUESTED_INSTANCE, ACTION_TYPE = 0x0003, 0x1001, 0x1008
C_STORE_RQ, C_ECHO_RQ, N_ACTION_RQ, C_CANCEL_RQ, RESPONSE = 0x0001, 0x0030, 0x0130, 0x0FFF, 0x8000
UIDS: Final = frozenset({AFFECTED_CLASS, AFFECTED_INSTANCE, REQUESTED_CLASS, REQUESTED_INSTANCE})
ANSWERED_AS: Final = {
    AFFECTED_CLASS: AFFECTED_CLASS,
    AFFECTED_INSTANCE: AFFECTED_INSTANCE,
    REQUESTED_CLASS: AFFECTED_CLASS,
    REQUESTED_INSTANCE: AFFECTED_INSTANCE,
    ACTION_TYPE: ACTION_TYPE,
}
"""Elements of a request that its answer repeats, and under which number (PS3.7 sections 9.3, 10.3)."""
NUMBERS: Final = frozenset({COMMAND_FIELD, MESSAGE_ID, DATA_SET_TYPE, ACTION_TYPE})
NO_DATA_SET: Final = 0x0101
COMMAND_LIMIT_BYTES: Final = 64 * 1024
COMMENT_CHARACTERS: Final = 64

SUCCESS: Final = 0x0000
NOT_AUTHORISED: Final = 0x0124
OUT_OF_RESOURCES: Final = 0xA700
DOES_NOT_MATCH: Final = 0xA900
CANNOT_UNDERSTAND: Final = 0xC000
NO_SUCH_OBJECT: Final = 0x0112
NO_SUCH_ACTION: Final = 0x0123
INVALID_ARGUMENT: Final = 0x0115
UNRECOGNISED_OPERATION: Final = 0x0211

STATUS_OF: Final[Mapping[type[FairleadError], int]] = {
    StorageFull: OUT_OF_RESOURCES,
    ServiceUnreachable: OUT_OF_RESOURCES,  # the ledger is away: the sender shall keep the object and come again
    AnnouncedOtherwise: DOES_NOT_MATCH,
    NotPermitted: NOT_AUTHORISED,
    RelationConflict: CANNOT_UNDERSTAND,
    DuplicateRefused: CANNOT_UNDERSTAND,
    Conflict: OUT_OF_RESOURCES,
    InvalidInput: CANNOT_UNDERSTAND,
}


def status_of(error: FairleadError) -> int:
    """Return the C-STORE status for a refusal: that of its class, or of the nearest parent in the table."""
    return next((STATUS_OF[kind] for kind in type(error).__mro__ if kind in STATUS_OF), OUT_OF_RESOURCES)


def decode_command(data: bytes) -> dict[int, int | str]:
    """Return the values of a command set by element number: 2-byte values as numbers, the rest as text.

    Raises
    ------
    ProtocolBroken : the bytes are no group 0000 in Implicit VR Little Endian.
    """
    found: dict[int, int | str] = {}
    position = 0
    while position < len(data):
        if position + 8 > len(data):
            raise ProtocolBroken("a command set ends inside an element", AbortReason.INVALID_PARAMETER)
        group, number, length = struct.unpack_from("<HHL", data, position)
        position += 8
        if group != 0 or position + length > len(data):
            raise ProtocolBroken("a command set is malformed", AbortReason.INVALID_PARAMETER)
        value = data[position : position + length]
        if number in NUMBERS and length != 2:
            raise ProtocolBroken("a command set holds a number that is none", AbortReason.INVALID_PARAMETER)
        is_number = length == 2 and number not in UIDS
        found[number] = struct.unpack("<H", value)[0] if is_number else value.rstrip(b"\0 ").decode("latin-1")
        position += length
    return found


def encode_command(values: Mapping[int, int | str]) -> bytes:
    """Return a command set with its group length; numbers become US, text UI or LO with even length."""
    body = b"".join(_element(number, values[number]) for number in sorted(values))
    return struct.pack("<HHLL", 0, 0, 4, len(body)) + body


def _element(number: int, value: int | str) -> bytes:
    if isinstance(value, int):
        return struct.pack("<HHLH", 0, number, 2, value)
    padding = b" " if number == ERROR_COMMENT else b"\0"
    data = value.encode("ascii", "replace")
    data += padding * (len(data) % 2)
    return struct.pack("<HHL", 0, number, len(data)) + data


def response(request: Mapping[int, int | str], status: int, comment: str = "") -> bytes:
    """Return the answer to a request, with why in Error Comment (0000,0902) when there is something to say."""
    values: dict[int, int | str] = {
        COMMAND_FIELD: int(request[COMMAND_FIELD]) | RESPONSE,
        MESSAGE_ID_ANSWERED: int(request.get(MESSAGE_ID, 0)),
        DATA_SET_TYPE: NO_DATA_SET,
        STATUS: status,
    }
    values |= {answer: request[number] for number, answer in ANSWERED_AS.items() if number in request}
    if comment:
        values[ERROR_COMMENT] = comment[:COMMENT_CHARACTERS]
    return encode_command(values)


def command_pdu(context_id: int, command: bytes) -> bytes:
    """Return a P-DATA-TF that holds one whole command set; ours are far below any peer's maximum."""
    return pdu(PduType.P_DATA, struct.pack(">LBB", len(command) + 2, context_id, 0x03) + command)


def fragments(body: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """Yield (context id, message control header, fragment) of every PDV in a P-DATA-TF (PS3.8 Annex E)."""
    position = 0
    while position < len(body):
        if position + PDV_HEADER_BYTES > len(body):
            raise ProtocolBroken("a P-DATA-TF ends inside a PDV", AbortReason.INVALID_PARAMETER)
        length, context_id, control = struct.unpack_from(">LBB", body, position)
        end = position + 4 + length
        if length < 2 or end > len(body):
            raise ProtocolBroken("a PDV claims more bytes than its PDU", AbortReason.INVALID_PARAMETER)
        yield context_id, control, body[position + PDV_HEADER_BYTES : end]
        position = end
