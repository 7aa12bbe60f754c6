"""Harvested rows are written many at a time, and two harvests at once do not mix what they saw."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select

from fairlead.catalog.harvest_rows import AT_ONCE, HarvestedRows
from fairlead.catalog.series import SeriesBook
from fairlead.catalog.tables import harvested
from fairlead.errors import ServiceUnreachable
from fairlead.publish import DatasetStore, Site
from fairlead.settings import Settings

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def a_row(content: str) -> dict[str, Any]:
    """Return what a harvest says of a record, its entity tag like its content."""
    names = ("source", "document", "kind", "title", "words")
    return dict.fromkeys(names, "x") | {"body": content, "sha256": content, "etag": content, "seen_at": NOON, "changed_at": NOON}


def stored(engine: Engine) -> dict[str, tuple[str, str]]:
    """Return content and entity tag of every row that is written."""
    with engine.connect() as connection:
        return {row.iri: (row.body, row.etag) for row in connection.execute(select(harvested))}


def test_rows_are_known_before_they_are_written_and_written_together(engine: Engine):
    rows = HarvestedRows(engine)
    for number in range(AT_ONCE - 1):
        rows.put(f"urn:{number}", None, a_row("a"))
    known = rows.get("urn:3")
    assert known is not None
    assert (known["body"], stored(engine)) == ("a", {})
    rows.put("urn:3", known, a_row("b"))
    rows.put("urn:last", None, a_row("c"))
    assert len(stored(engine)) == AT_ONCE
    assert stored(engine)["urn:3"] == ("b", "b")


def test_what_another_harvest_stored_meanwhile_stays_with_its_entity_tag(engine: Engine):
    first, second = HarvestedRows(engine), HarvestedRows(engine)
    first.put("urn:a", None, a_row("old"))
    first.flush()
    seen = first.get("urn:a"), second.get("urn:a")
    first.put("urn:new", None, a_row("mine"))
    second.put("urn:a", seen[1], a_row("newest"))
    second.put("urn:new", None, a_row("theirs"))
    second.flush()
    first.put("urn:a", seen[0], {"etag": "old", "seen_at": NOON})
    first.flush()
    assert stored(engine) == {"urn:a": ("newest", "newest"), "urn:new": ("theirs", "theirs")}


def test_a_row_that_another_harvest_deleted_does_not_come_back(engine: Engine):
    first, second = HarvestedRows(engine), HarvestedRows(engine)
    first.put("urn:a", None, a_row("old"))
    assert first.of_source("x") == []
    known = first.get("urn:a")
    assert second.remove("urn:a") == 1
    first.put("urn:a", known, {"seen_at": NOON})
    first.flush()
    assert stored(engine) == {}


def test_a_change_shows_whatever_the_clock_of_the_machine_says(engine: Engine, settings: Settings):
    site, rows = Site.of(settings), HarvestedRows(engine)
    book = SeriesBook(site, DatasetStore(settings, engine), engine)
    rows.put("urn:a", None, a_row("1"))
    rows.put("urn:b", None, a_row("1"))
    rows.flush()
    seen = {book.generation()}
    for content in "23":
        rows.put("urn:b", rows.get("urn:b"), a_row(content) | {"changed_at": NOON - timedelta(days=1)})
        rows.flush()
        seen.add(book.generation())
    rows.put("urn:b", rows.get("urn:b"), {"seen_at": NOON + timedelta(days=1)})
    rows.flush()
    assert len(seen | {book.generation()}) == 3, "what was only seen again is no change"


def test_rows_that_could_not_be_written_wait_for_the_next_time(engine: Engine):
    rows = HarvestedRows(engine)
    rows.put("urn:a", None, a_row("a"))
    with engine.begin() as connection:
        harvested.drop(connection)
    with pytest.raises(ServiceUnreachable):
        rows.flush()
    with engine.begin() as connection:
        harvested.create(connection)
    rows.flush()
    assert stored(engine) == {"urn:a": ("a", "a")}
