"""Harvesting against scripted servers: what is taken, what is kept when things go wrong, and where we do not go."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import httpx
import pytest
from sqlalchemy import Engine, select, text

from catalog.conftest import Publish, TestClient
from fairlead.catalog import HarvestReport, harvest
from fairlead.catalog.fetching import Fetcher
from fairlead.catalog.tables import harvested
from fairlead.cli import run
from fairlead.errors import ServiceUnreachable
from fairlead.settings import Settings

ROOT = "https://fdp.example/"
PUBLIC = "93.184.216.34"
PREFIXES = """@prefix dcat: <http://www.w3.org/ns/dcat#> . @prefix dct: <http://purl.org/dc/terms/> .
@prefix ldp: <http://www.w3.org/ns/ldp#> . @prefix fdp: <https://w3id.org/fdp/fdp-o#> . """
type Page = tuple[int, str] | tuple[int, str, dict[str, str]]
type Harvest = Callable[..., HarvestReport]


class Server:
    """A scripted server: pages by address, and the requests that came."""

    def __init__(self, pages: dict[str, Page]) -> None:
        self.pages = pages
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        url = str(request.url.copy_with(host=request.headers["host"]))
        status, body, *more = self.pages.get(url, (404, ""))
        headers = {"Content-Type": "text/turtle", **(more[0] if more else {})}
        if headers.get("ETag") and request.headers.get("if-none-match") == headers["ETag"]:
            return httpx.Response(304, headers=headers)
        return httpx.Response(status, headers=headers, content=body.encode())


def a_point(children: Sequence[str] = ("1", "2")) -> dict[str, Page]:
    """Return a FAIR Data Point with one catalogue."""
    links = ", ".join(f"<{ROOT}dataset/{name}>" for name in children) or "<urn:none>"
    pages: dict[str, Page] = {
        ROOT: (200, f"{PREFIXES} <{ROOT}> a fdp:FAIRDataPoint ; dct:title 'Other' ; fdp:metadataCatalog <{ROOT}catalog/c> ."),
        f"{ROOT}catalog/c": (
            200,
            f"{PREFIXES} <{ROOT}catalog/c> a dcat:Catalog ; dct:title 'C' . <#box> a ldp:DirectContainer ; ldp:contains {links} .",
        ),
    }
    for name in children:
        body = f"{PREFIXES} <{ROOT}dataset/{name}> a dcat:Dataset ; dct:title 'Heart {name}' ; dct:publisher [ dct:title 'x' ] ."
        pages[f"{ROOT}dataset/{name}"] = (200, body, {"ETag": f'"{name}"'})
    return pages


@pytest.fixture
def ask(settings: Settings, engine: Engine) -> Harvest:
    """Return a function that harvests from a scripted server, whose name has a public address."""

    def ask(server: Callable[[httpx.Request], httpx.Response], *urls: str, addresses: Sequence[str] = (PUBLIC,), **more) -> HarvestReport:
        fetcher = Fetcher(resolve=lambda host, port: list(addresses), transport=httpx.MockTransport(server), **more)
        return harvest(settings, urls or (ROOT,), fetcher=fetcher, engine=engine)

    return ask


def known(engine: Engine) -> set[str]:
    """Return the IRIs that are harvested now."""
    with engine.connect() as connection:
        return set(connection.scalars(select(harvested.c.iri)))


def test_a_point_is_walked_to_its_datasets(ask: Harvest, engine: Engine):
    report = ask(Server(a_point()))
    assert (report.seen, report.stored, report.unchanged, report.deleted, report.errors) == (4, 4, 0, 0, ())
    assert known(engine) == {ROOT, f"{ROOT}catalog/c", f"{ROOT}dataset/1", f"{ROOT}dataset/2"}


def test_the_second_time_nothing_is_stored_and_bodies_are_not_sent_again(ask: Harvest):
    server = Server(a_point())
    ask(server)
    again = ask(server)
    assert (again.seen, again.stored, again.unchanged) == (4, 0, 4)
    assert {request.headers.get("if-none-match") for request in server.asked} >= {'"1"', '"2"'}


