"""Which acquisition facts of a header may stay in a store: numbers, terms that DICOM defines, and words known to be harmless.

A value representation such as CS says only how a value should look; anybody can type a name into it. So a text stays when DICOM lists it
(PS3.3), when it names a maker, a machine or a reconstruction kernel in common use, or when all its words are known; else it is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from fairlead.convert.words import known_words
from fairlead.records import JsonObject

OURS: Final = ("ModalityLUT",)
"""Facts whose words are ours."""
METHOD: Final = re.compile(r"ISO_[0-9]{4,6}_[0-9]{1,3}|0[01]|ISO_IR [0-9]{1,3}|ISO 2022 IR [0-9]{1,3}|GB18030|GBK")
"""LossyImageCompressionMethod and LossyImageCompression (C.7.6.1.1.5), SpecificCharacterSet (C.12.1.1.2)."""
KERNEL: Final = re.compile(
    r"[A-Z][a-z]?[0-9]{2}[a-z]?|FC[0-9]{2}|[A-D]|[UYE][A-D]|STD\+?|STANDARD\+?|SOFT|LUNG|BONE(PLUS)?|All-pass|[0-9]{1,3}"
)
TERMS: Final = "fact_terms.txt"


def fit_facts(facts: Mapping[str, Any]) -> JsonObject:
    """Return the facts that may stay, as they are."""
    return {name: value for name, value in facts.items() if fits(name, value)}


def lost_facts(facts: Mapping[str, Any]) -> tuple[str, ...]:
    """Say which facts stay behind, for the report; nothing when all of them fit."""
    lost = sorted(name for name, value in facts.items() if not fits(name, value))
    return (f"facts with words that are not known to be harmless: {', '.join(lost)}",) if lost else ()


def fits(name: str, value: Any) -> bool:
    """Return whether a value of an attribute may stay.

    >>> fits("BodyPartExamined", "CHEST"), fits("BodyPartExamined", "JOHN DOE"), fits("Manufacturer", "Dr John Doe")
    (True, False, False)
    >>> fits("Manufacturer", "SIEMENS"), fits("ConvolutionKernel", "H31s"), fits("ScanningSequence", ["SE", "IR"]), fits("KVP", 120.0)
    (True, True, True, True)
    """
    if isinstance(value, list | tuple):
        return all(fits(name, part) for part in value)
    if not isinstance(value, str) or not value or name in OURS:
        return True
    if METHOD.fullmatch(value) or all(word in _words("terms") for word in value.split()):
        return True
    if name in {"ConvolutionKernel", "kernel"} and KERNEL.fullmatch(value):
        return True
    return bool(known_words(value.replace("_", " "), _allowed(name)))


def fit_part(differs: Mapping[str, Any]) -> JsonObject:
    """Return what tells an image from others of its series; a text that may not stay becomes None."""
    return {name: value if fits(name, value) else None for name, value in differs.items()}


def fit_words(values: tuple[str, ...]) -> list[str]:
    """Return the values of an attribute in their places; one that may not stay becomes OTHER."""
    return [value if fits("", value) else "OTHER" for value in values]


def _allowed(name: str) -> frozenset[str]:
    if name == "Manufacturer":
        return _words("makers")
    return _words("makers") | _words("models") if name == "ManufacturerModelName" else frozenset()


@cache
def _words(section: str) -> frozenset[str]:
    """Return the words of one section of the packaged list."""
    text = files(__package__).joinpath(TERMS).read_text("utf-8")
    lines = text.partition(f"[{section}]\n")[2].partition("\n[")[0].splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())
