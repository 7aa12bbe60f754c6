"""What identifies a person in a header, and keeping it out of records.

The rule is not a list of attributes to delete but a set of texts to look for: whatever the identifying attributes of this source
say (names, ids, birth dates, accession numbers, addresses) must not appear in any text of its record, wherever it was copied to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from pydicom import Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.tag import Tag

from fairlead.extract.headers import decoded, values_of

IDENTITY_KEYWORDS: Final = (
    "PatientName", "PatientID", "OtherPatientIDs", "OtherPatientNames", "PatientBirthDate", "PatientBirthName", "PatientBirthTime",
    "PatientMotherBirthName", "PatientAddress", "PatientTelephoneNumbers", "MedicalRecordLocator", "MilitaryRank",
    "PatientInsurancePlanCodeSequence",
    "AccessionNumber", "AdmissionID", "StudyID", "IssuerOfPatientID", "ReferringPhysicianName", "ReferringPhysicianAddress",
    "ReferringPhysicianTelephoneNumbers", "PhysiciansOfRecord", "PerformingPhysicianName", "NameOfPhysiciansReadingStudy", "OperatorsName",
    "RequestingPhysician", "ResponsiblePerson", "ResponsibleOrganization", "InstitutionAddress", "PersonAddress", "PersonTelephoneNumbers",
    "FillerOrderNumberImagingServiceRequest", "PlacerOrderNumberImagingServiceRequest", "RequestedProcedureID",
    "PersonIdentificationCodeSequence",
    "DeviceSerialNumber", "StationName", "CountryOfResidence", "RegionOfResidence", "PatientReligiousPreference", "Occupation",
    "ClinicalTrialSubjectID", "ClinicalTrialSubjectReadingID", "ContentCreatorName", "VerifyingObserverName", "PersonName",
)  # fmt: skip
"""Attributes of PS3.15 Table E.1-1 (2024b) that name or number a person; with every PN they form the identities of a header."""

IDENTITY_TAGS: Final = frozenset(Tag(tag) for keyword in IDENTITY_KEYWORDS if (tag := tag_for_keyword(keyword)) is not None)
BULKY_SEQUENCES: Final = frozenset({0x30060039, 0x52009230, 0x00700001, 0x006A0002, 0x00081140, 0x00082112, 0x00081199})
"""Contours, per-frame groups, drawn annotations, lists of references: many items of coordinates and UIDs; a look passes them by."""

MIN_LENGTH: Final = 3
MAX_DEPTH: Final = 8
_SEPARATORS: Final = re.compile(r"[\^=\\,;\s]+")


@cache
def is_name(tag: int) -> bool:
    """Return whether an attribute is a person name by its VR."""
    try:
        return str(dictionary_VR(tag)) == "PN"
    except KeyError:
        return False


@cache
def is_identifying(tag: int) -> bool:
    """Return whether an attribute identifies a person: listed, or a person name by its VR (PS3.5 section 6.2)."""
    return Tag(tag) in IDENTITY_TAGS or is_name(tag)


def identities(dataset: Dataset, *, tags: Iterable[int] | None = None) -> set[str]:
    """Return the texts of the identifying attributes, also inside sequences, folded, whole and by component; ``tags`` narrows the look."""
    found: set[str] = set()
    _gather(dataset, found, tags, depth=MAX_DEPTH)
    return found


def _gather(dataset: Dataset, found: set[str], tags: Iterable[int] | None = None, *, depth: int) -> None:
    for tag in list(dataset.keys()) if tags is None else tags:
        if not _may_name(int(tag)):
            continue
        identifying = is_identifying(int(tag))
        if not identifying and not _is_sequence(dataset, int(tag)):
            continue
        for value in values_of(decoded(dataset, tag)):
            if isinstance(value, Dataset):
                if depth:
                    _gather(value, found, depth=depth - 1)
            elif identifying:
                found |= (name_spellings if is_name(int(tag)) else spellings)(str(value))


@cache
def _may_name(tag: int) -> bool:
    """Return whether an attribute identifies, or may be a sequence with attributes that do: by PS3.6, private ones always."""
    try:
        return is_identifying(tag) or (str(dictionary_VR(tag)) == "SQ" and tag not in BULKY_SEQUENCES)
    except KeyError:
        return True


def _is_sequence(dataset: Dataset, tag: int) -> bool:
    """Return whether an element is a sequence; a value that says by its VR that it is none is not decoded for that."""
    raw: Any = dataset.get_item(tag, keep_deferred=True)
    if getattr(raw, "VR", None) not in (None, "SQ", "UN"):
        return False
    element = decoded(dataset, tag)
    return element is not None and element.VR == "SQ"


def spellings(text: str) -> set[str]:
    """Return the forms in which an identity may be repeated: whole, spaced, and each component of three characters or more.

    >>> sorted(spellings("Doe^Jane"))
    ['doe', 'doe jane', 'doe^jane', 'jane']
    """
    parts = [part.casefold() for part in _SEPARATORS.split(text.strip()) if part]
    whole = {text.strip().casefold(), " ".join(parts)} if parts else set()
    return {form for form in parts if len(form) >= MIN_LENGTH} | {form for form in whole if len(form) > MIN_LENGTH}


def name_spellings(text: str) -> set[str]:
    """Return the forms in which a person's name may be repeated: also turned round, run together, and its parts of two letters.

    A single letter is no identity of its own, only within the whole name (PS3.5 section 6.2.1: groups by ``=``, components by ``^``).

    >>> sorted(name_spellings("Li^Bo"))
    ['bo', 'bo li', 'boli', 'li', 'li bo', 'li^bo', 'libo']
    """
    found = spellings(text)
    for group in text.casefold().split("="):
        parts = [part for part in _SEPARATORS.split(group.strip()) if part]
        found |= {part for part in parts if len(part) == 2 and part.isalpha()}
        for ordered in (parts, parts[::-1]) if len(parts) > 1 else ():
            found |= {" ".join(ordered), "".join(ordered)}
    return {form for form in found if len(form) > 1}


class Scrubber:
    """Decides whether a text of the record repeats an identity of the source."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known = set(known)

    def learn(self, texts: Iterable[str]) -> None:
        """Add identities, already folded (:func:`identities`, :func:`spellings`)."""
        self._known.update(texts)

    def repeats(self, text: str) -> bool:
        """Return whether free text contains an identity: a long one or one of another script anywhere, a short one as a whole word."""
        folded = text.casefold()
        if folded in self._known:
            return True
        plain = re.split(r"\W+", folded)
        words = frozenset(_SEPARATORS.split(folded)) | frozenset(plain)
        spaced = f" {' '.join(plain)} "
        return any(
            known in words or f" {known} " in spaced if len(known) <= MIN_LENGTH and known.isascii() else known in folded
            for known in self._known
        )

    def equals(self, value: Any) -> bool:
        """Return whether a coded or numeric value is, as a whole, an identity."""
        text = str(value).strip().casefold()
        return len(text) >= MIN_LENGTH and text in self._known
