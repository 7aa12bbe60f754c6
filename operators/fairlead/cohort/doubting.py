"""Values of a definition that nobody has: a misspelt one counts 0 like a right one, so it is questioned, never corrected.

A value is doubtful when no record states it and no vocabulary knows it; the nearest that are known or stated come with it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from fairlead.cohort.counting import narrowed
from fairlead.cohort.nodes import Compare, Definition, walk
from fairlead.errors import UnsupportedInput
from fairlead.extract import FieldCatalogue, FieldDeclaration, concept_label, vocabulary
from fairlead.index import Criterion, Index, Term

MOST: Final = 20
"""Values that are looked up; a longer list was hardly typed by hand."""
NEAREST: Final = 3
MOST_WORDS: Final = 2_000
"""Words that one is compared with."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A value that nobody states and no vocabulary knows, the fields it is asked of, and what it may have been meant to be."""

    value: str
    fields: tuple[str, ...]
    nearest: tuple[str, ...]

    @property
    def words(self) -> str:
        """One line for people."""
        meant = f"; did you mean {' or '.join(map(repr, self.nearest))}?" if self.nearest else "."
        return f"No record states {self.value!r} as {' or '.join(self.fields)}, and no vocabulary knows it{meant}"


def doubts(definition: Definition, index: Index, catalogue: FieldCatalogue, within: Criterion) -> tuple[Doubt, ...]:
    """Return the doubtful values in the order in which they are asked for, each once; at most twenty are looked up."""
    asked: dict[str, list[FieldDeclaration]] = {}
    for field, value in _words(definition, catalogue):
        declared = catalogue.get(field)
        if not _is_known(declared, value) and (value in asked or len(asked) < MOST):
            asked.setdefault(value, []).append(declared)
    unheard = {value: fields for value, fields in asked.items() if not any(_is_stated(field, value, index, within) for field in fields)}
    known = {field.id: _known(field, index, within) for fields in unheard.values() for field in fields}
    return tuple(
        Doubt(value, tuple(dict.fromkeys(field.id for field in fields)), _nearest(value, [known[field.id] for field in fields]))
        for value, fields in unheard.items()
    )


def _words(definition: Definition, catalogue: FieldCatalogue) -> Iterator[tuple[str, str]]:
    yield from (("center", name) for name in definition.centers)
    yield from (("project", name) for name in definition.projects)
    for tree in definition.trees:
        for node in walk(tree):
            if isinstance(node, Compare) and node.op == "in" and catalogue.get(node.field).type == "keyword":
                yield from ((node.field, str(value)) for value in node.values)


def _is_known(declared: FieldDeclaration, value: str) -> bool:
    labels = vocabulary(declared.vocabulary).labels if declared.vocabulary is not None else {}
    return value in labels or (":" in value and concept_label(value) is not None)


def _is_stated(declared: FieldDeclaration, value: str, index: Index, within: Criterion) -> bool:
    return index.count(narrowed(Term(declared.id, value), within)).series > 0


def _known(declared: FieldDeclaration, index: Index, within: Criterion) -> dict[str, str]:
    """Return what a value may have been meant to be: by each spelling of it, how to write it."""
    found: dict[str, str] = {}
    if declared.vocabulary is not None:
        for value, label in vocabulary(declared.vocabulary).labels.items():
            found |= {label: label, value.rpartition(":")[2]: value}
    if declared.facetable:  # others have too many values to be listed
        with suppress(UnsupportedInput):  # too many values after all: then there is no proposal
            (buckets,) = index.facets(within, [declared.id]).values()
            found |= {str(bucket.value): str(bucket.value) for bucket in buckets[:MOST_WORDS] if bucket.value is not None}
    return found


def _nearest(value: str, known: list[dict[str, str]]) -> tuple[str, ...]:
    words = {word.casefold(): written for each in known for word, written in each.items()}
    close = difflib.get_close_matches(value.casefold()[:100], list(words)[:MOST_WORDS], n=NEAREST)
    return tuple(dict.fromkeys(words[word] for word in close))
