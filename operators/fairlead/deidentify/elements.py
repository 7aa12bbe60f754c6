"""Reading and building single elements without converting what stays; the only place that knows pydicom's raw elements."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from pydicom.charset import convert_encodings, decode_bytes
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from fairlead.deidentify.table import vr_of

type Element = DataElement | RawDataElement

PIXEL_TAGS: Final = (0x7FE00008, 0x7FE00009, 0x7FE00010)
"""Float, double float and integer pixel data (PS3.3 C.7.6.24 and C.7.6.3): never read where they can be pointed at."""


def element_of(source: Dataset, tag: int) -> Element:
    """Return an element as it was read, not converted; pixel data that were left in the file stay there."""
    raw: Element = source._dict[tag]  # type: ignore[index]  # get_item builds a tag each time: a tenth of the engine's time
    if raw.value is None and isinstance(raw, RawDataElement) and raw.length and tag not in PIXEL_TAGS:
        return source.get_item(tag)  # was too large to be read at once
    return raw


def text_of(source: Dataset, keyword: str) -> str:
    """Return the text of an attribute at the top of a data set, several values with backslashes between them, empty when it is absent.

    Nothing is converted: a tenth of the time that pydicom takes by attribute.
    """
    tag = tag_for_keyword(keyword)
    if tag is None or tag not in source._dict:
        return ""
    return "\\".join(values_of(element_of(source, tag), encodings_of(source)))


def number_of(source: Dataset, keyword: str) -> int:
    """Return a whole number (US or IS) at the top of a data set, 0 when it is absent or empty.

    Raises
    ------
    ValueError : it is none, or several.
    """
    tag = tag_for_keyword(keyword)
    return 0 if tag is None else number_at(source, tag)


def number_at(source: Dataset, tag: int) -> int:
    """Return the whole number of a tag as :func:`number_of` does of a keyword."""
    if tag not in source._dict:
        return 0
    raw = element_of(source, tag)
    if isinstance(raw, RawDataElement) and isinstance(raw.value, bytes) and (raw.VR or vr_of(tag)) == "US":
        if len(raw.value) not in (0, 2):
            raise ValueError("not one number")
        return int.from_bytes(raw.value, "little" if raw.is_little_endian else "big")
    return int("\\".join(values_of(raw, [])) or 0)


def plain_tags(source: Dataset) -> list[int]:
    """Return the tags as plain numbers: pydicom's compare in Python, at every look into a table."""
    return [int(tag) for tag in source._dict]


def empty(tag: int) -> DataElement:
    """Return the attribute with zero length (action Z)."""
    vr = vr_of(tag)
    return DataElement(tag, vr, [] if vr == "SQ" else None if vr not in ("PN", "UI") else "")


def like(source: Dataset, elements: dict[BaseTag, Element]) -> Dataset:
    """Return a data set of these elements with the encoding of the source, so that untouched bytes are written as they are."""
    copy = Dataset(elements, parent_encoding=source.original_character_set or "iso8859")
    implicit, little = source.original_encoding
    copy.set_original_encoding(implicit, little, source.original_character_set or None)
    return copy


def encodings_of(source: Dataset) -> list[str]:
    """Return the Python codecs of a data set's Specific Character Set."""
    stated = source.original_character_set or source.get("SpecificCharacterSet") or "iso8859"
    if isinstance(stated, str):
        return list(_codecs(stated))
    return list(convert_encodings(stated)) if not isinstance(stated, list) else list(stated)


@lru_cache(maxsize=64)
def _codecs(stated: str) -> tuple[str, ...]:
    return tuple(convert_encodings(stated)) if stated.upper().startswith("ISO") else (stated,)


def values_of(element: Element, encodings: list[str]) -> list[str]:
    """Return the values of a text element without converting it; bytes that the character set cannot read come as Latin-1."""
    value = element.value
    if value is None:
        return []
    if isinstance(value, bytes):
        try:
            text = decode_bytes(value, encodings, set()) if not value.isascii() or b"\x1b" in value else value.decode("ascii")
        except (LookupError, UnicodeError):
            text = value.decode("latin-1")
        return [part.strip(" \0") for part in text.split("\\")]
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        return [str(value).strip(" \0")]
    return [str(part).strip(" \0") for part in value]
