"""The long tail: every other attribute that all instances agree on, as DICOM JSON (PS3.18 Annex F), and private blocks by creator.

Only coded and numeric attributes stay. Free text, names, ids, addresses and bulk data do not, except for a short list of technical
texts; and nothing stays that repeats an identity of the header.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from pydicom import Dataset
from pydicom.dataelem import DataElement
from pydicom.tag import BaseTag, Tag

from fairlead.extract.headers import decoded, raw_bytes, values_of
from fairlead.extract.identity import Scrubber, is_identifying
from fairlead.extract.readings import as_number, as_text
from fairlead.extract.tagpaths import FRAME_GROUPS, coded
from fairlead.records import JsonObject

NUMERIC_VRS: Final = frozenset({"DS", "IS", "US", "SS", "UL", "SL", "FL", "FD", "UV", "SV"})
WORD_VRS: Final = frozenset({"CS", "UI", "AT"})
KEPT_DATES: Final = frozenset(
    {
        "StudyDate",
        "SeriesDate",
        "AcquisitionDate",
        "ContentDate",
        "AcquisitionDateTime",
        "FrameAcquisitionDateTime",
        "FrameReferenceDateTime",
    }
)
KEPT_TEXTS: Final = frozenset(
    {
        *("ConvolutionKernel", "SequenceName", "ManufacturerModelName", "SoftwareVersions", "ProtocolName", "FilterType", "FilterMaterial"),
        *(
            "ReceiveCoilName",
            "TransmitCoilName",
            "PulseSequenceName",
            "ImagedNucleus",
            "ReconstructionMethod",
            "AttenuationCorrectionMethod",
        ),
        *("ScatterCorrectionMethod", "RandomsCorrectionMethod", "DecayCorrection", "LossyImageCompressionMethod", "SegmentLabel"),
        *("OpticalPathIdentifier", "ContrastBolusAgent", "VolumetricProperties", "CodeValue", "CodingSchemeDesignator", "CodeMeaning"),
    }
)
"""Technical texts of PS3.6 whose values are names of methods and parts, not remarks about a person."""

DROPPED_TAGS: Final = frozenset({int(FRAME_GROUPS), 0x00080005, 0x00081199, 0x00081140, 0x00081115, 0x00081111, 0x0040A730})
"""Per-frame groups (promoted through the catalogue), character set, reference lists, SR content tree."""
NESTED_VRS: Final = frozenset({"SQ", "UN", None})
MAX_VALUES: Final = 64
MAX_ITEMS: Final = 100
MAX_DEPTH: Final = 6
MAX_ELEMENTS: Final = 4000
MAX_TEXT: Final = 64


class LongTail:
    """Gathers what is the same in every instance: the first header is kept, and each further one strikes out what it contradicts."""

    def __init__(self) -> None:
        self._first: Dataset | None = None
        self._agreed: set[BaseTag] = set()
        self._raw: dict[BaseTag, bytes] = {}

    def observe(self, dataset: Dataset, changed: frozenset[int] | None = None) -> None:
        """Take one header, before anything else decodes it; ``changed`` are the tags that differ from the one before, None for any.

        Values are compared undecoded where the encoding is the same.
        """
        if self._first is None:
            self._first, self._agreed = dataset, set(dataset.keys())
            self._raw = {tag: raw for tag in self._agreed if (raw := raw_bytes(dataset, tag)) is not None}
            return
        same_encoding = dataset.original_encoding == self._first.original_encoding
        suspects = self._agreed if changed is None else self._agreed & changed
        self._agreed -= {tag for tag in suspects if not (tag in dataset and self._equal(dataset, tag, raw=same_encoding))}

    def _equal(self, dataset: Dataset, tag: BaseTag, *, raw: bool) -> bool:
        first = self._first
        if first is None:
            return False
        mine = self._raw.get(tag) if raw else None
        theirs = raw_bytes(dataset, tag) if mine is not None else None
        # Equal sequences may be written with and without stated lengths (PS3.5 section 7.5.2): only decoding tells.
        if theirs is not None and (mine == theirs or getattr(first.get_item(tag), "VR", None) not in NESTED_VRS):
            return mine == theirs
        known, other = decoded(first, tag), decoded(dataset, tag)
        return known is not None and other is not None and bool(known.value == other.value)

    def other(self, scrubber: Scrubber, *, promoted: Iterable[int] = ()) -> JsonObject:
        """Return the agreed standard attributes by tag, as DICOM JSON, without those the catalogue promoted."""
        if self._first is None:
            return {}
        skip = DROPPED_TAGS | frozenset(promoted)
        tags = sorted(tag for tag in self._agreed if not tag.is_private and int(tag) not in skip)
        return _json(self._first, tags, _Budget(scrubber))

    def vendor(self, scrubber: Scrubber) -> JsonObject:
        """Return the agreed private attributes by creator (PS3.5 section 7.8.1), then by ``ggggxxee``."""
        if self._first is None:
            return {}
        blocks: dict[str, JsonObject] = {}
        budget = _Budget(scrubber)
        for tag in sorted(tag for tag in self._agreed if tag.is_private and not tag.is_private_creator):
            creator = self._creator(tag)
            if creator is None or budget.scrubber.repeats(creator):
                continue
            if document := _element(decoded(self._first, tag), budget, depth=0, private=True):
                blocks.setdefault(creator, {})[f"{tag.group:04X}xx{tag.element & 0xFF:02X}"] = document
        return dict(sorted(blocks.items()))

    def _creator(self, tag: BaseTag) -> str | None:
        if self._first is None or tag.element < 0x1000:
            return None
        element = decoded(self._first, Tag(tag.group, tag.element >> 8))
        return as_text(element.value) if element is not None else None


class _Budget:
    """Bounds the size of one record's long tail, whatever the header holds."""

    def __init__(self, scrubber: Scrubber) -> None:
        self.scrubber = scrubber
        self.left = MAX_ELEMENTS

    def spend(self) -> bool:
        """Return whether one more value may be kept."""
        self.left -= 1
        return self.left >= 0


