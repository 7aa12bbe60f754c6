"""The facet cards on the left, in a radiologist's order: which field each shows, and how it is filtered."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fairlead.records import Scalar


class CardKind(StrEnum):
    """How a card is filtered."""

    VALUES = "values"
    NUMBER = "number"
    DATE = "date"


@dataclass(frozen=True, slots=True)
class Card:
    """One facet card. ``always`` cards are shown although no record has a value; the others appear with their data."""

    field: str
    title: str
    kind: CardKind = CardKind.VALUES
    always: bool = False
    unit: str = ""


CARDS: Final = (
    Card("modality", "Modality", always=True),
    Card("body_part", "Body part", always=True),
    Card("study_date", "Date", kind=CardKind.DATE, always=True),
    Card("patient.age_years", "Age", kind=CardKind.NUMBER, always=True, unit="years"),
    Card("patient.sex", "Sex", always=True),
    Card("manufacturer", "Manufacturer", always=True),
    Card("model", "Model"),
    Card("series.slice_thickness_mm", "Slice thickness", kind=CardKind.NUMBER, always=True, unit="mm"),
    Card("series.geometry", "Geometry", always=True),
    Card("contrast_agent", "Contrast agent"),
    Card("organism", "Organism"),
    Card("imaging_method", "Imaging method"),
    Card("ome.channel_name", "Channels"),
    Card("ome.objective_magnification", "Objective"),
    Card("kind", "Kind of image"),
    Card("project", "Project"),
    Card("center", "Centre"),
    Card("licence", "Licence"),
)
"""Ids of configs/fields.yaml; a card whose field the catalogue in use does not declare is left out."""


def cards_for(fields: Collection[str]) -> tuple[Card, ...]:
    """Return the cards whose fields exist in the catalogue in use."""
    return tuple(card for card in CARDS if card.field in fields)


KINDS: Final[Mapping[str, str]] = {"dicom-series": "DICOM series", "ome-image": "OME image"}
MODALITY_PREFIX: Final = "DCM:"


def short_label(value: Scalar | None, label: str) -> str:
    """Return the word that people in the field use, where it is shorter than the vocabulary's.

    >>> short_label("DCM:CT", "Computed Tomography"), short_label("SCT:69536005", "Head"), short_label(20.0, "20.0")
    ('CT', 'Head', '20')
    """
    if isinstance(value, float):
        return f"{value:g}"
    text = value if isinstance(value, str) else ""
    return text.removeprefix(MODALITY_PREFIX) if text.startswith(MODALITY_PREFIX) else KINDS.get(text, label)
