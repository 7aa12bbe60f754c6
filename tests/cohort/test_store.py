"""A frozen version never changes; a new one appears only when something did."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, update

from cohort.conftest import Define
from fairlead.cohort import CohortStore, Definition, venn
from fairlead.cohort.tables import cohort_versions, cohorts
from fairlead.database import metadata, open_engine
from fairlead.errors import Conflict, EmptyCohort, InvalidDefinition, NotFound
from fairlead.extract import FieldCatalogue
from fairlead.index import Criterion, Index
from fairlead.records import CohortVersion, Counts
from index.builders import a_series

CT = {"field": "modality", "op": "=", "value": "CT"}
DAY = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def freeze(store: CohortStore, index: Index, catalogue: FieldCatalogue):  # type: ignore[no-untyped-def]
    def frozen(definition: Definition, **more: Any) -> CohortVersion:
        return store.freeze(definition, index=index, catalogue=catalogue, author="ada", clock=lambda: DAY, **more)

    return frozen


def test_the_migrated_schema_is_the_one_the_code_declares(engine: Engine) -> None:
    with engine.connect() as connection:
        changes = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)
    ours = {cohorts.name, cohort_versions.name}
    assert [change for change in changes if getattr(change[1], "name", None) in ours or (len(change) > 2 and change[2] in ours)] == []


def test_freezing_writes_down_definition_members_counts_and_generation(freeze, store: CohortStore, define: Define, index: Index) -> None:  # type: ignore[no-untyped-def]
    version = freeze(define(CT, unit="patient", description="words", purpose="a test"))
    assert version.members == ("local:default:1.2.1", "local:default:1.2.2", "local:default:1.2.4")
    assert version.members_sha256 == hashlib.sha256(b"local:default:1.2.1\nlocal:default:1.2.2\nlocal:default:1.2.4").hexdigest()
    assert version.counts == Counts(patients=2, studies=2, series=3, images=52, size_bytes=52_000)
    assert (version.version, version.author, version.created_at, version.purpose) == (1, "ada", DAY, "a test")
    assert version.index_generation == index.generation()
    assert version.definition == {
        "schemaVersion": "1",
        "id": version.id,
        "version": 1,
        "title": "A cohort",
        "description": "words",
        "purpose": "a test",
        "unit": "patient",
        "include": {"field": "modality", "op": "in", "value": ["DCM:CT"]},
    }
    assert store.get(version.ref) == store.get(version.id) == store.get(f"{version.id}@latest") == version
    assert [(step.rule, step.patients) for step in store.attrition(version.ref)] == [("in scope", 4), ("include", 2)]


def test_freezing_again_without_a_change_gives_the_version_that_is_there(freeze, store: CohortStore, define: Define) -> None:  # type: ignore[no-untyped-def]
    first = freeze(define(CT))
    assert freeze(define({"all": [CT, CT]}), purpose="other words") == first
    assert [known.ref for known in store.versions(first.id)] == [first.ref]


def test_a_changed_definition_is_the_next_version_and_names_its_parent(freeze, define: Define, store: CohortStore) -> None:  # type: ignore[no-untyped-def]
    first = freeze(define(CT))
    second = freeze(define({"all": [CT, {"field": "body_part", "op": "exists"}]}))
    assert second.ref == f"{first.id}@2"
    assert second.definition["parent"] == f"sha256:{first.definition_sha256}"
    assert store.get(first.ref) == first
    assert [version.ref for version in store.list()] == [second.ref]
    assert [version.ref for version in store.versions(first.id)] == [second.ref, first.ref]
    assert store.list()[0].model_dump() == second.model_dump(exclude={"members", "revisions"})


def test_changed_data_is_the_next_version(freeze, define: Define, index: Index) -> None:  # type: ignore[no-untyped-def]
    first = freeze(define(CT))
    index.put([a_series("7", patient="p7")])
    second = freeze(define(CT))
    index.put([a_series("7", patient="p7", body_part="HEAD")])
    third = freeze(define(CT))
    assert [version.version for version in (first, second, third)] == [1, 2, 3]
    assert second.members == third.members
    assert second.revisions != third.revisions


def test_a_title_is_a_cohort_unless_the_definition_states_an_id(freeze, define: Define) -> None:  # type: ignore[no-untyped-def]
    identity = "0b6c1c1e-6f64-4f57-9f0a-6f1f5f4a2a10"
    assert freeze(define(CT), title="One").id != freeze(define(CT), title="Two").id
    assert freeze(define(CT), title=" one").id == freeze(define(CT), title="One").id
    named = [freeze(define(CT, id=identity), title=title) for title in ("One", "Two")]
    assert [version.ref for version in named] == [f"{identity}@1", f"{identity}@2"]


def test_an_empty_cohort_is_refused_and_the_guilty_rule_named(freeze, define: Define, store: CohortStore) -> None:  # type: ignore[no-untyped-def]
    rules = [
        {"name": "chest", "where": {"field": "body_part", "op": "=", "value": "CHEST"}},
        {"name": "men", "where": {"field": "patient.sex", "op": "=", "value": "M"}},
    ]
    with pytest.raises(EmptyCohort, match="nothing is left after the step 'men'"):
        freeze(define(CT, rules=rules))
    assert store.list() == ()


def test_a_cohort_is_a_criterion_for_another(freeze, define: Define) -> None:  # type: ignore[no-untyped-def]
    first = freeze(define(CT), title="CT")
    second = freeze(define({"all": [{"cohort": first.ref}, {"field": "body_part", "op": "exists"}]}), title="Part")
    assert second.members == first.members[:2]


def test_only_drafts_may_follow_the_latest_of_a_cohort(freeze, define: Define) -> None:  # type: ignore[no-untyped-def]
    first = freeze(define(CT))
    with pytest.raises(InvalidDefinition, match="only drafts may follow the latest"):
        freeze(define({"cohort": f"{first.id}@latest"}), title="Other")


def test_a_version_is_found_by_what_it_says_and_by_who_is_in_it(freeze, store: CohortStore, define: Define, index: Index) -> None:  # type: ignore[no-untyped-def]
    first = freeze(define(CT), title="T")
    index.put([a_series("9")])
    second = freeze(define(CT), title="T")
    assert store.get(f"sha256:{first.members_sha256}").ref == first.ref
    assert store.summary(f"sha256:{first.definition_sha256}").ref == second.ref  # both have it
    assert first.compiler.startswith("fairlead ")
    with pytest.raises(NotFound, match="no cohort"):
        store.get(f"sha256:{'0' * 64}")


def test_numbers_that_do_not_fit_the_members_are_looked_at_again(
    store: CohortStore, index: Index, catalogue: FieldCatalogue, define: Define
) -> None:
    class Behind:
        """An index whose first count is of a moment ago."""

        asked = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(index, name)

        def count(self, criterion: Criterion) -> Counts:
            self.asked += 1
            found = index.count(criterion)
            return found.model_copy(update={"series": found.series + 1}) if self.asked <= 2 else found

    version = store.freeze(define(CT), index=cast("Index", Behind()), catalogue=catalogue, author="ada", title="T")
    assert version.counts.series == len(version.members)


def test_fingerprints_of_other_numbers_are_made_again_from_the_names(freeze, store: CohortStore, define: Define, engine: Engine) -> None:  # type: ignore[no-untyped-def]
    versions = freeze(define(CT), title="T"), freeze(define(), title="Everything")
    with engine.begin() as connection:  # as a version was that counted while somebody wrote
        connection.execute(update(cohort_versions).where(cohort_versions.c.title == "T").values(series=1))
    found = {region.inside: region.series for region in venn(CohortStore(engine), [one.ref for one in versions])}
    assert found == {(True, False): 0, (False, True): 2, (True, True): 3}


@pytest.mark.parametrize(
    "ref", ["", "x", "../../etc@1", "0b6c1c1e-6f64-4f57-9f0a-6f1f5f4a2a10@7", "0b6c1c1e-6f64-4f57-9f0a-6f1f5f4a2a10@0"]
)
def test_a_version_that_does_not_exist_is_not_found(store: CohortStore, ref: str) -> None:
    with pytest.raises(NotFound, match="There is no cohort"):
        store.get(ref)
    with pytest.raises(NotFound, match="There is no cohort"):
        store.versions(ref)
    with pytest.raises(NotFound, match="There is no cohort"):
        store.prints(ref)


def test_fingerprints_are_found_by_every_name_of_a_version(freeze, store: CohortStore, define: Define) -> None:  # type: ignore[no-untyped-def]
    freeze(define(CT), title="T")
    newest = freeze(define(), title="T")
    names = (newest.ref, newest.ref.upper(), newest.id, f"{newest.id}@latest", f"sha256:{newest.members_sha256}")
    assert len({id(store.prints(name)) for name in names}) == 1
    assert store.prints(newest.ref).names == (newest.members, newest.revisions)


class RestlessIndex:
    """An index that changes between any two questions."""

    def __init__(self, index: Index) -> None:
        self._index, self._asked = index, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    def generation(self) -> str:
        self._asked += 1
        return str(self._asked)


def test_an_index_that_never_stands_still_is_a_conflict(
    store: CohortStore, define: Define, index: Index, catalogue: FieldCatalogue
) -> None:
    with pytest.raises(Conflict, match="changes faster"):
        store.freeze(define(CT), index=RestlessIndex(index), catalogue=catalogue, author="ada")  # type: ignore[arg-type]


def test_another_process_reads_what_was_frozen(freeze, define: Define, engine: Engine, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    version = freeze(define(CT))
    other = open_engine(engine.url.render_as_string(hide_password=False))
    assert CohortStore(other).get(version.ref) == version
    other.dispose()
