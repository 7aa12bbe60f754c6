"""Reading OME-XML safely: no entities, no network, a size cap; every schema version by local names.

Source: OME data model, schemas 2003-FC to 2016-06 (https://www.openmicroscopy.org/Schemas/). What later versions write as an
attribute, older ones write as a child element: :func:`stated` reads both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from lxml import etree

from fairlead.errors import UnreadableImage, UnsupportedInput

XML_LIMIT_BYTES: Final = 64 * 1024 * 1024
NAMESPACE: Final = re.compile(
    r"http://www\.openmicroscopy\.org/Schemas/OME/(\d{4}-(?:\d{2}|[A-Z]{2}))/?$|http://www\.openmicroscopy\.org/XMLschemas/OME/(FC)/?.*$"
)
DIMENSION_ORDERS: Final = frozenset({"XYZCT", "XYZTC", "XYCTZ", "XYCZT", "XYTCZ", "XYTZC"})
PIXEL_TYPES: Final = frozenset(
    {"int8", "int16", "int32", "uint8", "uint16", "uint32", "float", "double", "complex",
     "double-complex", "bit", "Int8", "Int16", "Int32", "Uint8", "Uint16", "Uint32"}
)  # fmt: skip
SIZES: Final = ("SizeX", "SizeY", "SizeZ", "SizeC", "SizeT")


@dataclass(frozen=True, slots=True)
class OmeDocument:
    """A parsed OME-XML document: root element and schema version."""

    root: Any
    schema: str

    @property
    def images(self) -> list[Any]:
        """The Image elements, in order."""
        return list(children(self.root, "Image"))

    @property
    def metadata_file(self) -> str | None:
        """Name of the companion that holds the metadata, when this document says that it has only pixels (BinaryOnly)."""
        binary_only = next(children(self.root, "BinaryOnly"), None)
        return stated(binary_only, "MetadataFile") if binary_only is not None else None


def parse_ome(content: bytes) -> OmeDocument:
    """Return the document.

    Raises
    ------
    UnreadableImage : not well formed, larger than 64 MiB, or with a document type (entities are never expanded).
    UnsupportedInput : XML of another namespace.
    """
    if len(content) > XML_LIMIT_BYTES:
        raise UnreadableImage("The OME-XML is larger than 64 MiB.", remedy="Keep the pixels in the TIFF, not in BinData.")
    if _has_doctype(content):
        raise UnreadableImage(
            "The OME-XML declares a document type; entities are not expanded.", remedy="Remove the DOCTYPE; the OME schema has none."
        )
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False)
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise UnreadableImage("The OME-XML is not well formed.") from error
    if root.getroottree().docinfo.doctype:
        raise UnreadableImage("The OME-XML declares a document type; entities are not expanded.")
    return OmeDocument(root, _schema_of(root))


def _has_doctype(content: bytes) -> bool:
    return any(
        "<!DOCTYPE".encode(encoding) in content or "<!ENTITY".encode(encoding) in content
        for encoding in ("utf-8", "utf-16-le", "utf-16-be")
    )


def _schema_of(root: Any) -> str:
    name = etree.QName(root)
    match = NAMESPACE.fullmatch(name.namespace or "")
    if name.localname != "OME" or match is None:
        raise UnsupportedInput(
            "The XML is not OME-XML of a known namespace.",
            remedy="Supported: OME-XML with the namespace http://www.openmicroscopy.org/Schemas/OME/<version>.",
        )
    return match[1] or match[2]


def check_pixels(image: Any, number: int) -> Any:
    """Return the Pixels element of an image that says all a reader needs.

    Raises
    ------
    UnreadableImage : Pixels, a size, the dimension order or the type is missing or has no meaning; the place is named.
    """
    pixels = next(children(image, "Pixels"), None)
    if pixels is None:
        raise UnreadableImage(f"Image {number} of the OME-XML has no Pixels.")
    for name in SIZES:
        text = stated(pixels, name) or ""
        if not text.isdecimal() or not 0 < int(text[:12]) < 2**31:
            raise UnreadableImage(f"Image {number} of the OME-XML has no valid Pixels {name}.")
    if (stated(pixels, "DimensionOrder") or "") not in DIMENSION_ORDERS:
        raise UnreadableImage(f"Image {number} of the OME-XML has no valid Pixels DimensionOrder.")
    if (stated(pixels, "Type") or stated(pixels, "PixelType") or "") not in PIXEL_TYPES:
        raise UnreadableImage(f"Image {number} of the OME-XML has no valid Pixels Type.")
    return pixels


def children(element: Any, *names: str) -> Iterator[Any]:
    """Yield the child elements with one of the local names, whatever their namespace."""
    for child in element.iterchildren(tag=etree.Element):
        if etree.QName(child).localname in names:
            yield child


def below(element: Any, name: str) -> Iterator[Any]:
    """Yield all elements of a local name below ``element``, in document order."""
    return (one for one in element.iter(tag=etree.Element) if etree.QName(one).localname == name)


def stated(element: Any, name: str) -> str | None:
    """Return an attribute, or the text of the child element that older schemas use; None when neither says anything."""
    value = element.get(name)
    if value is None:
        child = next(children(element, name), None)
        value = child.text if child is not None else None
    text = (value or "").strip()
    return text or None
