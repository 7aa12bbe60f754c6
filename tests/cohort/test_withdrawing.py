"""Withdrawn consent reaches every version, the next freeze, the next difference; the audit chain tells of it."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import delete, update

from cohort.conftest import Define
from fairlead.cohort import AuditTrail, CohortStore, SetOperation, combine, drift, rerun, venn, withdraw_consent
from fairlead.cohort.tables import audit, withdrawn_members
from fairlead.errors import CheckFailed, InvalidInput, NotPermitted
from fairlead.extract import FieldCatalogue
from fairlead.index import Index
from fairlead.records import CohortVersion
from index.builders import a_series

CT = {"field": "modality", "op": "=", "value": "CT"}
CHEST = {"field": "body_part", "op": "=", "value": "CHEST"}
FIRST = "local:default:1.2.1"


@pytest.fixture
def frozen(store: CohortStore, index: Index, catalogue: FieldCatalogue, define: Define) -> tuple[CohortVersion, CohortVersion]:
    """Return all CT (three series of p1 and p3) and all of the chest (two series of p1)."""
    everything = {"index": index, "catalogue": catalogue, "author": "ada"}
    return store.freeze(define(CT), title="CT", **everything), store.freeze(define(CHEST), title="Chest", **everything)  # type: ignore[arg-type]


def test_a_withdrawn_series_is_marked_in_every_version_and_left_out_of_exports(store: CohortStore, frozen) -> None:  # type: ignore[no-untyped-def]
    done = withdraw_consent(store, "series", FIRST, reason="consent withdrawn", by="steward")
    assert done.versions == {version.ref: (FIRST,) for version in frozen}
    assert store.get(frozen[0].ref) == frozen[0]
    assert store.exportable(frozen[0].ref).members == ("local:default:1.2.2", "local:default:1.2.4")
    assert withdraw_consent(store, "series", FIRST, reason="again", by="steward") == done


def test_a_withdrawn_patient_leaves_the_next_version_and_the_difference_says_why(
    store: CohortStore, index: Index, catalogue: FieldCatalogue, frozen: tuple[CohortVersion, CohortVersion]
) -> None:
    index.put([a_series("7", patient="p7")])
    withdraw_consent(store, "patient", "local:default:p1", reason="consent withdrawn", by="steward")
    before = drift(store, frozen[0].id, index=index, catalogue=catalogue)
    assert before.words == "+1 −0 series, +1 patients since v1, 2 withdrawn"
    _, after, found = rerun(store, frozen[0].id, index=index, catalogue=catalogue, author="ada")
    assert after.members == ("local:default:1.2.4", "local:default:1.2.7")
    assert (after.counts.patients, after.counts.series) == (2, 2)
    assert store.attrition(after.ref)[-1].rule == "withdrawn"
    assert found.causes() == {"definition": 0, "data": 1, "mapping": 0, "withdrawn": 2}
    assert {member.id for member in found.members if member.cause == "withdrawn"} == {FIRST, "local:default:1.2.2"}


@pytest.mark.parametrize(("subject", "reason"), [("", "r"), ("x", " ")])
def test_a_withdrawal_without_subject_or_reason_is_refused(store: CohortStore, subject: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match="withdrawal"):
        withdraw_consent(store, "series", subject, reason=reason, by="steward")


def test_venn_numbers_are_those_of_the_set_operations(
    store: CohortStore, index: Index, catalogue: FieldCatalogue, define: Define, frozen: tuple[CohortVersion, CohortVersion]
) -> None:
    found = {region.inside: (region.series, region.patients) for region in venn(store, [version.ref for version in frozen])}
    assert found == {(True, False): (1, 1), (False, True): (0, 0), (True, True): (2, 1)}
    document = combine(SetOperation.SUBTRACT, *frozen, title="Rest")
    rest = store.freeze(define(document["include"]), index=index, catalogue=catalogue, author="ada", title="Rest")
    assert rest.counts.series == 1
    with pytest.raises(InvalidInput, match="1 versions were given"):
        venn(store, [frozen[0].ref])


def test_three_equal_versions_of_three_units_overlap_wholly_even_when_everybody_was_withdrawn(
    store: CohortStore, index: Index, catalogue: FieldCatalogue, define: Define
) -> None:
    units = ("patient", "study", "image")
    made = [store.freeze(define(CHEST, unit=one), index=index, catalogue=catalogue, author="ada", title=one) for one in units]
    for _ in range(2):
        found = venn(CohortStore(store.engine), [version.ref for version in made])
        assert [(one.series, one.patients) for one in found] == [(0, 0)] * 6 + [(2, 1)]
        assert found[-1].inside == (True, True, True)
        withdraw_consent(store, "patient", "local:default:p1", reason="consent withdrawn", by="steward")


def test_the_same_title_in_two_projects_is_two_cohorts(store: CohortStore, index: Index, catalogue: FieldCatalogue, define: Define) -> None:
    made = [store.freeze(define(CT), index=index, catalogue=catalogue, author="a", title="T", project=name) for name in ("lung", "brain")]
    assert made[0].id != made[1].id
    assert [version.project for version in made] == ["lung", "brain"]
    with pytest.raises(NotPermitted, match="another project"):
        store.freeze(define(CT, id=made[0].id), index=index, catalogue=catalogue, author="b", project="brain")


def test_an_altered_entry_breaks_the_audit_chain(store: CohortStore) -> None:
    trail = AuditTrail(store.engine)
    for number in range(3):
        trail.note("ada", "freeze", f"x@{number}", rows=number)
    assert trail.verify() == 3
    with store.engine.begin() as connection:
        connection.execute(update(audit).where(audit.c.seq == 2).values(who="bob"))
    with pytest.raises(CheckFailed, match="breaks at entry 2"):
        trail.verify()


def test_what_an_entry_tells_of_may_be_any_argument(store: CohortStore) -> None:
    trail = AuditTrail(store.engine)
    trail.note("a\udcff\x00da", "list-members", "x\udcff", format="\ud800\x1b[2J", number=3)
    assert [(one.who, one.ref, one.detail) for one in trail.entries()] == [("a��da", "x�", {"format": "��[2J", "number": 3})]
    assert trail.verify() == 1


def test_who_is_left_out_of_the_newest_version_is_no_drift(
    store: CohortStore, index: Index, catalogue: FieldCatalogue, frozen: tuple[CohortVersion, CohortVersion]
) -> None:
    withdraw_consent(store, "patient", "local:default:p1", reason="consent withdrawn", by="steward")
    rerun(store, frozen[0].id, index=index, catalogue=catalogue, author="ada")
    assert drift(store, frozen[0].id, index=index, catalogue=catalogue).words == "+0 −0 series, +0 patients since v2"


@pytest.mark.parametrize(("kind", "subject", "left"), [("series", FIRST, 2), ("patient", "local:default:p1", 1)])
def test_a_version_that_a_withdrawal_could_not_see_yet_is_exported_without_the_patient(
    store: CohortStore, frozen: tuple[CohortVersion, CohortVersion], kind: Any, subject: str, left: int
) -> None:
    withdraw_consent(store, kind, subject, reason="consent withdrawn", by="steward")
    with store.engine.begin() as connection:  # as a freeze leaves it that commits after the withdrawal has listed the versions
        connection.execute(delete(withdrawn_members))
    assert len(store.exportable(frozen[0].ref).members) == left
    assert FIRST in store.withdrawn(frozen[0].ref)


def test_every_freeze_is_in_the_audit_chain_and_one_that_changes_nothing_is_not(
    store: CohortStore, index: Index, catalogue: FieldCatalogue, define: Define, frozen: tuple[CohortVersion, CohortVersion]
) -> None:
    store.freeze(define(CT), title="CT", index=index, catalogue=catalogue, author="eve")
    trail = AuditTrail(store.engine)
    assert [(entry.who, entry.what, entry.ref) for entry in trail.entries()] == [("ada", "freeze", one.ref) for one in frozen]
    assert trail.entries()[0].detail == {"definition": frozen[0].definition_sha256, "members": frozen[0].members_sha256}
    assert trail.verify() == 2
