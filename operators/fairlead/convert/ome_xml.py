"""Read the few facts of an OME-XML that a store carries; entities are off, identities are never read.

Experimenter, ExperimenterGroup, descriptions, annotations and file names stay behind: only Pixels, Channel names, colours,
physical sizes and how axes divide are looked at (OME model 2016-06 and earlier; the namespace is not compared, only local names).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from lxml import etree

from fairlead.convert.modulo import Division, divisions_of, without_annotations
from fairlead.errors import UnreadableImage

UNITS: Final[Mapping[str, str | None]] = {
    "µm": "micrometer", "μm": "micrometer", "um": "micrometer", "nm": "nanometer", "mm": "millimeter", "cm": "centimeter",
    "dm": "decimeter", "m": "meter", "km": "kilometer", "pm": "picometer", "Å": "angstrom", "in": "inch", "ft": "foot", "mi": "mile",
    "s": "second", "ms": "millisecond", "µs": "microsecond", "ns": "nanosecond", "min": "minute", "h": "hour", "d": "day",
    "pixel": None, "reference frame": None,
}  # fmt: skip
"""OME unit symbols to the unit names NGFF recommends (UDUNITS-2); None: no physical unit."""
MAX_PLANES: Final = 2_000_000
MAX_WELLS: Final = 10_000
MAX_XML_BYTES: Final = 64 * 1024**2
DIGITS: Final = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class OmeChannel:
    """One channel: its name and display colour, where stated."""

    name: str | None
    color: str | None
    samples: int


@dataclass(frozen=True, slots=True)
class PlaneBlock:
    """One TiffData element: which planes it starts at, and where they are. ``file`` None: in this file."""

    file: str | None
    ifd: int | None
    first: Mapping[str, int]
    count: int | None


@dataclass(frozen=True, slots=True)
class OmeImage:
    """One Image element. ``sizes`` and ``steps`` are by axis letter; a step is (number, NGFF unit name or None)."""

    sizes: Mapping[str, int]
    order: str
    pixel_type: str
    steps: Mapping[str, tuple[float, str | None]]
    channels: tuple[OmeChannel, ...]
    blocks: tuple[PlaneBlock, ...]
    id: str = ""
    divisions: tuple[Division, ...] = ()
    lost: tuple[str, ...] = ()
    """What the document states of sample distances in a way that nobody can use."""


@dataclass(frozen=True, slots=True)
class PlateField:
    """One field of a well: rows and columns count from 0, fields in the order of the WellSamples."""

    row: int
    column: int
    field: int
    image: str


@dataclass(frozen=True, slots=True)
class OmePlate:
    """The first plate of an OME-XML; ``rows`` and ``columns`` are the names of its rows and columns."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    fields: tuple[PlateField, ...]


def read_document(file: Path) -> bytes:
    """Return the bytes of an OME-XML file, no more of them than :func:`read_ome_xml` takes.

    Raises
    ------
    UnreadableImage : the file cannot be read.
    """
    try:
        with file.open("rb") as handle:
            return handle.read(MAX_XML_BYTES + 1)
    except OSError as error:
        raise UnreadableImage(f"The OME-XML cannot be read ({type(error).__name__}).") from error


def read_ome_xml(text: str | bytes) -> tuple[OmeImage, ...]:
    """Return the images that an OME-XML describes.

    Raises
    ------
    UnreadableImage : not well formed, no OME, a document type declaration, sizes that are no positive numbers, or an ID used twice.
    """
    root = _root(text)
    found = tuple(
        replace(_image(image, pixels), divisions=divisions_of(root, image))
        for image in _children(root, "Image")
        for pixels in _children(image, "Pixels")[:1]
    )
    ids = [image.id for image in found if image.id]
    if len(set(ids)) < len(ids):
        raise UnreadableImage("The OME-XML has two images of one ID.")
    return found


def undivided_xml(text: str | bytes) -> str:
    """Return an OME-XML without annotations: a reader that divides axes by the first of them only then divides none.

    Raises
    ------
    UnreadableImage : as :func:`read_ome_xml`.
    """
    return without_annotations(_root(text))


def read_plate(text: str | bytes) -> OmePlate | None:
    """Return the first plate that an OME-XML describes, with the fields that have an image; None without one.

    Raises
    ------
    UnreadableImage : as :func:`read_ome_xml`, or wells without a place.
    """
    plates = _children(_root(text), "Plate")
    if not plates:
        return None
    fields = [
        PlateField(_count(well.get("Row")), _count(well.get("Column")), number, str(image.get("ID", "")))
        for well in _children(plates[0], "Well")
        for number, (_, image) in enumerate(
            (sample, image) for sample in _children(well, "WellSample") for image in _children(sample, "ImageRef")[:1]
        )
    ]
    if not fields:
        return None
    rows, columns = max(field.row for field in fields) + 1, max(field.column for field in fields) + 1
    return OmePlate(
        tuple(_place_name(number, plates[0].get("RowNamingConvention", "letter")) for number in range(rows)),
        tuple(_place_name(number, plates[0].get("ColumnNamingConvention", "number")) for number in range(columns)),
        tuple(fields),
    )


def _count(value: str | None) -> int:
    if value is None or not DIGITS.fullmatch(value.strip()) or int(value) >= MAX_WELLS:
        raise UnreadableImage("A well of the plate does not say its row and column.")
    return int(value)


def _place_name(number: int, convention: str) -> str:
    """Return the name of a row or column counted from 0.

    >>> _place_name(0, "letter"), _place_name(27, "letter"), _place_name(0, "number")
    ('A', 'AB', '1')
    """
    if convention != "letter":
        return str(number + 1)
    name = ""
    number += 1
    while number:
        number, letter = divmod(number - 1, 26)
        name = chr(ord("A") + letter) + name
    return name


