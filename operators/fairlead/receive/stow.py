"""STOW-RS behind the wire: parts of a request through the sink, and the DICOM JSON that says what became of each.

Source: DICOM PS3.18 section 10.5 and Annex I. The objects are stored as sent, under the same rules as those of C-STORE.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Final

from fairlead.errors import Conflict, FairleadError, InvalidInput
from fairlead.receive.admission import Admission
from fairlead.receive.dimse import status_of
from fairlead.receive.heads import SOP_CLASS, SOP_INSTANCE, Walker, find_uids
from fairlead.receive.importing import describe
from fairlead.receive.multipart import MultipartStream, Part
from fairlead.receive.sink import Announced, InstanceSink
from fairlead.records import is_uid

logger = logging.getLogger(__name__)
HEAD_BYTES: Final = 256 * 1024
DICOM: Final = "application/dicom"


class NotDicomPart(InvalidInput):
    """A part that is no DICOM file."""

    code = "part-not-dicom"
    default_remedy = "Send application/dicom parts; metadata with bulk data is not taken."


@dataclass(slots=True)
class StowReport:
    """What became of every part; failures without identity are counted apart (PS3.18 Table I.2-1)."""

    stored: list[tuple[str, str]] = field(default_factory=list)
    failed: list[tuple[str, str, int]] = field(default_factory=list)
    others: list[int] = field(default_factory=list)
    size_bytes: int = 0

    @property
    def status(self) -> int:
        """200 everything stored, 202 some of it, 409 nothing (PS3.18 Table 10.5.3-1)."""
        if not self.stored:
            return 409
        return 202 if self.failed or self.others else 200

    def document(self) -> dict[str, Any]:
        """Return the Store Instances Response as DICOM JSON (PS3.18 section F.2)."""
        found: dict[str, Any] = {"00081190": {"vr": "UR"}}
        if self.failed:
            found["00081198"] = _sequence([_reference(*pair) | _reason(reason) for *pair, reason in self.failed])
        if self.stored:
            found["00081199"] = _sequence([_reference(*pair) | {"00081190": {"vr": "UR"}} for pair in self.stored])
        if self.others:
            found["0008119A"] = _sequence([_reason(reason) for reason in self.others])
        return found


def _sequence(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"vr": "SQ", "Value": items}


def _reference(sop_class: str, sop_instance: str) -> dict[str, Any]:
    return {"00081150": {"vr": "UI", "Value": [sop_class]}, "00081155": {"vr": "UI", "Value": [sop_instance]}}


def _reason(number: int) -> dict[str, Any]:
    return {"00081197": {"vr": "US", "Value": [number]}}


class StowDoor:
    """One request on its way through the sink."""

    def __init__(self, sink: InstanceSink, admission: Admission, *, holder: str, study_uid: str | None) -> None:
        self.sink = sink
        self.admission = admission
        self.holder = holder
        self.study_uid = study_uid
        self.report = StowReport()

    def take(self, parts: MultipartStream) -> StowReport:
        """Store every part; one that is refused does not stop the others."""
        for part in parts.parts():
            self._take(part)
        return self.report

    def _take(self, part: Part) -> None:
        head = _first(part.chunks, HEAD_BYTES)
        announced, offset = Announced(""), 0
        try:
            if part.media_type not in (DICOM, ""):
                raise NotDicomPart(f"A part of another type than {DICOM}.")
            announced, offset = describe(io.BytesIO(head), size=len(head), source=f"stow {self.holder[:12]} {self._number}")
            announced = replace(announced, study_uid=self.study_uid)
            outcome = self.sink.store(
                chain([head[offset:]], part.chunks),
                route=self.admission.route,
                announced=announced,
                holder=self.holder,
                terms=self.admission.terms,
            )
        except (FairleadError, OSError) as error:
            self._fail(error, head[offset:], announced)
            return
        self.report.stored.append((outcome.instance.sop_class_uid, outcome.instance.sop_instance_uid))
        self.report.size_bytes += outcome.instance.size_bytes

    @property
    def _number(self) -> int:
        return len(self.report.stored) + len(self.report.failed) + len(self.report.others) + 1

    def _fail(self, error: FairleadError | OSError, data: bytes, announced: Announced) -> None:
        known = isinstance(error, InvalidInput | Conflict)
        logger.log(logging.WARNING if known else logging.ERROR, "STOW-RS: an object was not stored: %s", error)
        reason = status_of(error) if isinstance(error, FairleadError) else 0xA700
        identity = _identity(data, announced)
        if identity is None:
            self.report.others.append(reason)
        else:
            self.report.failed.append((*identity, reason))


def _first(chunks: Iterator[bytes], count: int) -> bytes:
    head = bytearray()
    for chunk in chunks:
        head += chunk
        if len(head) >= count:
            break
    return bytes(head)


def _identity(data: bytes, announced: Announced) -> tuple[str, str] | None:
    """Return SOP class and instance as far as the first bytes of a refused object tell them."""
    if not announced.transfer_syntax_uid:
        return None
    try:
        found = find_uids(Walker(io.BytesIO(data), end=len(data), transfer_syntax_uid=announced.transfer_syntax_uid))
    except FairleadError:
        return None
    pair = found.get(SOP_CLASS, ""), found.get(SOP_INSTANCE, "")
    return pair if all(map(is_uid, pair)) else None