def test_what_was_seen_is_kept_when_a_harvest_is_broken_off(ask: Harvest, engine: Engine):
    pages = Server(a_point())

    def broken(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/dataset/2":
            raise KeyboardInterrupt
        return pages(request)

    with pytest.raises(KeyboardInterrupt):
        ask(broken)
    assert known(engine) == {ROOT, f"{ROOT}catalog/c", f"{ROOT}dataset/1"}
    report = ask(pages)
    assert (report.stored, report.unchanged, len(known(engine))) == (1, 3, 4)


def test_line_ends_that_rdf_does_not_know_break_no_record(ask: Harvest, engine: Engine):
    pages = a_point(("1",))
    pages[f"{ROOT}catalog/c"] = (200, pages[f"{ROOT}catalog/c"][1].replace("'C'", "'C\u2028D\x85E'"), {"ETag": '"c"'})
    assert ask(Server(pages)).errors == ()
    report = ask(Server(pages))
    assert (report.unchanged, report.errors, len(known(engine))) == (3, (), 3)
    with engine.connect() as connection:
        assert connection.scalar(select(harvested.c.title).where(harvested.c.kind == "catalog")) == "C\u2028D\x85E"


def test_a_changed_record_replaces_the_old_one(ask: Harvest, engine: Engine):
    pages = a_point()
    ask(Server(pages))
    body = pages[f"{ROOT}dataset/1"][1].replace("Heart 1", "Lung 1")
    report = ask(Server(pages | {f"{ROOT}dataset/1": (200, body, {"ETag": '"new"'})}))
    assert (report.stored, report.unchanged) == (1, 3)
    with engine.connect() as connection:
        assert "Lung 1" in set(connection.scalars(select(harvested.c.title)))


@pytest.mark.parametrize("status", [404, 410])
def test_only_what_the_other_side_says_is_gone_is_deleted(ask: Harvest, engine: Engine, status: int):
    ask(Server(a_point()))
    pages = a_point(["1"]) | {f"{ROOT}dataset/2": (status, "")}
    assert ask(Server(pages)).deleted == 1
    assert f"{ROOT}dataset/2" not in known(engine)


@pytest.mark.parametrize(
    "change",
    [
        {ROOT: (503, "")},
        {ROOT: (200, "")},
        {ROOT: (200, "<html>", {"Content-Type": "text/html"})},
        {f"{ROOT}catalog/c": (500, "")},
        {f"{ROOT}catalog/c": (200, "this is no turtle")},
        {f"{ROOT}catalog/c": (200, f"{PREFIXES} <#box> a ldp:DirectContainer .")},
        {f"{ROOT}dataset/1": (500, ""), f"{ROOT}dataset/2": (401, "")},
    ],
    ids=["down", "empty", "a page", "catalogue down", "catalogue broken", "empty list", "children down"],
)
def test_an_outage_or_an_empty_answer_deletes_nothing(ask: Harvest, engine: Engine, change: dict[str, Page]):
    ask(Server(a_point()))
    before = known(engine)
    report = ask(Server(a_point() | change))
    assert (report.deleted, known(engine)) == (0, before)


def test_a_draft_that_is_listed_but_closed_is_no_failure(ask: Harvest):
    report = ask(Server(a_point() | {f"{ROOT}dataset/2": (403, "")}))
    assert (report.stored, report.errors) == (3, ())


def test_one_bad_child_does_not_stop_the_others_and_is_named(ask: Harvest):
    report = ask(Server(a_point() | {f"{ROOT}dataset/1": (200, "<html>", {"Content-Type": "text/html"})}))
    assert (report.stored, [item.source for item in report.errors]) == (3, [f"{ROOT}dataset/1"])
    assert "not RDF" in report.errors[0].reason


def test_one_bad_source_does_not_stop_the_others(ask: Harvest):
    report = ask(Server(a_point()), "https://gone.example/", ROOT)
    assert (report.stored, [item.source for item in report.errors]) == (4, ["https://gone.example/"])


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://fdp.example/", "gopher://x/", "data:text/turtle,x", "nonsense", "http://[::", ""]
)
def test_only_http_and_https_are_asked(ask: Harvest, url: str):
    server = Server({})
    report = ask(server, url)
    assert (len(report.errors), server.asked) == (1, [])


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "::1", "fd00::1", "100.64.0.1"])
def test_private_networks_are_not_asked(ask: Harvest, address: str):
    server = Server(a_point())
    report = ask(server, addresses=[PUBLIC, address])
    assert (report.errors[0].code, server.asked) == ("not-permitted", [])
    assert ask(server, addresses=[address], private=True).stored == 4


