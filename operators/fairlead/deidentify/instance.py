"""One file in, safe bytes or a reason out. Nothing is written here."""

from __future__ import annotations

import logging
import struct
import warnings
from collections import Counter
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Final

from pydicom import dcmread, dcmwrite
from pydicom.config import disable_value_validation
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from fairlead.deidentify import conformance, gate
from fairlead.deidentify.elements import element_of
from fairlead.deidentify.engine import Deidentifier, Result
from fairlead.deidentify.masks import masked_pixels
from fairlead.deidentify.pixels import Decision, judge
from fairlead.deidentify.stamp import PREAMBLE, applied_codes, new_meta
from fairlead.errors import FairleadError, InvalidInput, NotDicom, ResidualIdentity, UnreadableImage, UnsupportedInput
from fairlead.records import is_uid

MEDIA_DIRECTORY: Final = "1.2.840.10008.1.3.10"
NAMED_BY: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
PIXEL_DATA: Final = 0x7FE00010
UNDEFINED_LENGTH: Final = 0xFFFFFFFF
DAMAGE: Final = (
    ValueError, TypeError, KeyError, AttributeError, IndexError, EOFError, NotImplementedError, OverflowError, LookupError,
    RecursionError, MemoryError, struct.error, InvalidDicomError, BytesLengthException, UnicodeError,
)  # fmt: skip
"""What pydicom raises on damaged files; each becomes a quarantine reason that names the step, never the value."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file: ``content`` and ``name`` when it may be written, else ``reason``; ``residue`` names attributes."""

    name: str = ""
    content: bytes = b""
    reason: str = ""
    residue: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    new_errors: int = 0
    checked: bool = False
    notes: tuple[str, ...] = field(default=())


def deidentify_file(path: Path, deidentifier: Deidentifier, *, program: str | None = None) -> Outcome:
    """Return the outcome for one file; every refusal is a reason in it, no error leaves."""
    try:
        with warnings.catch_warnings(), disable_value_validation():
            warnings.simplefilter("ignore")
            return _outcome(path, deidentifier, program=program)
    except FairleadError as error:
        return Outcome(reason=f"{error.code}: {error.message}")
    except DAMAGE as error:
        logger.debug("A file could not be processed: %s.", type(error).__name__)
        return Outcome(reason=f"{UnreadableImage.code}: the file is damaged ({type(error).__name__} while it was read or written)")
    except OSError as error:
        return Outcome(reason=f"{UnreadableImage.code}: the file cannot be read ({type(error).__name__})")


def _outcome(path: Path, deidentifier: Deidentifier, *, program: str | None) -> Outcome:
    source_bytes = path.read_bytes()
    source, syntax = read(source_bytes)
    verdict = judge(source, deidentifier.profile, transfer_syntax=syntax)
    if verdict.decision is Decision.QUARANTINE:
        return Outcome(reason=f"pixels ({verdict.rule}): {verdict.reason}")
    result = deidentifier.process(source, verdict=verdict)
    if verdict.decision is Decision.MASK:
        _mask(source, result.dataset)
    content = _through_the_gate(result, deidentifier, syntax=syntax)
    outcome = _checked(source_bytes, content, program)
    if outcome.reason:
        return outcome
    name = "/".join(str(result.dataset[keyword].value) for keyword in NAMED_BY) + ".dcm"
    return Outcome(
        name=name, content=content, codes=applied_codes(deidentifier.profile, verdict), checked=outcome.checked, notes=(verdict.rule,)
    )


def read(content: bytes) -> tuple[FileDataset, str]:
    """Return the data set of a file and its transfer syntax.

    Raises
    ------
    NotDicom : no DICOM, or a data set without SOP Class and Instance UID.
    UnsupportedInput : a media directory, or pixel data whose transfer syntax is not stated.
    InvalidInput : the study, series or instance has no UID, so that nothing could refer to it consistently.
    """
    if not content:
        raise NotDicom("The file is empty.")
    try:
        source = dcmread(BytesIO(content), force=True)
        sop_class = str(source.get("SOPClassUID") or source.file_meta.get("MediaStorageSOPClassUID") or "")
    except DAMAGE as error:
        raise NotDicom("The file cannot be read as DICOM.") from error
    if sop_class == MEDIA_DIRECTORY or "DirectoryRecordSequence" in source:
        raise UnsupportedInput("The file is a DICOMDIR: an index of names and numbers, not an image. It is not needed in the output.")
    if not sop_class or "SOPClassUID" not in source:
        raise NotDicom("The file holds no DICOM object (no SOP Class UID).")
    for keyword in NAMED_BY:
        if not str(source.get(keyword) or "").strip():
            raise InvalidInput(f"The object has no {keyword}.")
    if not is_uid(str(source.SOPInstanceUID)):
        raise InvalidInput("The SOPInstanceUID is not a UID.")
    return source, _transfer_syntax(source)


def _transfer_syntax(source: FileDataset) -> str:
    stated = str(source.file_meta.get("TransferSyntaxUID") or "")
    if stated:
        return stated
    pixels = element_of(source, PIXEL_DATA) if PIXEL_DATA in source else None
    if pixels is not None and getattr(pixels, "length", 0) == UNDEFINED_LENGTH:
        raise UnsupportedInput("The pixel data are compressed, and the file does not state how (no Transfer Syntax UID).")
    implicit, little = source.original_encoding
    if not little:
        return str(ExplicitVRBigEndian)
    return str(ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian)


def _mask(source: Dataset, target: Dataset) -> None:
    vr = source[PIXEL_DATA].VR
    target[PIXEL_DATA] = DataElement(PIXEL_DATA, vr, masked_pixels(source))


def encode(dataset: Dataset, *, syntax: str) -> bytes:
    """Return the Part 10 file: empty preamble, our own meta, the data set in its original transfer syntax."""
    meta = new_meta(dataset, transfer_syntax=syntax)
    file = FileDataset("", dataset, file_meta=meta, preamble=PREAMBLE)
    implicit, little = dataset.original_encoding
    file.set_original_encoding(implicit, little, dataset.original_character_set or None)
    buffer = BytesIO()
    dcmwrite(buffer, file, enforce_file_format=True)
    return buffer.getvalue()


def _through_the_gate(result: Result, deidentifier: Deidentifier, *, syntax: str) -> bytes:
    """Return the written bytes once nothing of the old identity is in them; free text that repeats it is emptied on the way.

    Raises
    ------
    ResidualIdentity : identity is left where it cannot be removed safely; the message names the attributes.
    """
    for attempt in (1, 2):
        content = encode(result.dataset, syntax=syntax)
        output = dcmread(BytesIO(content))
        findings = gate.residue(content, output, result.identity, deidentifier.profile)
        if not findings or attempt == 2 or not gate.scrubbed(result.dataset, frozenset(finding.tag for finding in findings)):
            break
    findings += gate.breaches(output, result.identity, deidentifier.profile)
    if findings:
        raise ResidualIdentity("The output would still hold identity: " + "; ".join(sorted({str(finding) for finding in findings})))
    return content


def _checked(before: bytes, after: bytes, program: str | None) -> Outcome:
    if program is None:
        return Outcome()
    errors = conformance.errors_of(after, program)
    known: Counter[str] | None = conformance.errors_of(before, program) if errors else Counter()
    if errors is None or known is None:
        return Outcome(reason="dciodvfy gives no answer for this file")
    new = conformance.new_errors(known, errors)
    if new:
        return Outcome(reason=f"dciodvfy reports {len(new)} new errors, first: {new[0]}", new_errors=len(new), checked=True)
    return Outcome(checked=True)
