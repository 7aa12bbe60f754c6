"""What may stay of structured content and graphics: shape, codes, measurements and references, no words of people.

For Content Sequence and Graphic Annotation Sequence (D in Table E.1-1) a tree of this kind is the dummy; for sequences that an
option cleans (C) it is the cleaned value (PS3.15 sections E.3.3 and E.3.4).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Final

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from fairlead.deidentify.plain import NUMBERS
from fairlead.deidentify.values import REMOVED

CODE_LIKE: Final = re.compile(r"(?=[^\s]*[0-9])[A-Za-z0-9.:_\-]{1,16}|[A-Za-z]{1,3}|[A-Za-z0-9/.*^%{}\[\]()']{1,5}")
"""A code has a digit; of those without one only units and languages are short enough."""
CODE_ITEM: Final = frozenset({0x00080100, 0x00080102, 0x00080103, 0x00080104, 0x0008010F, 0x00080105, 0x00080119, 0x00080117})
MEANINGS: Final = frozenset({0x00080104})
"""Code Meaning stays when the code has a value and a public scheme, cleaned of identity."""
LOCAL_CODE: Final[Mapping[int, str]] = {0x00080100: REMOVED, 0x00080102: "99FAIRLEAD", 0x00080104: REMOVED, 0x00080119: REMOVED}
"""What a code of any other scheme becomes: the attributes of a code are type 1 (PS3.3 section 8.8), so none may go."""
SCHEMES: Final = frozenset({
    "DCM", "SCT", "SRT", "SNM3", "UCUM", "LN", "FMA", "RADLEX", "UMLS", "BI", "NCIt", "I10", "I10P", "I9C", "MSH", "NEU", "UBERON", "ICDO3",
    "MA", "ATC", "CPT4", "RXNORM", "DCMUID", "99DCMTK", "99QIICR", "IBSI", "NCBITAXON", 
    "RFC5646", "RFC3066", "ISO639_1", "ISO639_2", "ISO3166_1", "MDC", "PATHLEX",
})  # fmt: skip
SHAPE: Final = frozenset({
    0x0040A010,  # Relationship Type
    0x0040A040,  # Value Type
    0x0040A050,  # Continuity of Content
    0x0040A043,  # Concept Name Code Sequence
    0x0040A168,  # Concept Code Sequence
    0x0040A195,  # Modifier Code Sequence
    0x0040A300,  # Measured Value Sequence
    0x00400612,  # Specimen Preparation Step Content Item Sequence
    0x004008EA,  # Measurement Units Code Sequence
    0x0040A301,  # Numeric Value Qualifier Code Sequence
    0x0040A504,  # Content Template Sequence
    0x0040DB00,  # Template Identifier
    0x0040A730,  # Content Sequence
    0x0040A130,  # Temporal Range Type
    0x00081140,  # Referenced Image Sequence
    0x00081199,  # Referenced SOP Sequence
    0x00081150,  # Referenced SOP Class UID
    0x00700023,  # Graphic Type
    0x00700024,  # Graphic Filled
    0x00700002,  # Graphic Layer
    0x00700003,  # Bounding Box Annotation Units
    0x00700004,  # Anchor Point Annotation Units
    0x00700005,  # Graphic Annotation Units
    0x00700008,  # Text Object Sequence
    0x00700009,  # Graphic Object Sequence
    0x00700012,  # Bounding Box Text Horizontal Justification
    0x00700015,  # Anchor Point Visibility
})  # fmt: skip


def may_stay(tag: int, vr: str) -> bool:
    """Return whether an attribute without a row in the table may stay inside cleaned content."""
    return tag in SHAPE or tag in CODE_ITEM or vr in NUMBERS


def code_of(item: Dataset) -> tuple[str, str]:
    """Return the coding scheme and the value of a code (PS3.3 section 8.1), empty where it has none."""
    value = str(item.get("CodeValue") or item.get("LongCodeValue") or "").strip()
    return str(item.get("CodingSchemeDesignator") or "").strip(), value


def is_public_code(item: Dataset) -> bool:
    """Return whether an item is a code of a public scheme: one that is known, or one that looks like a code and not like a word."""
    scheme, value = code_of(item)
    return scheme in SCHEMES and bool(value) and ((scheme, value) in known_meanings() or CODE_LIKE.fullmatch(value) is not None)


@cache
def known_meanings() -> Mapping[tuple[str, str], str]:
    """Return what the codes of PS3.16 and PS3.6 mean, by scheme and value, as pydicom lists them."""
    from pydicom.sr._concepts_dict import concepts as packaged  # large, and only structured content needs it

    concepts: dict[str, dict[str, dict[str, tuple[str, list[int]]]]] = packaged  # type: ignore[assignment]

    return {
        (scheme, value): meaning
        for scheme, keywords in concepts.items()
        for codes in keywords.values()
        for value, (meaning, _) in codes.items()
    }


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """Return a code item (PS3.3 section 8.1)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def dummy_item(tag: int) -> Dataset:
    """Return the one item of a sequence that must not be empty (D) and of which nothing could stay."""
    item = Dataset()
    if tag == 0x0040A730:  # Content Sequence: one text node, TID-neutral
        item.RelationshipType, item.ValueType, item.TextValue = "CONTAINS", "TEXT", REMOVED
        item.ConceptNameCodeSequence = [code("121106", "DCM", "Comment")]
    elif tag in (0x00400555, 0x00400612):  # Acquisition Context, Specimen Preparation Step: content items (PS3.3 section 10.2)
        item.ValueType, item.TextValue = "TEXT", REMOVED
        item.ConceptNameCodeSequence = [code("121106", "DCM", "Comment")]
    elif tag == 0x0040A073:  # Verifying Observer Sequence (PS3.3 C.17.2)
        item.VerifyingObserverName, item.VerifyingOrganization, item.VerificationDateTime = "Removed", REMOVED, "19000101000000"
        item.add(DataElement(0x0040A088, "SQ", []))
    elif tag == 0x00700001:  # Graphic Annotation Sequence (PS3.3 C.10.5)
        item.GraphicLayer = REMOVED
    elif tag == 0x00340001:  # Flow Identifier Sequence
        item.FlowIdentifier = b"\0\0"
    elif tag == 0x00081072:  # Operator Identification Sequence
        item.PersonIdentificationCodeSequence = [code("removed", "99FAIRLEAD", "Removed")]
    elif tag == 0x00081111:  # Referenced Performed Procedure Step Sequence
        item.ReferencedSOPClassUID = "1.2.840.10008.3.1.2.3.3"
    else:
        return code("removed", "99FAIRLEAD", "Removed")
    return item