def test_the_connection_goes_to_the_address_that_was_checked(ask: Harvest):
    server = Server(a_point())
    ask(server)
    assert {request.url.host for request in server.asked} == {PUBLIC}
    assert {request.headers["host"] for request in server.asked} == {"fdp.example"}


def test_a_redirect_is_checked_like_the_first_address(settings: Settings, engine: Engine):
    inside = "http://internal.example/secret"
    server = Server({ROOT: (302, "", {"Location": inside}), inside: (200, "<urn:a> <urn:b> <urn:c> .")})
    addresses = {"fdp.example": [PUBLIC], "internal.example": ["10.0.0.7"]}
    fetcher = Fetcher(resolve=lambda host, port: addresses[host], transport=httpx.MockTransport(server))
    report = harvest(settings, [ROOT], fetcher=fetcher, engine=engine)
    assert (report.errors[0].code, len(server.asked)) == ("not-permitted", 1)


def test_redirects_that_never_end_are_left(ask: Harvest):
    report = ask(Server({ROOT: (301, "", {"Location": ROOT})}))
    assert "redirects" in report.errors[0].reason


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        ("x" * 2000, "text/turtle"),
        ("[" * 5000, "text/turtle"),
        ('{"a":' * 5000, "application/ld+json"),
        ('{"@context": "https://evil.example/context", "@id": "urn:x"}', "application/ld+json"),
        ('{"@context": {"@import": "https://evil.example/context"}, "@id": "urn:x"}', "application/ld+json"),
        ('<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>', "application/rdf+xml"),
        ("<file:///etc/passwd> <urn:b> <urn:c> .", "text/turtle"),
        ("<javascript:alert(1)> <urn:b> <urn:c> .", "text/turtle"),
        ("<http://a b> <urn:b> <urn:c> .", "text/turtle"),
        ("\xff\xfe", "text/turtle; charset=utf-16"),
    ],
)
def test_hostile_documents_are_refused_and_nothing_else_is_fetched(ask: Harvest, engine: Engine, body: str, media_type: str):
    server = Server({ROOT: (200, body, {"Content-Type": media_type})})
    report = ask(server)
    assert (report.stored, len(report.errors), len(server.asked), known(engine)) == (0, 1, 1, set())


def test_an_answer_without_end_is_cut(ask: Harvest):
    report = ask(Server({ROOT: (200, "# " + "x" * 5000)}), max_bytes=1000)
    assert "more than 1000 bytes" in report.errors[0].reason


def test_a_circle_of_links_ends(ask: Harvest):
    pages = {
        f"{ROOT}{n}": (200, f"{PREFIXES} <{ROOT}{n}> a dcat:Catalog ; dct:title 'x' ; dcat:catalog <{ROOT}{(n + 1) % 3}> .")
        for n in range(3)
    }
    assert ask(Server(pages), f"{ROOT}0").stored == 3


