"""One value per field for a whole series: every header is asked, distinct values are kept, mixed ones are told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from pydicom import Dataset

from fairlead.extract.catalogue import FieldCatalogue
from fairlead.extract.declarations import FieldDeclaration
from fairlead.extract.identity import Scrubber
from fairlead.extract.readings import READINGS, as_text
from fairlead.extract.tagpaths import Coded, TagPath, parse_path, value_type
from fairlead.extract.vocabulary import Vocabulary, curie_of, vocabulary
from fairlead.records import Concept, Scalar, Value

CODED_VRS: Final = frozenset({"CS", "UI", "SQ", "DA", "DT", "AT"})
MAX_DISTINCT: Final = 64
"""Distinct values kept per field; beyond it numbers keep their extremes and texts the first ones."""

MAX_REMEMBERED_BYTES: Final = 256


@dataclass(slots=True)
class Gathered:
    """What the instances of a series say about one field, in the order of arrival."""

    declared: FieldDeclaration
    paths: tuple[TagPath, ...]
    seen: dict[Any, int] = field(default_factory=dict)
    answers: set[tuple[Any, ...]] = field(default_factory=set)
    overflow: bool = False
    lowest: float | None = None
    highest: float | None = None
    coded_only: bool = False
    _known: dict[bytes, tuple[Any, ...]] = field(default_factory=dict)
    _last: tuple[Any, ...] = ()
    _asked: int = 0

    @property
    def tags(self) -> frozenset[int] | None:
        """Top-level tags that the answer depends on, None when it may depend on any (private blocks)."""
        firsts = [path.tops for path in self.paths]
        return None if None in firsts else frozenset(tag for tags in firsts if tags for tag in tags)

    def observe(self, dataset: Dataset, number: int) -> None:
        """Take the values of instance ``number`` from the first path that states any; those passed over said what the last one did."""
        self.settle(number)
        self._asked, self._last = number + 1, ()
        for path in self.paths:
            if found := self._read(path, dataset):
                self._last = found
                self._count(found)
                return

    def forget(self) -> None:
        """Forget what bytes meant: in another encoding or character set they may mean something else."""
        self._known.clear()

    def settle(self, count: int) -> None:
        """Count the instances before ``count`` that were passed over, because nothing that the field reads differed in them."""
        for value in self._last if count > self._asked else ():
            if value in self.seen:
                self.seen[value] += count - self._asked
        self._asked = count

    def _read(self, path: TagPath, dataset: Dataset) -> tuple[Any, ...]:
        raw = path.raw(dataset) if path is self.paths[0] else None
        if raw is not None and raw in self._known:
            return self._known[raw]
        found = tuple(value for value in (self._reading(one) for one in path.values(dataset)) if value is not None)
        if raw is not None and len(self._known) < MAX_DISTINCT and len(raw) <= MAX_REMEMBERED_BYTES:
            self._known[raw] = found
        return found

    def _reading(self, value: Any) -> Any:
        return value if isinstance(value, Coded) else READINGS[self.declared.type](value)

    def _count(self, found: tuple[Any, ...]) -> None:
        if len(self.answers) < MAX_DISTINCT:
            self.answers.add(found)
        for value in found:
            if isinstance(value, float | int) and not isinstance(value, bool):
                self.lowest = value if self.lowest is None else min(self.lowest, value)
                self.highest = value if self.highest is None else max(self.highest, value)
            if value in self.seen or len(self.seen) < MAX_DISTINCT:
                self.seen[value] = self.seen.get(value, 0) + 1
            else:
                self.overflow = True

    @property
    def mixed(self) -> bool:
        """Whether two instances answer differently; one instance with several values is not mixed."""
        return len(self.answers) > 1

    @property
    def commonest(self) -> Any:
        """The value most instances state, the first of equals; None when none does."""
        return max(self.seen, key=lambda value: self.seen[value]) if self.seen else None


class Consolidation:
    """The promoted DICOM attributes of one series, driven by the catalogue: a field is read because it is declared."""

    def __init__(self, catalogue: FieldCatalogue, project: str) -> None:
        declared = (one for one in catalogue.of_project(project) if one.source.dicom)
        self.fields = {one.id: _gathering(one) for one in declared}

        self._free = [one for one in self.fields.values() if one.tags is None]
        self._by_tag: dict[int, list[Gathered]] = {}
        for gathered in self.fields.values():
            for tag in gathered.tags or ():
                self._by_tag.setdefault(tag, []).append(gathered)
        self._count = 0
        self._encoding: tuple[Any, str] | None = None

    def observe(self, dataset: Dataset, changed: frozenset[int] | None = None) -> None:
        """Take one header; ``changed`` are the tags that differ from the one before, None for any."""
        encoding = (dataset.original_encoding, str(dataset.original_character_set))
        for gathered in self._affected(changed):
            if encoding != self._encoding:
                gathered.forget()
            gathered.observe(dataset, self._count)
        self._count, self._encoding = self._count + 1, encoding

    def _affected(self, changed: frozenset[int] | None) -> Iterable[Gathered]:
        if changed is None:
            return self.fields.values()
        touched = [one for tag in changed & self._by_tag.keys() for one in self._by_tag[tag]]
        if any(tag & 0x00010000 for tag in changed):
            touched += self._free
        return {id(one): one for one in touched}.values()

    def finish(self) -> None:
        """Count the instances that were passed over; to be called before anything is asked."""
        for gathered in self.fields.values():
            gathered.settle(self._count)

    def concept(self, name: str, scrubber: Scrubber) -> Concept | None:
        """Return the series' concept of a core field: the commonest value that maps, else the commonest one, raw."""
        gathered = self.fields.get(name)
        if gathered is None or gathered.declared.vocabulary is None:
            return None
        words = vocabulary(gathered.declared.vocabulary)
        ranked = sorted(gathered.seen, key=lambda value: -gathered.seen[value])
        concepts = [concept for value in ranked if (concept := concept_of(value, words)) and not _told(concept, scrubber)]
        return next((concept for concept in concepts if concept.curie), concepts[0] if concepts else None)

    def number(self, name: str) -> int | float | None:
        """Return the commonest number of a core field."""
        value = self.fields[name].commonest if name in self.fields else None
        return value if isinstance(value, int | float) else None

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the distinct texts of a field, in order."""
        return tuple(value for value in self.fields[name].seen if isinstance(value, str)) if name in self.fields else ()

    def promoted(self, prefix: str, scrubber: Scrubber) -> dict[str, Value]:
        """Return the values of the fields below ``prefix`` of a record (``community`` or ``custom``), by field id."""
        chosen = {name: one for name, one in self.fields.items() if one.declared.path.startswith(prefix)}
        values = {name: consolidated(one, scrubber) for name, one in chosen.items()}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def mixed(self) -> tuple[str, ...]:
        """Ids of the fields on which instances disagree, sorted."""
        return tuple(sorted(name for name, one in self.fields.items() if one.mixed))


def _gathering(declared: FieldDeclaration) -> Gathered:
    paths = tuple(parse_path(text) for text in declared.source.dicom)
    return Gathered(declared, paths, coded_only=all(value_type(path) in CODED_VRS for path in paths))


def consolidated(gathered: Gathered, scrubber: Scrubber) -> Value | None:
    """Return a field's distinct values without those that repeat an identity: none, one, or a sorted tuple."""
    if (
        gathered.overflow
        and gathered.declared.type in ("integer", "float")
        and gathered.lowest is not None
        and gathered.highest is not None
    ):
        return (gathered.lowest, gathered.highest)
    return tidy(gathered.seen, gathered.declared, scrubber, coded_only=gathered.coded_only)


