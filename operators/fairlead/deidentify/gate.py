"""The gate: nothing is written before the finished bytes have been read again and searched for what must not be there.

Three questions, each answered by code that does not share the walk: does a value of the old identity occur anywhere in the header
bytes; does the table hold for every attribute that is there; has the conformance checker (:mod:`.conformance`) new complaints.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from fairlead.deidentify.elements import PIXEL_TAGS, Element, element_of, plain_tags, text_of
from fairlead.deidentify.identity import Hit, Identity, is_harmless, is_well_known
from fairlead.deidentify.plain import is_plain
from fairlead.deidentify.profile import Profile
from fairlead.deidentify.rules import Action, Rules, rules_of
from fairlead.deidentify.search import Haystack
from fairlead.deidentify.table import Option, is_private, is_repeating, vr_of
from fairlead.deidentify.values import REMOVED

FREE_TEXT: Final = frozenset({"LO", "SH", "ST", "LT", "UT", "UC"})
OWN: Final = frozenset({0x00120062, 0x00120063, 0x00120064, 0x00280301, 0x00280302, 0x00280303})
DATED: Final = frozenset({"DA", "DT", "UI"})
"""Where a day may meet an original one by chance: shifted dates and mapped UIDs."""

BINARY: Final = frozenset({"FL", "FD", "SL", "SS", "SV", "UL", "US", "UV", "OF", "OD", "OL", "OV", "OW", "AT"})
SURE_LENGTH: Final = 6
"""Among the bytes of numbers shorter values occur by chance."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Where something was found that must not be there: a tag, never a value."""

    tag: int
    what: str

    def __str__(self) -> str:
        return f"({self.tag >> 16:04X},{self.tag & 0xFFFF:04X}) {self.what}"


def header_bytes(content: bytes, output: Dataset) -> bytes:
    """Return the bytes of a written file without the pixel values, inflated where the transfer syntax deflates.

    ``output`` is the fresh read of ``content``: its raw elements know where their values begin.
    """
    body = content
    if output.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian:
        start = 132 + 12 + int(output.file_meta.FileMetaInformationGroupLength)
        head = content[:start]
        body = head + zlib.decompressobj(-zlib.MAX_WBITS).decompress(content[start:])
    for tag in sorted(PIXEL_TAGS, reverse=True):
        raw = element_of(output, tag) if tag in output else None
        if isinstance(raw, RawDataElement) and raw.value:
            at = body.find(raw.value, 132)
            body = body[:at] + body[at + len(raw.value) :] if at >= 0 else body
    return body


def residue(content: bytes, output: Dataset, identity: Identity, profile: Profile) -> list[Finding]:
    """Return where values of the old identity occur: whole header first, the attribute only when there is a hit."""
    header = header_bytes(content, output)
    hits = identity.found_in(header, with_dates=Option.RETAIN_FULL_DATES not in profile.options)
    if not hits:
        return []
    found: dict[int, Finding] = {}
    located = set()
    for tag, vr, value in flat(output):
        part = Haystack.of(value)
        for hit in hits:
            if hit.occurs_in(part):
                located.add(hit)
                if tag not in OWN and _counts(hit, vr, value):
                    found.setdefault(
                        tag, Finding(tag, f"still holds {'an identifying' if hit.kind == 'text' else 'an original'} {hit.kind}")
                    )
    if any(hit not in located and hit.kind != "date" for hit in hits):
        found[0] = Finding(0, "identity outside of any attribute")
    return list(found.values())


def _counts(hit: Hit, vr: str, value: bytes) -> bool:
    """Return whether a value of the old identity means somebody here, and is not a number or a term of the Standard that is the same."""
    if hit.kind != "text":
        return not (hit.kind == "date" and vr in DATED)
    if vr == "CS":
        return hit.personal and not (hit.text and is_harmless(hit.text))  # a closed term: surnames are among them
    if vr == "AS" and is_plain(value, vr):
        return False
    if hit.text.isdigit():
        return _counts_number(hit.text, vr, value)
    return not (vr in BINARY and len(hit.probe) < SURE_LENGTH)