def test_a_chain_without_end_is_left_at_the_depth_bound(ask: Harvest):
    def endless(request: httpx.Request) -> httpx.Response:
        number = int(request.url.path.strip("/") or 0)
        body = f"{PREFIXES} <{ROOT}{number}> a dcat:Catalog ; dct:title 'x' ; dcat:catalog <{ROOT}{number + 1}> ."
        return httpx.Response(200, headers={"Content-Type": "text/turtle"}, content=body.encode())

    assert ask(endless, f"{ROOT}0").stored == 9


def test_a_stranger_cannot_replace_a_record_of_somebody_else(ask: Harvest, engine: Engine):
    ask(Server(a_point()))
    evil = "https://evil.example/"
    report = ask(Server({evil: (200, f"{PREFIXES} <{ROOT}dataset/1> a dcat:Dataset ; dct:title 'Mine now' .")}), evil)
    assert [item.code for item in report.errors] == ["conflict"]
    with engine.connect() as connection:
        assert "Mine now" not in set(connection.scalars(select(harvested.c.title)))


def test_a_stranger_cannot_speak_for_us(ask: Harvest, engine: Engine):
    body = f"{PREFIXES} <http://127.0.0.1:8000/dataset/x> a dcat:Dataset ; dct:title 'Not ours' ."
    report = ask(Server({ROOT: (200, body)}))
    assert ([item.code for item in report.errors], known(engine)) == (["conflict"], set())


def test_a_crate_is_a_dataset(ask: Harvest, engine: Engine):
    url = "https://crates.example/ro-crate-metadata.json"
    crate = {
        "@context": "https://w3id.org/ro/crate/1.2/context",
        "@graph": [
            {"@id": "ro-crate-metadata.json", "@type": "CreativeWork", "about": {"@id": "./"}},
            {"@id": "./", "@type": "Dataset", "name": "Mitosis", "description": "HeLa cells"},
        ],
    }
    server = Server({url: (200, json.dumps(crate), {"Content-Type": "application/ld+json"})})
    assert (ask(server, url).stored, known(engine)) == (1, {"https://crates.example/"})
    again = ask(server, url)
    assert (again.unchanged, again.deleted) == (1, 0)


def test_a_catalogue_in_one_document_gives_every_dataset(ask: Harvest, engine: Engine):
    body = f"{PREFIXES} <{ROOT}> a dcat:Catalog ; dct:title 'All' ; dcat:dataset <{ROOT}a>, <{ROOT}b> ."
    body += "".join(f"<{ROOT}{name}> a dcat:Dataset ; dct:title '{name}' ." for name in "ab")
    assert ask(Server({ROOT: (200, body)})).stored == 3


def test_our_own_kind_of_catalogue_is_harvested_completely(ask: Harvest, client: TestClient, publish: Publish):
    record = publish()

    def ours(request: httpx.Request) -> httpx.Response:
        answer = client.request(
            request.method, request.url.raw_path.decode(), headers={"Accept": request.headers["accept"], "Accept-Encoding": "identity"}
        )
        return httpx.Response(answer.status_code, headers=list(answer.headers.items()), content=answer.content)

    report = ask(ours, "http://127.0.0.1:8000/", addresses=["127.0.0.1"], private=True)
    assert (report.stored, report.errors) == (3 + len(record.distributions), ())


def test_an_outage_of_our_own_database_is_no_report(ask: Harvest, engine: Engine):
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE catalog_harvested"))
    with pytest.raises(ServiceUnreachable):
        ask(Server(a_point()))


def test_the_command_reports_what_failed(tmp_path, monkeypatch: pytest.MonkeyPatch, capfd):
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "home"))
    assert run(["harvest", "http://127.0.0.1:9/", "file:///etc/passwd", "--json"]) == 1
    captured = capfd.readouterr()
    document = json.loads(captured.out)
    assert {key: document[key] for key in ("seen", "stored", "unchanged", "deleted")} == dict.fromkeys(
        ("seen", "stored", "unchanged", "deleted"), 0
    )
    assert [item["url"] for item in document["errors"]] == ["http://127.0.0.1:9/", "file:///etc/passwd"]
    assert "private network" in captured.err
