"""One DICOM file in, the parts of a safe file or a reason out. Nothing is written here."""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

from pydicom import dcmread
from pydicom.config import disable_value_validation

from fairlead.deidentify import conformance, gate
from fairlead.deidentify.deface import defaced, find_deface
from fairlead.deidentify.elements import text_of
from fairlead.deidentify.engine import Deidentifier, Person, Result
from fairlead.deidentify.margins import holds_identity
from fairlead.deidentify.masks import Masked, masked
from fairlead.deidentify.ocr import words_in
from fairlead.deidentify.part10 import (
    DAMAGE,
    NAMED_BY,
    Source,
    Written,
    read_source,
    with_pixels,
    without_old_offsets,
    write_parts,
)
from fairlead.deidentify.parts import Parts, blocks_of
from fairlead.deidentify.pictures import pictures_of
from fairlead.deidentify.pixels import Decision, Verdict, judge, shows_face
from fairlead.deidentify.profile import Profile
from fairlead.deidentify.segments import pixels_of
from fairlead.deidentify.stamp import applied_codes
from fairlead.deidentify.table import Option
from fairlead.errors import FairleadError, InvalidInput, ResidualIdentity, UnreadableImage
from fairlead.records import is_uid

logger = logging.getLogger(__name__)
PIXEL_DATA: Final = 0x7FE00010


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file: ``parts`` and ``name`` when it may be written, else ``reason``."""

    name: str = ""
    parts: Parts = ()
    members: tuple[tuple[str, Parts], ...] = ()
    """The files of an OME-Zarr store, which is a folder: ``name`` is the folder then, and ``parts`` are empty."""
    reason: str = ""
    codes: tuple[str, ...] = ()
    new_errors: int = 0
    checked: bool = False
    rule: str = ""
    face: bool = False
    """The pixels show a head, and nothing has removed the face."""
    person: Person | None = None
    pictures: tuple[bytes, ...] = ()
    """PNG before (coarse, so that no text can be read) and after, of an instance that was masked."""
    words_seen: int | None = None
    """How many words an OCR program believes to see in what is written; None when nobody looked."""
    work_id: str = ""
    already: bool = False
    lasting: bool = True
    """The same bytes would end the same way; false after an error of the machine."""

    @property
    def content(self) -> bytes:
        """The whole output in memory, for small files."""
        return b"".join(blocks_of(self.parts))


@dataclass(frozen=True, slots=True)
class Extras:
    """What is wanted besides the file: pictures of masked instances, a second opinion by OCR."""

    pictures: bool = False
    ocr: str | None = None


def deidentify_file(path: Path, deidentifier: Deidentifier, *, program: str | None = None, extras: Extras = Extras()) -> Outcome:
    """Return the outcome for one file; every refusal is a reason in it, no error leaves."""
    try:
        with warnings.catch_warnings(), disable_value_validation():
            warnings.simplefilter("ignore")
            return _outcome(path, deidentifier, program=program, extras=extras)
    except FairleadError as error:
        return Outcome(reason=f"{error.code}: {error.message}")
    except DAMAGE as error:
        logger.debug("A file could not be processed: %s.", type(error).__name__)
        reason = f"{UnreadableImage.code}: the file is damaged ({type(error).__name__} while it was read or written)"
        return Outcome(reason=reason, lasting=not isinstance(error, MemoryError))
    except OSError as error:
        return Outcome(reason=f"{UnreadableImage.code}: the file cannot be read ({type(error).__name__})", lasting=False)


def _outcome(path: Path, deidentifier: Deidentifier, *, program: str | None, extras: Extras) -> Outcome:
    source = read_source(path)
    verdict = judge(source.dataset, deidentifier.profile, transfer_syntax=source.syntax)
    if verdict.decision is Decision.QUARANTINE:
        return Outcome(reason=f"pixels ({verdict.rule}): {verdict.reason}", rule=verdict.rule)
    new = _cleaned(path, source, verdict, deidentifier.profile)
    without_face = new is not None and verdict.decision is not Decision.MASK
    result = deidentifier.process(source.dataset, verdict=verdict, defaced=without_face)
    name, pixels = _name(result), pixels_of(source)
    if new is None and holds_identity(source, pixels, result.identity, everything=deidentifier.profile.pixels.search == "all"):
        raise ResidualIdentity("The output would still hold identity: (7FE0,0010) holds identity beside or between its pixels")
    written = _through_the_gate(result, _pixels(pixels.parts, result, new), syntax=new.syntax if new else source.syntax)
    new_errors, checked, reason = _compared(path, written.parts, program)
    if reason:
        return Outcome(reason=reason, new_errors=new_errors, checked=checked, rule=verdict.rule, lasting=checked)
    return Outcome(
        name=name,
        parts=written.parts,
        codes=applied_codes(deidentifier.profile, verdict, defaced=without_face),
        checked=checked,
        rule=verdict.rule,
        face=result.face,
        person=result.person,
        pictures=pictures_of(new) if new and extras.pictures else (),
        words_seen=words_in(source, new, program=extras.ocr) if extras.ocr else None,
    )


def _name(result: Result) -> str:
    """Return the path of the output below its folder.

    Raises
    ------
    InvalidInput : a profile keeps identifiers, and one of them is none: it would become a path.
    """
    uids = [text_of(result.dataset, keyword) for keyword in NAMED_BY]
    if not all(is_uid(uid) for uid in uids):
        raise InvalidInput("The study, series or instance has an identifier that is not a UID.")
    return "/".join(uids) + ".dcm"


def _cleaned(path: Path, source: Source, verdict: Verdict, profile: Profile) -> Masked | None:
    """Return new pixel data where something has to be blanked, or where a plug-in removes the face."""
    if verdict.decision is Decision.MASK:
        return masked(with_pixels(source), verdict, syntax=source.syntax)
    clean = find_deface() if Option.CLEAN_VISUAL_FEATURES in profile.options and shows_face(source.dataset) else None
    return defaced(path, with_pixels(source), clean, syntax=source.syntax) if clean is not None else None


def _pixels(pixels: dict[int, Parts], result: Result, new: Masked | None) -> dict[int, Parts]:
    """Return where the pixel values come from; masked ones go into the copy."""
    if new is None:
        return pixels
    for keyword, value in new.described.items():
        setattr(result.dataset, keyword, value)
    result.dataset[PIXEL_DATA] = new.element
    return without_old_offsets(result.dataset, pixels)


def _through_the_gate(result: Result, pixels: dict[int, Parts], *, syntax: str) -> Written:
    """Return the file once nothing of the old identity is in it; free text that repeats it is emptied on the way.

    Raises
    ------
    ResidualIdentity : identity is left where it cannot be removed safely; the message names the attributes.
    """
    for attempt in (1, 2):
        written = write_parts(result.dataset, syntax=syntax, pixels=pixels)
        output = dcmread(BytesIO(written.header))
        findings = gate.residue(written.header, output, result.identity, result.profile)
        if not findings or attempt == 2 or not gate.scrubbed(result.dataset, frozenset(finding.tag for finding in findings)):
            break
    findings += gate.breaches(output, result.identity, result.profile)
    if findings:
        raise ResidualIdentity("The output would still hold identity: " + "; ".join(sorted({str(finding) for finding in findings})))
    return written


def _compared(path: Path, after: Parts, program: str | None) -> tuple[int, bool, str]:
    """Return how many new errors the conformance checker has, whether it looked, and the reason to refuse."""
    if program is None:
        return 0, False, ""
    try:
        errors = _errors(after, program)
        known = _errors(path, program) if errors is None or errors else None
    except OSError:
        return 0, False, "dciodvfy cannot be run"
    if errors is None:
        # it aborts; where it aborts on the source too, there is nothing to compare with, and the report counts who was compared
        return (0, False, "") if known is None else (1, True, "dciodvfy aborts on the output, and did not on the source")
    new = conformance.new_errors(known, errors) if known is not None else []
    return len(new), True, f"dciodvfy reports {len(new)} new errors, first: {new[0]}" if new else ""


def _errors(content: Path | Parts, program: str) -> Counter[str] | None:
    try:
        return conformance.errors_of(content, program)
    except conformance.Crashed:
        return None