def tidy(values: Iterable[Any], declared: FieldDeclaration, scrubber: Scrubber, *, coded_only: bool = False) -> Value | None:
    """Return raw values as a record keeps them: identities dropped, duplicates joined, sorted, a single one alone.

    ``coded_only`` says that the source attributes hold codes and UIDs, which are compared as a whole: a patient id of four digits
    must not strike out every UID that contains them.
    """
    safe = (value for value in values if not tells(value, declared, scrubber, coded_only=coded_only))
    kept = {scalar for value in safe if (scalar := scalar_of(value, declared)) is not None}
    if not kept:
        return None
    ordered = tuple(sorted(kept, key=lambda value: (str(type(value)), value)))
    return ordered[0] if len(ordered) == 1 else ordered


def scalar_of(value: Any, declared: FieldDeclaration) -> Scalar | None:
    """Return one value of a field as a scalar: through its vocabulary, else a CURIE or the meaning of a code."""
    if declared.vocabulary is not None:
        return canonical(value, vocabulary(declared.vocabulary))
    if isinstance(value, Coded):
        return curie_of(value.code, value.scheme) or as_text(value.meaning)
    scalar: Scalar = value
    return scalar


def tells(value: Any, declared: FieldDeclaration, scrubber: Scrubber, *, coded_only: bool) -> bool:
    """Return whether a raw value would tell an identity of the source; a term of a vocabulary or a standard code tells none."""
    if declared.type not in ("keyword", "text"):
        return scrubber.equals(value)
    if isinstance(value, Coded):
        return curie_of(value.code, value.scheme) is None and scrubber.repeats(f"{value.code} {value.meaning}")
    if declared.vocabulary is not None and vocabulary(declared.vocabulary).knows(str(value)):
        return False
    return scrubber.equals(value) if coded_only else scrubber.repeats(str(value))


def canonical(value: Any, words: Vocabulary) -> str | None:
    """Return the one spelling of a raw value, as facets show it."""
    concept = concept_of(value, words)
    return None if concept is None else concept.curie or concept.label or concept.raw


def concept_of(value: Any, words: Vocabulary) -> Concept | None:
    """Return the concept of a raw value or a coded entry; None where a closed vocabulary does not have it."""
    if not isinstance(value, Coded):
        text = as_text(value)
        return words.concept(text) if text else None
    meaning = as_text(value.meaning) or as_text(value.code) or "?"
    curie = curie_of(value.code, value.scheme)
    if words.scheme == "SCT" and curie is not None and curie.startswith("SCT:"):
        return Concept(raw=meaning, curie=curie, label=words.labels.get(curie, meaning))
    known = [words.concept(text) for text in ((curie or value.code).partition(":")[2] or value.code, meaning)]
    found = next((concept for concept in known if concept is not None and concept.label), known[-1])
    return found.model_copy(update={"raw": meaning}) if found is not None else None


def _told(concept: Concept, scrubber: Scrubber) -> bool:
    return concept.curie is None and scrubber.repeats(concept.raw)