def _json(dataset: Dataset, tags: Iterable[BaseTag], budget: _Budget, *, depth: int = 0, private: bool = False) -> JsonObject:
    found = {f"{int(tag):08X}": _element(decoded(dataset, tag), budget, depth=depth, private=private) for tag in tags}
    return {tag: document for tag, document in found.items() if document}


def _element(element: DataElement | None, budget: _Budget, *, depth: int, private: bool) -> JsonObject | None:
    if element is None or is_identifying(int(element.tag)) or not budget.spend():
        return None
    values = values_of(element)
    if element.VR == "SQ":
        items = [item for value in values[:MAX_ITEMS] if (item := _item(value, budget, depth=depth + 1, private=private))]
        return {"vr": "SQ", "Value": items} if items else None
    if len(values) > MAX_VALUES:
        return None
    kept = [_value(value, element, budget.scrubber, private=private) for value in values]
    return {"vr": str(element.VR), "Value": kept} if kept and None not in kept else None


def _item(item: Any, budget: _Budget, *, depth: int, private: bool) -> JsonObject | None:
    if not isinstance(item, Dataset) or depth > MAX_DEPTH:
        return None
    if coded(item) is not None and "ConceptNameCodeSequence" not in item:
        private = False  # a standard code inside a private sequence keeps its meaning
    tags = sorted(tag for tag in list(item.keys()) if private or not tag.is_private)
    return _json(item, tags, budget, depth=depth, private=private)


def _value(value: Any, element: DataElement, scrubber: Scrubber, *, private: bool) -> Any:
    """Return a value as JSON, None when it must not stay."""
    vr, keyword = str(element.VR), element.keyword
    if scrubber.equals(value):
        return None
    if vr in NUMERIC_VRS:
        return as_number(value)
    if vr in WORD_VRS:
        text = as_text(value)
        return text if text and len(text) <= MAX_TEXT and not (private and scrubber.repeats(text)) else None
    if not private and keyword in KEPT_DATES:
        return as_text(value)
    if not private and keyword in KEPT_TEXTS:
        text = as_text(value)
        return text[:MAX_TEXT] if text and not scrubber.repeats(text) else None
    return None
