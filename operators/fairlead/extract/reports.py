"""What a structured report measures: the coded names of its NUM content items (PS3.3 C.17.3), never their values or texts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydicom import Dataset

from fairlead.extract.headers import decoded, values_of
from fairlead.extract.tagpaths import Coded, coded

CONTENT_TREE: Final = 0x0040A730
MAX_DEPTH: Final = 12
MAX_MEASURED: Final = 256


def measured_concepts(dataset: Dataset, *, depth: int = 0) -> Iterator[Coded]:
    """Yield the concept name of every numeric content item, in the order of the tree; deeper than 12 levels nothing is looked for."""
    if CONTENT_TREE not in dataset or depth > MAX_DEPTH:
        return
    for item in values_of(decoded(dataset, CONTENT_TREE)):
        if not isinstance(item, Dataset):
            continue
        kind = decoded(item, "ValueType")
        if kind is not None and str(kind.value) == "NUM":
            yield from _names(item)
        yield from measured_concepts(item, depth=depth + 1)


def _names(item: Dataset) -> Iterator[Coded]:
    for name in values_of(decoded(item, "ConceptNameCodeSequence"))[:1]:
        concept = coded(name) if isinstance(name, Dataset) else None
        if concept is not None:
            yield concept
