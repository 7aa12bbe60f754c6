"""A diff says what changed, in words and member by member, and why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cohort.conftest import Define
from fairlead.cohort import CohortStore, SetOperation, combine, diff_versions, parse_definition, rerun
from fairlead.errors import UnsupportedInput
from fairlead.extract import FieldCatalogue
from fairlead.index import Index
from fairlead.index.embedded import EmbeddedIndex
from fairlead.records import CohortVersion
from index.builders import a_series

CT = {"field": "modality", "op": "=", "value": "CT"}
CHEST = {"field": "body_part", "op": "=", "value": "CHEST"}


@pytest.fixture
def freeze(store: CohortStore, index: Index, catalogue: FieldCatalogue, define: Define):  # type: ignore[no-untyped-def]
    def frozen(include: Any, *, title: str = "A", **more: Any) -> CohortVersion:
        return store.freeze(define(include, **more), index=index, catalogue=catalogue, author="ada", title=title)

    return frozen


def changes(a: CohortVersion, b: CohortVersion, **more: Any) -> list[tuple[str, str, str]]:
    return [(member.uid, member.change, member.cause) for member in diff_versions(a, b, **more).members]


def test_the_same_data_under_another_definition_is_owed_to_the_definition(freeze, catalogue: FieldCatalogue) -> None:  # type: ignore[no-untyped-def]
    a = freeze({"all": [CT, CHEST]}, rules=[{"name": "many", "where": {"field": "instances", "op": ">", "value": 1}}])
    b = freeze(CT, rules=[{"name": "many", "where": {"field": "instances", "op": ">", "value": 5}}], unit="patient")
    found = diff_versions(a, b, catalogue=catalogue)
    assert found.as_json() == {
        "added": 1,
        "removed": 1,
        "revised": 0,
        "causes": {"definition": 2, "data": 0, "mapping": 0, "withdrawn": 0},
        "definition_changes": [
            "counts patient, was series",
            "condition removed: body part is Chest",
            "rule changed: many (now instances is above 5)",
        ],
        "members": [
            {"uid": "1.2.2", "id": "local:default:1.2.2", "change": "removed", "cause": "definition"},
            {"uid": "1.2.4", "id": "local:default:1.2.4", "change": "added", "cause": "definition"},
        ],
        "exact": True,
    }


def test_other_data_under_the_same_definition_is_owed_to_the_data(freeze, index: Index) -> None:  # type: ignore[no-untyped-def]
    a = freeze(CT)
    index.put([a_series("4", patient="p3", study="3", body_part="HEAD"), a_series("5", patient="p5")])
    index.remove(["local:default:1.2.1"])
    b = freeze(CT)
    assert changes(a, b) == [("1.2.1", "removed", "data"), ("1.2.4", "revised", "data"), ("1.2.5", "added", "data")]


def test_when_both_changed_the_older_definition_is_asked_on_the_new_data(freeze, index: Index, catalogue: FieldCatalogue) -> None:  # type: ignore[no-untyped-def]
    a = freeze({"all": [CT, CHEST]})
    index.put([a_series("5", patient="p5", body_part="CHEST", instances=99), a_series("1", patient="p1", study="1", modality="MR")])
    b = freeze({"all": [CT, {"field": "instances", "op": ">=", "value": 10}]})
    with pytest.raises(UnsupportedInput, match="causes need the index"):
        diff_versions(a, b)
    found = diff_versions(a, b, index=index, catalogue=catalogue)
    assert [(member.uid, member.change, member.cause) for member in found.members] == [
        ("1.2.1", "removed", "data"),  # no CT any more: the older definition would have lost it too
        ("1.2.2", "removed", "definition"),  # two instances
        ("1.2.4", "added", "definition"),  # no chest
        ("1.2.5", "added", "data"),  # new, and the older definition would take it
    ]
    assert found.exact
    index.put([a_series("6", patient="p6")])
    assert not diff_versions(a, b, index=index, catalogue=catalogue).exact


def test_the_same_definition_and_data_under_another_catalogue_is_owed_to_the_mapping(freeze) -> None:  # type: ignore[no-untyped-def]
    a = freeze(CT)
    b = a.model_copy(update={"members": a.members[1:], "revisions": a.revisions[1:], "catalogue_sha256": "0" * 64})
    assert changes(a, b) == [("1.2.1", "removed", "mapping")]


def test_a_field_that_is_read_from_elsewhere_is_a_mapping(freeze, store: CohortStore, catalogue: FieldCatalogue, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    many = {"field": "series.instances", "op": ">=", "value": 30}
    a = freeze(many)
    moved = catalogue.fields["series.size_bytes"].model_copy(update={"id": "series.instances"})
    other = replace(catalogue, fields={**catalogue.fields, "series.instances": moved}, sha256="1" * 64, _by_project={})
    definition = parse_definition({"schemaVersion": "1", "title": a.title, "unit": "series", "include": many}, other)
    b = store.freeze(definition, index=EmbeddedIndex(tmp_path / "index.sqlite", other), catalogue=other, author="ada", title=a.title)
    assert (a.members, a.index_generation) == (("local:default:1.2.1",), b.index_generation)  # every other has a kilobyte, and fewer images
    found = store.diff(a.ref, b.ref)
    assert (found.count("added"), found.count("removed"), found.causes()["mapping"]) == (4, 0, 4)


def test_definition_changes_tell_scope_rules_order_and_title(freeze) -> None:  # type: ignore[no-untyped-def]
    one, two = ({"name": name, "where": {"field": "kind", "op": "exists"}} for name in ("one", "two"))
    a = freeze(CT, rules=[one, two], exclude=[{"name": "old", "where": {"field": "instances", "op": "<", "value": 1}}])
    b = freeze(
        CT,
        rules=[two, one],
        scope={"centers": ["local"]},
        exclude=[{"name": "new", "where": {"field": "instances", "op": "<", "value": 2}}],
    )
    b = b.model_copy(update={"title": "B"})
    assert diff_versions(a, b).definition_changes == (
        "scope centre added: local",
        "rules in another order",
        "exclusion removed: old",
        'exclusion added: new ({"field":"series.instances","op":"<","value":2})',
        "title was 'A'",
    )


def test_a_rerun_without_news_is_the_same_version_with_an_empty_diff(
    freeze, store: CohortStore, index: Index, catalogue: FieldCatalogue
) -> None:  # type: ignore[no-untyped-def]
    version = freeze(CT)
    before, after, found = rerun(store, version.id, index=index, catalogue=catalogue, author="bob")
    assert before == after == version
    assert found.members == ()


def test_a_rerun_freezes_what_the_data_gave_and_says_why(freeze, store: CohortStore, index: Index, catalogue: FieldCatalogue) -> None:  # type: ignore[no-untyped-def]
    first = freeze(CT)
    index.put([a_series("5", patient="p5")])
    before, after, found = rerun(store, first.id, index=index, catalogue=catalogue, author="bob")
    assert (before.ref, after.ref, after.author) == (first.ref, f"{first.id}@2", "bob")
    assert (found.count("added"), found.causes()["data"]) == (1, 1)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (SetOperation.UNION, ["1.2.1", "1.2.2", "1.2.3", "1.2.4"]),
        (SetOperation.INTERSECT, ["1.2.1", "1.2.2"]),
        (SetOperation.SUBTRACT, ["1.2.4"]),
    ],
)
def test_set_operations_give_a_definition_with_pinned_references(  # type: ignore[no-untyped-def]
    freeze, store: CohortStore, index: Index, catalogue: FieldCatalogue, operation: SetOperation, expected: list[str]
) -> None:
    a, b = freeze(CT, title="CT"), freeze({"field": "body_part", "op": "exists"}, title="Body part")
    document = combine(operation, a, b, title="Both")
    assert a.ref in str(document)
    version = store.freeze(parse_definition(document, catalogue), index=index, catalogue=catalogue, author="ada")
    assert [record_id.rsplit(":", 1)[-1] for record_id in version.members] == expected


def test_cohorts_of_different_units_are_combined_by_the_series_that_both_are_made_of(freeze) -> None:  # type: ignore[no-untyped-def]
    a, b = freeze(CT, title="CT", unit="study"), freeze(CT, title="CT patients", unit="patient")
    assert [combine(operation, a, b, title="x")["unit"] for operation in SetOperation] == ["series"] * 3
    assert combine(SetOperation.UNION, b, b, title="x")["unit"] == "patient"
