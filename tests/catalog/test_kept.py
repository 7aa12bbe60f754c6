"""What is kept is what would be made anew: after any change, in every process, and whatever the clocks of the machines say."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdflib import Graph, URIRef
from rdflib.compare import isomorphic
from sqlalchemy import Engine

from catalog.conftest import Publish, TestClient
from fairlead.catalog import create_app
from fairlead.catalog.accounts import User
from fairlead.catalog.answers import KEPT_BYTES, Answers
from fairlead.catalog.documents import Documents
from fairlead.catalog.entries import Entries, Entry, EntryState, iri_of
from fairlead.catalog.series import SeriesBook
from fairlead.catalog.tables import entries
from fairlead.catalog.writing import KINDS
from fairlead.database import open_engine
from fairlead.publish import DatasetStore, Site
from fairlead.publish.vocabulary import DCAT, LDP
from fairlead.settings import Settings
from migrated import migrated_engine

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ADA = User("ada@example.org", "user")
TOP = "00000000-0000-4000-8000-000000000000"
changes = st.tuples(
    st.sampled_from(["add", "add", "publish", "publish", "rename", "delete"]), st.integers(0, 7), st.integers(0, 1), st.integers(-5, 5)
)


class Server:
    """One of several processes on the same database."""

    def __init__(self, home: Settings) -> None:
        self.engine = open_engine(home.database)
        self.client = TestClient(create_app(home, self.engine), base_url="http://127.0.0.1:8000")

    def catalogue(self, media_type: str) -> tuple[int, bytes]:
        """Return what everybody gets of the catalogue."""
        answer = self.client.get(f"/catalog/{TOP}", headers={"Accept": media_type})
        return answer.status_code, answer.content

    def change(self, site: Site, what: str, number: int, moment: datetime) -> None:
        """Change a dataset of the catalogue if it is in the state for it; the clock says what it will."""
        written, name = Entries(self.engine, clock=lambda: moment), f"00000000-0000-4000-8000-{number + 1:012x}"
        if what == "add" and not in_state(self.engine, name):
            body = f'<{iri_of(site, "dataset", name)}> <http://purl.org/dc/terms/title> "D" .\n'
            written.add(
                Entry(name, KINDS["dataset"], iri_of(site, "catalog", TOP), EntryState.DRAFT, ADA.email, "D", body, 1, moment, moment),
                words="",
            )
        elif what != "add" and in_state(self.engine, name) in ("draft", "published"):
            entry = written.get("dataset", name, ADA)
            if what == "publish":
                written.publish(entry, iri=lambda kind, child: iri_of(site, kind, child))
            elif what == "rename":
                written.replace(entry, title=f"{entry.title}'", words="", body=entry.body)
            else:
                written.delete(entry, iri=lambda kind, child: iri_of(site, kind, child))


type Two = tuple[Settings, tuple[Server, Server]]


def in_state(engine: Any, name: str) -> str:
    """Return the state that the database has for a record, empty for none."""
    with engine.connect() as connection:
        return connection.exec_driver_sql("SELECT state FROM catalog_entries WHERE id = ?", (name,)).scalar() or ""


def published(engine: Any) -> dict[str, str]:
    """Return id and title of the published datasets, asked from the database directly."""
    with engine.connect() as connection:
        query = "SELECT id, title FROM catalog_entries WHERE kind = 'dataset' AND state = 'published'"
        return {row[0]: row[1] for row in connection.exec_driver_sql(query)}


@pytest.fixture(scope="module")
def two() -> Iterator[Two]:
    """Return two servers on one database, and their settings."""
    with tempfile.TemporaryDirectory() as folder:
        home = Settings(home=Path(folder))
        migrated_engine(home).dispose()
        servers = Server(home), Server(home)
        yield home, servers
        for server in servers:
            server.engine.dispose()


@settings(max_examples=8, deadline=None)
@given(steps=st.lists(changes, min_size=4, max_size=14))
def test_every_process_answers_with_what_is_there(two: Two, steps: list[tuple[str, int, int, int]]):
    home, servers = two
    site, top = Site.of(home), iri_of(Site.of(home), "catalog", TOP)
    with servers[0].engine.begin() as connection:
        connection.execute(entries.delete())
    body = f'<{top}> <http://purl.org/dc/terms/title> "Top" .\n'
    Entries(servers[0].engine).add(
        Entry(TOP, KINDS["catalog"], site.root, EntryState.PUBLISHED, ADA.email, "T", body, 1, NOON, NOON), words=""
    )
    for what, number, who, skew in steps:
        servers[who].change(site, what, number, NOON + timedelta(seconds=skew))
        _same_everywhere(site, servers, home, top)


def _same_everywhere(site: Site, servers: tuple[Server, Server], home: Settings, top: str) -> None:
    engine = servers[0].engine
    store = DatasetStore(home, engine)
    anew = Documents(site, store, Entries(engine), SeriesBook(site, store, engine))
    entry = anew.entries.get("catalog", TOP)
    expected = {iri_of(site, "dataset", name) for name in published(engine)}
    for media_type in ("text/turtle", "application/n-triples"):
        made = anew.written(entry, media_type, children=anew.children(entry))
        assert [server.catalogue(media_type) for server in servers] == [(200, made)] * 2
        graph = Graph().parse(data=made, format=media_type)
        assert {str(iri) for iri in graph.objects(URIRef(f"{top}/dataset/"), LDP.contains)} == expected
        assert {str(iri) for iri in graph.objects(URIRef(top), DCAT.dataset)} == expected
    titles = Graph().parse(data=made, format="nt")
    assert {
        str(titles.value(URIRef(iri_of(site, "dataset", name)), URIRef("http://www.w3.org/2000/01/rdf-schema#label")))
        for name in published(engine)
    } == set(published(engine).values())


def test_what_a_slow_clock_wrote_shows_everywhere(client: TestClient, settings: Settings, engine: Engine):
    written, site = Entries(engine, clock=lambda: NOON), Site.of(settings)

    def add(number: int, state: EntryState, moment: datetime) -> Entry:
        """Store a catalogue at a time."""
        name = str(UUID(int=number))
        made = Entry(name, KINDS["catalog"], site.root, state, ADA.email, f"Hive {number}", "", 1, moment, moment)
        written.add(made, words="hive")
        return made

    add(1, EntryState.PUBLISHED, NOON + timedelta(seconds=5))
    draft = add(2, EntryState.DRAFT, NOON)
    assert [hit["title"] for hit in client.get("/search?q=hive").json()] == ["Hive 1"]
    written.delete(draft, iri=lambda kind, name: iri_of(site, kind, name))
    add(3, EntryState.PUBLISHED, NOON + timedelta(seconds=1))
    assert [hit["title"] for hit in client.get("/search?q=hive").json()] == ["Hive 1", "Hive 3"]


def test_what_is_kept_is_bounded_in_bytes(settings: Settings, engine: Any):
    store = DatasetStore(settings, engine)
    answers = Answers(Documents(Site.of(settings), store, Entries(engine), SeriesBook(Site.of(settings), store, engine)))
    part = bytes(KEPT_BYTES // 4)
    for number in range(8):
        answers._keep((str(number % 6),), (part, []))
    assert [number for number in range(6) if answers._recall((str(number),))] == [0, 1, 4, 5]
    answers._keep(("large",), (bytes(KEPT_BYTES + 1), []))
    assert answers._recall(("large",)) is None


@pytest.mark.parametrize("draft", [False, True], ids=["", "draft"])
def test_the_catalogue_without_a_graph_of_its_members_says_the_same(publish: Publish, settings: Settings, engine: Engine, draft: bool):
    record, store, site = publish(), DatasetStore(settings, engine), Site.of(settings)
    name, body = str(UUID(int=7)), '<urn:x> <http://purl.org/dc/terms/title> "Bees" .\n'
    written = Entry(name, KINDS["dataset"], site.catalog, EntryState.PUBLISHED, ADA.email, "Bees", body, 1, NOON, NOON)
    documents = Documents(site, store, Entries(engine), SeriesBook(site, store, engine), "https://gateway.example/", draft)
    documents.entries.add(written, words="")
    node = documents.catalog(site.catalog_id)
    whole = documents.graph(node, "fdp")
    assert {str(iri) for iri in whole.objects(None, LDP.contains)} >= {site.dataset(record.id), iri_of(site, "dataset", name)}
    for media_type in ("text/turtle", "application/n-triples"):
        assert isomorphic(Graph().parse(data=documents.represented(node, "fdp", media_type), format=media_type), whole)
