"""Seeded builders for this room's tests: data sets as bytes, a node on a free port, a sender that sends bytes as they are."""

from __future__ import annotations

import io
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import dcmwrite, write_dataset
from pydicom.uid import UID
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE

from fairlead.database import open_database
from fairlead.receive import Announced, DicomNode, Ledger
from fairlead.records import Instance, Route
from fairlead.settings import Settings

ECHO = "1.2.840.10008.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
ROUTE = Route(project="default", center="local", calling_ae="SCANNER", called_ae="FAIRLEAD", peer="127.0.0.1", door="dimse")
STUDY = "1.2.826.0.1.3680043.10.1"


@dataclass
class Clock:
    """A settable clock."""

    now: datetime = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_s(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def a_slice(number: int = 1, *, series: int = 1, study: str = STUDY, pixels: bytes = b"\0\1" * 8, name: str = "Doe^Jane") -> Dataset:
    """Return a tiny CT slice; the SOP instance UID follows from series and number."""
    image = Dataset()
    image.SOPClassUID = UID(CT)
    image.SOPInstanceUID = UID(f"{study}.{series}.{number}")
    image.PatientName = name
    image.PatientID = "secret-id"
    image.StudyInstanceUID = UID(study)
    image.SeriesInstanceUID = UID(f"{study}.{series}")
    image.InstanceNumber = number
    image.Rows, image.Columns, image.BitsAllocated, image.SamplesPerPixel = 4, 2, 16, 1
    image.PixelData = pixels
    image["PixelData"].VR = "OW"
    return image


def encoded(image: Dataset, syntax: str = EXPLICIT) -> bytes:
    """Return the data-set bytes in an uncompressed transfer syntax."""
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = syntax == IMPLICIT, syntax != "1.2.840.10008.1.2.2"
    write_dataset(buffer, image)
    return buffer.getvalue()


def part10(image: Dataset, syntax: str = EXPLICIT) -> bytes:
    """Return a whole DICOM file."""
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = UID(syntax)
    image.file_meta.MediaStorageSOPClassUID = image.get("SOPClassUID", UID(CT))
    image.file_meta.MediaStorageSOPInstanceUID = image.get("SOPInstanceUID", UID("1.2.3"))
    buffer = io.BytesIO()
    dcmwrite(buffer, image, enforce_file_format=True)
    return buffer.getvalue()


def announced(image: Dataset, syntax: str = EXPLICIT) -> Announced:
    """Return what a C-STORE would announce for the image."""
    return Announced(syntax, str(image.SOPClassUID), str(image.SOPInstanceUID))


def a_row(number: int = 1, *, series: int = 1, sha: str | None = None) -> Instance:
    """Return an instance as the ledger gets it, without any file."""
    sha256 = sha or f"{series:032x}{number:032x}"
    return Instance(
        sop_instance_uid=f"{STUDY}.{series}.{number}",
        sop_class_uid=CT,
        transfer_syntax_uid=EXPLICIT,
        sha256=sha256,
        size_bytes=100,
        path=f"objects/{series}/{number}.{sha256[:12]}{sha256[-4:]}.dcm",
    )


@contextmanager
def running(settings: Settings) -> Iterator[tuple[DicomNode, int]]:
    """Run a node on a free port; yield it and its port."""
    node = DicomNode(settings)
    _, port = node.start()
    try:
        yield node, port
    finally:
        node.stop(grace_s=0)


@contextmanager
def ledger_of(settings: Settings) -> Iterator[Ledger]:
    """Open the ledger of a home as another process would."""
    engine = open_database(settings)
    try:
        yield Ledger(engine)
    finally:
        engine.dispose()


def quick(home: Path, **node: object) -> Settings:
    """Return settings with short waits and a free port."""
    values: dict[str, object] = {
        "port": 0,
        "settle_after_s": 0.2,
        "quiet_after_s": 30.0,
        "acse_timeout_s": 1.0,
        "network_timeout_s": 20.0,
        "low_water_bytes": 0,
    }
    return Settings(home=home, node=values | node)


def wait_for(condition: Callable[[], object], within_s: float = 30.0) -> None:
    """Return as soon as the condition holds; fail when it does not in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)


@contextmanager
def association(port: int, *contexts: tuple[str, str], called: str = "FAIRLEAD", calling: str = "SCANNER") -> Iterator[AE]:
    """Open an association with pynetdicom as the sender; released at the end when it is still open."""
    ae = AE(ae_title=calling)
    for abstract, syntax in contexts or ((CT, EXPLICIT),):
        ae.add_requested_context(abstract, syntax)
    found = ae.associate("127.0.0.1", port, ae_title=called)
    connection = found.dul.socket.socket if found.dul.socket else None
    keep_answers(found)
    try:
        yield found
    finally:
        if found.is_established:
            found.release()
        if connection is not None:
            connection.close()  # pynetdicom leaves it open when the peer was first


def keep_answers(found: Association) -> None:
    """Let only who waits for an answer take it: pynetdicom's own thread polls the same queue, and its pause has a gap."""
    take = found.dimse.get_msg
    found.dimse.get_msg = lambda block=False: take(block) if block else (None, None)


def send_bytes(assoc, data: bytes, *, sop_class: str, sop_instance: str, syntax: str = EXPLICIT) -> tuple[int, str]:
    """Send data-set bytes exactly as they are; return status and Error Comment."""
    request = C_STORE()
    request.MessageID = 1
    request.AffectedSOPClassUID = UID(sop_class)
    request.AffectedSOPInstanceUID = UID(sop_instance)
    request.Priority = 2
    request.DataSet = io.BytesIO(data)
    context = next(c for c in assoc.accepted_contexts if c.abstract_syntax == sop_class and c.transfer_syntax[0] == syntax)
    assoc.dimse.send_msg(request, context.context_id)
    _, answer = assoc.dimse.get_msg(block=True)
    return answer.Status, answer.ErrorComment or ""


def send(assoc, image: Dataset, syntax: str = EXPLICIT) -> int:
    """Send an image in the given syntax and return the status."""
    return send_bytes(assoc, encoded(image, syntax), sop_class=image.SOPClassUID, sop_instance=image.SOPInstanceUID, syntax=syntax)[0]


def echo(port: int) -> int:
    """Return the status of a C-ECHO over an association that must come about."""
    with association(port, (ECHO, IMPLICIT)) as peer:
        assert peer.is_established
        return peer.send_c_echo().Status


def served_within_a_second(port: int, *, tls: ssl.SSLContext | None = None, source: str = "127.0.0.1") -> bool:
    """Return whether another peer gets an association, a C-ECHO and a release, all of it within one second of its own.

    A machine that is busy may be late once; a node that an attacker holds is late every time.
    """
    return any(_echoes_within(1.0, port, tls, source) for _ in range(3))


def _echoes_within(seconds: float, port: int, tls: ssl.SSLContext | None, source: str) -> bool:
    from receive.raw import associate_request, command, p_data, pdv, read_pdu, status_in

    until = time.monotonic() + seconds
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=seconds, source_address=(source, 0)) as plain:
        with plain if tls is None else tls.wrap_socket(plain, server_hostname="node") as raw:
            for said, heard in (
                (associate_request(calling=b"OTHER", sop_class=ECHO), 2),
                (p_data(pdv(3, command(0x30, sop_class=ECHO, data_set=0x101))), 4),
                (b"\5\0\0\0\0\4\0\0\0\0", 6),
            ):
                raw.settimeout(max(until - time.monotonic(), 0.01))
                raw.sendall(said)
                kind, body = read_pdu(raw)
                if kind != heard or (kind == 4 and status_in(body)[0] != 0):
                    return False
        return time.monotonic() < until
    return False


def echoes(port: int) -> bool:
    """Return whether the node lets us in and answers."""
    with association(port, (ECHO, IMPLICIT)) as peer:
        return bool(peer.is_established and peer.send_c_echo().Status == 0)


def audit_lines(settings: Settings) -> list[dict]:
    """Return the lines of the audit trail."""
    return [
        json.loads(line) for file in sorted((settings.archive_folder / "audit").glob("*.jsonl")) for line in file.read_text().splitlines()
    ]


def archived(settings: Settings) -> list[Path]:
    """Return every object of the archive."""
    return sorted((settings.archive_folder / "objects").rglob("*.dcm"))
