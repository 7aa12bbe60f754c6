"""Paths to DICOM values, as the catalogue writes them: keywords, tags, private tags by creator, sequences, functional groups."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from pydicom import Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword

from fairlead.errors import InvalidConfiguration
from fairlead.extract.headers import decoded, raw_bytes, values_of
from fairlead.extract.identity import is_identifying

FRAMES: Final = "frames"
SHARED_GROUPS: Final = 0x52009229
FRAME_GROUPS: Final = 0x52009230

_PUBLIC: Final = re.compile(r"\(([0-9a-f]{4}),([0-9a-f]{4})\)", re.IGNORECASE)
_PRIVATE: Final = re.compile(r"\(([0-9a-f]{3}[13579bdf]),xx([0-9a-f]{2})\)@(.{1,64})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Coded:
    """An item of a code sequence (PS3.3 section 8.8)."""

    code: str
    scheme: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Step:
    """One attribute of a path; a private one is found through its creator (PS3.5 section 7.8.1)."""

    tag: int
    creator: str = ""

    def find(self, dataset: Dataset) -> int | None:
        """Return the tag in this data set, None when the private block is not there."""
        if not self.creator:
            return self.tag if self.tag in dataset else None
        group = self.tag >> 16
        for slot in range(0x10, 0x100):
            reserved = decoded(dataset, group << 16 | slot) if (group << 16 | slot) in dataset else None
            if reserved is not None and str(reserved.value).strip() == self.creator:
                found = group << 16 | slot << 8 | (self.tag & 0xFF)
                return found if found in dataset else None
        return None


@dataclass(frozen=True)
class TagPath:
    """A parsed path; ``in_frames`` looks it up in the shared and in every per-frame functional group (PS3.3 C.7.6.16)."""

    text: str
    steps: tuple[Step, ...]
    in_frames: bool = False

    @cached_property
    def first(self) -> int:
        """Top-level tag that must be present for the path to give anything, 0 for private ones and functional groups."""
        return 0 if self.in_frames or self.steps[0].creator else self.steps[0].tag

    @cached_property
    def tops(self) -> tuple[int, ...] | None:
        """Top-level tags on which the values depend; None for a private attribute, which any element of its group may hold."""
        if self.in_frames:
            return (SHARED_GROUPS, FRAME_GROUPS)
        return None if self.steps[0].creator else (self.steps[0].tag,)

    def raw(self, dataset: Dataset) -> bytes | None:
        """Return the undecoded bytes of a one-step path, to see cheaply that the next instance says the same; else None."""
        if len(self.steps) != 1 or not self.first:
            return None
        return raw_bytes(dataset, self.first)

    def values(self, dataset: Dataset) -> list[Any]:
        """Return every value the path leads to: texts and numbers, or :class:`Coded` for code sequences; empty when absent."""
        if self.first and self.first not in dataset:
            return []
        starts = _functional_groups(dataset) if self.in_frames else (dataset,)
        found = (value for start in starts for value in _walk(start, self.steps))
        return list(dict.fromkeys(value for value in found if value is not None))


def parse_path(text: str) -> TagPath:
    """Return the path that ``text`` spells.

    Raises
    ------
    InvalidConfiguration : a keyword that PS3.6 does not have, a malformed tag, or an attribute that identifies a person.

    >>> parse_path("frames/PixelMeasuresSequence/SliceThickness").in_frames
    True
    """
    head, *rest = _split(text)
    in_frames = head == FRAMES
    names = rest if in_frames else [head, *rest]
    if not names:
        raise InvalidConfiguration(f"The DICOM path {text!r} names no attribute.")
    steps = tuple(_step(name, text) for name in names)
    if any(not step.creator and is_identifying(step.tag) for step in steps):
        raise InvalidConfiguration(
            f"The DICOM path {text!r} leads to an attribute that identifies a person.",
            remedy="Records hold a keyed patient key instead; remove the field.",
        )
    return TagPath(text, steps, in_frames)


def _split(text: str) -> list[str]:
    path, at, creator = text.partition("@")  # a creator may hold slashes
    *before, last = path.split("/")
    return [*before, f"{last}{at}{creator}"]


def _step(name: str, path: str) -> Step:
    if match := _PRIVATE.fullmatch(name):
        return Step(int(match[1], 16) << 16 | int(match[2], 16), match[3].strip())
    if match := _PUBLIC.fullmatch(name):
        return Step(int(match[1], 16) << 16 | int(match[2], 16))
    tag = tag_for_keyword(name) if name else None
    if tag is None:
        raise InvalidConfiguration(
            f"The DICOM path {path!r} has no meaning at {name!r}.", remedy="Use keywords of PS3.6, (gggg,eeee) or (gggg,xxee)@CREATOR."
        )
    return Step(int(tag))


def _functional_groups(dataset: Dataset) -> Iterator[Dataset]:
    for tag in (SHARED_GROUPS, FRAME_GROUPS):
        if tag in dataset:
            yield from (item for item in values_of(decoded(dataset, tag)) if isinstance(item, Dataset))


def _walk(dataset: Dataset, steps: tuple[Step, ...]) -> Iterator[Any]:
    tag = steps[0].find(dataset)
    if tag is None:
        return
    for value in values_of(decoded(dataset, tag)):
        if not isinstance(value, Dataset):
            if len(steps) == 1:
                yield value if not isinstance(value, bytes) else None
        elif len(steps) > 1:
            yield from _walk(value, steps[1:])
        else:
            yield coded(value)


def coded(item: Dataset) -> Coded | None:
    """Return the coded entry of a sequence item, None when it states neither a code nor a meaning."""
    code, scheme, meaning = (_text(item, keyword) for keyword in ("CodeValue", "CodingSchemeDesignator", "CodeMeaning"))
    code = code or _text(item, "LongCodeValue")
    return Coded(code, scheme, meaning) if (code and scheme) or meaning else None


def _text(item: Dataset, keyword: str) -> str:
    element = decoded(item, keyword)
    return str(element.value).strip() if element is not None else ""


def value_type(path: TagPath) -> str:
    """Return the VR of a public attribute at the end of a path, UN where the dictionary does not know it."""
    last = path.steps[-1]
    try:
        return "UN" if last.creator else str(dictionary_VR(last.tag))
    except KeyError:
        return "UN"
