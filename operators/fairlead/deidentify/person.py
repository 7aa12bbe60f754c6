"""Who a data set is about, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydicom.dataset import Dataset

from fairlead.deidentify.identity import Identity
from fairlead.deidentify.profile import Profile


@dataclass(frozen=True, slots=True)
class Person:
    """Who the data set is about, in house (``key``), outside (``pseudonym``), and by how many days the dates move."""

    key: str
    pseudonym: str
    days: int
    patient_id: str = field(default="", repr=False)
    """In house only, for the encrypted lookup table."""
    issuer: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Result:
    """A de-identified data set, and the identity that was taken out of it, for the gate."""

    dataset: Dataset
    identity: Identity
    person: Person
    profile: Profile
    """The profile with the conditions that hold for this instance."""
    face: bool
