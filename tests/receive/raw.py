"""DICOM spoken by hand on a raw socket: what no library would send, and what cheap senders need."""

from __future__ import annotations

import socket
import struct

from receive.builders import CT, EXPLICIT


def connect(port: int, *, source: str = "127.0.0.1") -> socket.socket:
    raw = socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(source, 0))
    raw.settimeout(10)
    return raw


def closed(raw: socket.socket) -> bytes:
    """Return everything the node still says until it closes the connection."""
    said = b""
    try:
        while more := raw.recv(4096):
            said += more
    except ConnectionResetError:
        pass
    return said


def rejection(port: int, *, source: str = "127.0.0.1", **request: bytes) -> tuple[int, int, int]:
    """Return (result, source, reason) of the A-ASSOCIATE-RJ; pynetdicom's requestor sometimes misses a quick one."""
    with connect(port, source=source) as raw:
        raw.sendall(associate_request(**request))
        kind, body = read_pdu(raw)
        assert kind == 3
        return body[1], body[2], body[3]


def associate_request(calling=b"SCANNER", called=b"FAIRLEAD", application=b"1.2.840.10008.3.1.1.1", sop_class=CT) -> bytes:
    def item(kind: int, body: bytes) -> bytes:
        return struct.pack(">BxH", kind, len(body)) + body

    body = struct.pack(">HH16s16s32x", 1, 0, called.ljust(16), calling.ljust(16)) + item(0x10, application)
    body += item(0x20, struct.pack(">Bxxx", 1) + item(0x30, sop_class.encode()) + item(0x40, EXPLICIT.encode()))
    body += item(0x50, item(0x51, struct.pack(">L", 16384)) + item(0x52, b"1.2.3.4"))
    return struct.pack(">BxL", 1, len(body)) + body


def read_pdu(raw: socket.socket) -> tuple[int, bytes]:
    def exactly(count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = raw.recv(count - len(data))
            if not more:
                raise ConnectionResetError("the node closed the connection")
            data += more
        return data

    kind, length = struct.unpack(">BxL", exactly(6))
    return kind, exactly(length)


def command(field: int, *, sop_class: str = CT, sop_instance: str = "1.2.3", data_set: int = 0) -> bytes:
    def element(number: int, value: bytes) -> bytes:
        return struct.pack("<HHL", 0, number, len(value)) + value

    def text(value: str) -> bytes:
        return value.encode() + b"\0" * (len(value) % 2)

    body = element(2, text(sop_class)) + element(0x100, struct.pack("<H", field)) + element(0x110, b"\1\0")
    body += element(0x700, b"\2\0") + element(0x800, struct.pack("<H", data_set)) + element(0x1000, text(sop_instance))
    return element(0, struct.pack("<L", len(body))) + body


def pdv(control: int, data: bytes, context: int = 1) -> bytes:
    return struct.pack(">LBB", len(data) + 2, context, control) + data


def p_data(*pdvs: bytes) -> bytes:
    body = b"".join(pdvs)
    return struct.pack(">BxL", 4, len(body)) + body


def established(port: int) -> socket.socket:
    raw = connect(port)
    try:
        raw.sendall(associate_request())
        assert read_pdu(raw)[0] == 2
    except BaseException:
        raw.close()
        raise
    return raw


def status_in(answer: bytes) -> tuple[int, str]:
    status = struct.unpack_from("<H", answer, answer.index(struct.pack("<HHL", 0, 0x900, 2)) + 8)[0]
    at = answer.find(struct.pack("<HH", 0, 0x902))
    return status, answer[at + 8 : at + 72].split(b"\0")[0].decode("latin-1") if at >= 0 else ""


def raw_store(port: int, sop_instance: str, data: bytes) -> tuple[int, str]:
    with established(port) as raw:
        raw.sendall(p_data(pdv(3, command(1, sop_instance=sop_instance)), pdv(2, data)))
        answer = status_in(read_pdu(raw)[1])
        raw.sendall(struct.pack(">BxL4x", 5, 4))
        assert read_pdu(raw)[0] == 6
        return answer
