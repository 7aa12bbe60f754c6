from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from rdflib import XSD

from catalog.conftest import Publish, TestClient
from catalog.test_write_api import BASE, a_catalog, a_dataset, create, publish_entry

VOID = {"meta", "link", "img", "br", "input"}


class Outline(HTMLParser):
    """Reads a page strictly: every element is closed, and what matters to readers is noted."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.headings: list[str] = []
        self.images: list[dict[str, str | None]] = []

    def handle_starttag(self, tag, attrs) -> None:
        """Note an element."""
        values = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        self.links += [values[name] for name in ("href", "src") if values.get(name)]
        self.headings += [tag] if re.fullmatch("h[1-6]", tag) else []
        self.images += [values] if tag == "img" else []

    def handle_endtag(self, tag) -> None:
        """Close an element."""
        assert self.open.pop() == tag


def page(client: TestClient, path: str) -> tuple[str, Outline]:
    """Return a page's text and outline."""
    answer = client.get(path, headers={"Accept": "text/html"})
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    outline = Outline()
    outline.feed(answer.text)
    assert outline.open == []
    return answer.text, outline


@pytest.mark.parametrize("path", ["/", "/catalog/local", "/dataset/{0}", "/distribution/{0}.members", "/distribution/{0}.{1}"])
def test_a_page_is_well_formed_has_one_title_and_no_script(client: TestClient, publish: Publish, path: str):
    record = publish()
    text, outline = page(client, path.format(record.id, record.distributions[0].id))
    assert outline.headings.count("h1") == 1
    assert '<html lang="en">' in text
    assert "<script" not in text.replace('<script type="application/ld+json">', "")  # data, which no browser runs
    assert all(image["alt"] for image in outline.images)


@pytest.mark.parametrize("path", ["/", "/catalog/local", "/dataset/{0}", "/distribution/{0}.{1}"])
def test_every_link_into_the_site_works(client: TestClient, publish: Publish, path: str):
    record = publish()
    _, outline = page(client, path.format(record.id, record.distributions[0].id))
    local = {link for link in outline.links if link.startswith("/")}
    assert len(local) > 4
    assert {link: client.get(link).status_code for link in local} == dict.fromkeys(local, 200)


def test_a_dataset_page_says_what_a_researcher_asks(client: TestClient, publish: Publish):
    record = publish()
    text, outline = page(client, f"/dataset/{record.id}")
    for words in ("Subjects", "CC-BY-4.0", "Computed Tomography", "Read it in Python", "How it was made", "Cite and contact"):
        assert words in text
    assert f"http://127.0.0.1:8000/data/{record.id}/v1/{record.distributions[0].path}" in text
    assert len(outline.images) == 2
    assert re.search(r'<dt>Access tier, A0 to A5</dt><dd><span class="chip">A[0-5]</span>', text)


def test_the_page_of_an_image_that_the_viewer_cannot_show_says_so(client: TestClient, publish: Publish):
    record = publish(ngff="0.6")
    for path in (f"/dataset/{record.id}", f"/distribution/{record.id}.{record.distributions[0].id}"):
        page = client.get(path, headers={"Accept": "text/html"}).text
        assert "The viewer here shows OME-Zarr 0.5, and this image is OME-Zarr 0.6" in page
        assert "<iframe" not in page


def test_an_empty_catalogue_says_why_it_is_empty(client: TestClient):
    assert "Nothing is published yet" in page(client, "/")[0]


def test_the_style_sheet_is_ours(client: TestClient):
    answer = client.get("/static/style.css")
    assert answer.headers["content-type"].startswith("text/css")
    assert "prefers-color-scheme: dark" in answer.text
    assert "url(" not in answer.text


def test_the_page_of_a_written_record_speaks_to_people(client, bearer):
    me = bearer()
    catalog = create(client, me, "catalog", a_catalog("Hive"))
    dataset = create(
        client, me, body=a_dataset(catalog, more=f'; dcat:keyword "wax", "bees" ; dct:issued "2020-05-01T00:00:00Z"^^<{XSD.dateTime}>')
    )
    for iri in (catalog, dataset):
        publish_entry(client, me, iri)
    page = client.get(dataset, headers={"Accept": "text/html"}).text
    for text in ('<th scope="row">Publisher</th>\n<td>Hive</td>', "<td>bees, wax</td>", "<td>1 May 2020</td>", ">CC-BY-4.0</a>"):
        assert text in page
    assert not [word for word in ("dct:", "fdp-o:", "rdfs:", "metadataIdentifier", "described in the record") if word in page]
    assert f'<li><a href="{dataset.removeprefix(BASE)}">Bees</a></li>' in client.get(catalog, headers={"Accept": "text/html"}).text


def test_a_page_of_what_is_wrong_offers_no_other_form_of_itself(client):
    assert "This page as" not in client.get("/dataset/none", headers={"Accept": "text/html"}).text
    assert "This page as" in client.get("/", headers={"Accept": "text/html"}).text


def test_browsers_get_a_page_where_something_is_wrong_and_programs_a_problem(client):
    browser = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    found = client.get("/dataset/none", headers=browser)
    assert (found.status_code, found.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "There is no record of that id." in found.text
    assert "default-src 'none'" in found.headers["content-security-policy"]
    for accept in ("*/*", "application/json", "text/turtle", "application/problem+json"):
        assert client.get("/dataset/none", headers={"Accept": accept}).headers["content-type"] == "application/problem+json"


def test_a_search_without_hits_says_what_to_do(client):
    page = client.get("/search?q=zzzz", headers={"Accept": "text/html"}).text
    assert "Nothing here has all these words." in page
