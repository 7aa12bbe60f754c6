"""How an OME-XML divides T, C or Z further, kept without words: without it an image of six axes would read as one of five.

Source: OME model, "6D, 7D and 8D storage". Types of the enumeration, numbers and units stay; labels that are no short numbers become their
place in the list, and descriptions of types go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from lxml import etree

from fairlead.deidentify.ome_values import NUMBER, UNITS

NAMESPACE: Final = "openmicroscopy.org/omero/dimension/modulo"
KINDS: Final = frozenset({"angle", "phase", "tile", "lifetime", "lambda", "other"})
ALONG: Final = ("ModuloAlongZ", "ModuloAlongT", "ModuloAlongC")
DEGREES: Final = frozenset({"degree", "degrees", "radian"})
SHORT: Final = re.compile(r"[+-]?[0-9]{1,5}(?:\.[0-9]{1,4})?")
"""Labels that may stay: wavelengths, angles, times; a longer number could be one of a person."""

type Divided = list[tuple[int, Any]]
"""The place of an image in its document, and the annotation that says how its axes are divided, without words."""


def divided_images(root: Any) -> Divided:
    """Return what a document says of divided axes, image by image; read before the document is cleaned."""
    stated = {str(one.get("ID", "")): one for one in _modulos(root)}
    return [
        (number, _bare(stated[name]))
        for number, image in enumerate(root.findall("{*}Image"))
        for name in dict.fromkeys(str(ref.get("ID", "")) for ref in [*image.findall("{*}AnnotationRef"), *_of_pixels(image)])
        if name in stated
    ]


def annotate(root: Any, divided: Divided) -> None:
    """Put the annotations into a cleaned document, under identifiers of our own."""
    images = root.findall("{*}Image")
    if not divided:
        return
    namespace = etree.QName(root).namespace
    group = etree.Element(etree.QName(_of_annotations(namespace), "StructuredAnnotations"))
    for number, (image, modulo) in enumerate(divided):
        name = f"Annotation:{number}"
        annotation = etree.SubElement(group, etree.QName(_of_annotations(namespace), "XMLAnnotation"), ID=name, Namespace=NAMESPACE)
        etree.SubElement(annotation, etree.QName(_of_annotations(namespace), "Value")).append(modulo)
        etree.SubElement(images[image], etree.QName(_of_annotations(namespace), "AnnotationRef"), ID=name)
    images[-1].addnext(group)


def _of_annotations(namespace: str | None) -> str | None:
    """Return the namespace of annotations: one of their own before the schema of 2016-06."""
    if namespace is None or namespace >= "http://www.openmicroscopy.org/Schemas/OME/2016":
        return namespace
    return namespace.replace("/Schemas/OME/", "/Schemas/SA/")


def _modulos(root: Any) -> Iterator[Any]:
    for group in root.findall("{*}StructuredAnnotations"):
        yield from (one for one in group.findall("{*}XMLAnnotation") if str(one.get("Namespace", "")).lower().endswith("/dimension/modulo"))


def _of_pixels(image: Any) -> list[Any]:
    return [ref for pixels in image.findall("{*}Pixels") for ref in pixels.findall("{*}AnnotationRef")]


def _bare(annotation: Any) -> Any:
    modulo = etree.Element("Modulo", namespace="http://www.openmicroscopy.org/Schemas/Additions/2011-09")
    for along in annotation.iter(*(f"{{*}}{name}" for name in ALONG)):
        kept = etree.SubElement(modulo, str(etree.QName(along).localname), _attributes(along.attrib))
        for number, label in enumerate(along.findall("{*}Label")):
            text = str(label.text or "").strip()
            etree.SubElement(kept, "Label").text = text if SHORT.fullmatch(text) else str(number)
    return modulo


def _attributes(stated: Mapping[str, str]) -> dict[str, str]:
    found = {name: value for name in ("Start", "End", "Step") if NUMBER.fullmatch(value := str(stated.get(name, "")).strip())}
    kind, unit = str(stated.get("Type", "")), str(stated.get("Unit", ""))
    return found | {"Type": kind if kind in KINDS else "other"} | ({"Unit": unit} if unit in UNITS | DEGREES else {})