def _root(text: str | bytes) -> Any:
    data = text.encode() if isinstance(text, str) else text
    if len(data) > MAX_XML_BYTES:
        raise UnreadableImage(f"The OME-XML has {len(data) / 1e6:.0f} MB; at most {MAX_XML_BYTES / 1e6:.0f} MB are read.")
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise UnreadableImage("The OME-XML declares a document type; entities are not expanded.", remedy="Remove the DOCTYPE.")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise UnreadableImage("The OME-XML is not well formed.") from error
    if root.getroottree().docinfo.doctype:  # in an encoding where the look at the bytes above does not see it
        raise UnreadableImage("The OME-XML declares a document type; entities are not expanded.", remedy="Remove the DOCTYPE.")
    if _local(root) != "OME":
        raise UnreadableImage("The XML is no OME document.")
    namespace = etree.QName(root).namespace
    if namespace is not None and "openmicroscopy.org" not in namespace.lower():
        raise UnreadableImage("The XML's namespace is none of the OME model.")
    return root


def binary_only_target(text: str | bytes) -> str | None:
    """Return the companion's file name when the XML only points to it (BinaryOnly), else None."""
    match = re.search(rb"<(?:\w+:)?BinaryOnly[^>]*MetadataFile=\"([^\"]{1,255})\"", text.encode() if isinstance(text, str) else text)
    return match.group(1).decode("utf-8", "replace") if match else None


def _image(image: Any, pixels: Any) -> OmeImage:
    sizes = {name: _positive(pixels.get(f"Size{name.upper()}"), f"Size{name.upper()}") for name in "tczyx"}
    order = str(pixels.get("DimensionOrder", ""))
    if sorted(order) != sorted("XYZCT") or order[:2] != "XY":
        raise UnreadableImage("DimensionOrder is none of the six that OME allows.")
    blocks = tuple(_block(block) for block in _children(pixels, "TiffData"))
    planes = max(math.prod(sizes[name] for name in "tcz"), sum(block.count or 1 for block in blocks))
    if planes > MAX_PLANES:  # readers make room for every plane that is claimed
        raise UnreadableImage(f"The OME-XML claims {planes} planes; at most {MAX_PLANES} are read.")
    return OmeImage(
        sizes=sizes,
        order=order,
        pixel_type=str(pixels.get("Type") or pixels.get("PixelType") or ""),
        steps=_steps(pixels),
        lost=tuple(_lost(pixels)),
        channels=tuple(_channel(channel) for channel in _children(pixels, "Channel")),
        blocks=blocks,
        id=str(image.get("ID", "")),
    )


def _steps(pixels: Any) -> dict[str, tuple[float, str | None]]:
    found = {}
    for name in "xyz":
        if (step := _number(pixels.get(f"PhysicalSize{name.upper()}"))) is not None:
            found[name] = (step, UNITS.get(str(pixels.get(f"PhysicalSize{name.upper()}Unit", "µm"))))
    if (step := _number(pixels.get("TimeIncrement"))) is not None:
        found["t"] = (step, UNITS.get(str(pixels.get("TimeIncrementUnit", "s"))))
    return found


def _lost(pixels: Any) -> Iterator[str]:
    """Say which sample distances are no positive numbers, and which units nobody knows."""
    for name, default in (*((f"PhysicalSize{axis}", "µm") for axis in "XYZ"), ("TimeIncrement", "s")):
        if (stated := pixels.get(name)) is None:
            continue
        if _number(stated) is None:
            yield f"{name}, which is no positive number: 1 without a unit instead"
        elif str(pixels.get(f"{name}Unit", default)) not in UNITS:
            yield f"{name}Unit, which is none of OME's"


def _channel(channel: Any) -> OmeChannel:
    name = channel.get("Name")
    samples = str(channel.get("SamplesPerPixel") or 1)
    return OmeChannel(name[:200] if name else None, _color(channel.get("Color")), int(samples) if DIGITS.fullmatch(samples) else 1)


def _color(value: str | None) -> str | None:
    """Return RRGGBB of OME's signed 32-bit RGBA; white and unset (-1) both count as unset.

    >>> _color("16711935"), _color("-16776961"), _color("-1")
    ('00FF00', 'FF0000', None)
    """
    if value is None or not re.fullmatch(r"-?[0-9]{1,10}", value.strip()):
        return None
    rgba = int(value) & 0xFFFFFFFF
    return None if rgba in {0xFFFFFFFF, 0} else f"{rgba >> 8:06X}"


def _block(block: Any) -> PlaneBlock:
    uuids = _children(block, "UUID")
    first = {name: _index(block.get(f"First{name.upper()}")) or 0 for name in "zct"}
    file = uuids[0].get("FileName") if uuids else None
    return PlaneBlock(file, _index(block.get("IFD")), first, _index(block.get("PlaneCount")))


def _index(value: str | None) -> int | None:
    if value is not None and not DIGITS.fullmatch(value.strip()):
        raise UnreadableImage("A TiffData of the OME-XML counts with something else than whole numbers.")
    return int(value) if value is not None else None


def _positive(value: str | None, name: str) -> int:
    if value is None or not DIGITS.fullmatch(value.strip()) or int(value) < 1:
        raise UnreadableImage(f"{name} of the OME-XML is absent, no positive number, or has more than nine digits.")
    return int(value)


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value is not None else 0.0
    except ValueError:
        return None
    return number if 0 < number < float("inf") else None


def _local(element: Any) -> str:
    return str(etree.QName(element).localname)


def _children(element: Any, name: str) -> list[Any]:
    return [child for child in element if isinstance(child.tag, str) and _local(child) == name]
