"""Axes that divide T, C or Z further, as OME-XML states them: fluorescence lifetime, wavelength, angle, phase, tile.

Source: OME model, "6D, 7D and 8D storage": annotations of the namespace ``openmicroscopy.org/omero/dimension/modulo`` that an Image, or in
older files its Pixels, refers to. The dividing axis varies faster than what it divides.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lxml import etree

from fairlead.convert.words import known_words
from fairlead.errors import UnreadableImage

NAMESPACE: Final = "/dimension/modulo"
KINDS: Final = ("angle", "phase", "tile", "lifetime", "lambda", "other")
"""Values of the attribute ``Type`` of a ModuloAlong element."""
ALONG: Final[Mapping[str, str]] = {"ModuloAlongT": "t", "ModuloAlongC": "c", "ModuloAlongZ": "z"}
UNITS: Final = frozenset({"ps", "ns", "µs", "ms", "s", "nm", "µm", "mm", "deg", "degree", "degrees", "rad", "radian"})
MAX_COUNT: Final = 1_000_000
MAX_VALUES: Final = 256
WHOLE: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Division:
    """One axis that divides another. ``values`` are what its indices stand for, None where nobody may repeat the word."""

    parent: str
    kind: str
    count: int
    values: tuple[float | str | None, ...] = ()
    unit: str | None = None


def mentions_modulo(xml: str | bytes) -> bool:
    """Return whether a document may hold such annotations at all."""
    return b"modulo" in (xml.encode() if isinstance(xml, str) else xml).lower()


def without_annotations(root: Any) -> str:
    """Return a document without its annotations, for a reader that would follow some of them."""
    for group in [element for element in root if isinstance(element.tag, str) and _local(element) == "StructuredAnnotations"]:
        root.remove(group)
    return str(etree.tostring(root, encoding="unicode"))


def divisions_of(root: Any, image: Any) -> tuple[Division, ...]:
    """Return how the axes of one image are divided, in the order t, c, z.

    Raises
    ------
    UnreadableImage : a division that does not say into how many parts, or that is stated twice.
    """
    stated = _references(image)
    found: dict[str, Division] = {}
    for annotation in _annotations(root):
        if str(annotation.get("ID", "")) not in stated:
            continue
        for along in (element for element in annotation.iter("{*}*") if _local(element) in ALONG):
            division = _division(along)
            if division.parent in found:
                raise UnreadableImage("The OME-XML divides one axis twice.")
            found[division.parent] = division
    return tuple(found[axis] for axis in "tcz" if axis in found and found[axis].count > 1)


def _references(image: Any) -> frozenset[str]:
    places = [image, *(child for child in image if isinstance(child.tag, str) and _local(child) == "Pixels")]
    refs = [ref for place in places for ref in place if isinstance(ref.tag, str) and _local(ref) == "AnnotationRef"]
    return frozenset(str(ref.get("ID", "")) for ref in refs)


def _annotations(root: Any) -> Iterator[Any]:
    for group in root:
        if isinstance(group.tag, str) and _local(group) == "StructuredAnnotations":
            yield from (one for one in group if isinstance(one.tag, str) and str(one.get("Namespace", "")).lower().endswith(NAMESPACE))


def _division(along: Any) -> Division:
    kind = str(along.get("Type", ""))
    if kind not in KINDS:
        raise UnreadableImage("The OME-XML divides an axis by a type that OME does not have.")
    labels = [str(child.text or "") for child in along if isinstance(child.tag, str) and _local(child) == "Label"]
    steps = _steps(along) if along.get("Start") is not None else None
    if (not labels and steps is None) or (labels and steps is not None and steps[2] != len(labels)):
        raise UnreadableImage("The OME-XML divides an axis and does not say, or contradicts itself, into how many parts.")
    unit = str(along.get("Unit", ""))
    values: tuple[float | str | None, ...] = tuple(_value(label) for label in labels[:MAX_VALUES])
    if not labels and steps is not None:
        values = tuple(round(steps[0] + steps[1] * number, 9) for number in range(min(steps[2], MAX_VALUES)))
    count = len(labels) or (steps[2] if steps is not None else 0)
    return Division(ALONG[_local(along)], kind, count, values, unit if unit in UNITS else None)


def _steps(along: Any) -> tuple[float, float, int]:
    """Return start, step and count; the end belongs to the steps.

    Raises
    ------
    UnreadableImage : no finite numbers, or an end that no step hits.
    """
    try:
        start, end, step = float(along.get("Start")), float(along.get("End")), float(along.get("Step", "1"))
        steps = (end - start) / step
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise UnreadableImage("The OME-XML divides an axis from, to or in steps of something that is no number.") from error
    if not (math.isfinite(start + step) and 0 <= steps < MAX_COUNT and abs(steps - round(steps)) <= WHOLE * max(1.0, steps)):
        raise UnreadableImage("The OME-XML divides an axis into steps that do not lead from its start to its end.")
    return start, step, round(steps) + 1


def _value(label: str) -> float | str | None:
    try:
        number = float(label)
    except ValueError:
        return known_words(label) or None
    return number if math.isfinite(number) else None


def _local(element: Any) -> str:
    return str(etree.QName(element).localname)
