"""Content items that say who the patient is (PS3.16 TID 1007), and what codes mean, whatever the file writes beside them.

Sex, size and weight follow the Retain Patient Characteristics option as the attributes of the header do; ages are capped; numbers and
birth dates of a subject never stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydicom.dataset import Dataset

from fairlead.deidentify.items import is_sequence, items_of
from fairlead.deidentify.profile import Profile
from fairlead.deidentify.table import Option
from fairlead.deidentify.tree import code, code_of, dummy_item, known_meanings
from fairlead.deidentify.values import REMOVED
from fairlead.deidentify.words import clean_words, remove_words, words_of

CONCEPT_NAME: Final = 0x0040A043
MEASURED: Final = 0x0040A300
UNITS: Final = 0x004008EA
LONGEST_MEANING: Final = 64
VALUE_TYPE: Final = "ValueType"
IDENTIFIERS: Final = frozenset({
    "121030", "121031",  # Subject ID, Subject Birth Date (DCM)
    "21112-8", "184099003", "399753006", "422549004", "371484003",  # date of birth, of death, patient name
})  # fmt: skip
AGES: Final = frozenset({"121033", "397669002", "424144002", "445518008", "30525-0", "29553-5", "63900-5"})
TRAITS: Final = AGES | {
    "121032", "121034", "121035",  # Subject Sex, Species, Breed (DCM)
    "263495000", "734000001", "248152002", "248153007", "46098-0", "72143-1", "76689-9", "21840-4",  # sex and gender
    "8302-2", "3137-7", "3138-5", "50373000", "248333004", "1153637007",  # height
    "29463-7", "3141-9", "3142-7", "27113001", "726527001",  # weight
    "3140-1", "8277-6", "39156-5", "60621009", "301898006", "77386006", "11449-6", "397674005", "103579009", "32624-9", "46463-6",
}  # fmt: skip
"""Codes of DCM, SCT and LN; their values do not collide."""
YEARS_PER: Final[Mapping[str, float]] = {"a": 1, "mo": 1 / 12, "wk": 7 / 365.25, "d": 1 / 365.25, "h": 1 / 8766, "min": 1 / 525960}


def cleaned_item(item: Dataset, copy: Dataset, profile: Profile, depth: int) -> Dataset:
    """Return the copy of a content item, or a neutral one where the item says what the profile does not keep of the patient."""
    names = items_of(item, CONCEPT_NAME, depth) if is_sequence(item, CONCEPT_NAME) else []
    values = {code_of(name)[1] for name in names}
    keeps = Option.RETAIN_PATIENT_CHARACTERISTICS in profile.options
    if values & IDENTIFIERS or (values & TRAITS and not keeps):
        return _neutral(copy)
    return _capped(copy, profile.oldest_age) if values & AGES else copy


def _neutral(copy: Dataset) -> Dataset:
    """Return a text item in place of another, so that references by position still hold."""
    neutral = dummy_item(0x00400555)
    if "RelationshipType" in copy:
        neutral.RelationshipType = copy.RelationshipType
    return neutral


def _capped(copy: Dataset, oldest: int) -> Dataset:
    """Return a content item with an age above ``oldest`` years replaced; one that is no number with a unit of time goes."""
    measured = list(copy.get("MeasuredValueSequence") or [])
    if copy.get(VALUE_TYPE) != "NUM" or len(measured) != 1:
        return _neutral(copy)
    units = list(measured[0].get("MeasurementUnitsCodeSequence") or [])
    per = YEARS_PER.get(code_of(units[0])[1]) if units else None
    try:
        years = float(measured[0].NumericValue) * (per or 0)
    except (AttributeError, TypeError, ValueError):
        return _neutral(copy)
    if per is None:
        return _neutral(copy)
    value = Dataset()
    value.NumericValue = str(oldest + 1) if years >= oldest + 1 else measured[0].NumericValue
    value.MeasurementUnitsCodeSequence = [code("a", "UCUM", "year")] if years >= oldest + 1 else units
    copy.MeasuredValueSequence = [value]
    return copy


def meant_by(item: Dataset, stated: str, *, forbidden: frozenset[str]) -> str:
    """Return the meaning of a code: what the file states if terms and the dictionary know every word of it, else that of the dictionary.

    Of a code that is in no dictionary the harmless words stay.
    """
    known = known_meanings().get(code_of(item))
    cleaned = clean_words(stated, forbidden=forbidden, allowed=frozenset(words_of(known or "")))
    if known is None or (cleaned and words_of(cleaned) == words_of(stated)):
        return (stated if cleaned and words_of(cleaned) == words_of(stated) else cleaned) or REMOVED
    return remove_words(known, forbidden=forbidden)[:LONGEST_MEANING] or REMOVED