def _counts_number(number: str, vr: str, value: bytes) -> bool:
    if vr in ("DS", "IS"):  # a number of a person, or one of a scanner: only the whole value, and only a long one
        bare = number.lstrip("0")
        return len(bare) >= SURE_LENGTH and bare in {part.strip(" +-\0").lstrip("0") for part in value.decode("latin-1").split("\\")}
    if vr == "UI":
        return any(not _is_ours(uid) for uid in value.decode("latin-1").split("\\"))
    return vr not in ("DA", "DT", "TM") and not (vr in BINARY and len(number) < SURE_LENGTH)


def flat(dataset: Dataset) -> list[tuple[int, str, bytes]]:
    """Return tag, VR and value bytes of every element of a data set and of its items, pixel values left out."""
    out: list[tuple[int, str, bytes]] = []
    for tag in plain_tags(dataset):
        raw = element_of(dataset, tag)
        vr = raw.VR or vr_of(tag)
        if vr == "SQ":
            for item in dataset[tag].value or []:
                out += flat(item)
        elif tag not in PIXEL_TAGS:
            out.append((tag, vr, as_bytes(raw.value)))
    return out


def as_bytes(value: object) -> bytes:
    """Return a value as bytes to be searched."""
    if isinstance(value, bytes):
        return value
    if value is None:
        return b""
    if isinstance(value, (list, tuple)) or (hasattr(value, "__iter__") and not isinstance(value, str)):
        return b"\\".join(as_bytes(part) for part in value)
    return str(value).encode()


def scrubbed(dataset: Dataset, tags: frozenset[int]) -> bool:
    """Replace the free-text attributes among ``tags``, at every level of a copy; return whether any was there.

    The table does not list them, so they were kept; here they repeat a value of the old identity.
    """
    done = False
    for tag in plain_tags(dataset):
        raw = element_of(dataset, tag)
        vr = raw.VR or vr_of(tag)
        if vr == "SQ":
            for item in dataset[tag].value or []:
                done = scrubbed(item, tags) or done
        elif tag in tags and vr in FREE_TEXT and vr_of(tag) in FREE_TEXT:
            dataset[tag] = DataElement(tag, vr_of(tag), REMOVED)
            done = True
    return done


def breaches(output: Dataset, identity: Identity, profile: Profile) -> list[Finding]:
    """Return every attribute that the table does not allow in the state it is in."""
    found: list[Finding] = []
    if output.preamble != b"\0" * 128:
        found.append(Finding(0, "text in the preamble"))
    if text_of(output.file_meta, "MediaStorageSOPInstanceUID") != text_of(output, "SOPInstanceUID"):
        found.append(Finding(0x00020003, "differs from the instance"))
    sop_class = text_of(output, "SOPClassUID")
    rules, inner = (rules_of(profile, sop_class=sop_class, nested=nested) for nested in (False, True))
    return found + _breaches(output, identity, profile, rules=rules, inner=inner)


def _breaches(dataset: Dataset, identity: Identity, profile: Profile, *, rules: Rules, inner: Rules) -> list[Finding]:
    found: list[Finding] = []
    for tag in plain_tags(dataset):
        raw = element_of(dataset, tag)
        if what := _breach(tag, raw, rules.get(tag), profile):
            found.append(Finding(tag, what))
        elif raw.VR == "SQ" or (raw.VR is None and vr_of(tag) == "SQ"):
            for item in dataset[tag].value or []:
                found += _breaches(item, identity, profile, rules=inner, inner=inner)
        elif rules.get(tag) is Action.MAP_UID and set(str(as_bytes(raw.value), "latin-1").split("\\")) & identity.uids:
            found.append(Finding(tag, "holds an original uid"))
    return found


def _breach(tag: int, raw: Element, action: Action | None, profile: Profile) -> str:
    if is_private(tag):
        return "" if Option.RETAIN_SAFE_PRIVATE in profile.options else "is private"
    if is_repeating(tag):
        return "is a curve or an overlay"
    value = as_bytes(raw.value) if vr_of(tag) != "SQ" else b""
    if action is Action.REMOVE:
        return "should have been removed"
    if action is Action.EMPTY and value.strip(b" \0"):
        return "should be empty"
    if action is Action.MAP_UID and any(not _is_ours(uid) for uid in value.decode("latin-1").split("\\")):
        return "is no mapped uid"
    return ""


def _is_ours(uid: str) -> bool:
    bare = uid.strip(" \0")
    return not bare or bare.startswith("2.25.") or is_well_known(bare)
