"""Two people at one draft: the second is told, and nobody loses anything."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine

from fairlead.cohort import AuditTrail, DraftChanged, DraftStore
from fairlead.errors import InvalidInput, NotFound

CT = {"include": {"field": "modality", "op": "=", "value": "CT"}}
MR = {"include": {"field": "modality", "op": "=", "value": "MR"}}
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def drafts(engine: Engine) -> DraftStore:
    return DraftStore(engine, clock=lambda: NOON)


def test_saving_moves_the_revision_on(drafts: DraftStore) -> None:
    draft = drafts.create(CT, title="One", author="ada")
    saved = drafts.save(draft.id, MR, revision=1, title="One", author="bob")
    assert (saved.revision, saved.definition, saved.author, saved.saved_by) == (2, MR, "ada", "bob")
    assert drafts.list() == (saved,)


def test_the_second_of_two_is_told_and_gets_what_the_first_saved(drafts: DraftStore) -> None:
    draft = drafts.create(CT, title="One", author="ada")
    first = drafts.save(draft.id, MR, revision=draft.revision, title="One", author="ada")
    with pytest.raises(DraftChanged, match="ada saved this draft at 12:00 UTC") as told:
        drafts.save(draft.id, CT | {"unit": "patient"}, revision=draft.revision, title="One", author="bob")
    assert told.value.current == first == drafts.get(draft.id)


def test_saying_the_same_again_is_no_conflict_and_no_revision(drafts: DraftStore) -> None:
    draft = drafts.create(CT, title="One", author="ada")
    saved = drafts.save(draft.id, MR, revision=1, title="One", author="ada")
    assert drafts.save(draft.id, MR, revision=1, title="One", author="bob") == saved


def test_a_draft_that_somebody_changed_is_not_discarded(drafts: DraftStore) -> None:
    draft = drafts.create(CT, title="One", author="ada")
    drafts.save(draft.id, MR, revision=1, title="One", author="bob")
    with pytest.raises(DraftChanged, match="bob saved"):
        drafts.discard(draft.id, revision=1, by="ada")
    drafts.discard(draft.id, revision=2, by="ada")
    drafts.discard(draft.id, revision=2, by="ada")
    with pytest.raises(NotFound, match="no such draft"):
        drafts.save(draft.id, MR, revision=2, title="One", author="ada")


def test_every_change_of_a_draft_is_in_the_chain_with_it_and_what_failed_is_not(drafts: DraftStore, engine: Engine) -> None:
    draft = drafts.create(CT, title="One", author="ada")
    drafts.save(draft.id, MR, revision=1, title="One", author="bob")
    drafts.save(draft.id, MR, revision=2, title="One", author="bob")  # says the same
    with pytest.raises(DraftChanged):
        drafts.save(draft.id, CT, revision=1, title="One", author="eve")
    drafts.discard(draft.id, revision=2, by="ada")
    trail = AuditTrail(engine)
    assert [(entry.who, entry.what, entry.detail["revision"]) for entry in trail.entries() if entry.ref == draft.id] == [
        ("ada", "save-draft", 1),
        ("bob", "save-draft", 2),
        ("ada", "discard-draft", 2),
    ]
    trail.verify()


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"title": "x" * 201}, id="long title"),
        pytest.param({"title": "a\x00"}, id="zero byte"),
        pytest.param({"purpose": "\ud800"}, id="half a character"),
        pytest.param({"definition": {"include": {"value": ["\udcff"]}}}, id="in the definition"),
    ],
)
def test_a_draft_that_no_database_could_hold_is_refused_and_the_one_before_stays(drafts: DraftStore, given: dict[str, Any]) -> None:
    kept = drafts.create({}, title="T", author="ada")
    asked = {"title": "T", "purpose": "", "definition": {}} | given
    with pytest.raises(InvalidInput):
        drafts.create(**asked, author="ada")
    with pytest.raises(InvalidInput):
        drafts.save(kept.id, **asked, revision=1, author="bob")
    assert drafts.list() == (kept,)
