"""Patients as small numbers: each that is ever counted gets one, for ever, so that sets of patients are Roaring bitmaps.

Numbers outlive the index: rebuilt, it still gives the same patients, and answers given before are found again.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import batched
from typing import Final, Protocol, runtime_checkable

from pyroaring import BitMap
from sqlalchemy import Connection, insert, select

from fairlead.federation.noise import PatientNoise
from fairlead.federation.secrets import Keyring
from fairlead.federation.tables import patients
from fairlead.index import All, And, AtLeast, Criterion, Has, Index, Not, Or

BATCH: Final = 5_000
MOST_SETS: Final = 2_000


@runtime_checkable
class CountsPatients(Protocol):
    """An index that names patients without naming their series first."""

    def patients(self, criterion: Criterion) -> frozenset[str]:
        """Return the keys of the patients who have a matching record."""
        ...


def patient_keys(index: Index, criterion: Criterion) -> frozenset[str]:
    """Return the keys of the patients who have a matching record."""
    return index.patients(criterion) if isinstance(index, CountsPatients) else frozenset(index.members(criterion).patients)


class PatientRegister:
    """The numbers of the patients, and what each of them carries into the noise."""

    def __init__(self, ring: Keyring) -> None:
        self.noise = PatientNoise(ring)
        self._ring = ring
        self._ordinals: dict[str, int] = {}  # by key, as far as met in this process
        self._tags: dict[str, int] = {}
        self._highest = 0

    def load(self, connection: Connection) -> None:
        """Take in what other processes registered."""
        found = {tag: ordinal for ordinal, tag in connection.execute(select(patients).where(patients.c.ordinal > self._highest))}
        self._tags |= found
        self._highest = max((self._highest, *found.values()))
        self.noise.learn({ordinal: tag for tag, ordinal in found.items()})

    def known(self, keys: Iterable[str]) -> BitMap | None:
        """Return a set of patients who were all met in this process, None when one was not."""
        try:
            return BitMap([self._ordinals[key] for key in keys])
        except KeyError:
            return None

    def bitmap(self, connection: Connection, keys: Iterable[str]) -> BitMap:
        """Return a set of patients, registering those who are new; needs a writing connection."""
        fresh = [key for key in keys if key not in self._ordinals]
        if fresh:
            tagged = {key: self._ring.forever("patient", key).hex()[:32] for key in fresh}
            unknown = sorted({tag for tag in tagged.values() if tag not in self._tags})
            for page in batched(unknown, BATCH):
                connection.execute(insert(patients), [{"tag": tag} for tag in page])
            self.load(connection)
            self._ordinals |= {key: self._tags[tag] for key, tag in tagged.items()}
        return BitMap([self._ordinals[key] for key in keys])


class Numbers(Protocol):
    """Who turns keys of patients into a set of numbers."""

    def bitmap(self, keys: frozenset[str]) -> BitMap:
        """Return the set."""
        ...


class PatientSets:
    """Who matches a criterion, remembered as long as the index holds the same: parts of a question come again in the next one."""

    def __init__(self, index: Index, numbers: Numbers) -> None:
        self._index, self._numbers = index, numbers
        self._found: dict[Criterion, BitMap] = {}
        self._generation = ""

    def refresh(self) -> None:
        """Forget what was found in another state of the index."""
        generation = self._index.generation()
        if generation != self._generation or len(self._found) > MOST_SETS:
            self._found, self._generation = {}, generation

    def of(self, criterion: Criterion) -> BitMap:
        """Return the patients who have a matching record.

        Parts that hold for patients as a whole are counted one by one: they come again in other combinations, and sets of patients
        are joined faster than an index is asked.
        """
        match criterion:
            case And((only,)):
                return self.of(only)
            case Or(of) if of:
                return BitMap.union(*map(self.of, of))
            case And(of) if any(map(_of_patients, of)):
                rest = tuple(part for part in of if not _of_patients(part))
                whole = [self.of(part) for part in of if _of_patients(part)]
                return BitMap.intersection(*whole, *([self.of(And(rest))] if rest else []))
            case _:
                return self._asked(criterion)

    def _asked(self, criterion: Criterion) -> BitMap:
        kept = self._found  # of this state of the index: another question may forget it while we count
        found = kept.get(criterion)
        if found is None:
            found = kept[criterion] = self._numbers.bitmap(patient_keys(self._index, criterion))
        return found


def _of_patients(criterion: Criterion) -> bool:
    """Return whether a criterion holds for all records of a patient or for none."""
    match criterion:
        case All() | Has(same="patient"):
            return True
        case And(of) | Or(of) | AtLeast(of=of):
            return all(map(_of_patients, of))
        case Not(of=inner):
            return _of_patients(inner)
        case _:
            return False
