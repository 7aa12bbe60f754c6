"""A data source over a list of records and in-memory versions and exports: the protocols, without index or database."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fairlead.errors import EmptyCohort, NotFound
from fairlead.extract import FieldCatalogue
from fairlead.records import CohortVersion, Counts, Grain, ImagingRecord, JsonObject, Scalar
from fairlead.workbench import Answer, Bucket, ExportState, Step

type Values = Mapping[str, tuple[Scalar, ...]]

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "in": lambda value, asked: value in asked,
    "between": lambda value, asked: asked[0] <= value <= asked[1],
    ">=": lambda value, asked: value >= asked,
    "<=": lambda value, asked: value <= asked,
}


def holds(node: JsonObject, values: Values, *, ignoring: str = "") -> bool:
    """Return whether the page's criterion holds for one record."""
    if "all" in node:
        return all(holds(part, values, ignoring=ignoring) for part in node["all"])
    if node["field"] == ignoring:
        return True
    found = values.get(node["field"], ())
    if node["op"] in ("exists", "missing"):
        return bool(found) == (node["op"] == "exists")
    return any(COMPARE[node["op"]](value, node["value"]) for value in found) or (not found and node.get("orMissing", False))


@dataclass
class MemoryData:
    """Answers from a list."""

    records_held: Sequence[ImagingRecord]
    catalogue: FieldCatalogue

    def _chosen(self, definition: JsonObject, *, ignoring: str = "") -> list[ImagingRecord]:
        return [record for record in self.records_held if self._is_in(record, definition, ignoring)]

    def _is_in(self, record: ImagingRecord, definition: JsonObject, ignoring: str) -> bool:
        values = self.catalogue.values(record)
        left_out = [rule["where"] for rule in definition.get("exclude", ()) if ignoring not in str(rule["where"]) or not ignoring]
        return holds(definition["include"], values, ignoring=ignoring) and not any(holds(where, values) for where in left_out)

    def answer(self, definition: JsonObject) -> Answer:
        parts = definition["include"]["all"]
        steps = []
        for place in range(1, len(parts) + 1):
            chosen = self._chosen({**definition, "include": {"all": parts[:place]}, "exclude": []})
            steps.append(Step(str(parts[place - 1]["field"]), len({record.core.patient_key for record in chosen}), len(chosen)))
        chosen = self._chosen(definition)
        if definition.get("exclude"):
            steps.append(Step("exclusions", len({record.core.patient_key for record in chosen}), len(chosen)))
        return Answer(_counts(chosen), f"Series by {', '.join(str(part['field']) for part in parts)}.", tuple(steps))

    def facets(self, definition: JsonObject, fields: Sequence[str]) -> Mapping[str, tuple[Bucket, ...]]:
        return {name: self._facet(definition, name) for name in fields}

    def _facet(self, definition: JsonObject, name: str) -> tuple[Bucket, ...]:
        found: dict[Scalar | None, list[ImagingRecord]] = defaultdict(list)
        for record in self._chosen(definition, ignoring=name):
            for value in self.catalogue.values(record).get(name, (None,)):
                found[value].append(record)
        ordered = sorted(found.items(), key=lambda item: (item[0] is None, -len(item[1]), str(item[0])))
        return tuple(
            Bucket(value, "Unknown" if value is None else str(value), len({one.core.patient_key for one in hit}), len(hit))
            for value, hit in ordered
        )

    def records(self, definition: JsonObject, *, offset: int, limit: int) -> tuple[ImagingRecord, ...]:
        return tuple(sorted(self._chosen(definition), key=lambda record: record.id)[offset : offset + limit])


def _counts(chosen: Sequence[ImagingRecord]) -> Counts:
    return Counts(
        patients=len({record.core.patient_key for record in chosen}),
        studies=len({record.core.study_uid for record in chosen}),
        series=len(chosen),
        images=sum(record.core.instances for record in chosen),
        size_bytes=sum(record.core.size_bytes for record in chosen),
    )


@dataclass
class MemoryVersions:
    """Versions in a list; freezing twice makes two cohorts."""

    data: MemoryData
    held: list[CohortVersion] = field(default_factory=list)

    def freeze(self, definition: JsonObject, *, author: str, title: str, purpose: str) -> CohortVersion:
        answer = self.data.answer(definition)
        members = tuple(record.id for record in self.data.records(definition, offset=0, limit=1_000_000))
        if not members:
            raise EmptyCohort("The definition has no member.")
        digest = hashlib.sha256("\n".join(members).encode()).hexdigest()
        version = CohortVersion(
            id=f"00000000-0000-4000-8000-{len(self.held):012d}",
            version=1,
            title=title,
            unit=Grain.SERIES,
            definition=definition,
            definition_sha256=digest,
            members=members,
            members_sha256=digest,
            counts=answer.counts,
            sentence=answer.sentence,
            index_generation="g",
            author=author,
            purpose=purpose,
            created_at=datetime(2026, 11, 20, tzinfo=UTC),
        )
        self.held.insert(0, version)
        return version

    def newest(self) -> tuple[CohortVersion, ...]:
        return tuple(self.held)

    def get(self, ref: str) -> CohortVersion:
        for version in self.held:
            if ref in (version.ref, version.id):
                return version
        raise NotFound(f"There is no cohort version {ref}.")


@dataclass
class MemoryExports:
    """Exports in a list."""

    held: list[ExportState] = field(default_factory=list)

    def of_run(self, run_id: str) -> ExportState | None:
        return next((export for export in self.held if export.run_id == run_id), None)

    def of_cohort(self, ref: str) -> tuple[ExportState, ...]:
        return tuple(export for export in self.held if export.cohort == ref)
