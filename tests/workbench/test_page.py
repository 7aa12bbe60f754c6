"""The page as a browser without scripts gets it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from urllib.parse import quote, urlsplit

import pytest
from markupsafe import escape

from fairlead.errors import ServiceUnreachable
from fairlead.workbench import Workbench
from workbench.builders import a_series
from workbench.fakes import Client, Page, mounted

HOSTILE = "<img src=x onerror=alert(1)>\"'&"
LINKS = [
    "",
    "?tab=charts",
    "?tab=table",
    "?tab=samples",
    "?tab=compare",
    "?tab=sets&q=ct+chest",
    "?in.modality=DCM:CT&not.body_part=SCT:69536005&from.patient.age_years=41",
]


def rows(page: Page, field: str) -> dict[str, bool]:
    """Return the offered values of a card and whether they are chosen."""
    return {found["value"] or "": "checked" in found for found in page.all("input", name=f"in.{field}")}


def test_the_number_and_the_sentence_stand_on_top(client: Client) -> None:
    page = Page(client.get("?in.modality=DCM:CT").text)
    assert "12 patients 12 studies 12 series 240 images 120.0 MB" in page.text
    assert "Series where modality is CT (Computed Tomography)" in page.text


def test_without_filters_everything_is_counted_and_said_so(client: Client) -> None:
    page = Page(client.get().text)
    assert "24 patients" in page.text
    assert "All records." in page.text


def test_cards_come_in_a_radiologists_order_and_microscopy_follows_when_there_is_some(client: Client) -> None:
    legends = re.findall(r"<legend[^>]*>([^<]+)", client.get().text)
    wanted = ["Modality", "Body part", "Date", "Age", "Sex", "Manufacturer", "Slice thickness", "Geometry", "Organism", "Channels"]
    assert [legend.strip() for legend in legends if legend.strip() in wanted] == wanted
    without = Page(client.get("?in.modality=DCM:CT").text)
    assert not without.all("input", name="in.organism")


def test_a_card_counts_without_its_own_filter_and_keeps_its_other_values(client: Client) -> None:
    page = Page(client.get("?in.modality=DCM:CT").text)
    assert rows(page, "modality") == {"DCM:CT": True, "DCM:MR": False, "DCM:SR": False}
    assert rows(page, "body_part") == {"SCT:816094009": False}


def test_values_stand_by_number_or_by_name(client: Client) -> None:
    page = Page(client.get().text)
    assert list(rows(page, "manufacturer")) == ["Siemens Healthineers", "GE HealthCare"]
    named = Page(client.get((page.all("a", id="sort-name")[0]["href"] or "").removeprefix("./")).text)
    assert list(rows(named, "manufacturer")) == ["GE HealthCare", "Siemens Healthineers"]
    assert named.value_of("sort") == "name"


def test_a_chosen_value_that_no_record_has_stays_on_the_page_to_be_taken_away(client: Client) -> None:
    page = Page(client.get("?in.model=Gone").text)
    assert rows(page, "model") == {"Gone": True}


def test_an_empty_result_names_the_rule_that_removed_the_last_records(client: Client) -> None:
    page = Page(client.get("?in.modality=DCM:CT&in.body_part=SCT:69536005").text)
    assert "0 patients" in page.text
    assert "The rule “Body part: Head” removed the last records." in page.text
    [freeze] = [button for button in page.all("button", type="submit") if "disabled" in button]
    assert "id" not in freeze  # a draft may be empty, a version may not


def test_the_definition_is_shown_and_downloads_as_the_same_document(client: Client) -> None:
    link = "?in.modality=DCM:CT&to.patient.age_years=45"
    answer = client.get(f"definition{link}")
    assert answer.headers["content-disposition"] == 'attachment; filename="cohort.json"'
    assert answer.json()["include"] == {
        "all": [{"field": "modality", "op": "in", "value": ["DCM:CT"]}, {"field": "patient.age_years", "op": "<=", "value": 45.0}]
    }
    assert json.dumps(answer.json(), indent=2) in Page(client.get(link).text).words


def test_the_permalink_of_a_page_opens_the_same_page(client: Client) -> None:
    page = Page(client.get("?tab=table&in.modality=DCM:MR&in.modality=DCM:CT&from.study_date=").text)
    link = page.all("a", id="permalink")[0]["href"] or ""
    assert link == "./?in.modality=DCM%3ACT&in.modality=DCM%3AMR&tab=table"
    again = Page(client.get(link.removeprefix("./")).text)
    assert [words for words in again.words if "patient" in words] == [words for words in page.words if "patient" in words]


def test_the_table_shows_pseudonyms_page_by_page_and_no_identifier_of_the_source(client: Client) -> None:
    answer = client.get("?tab=table&in.modality=DCM:MR")
    page = Page(answer.text)
    assert page.text.count("DICOM series") == 8 + 1  # eight records, and the card of kinds
    assert "Page 1 of 1" in page.text
    assert "1.2.3." not in answer.text


def test_a_page_of_the_table_beyond_the_last_is_empty(client: Client) -> None:
    assert "No records on this page." in Page(client.get("?tab=table&page=7").text).text


def test_htmx_gets_the_body_only_and_the_canonical_address(client: Client) -> None:
    answer = client.get("?tab=funnel&in.modality=DCM:CT&from.study_date=", hx_request="true")
    assert answer.text.lstrip().startswith('<div id="page"')
    assert answer.headers["hx-push-url"] == "./?in.modality=DCM%3ACT"
    assert answer.headers["vary"] == "HX-Request"


def test_after_a_lost_history_entry_htmx_gets_the_whole_page(client: Client) -> None:
    assert client.get("", hx_request="true", hx_history_restore_request="true").text.startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("link", "says"),
    [
        ("?in.modalty=CT", "Did you mean"),
        ("?in.series.description=x", "not a facet"),
        ("?from.study_date=yesterday", "not of type date"),
        ("?in.patient.sex=Q", "no value of patient.sex"),
        ("?evil=1", "no parameter"),
        ("?tab=admin", "no tab"),
    ],
)
def test_a_link_with_unknown_things_is_a_400_page_that_says_why(client: Client, link: str, says: str) -> None:
    answer = client.get(link)
    page = Page(answer.text)
    assert answer.status_code == 400
    assert says in page.text
    assert page.all("a", href="./")


def test_a_version_that_does_not_exist_is_a_404_page(client: Client) -> None:
    answer = client.get("?version=00000000-0000-4000-8000-000000000000@1")
    assert (answer.status_code, "There is no cohort" in answer.text) == (404, True)


def test_a_refusal_for_htmx_is_a_fragment_and_for_a_program_a_problem_document(client: Client) -> None:
    fragment = client.get("?tab=x", hx_request="true")
    assert fragment.text.startswith('<div class="alert" role="alert">')
    problem = client.get("?tab=x", accept="application/json")
    assert problem.headers["content-type"] == "application/problem+json"
    assert problem.json() == {
        "type": "invalid-query",
        "title": "There is no tab 'x'.",
        "detail": "Choose one of: funnel, charts, samples, table, compare, sets.",
        "status": 400,
    }


@pytest.mark.parametrize(
    "link",
    [
        f"?in.model={quote(HOSTILE)}",
        f"?not.model={quote(HOSTILE)}&tab=charts",
        f"?in.model={quote(HOSTILE)}&tab=x{quote(HOSTILE)}",
        f"?{quote(HOSTILE)}=1",
        f"?in.{quote(HOSTILE)}=1",
    ],
)
def test_hostile_text_of_a_link_appears_only_escaped(client: Client, link: str) -> None:
    html = client.get(link).text
    assert "<img" not in html
    assert not [tag for tag, attributes in Page(html).tags if tag == "img" or "onerror" in attributes]


@pytest.mark.parametrize("tab", ["funnel", "charts", "samples", "table"])
def test_hostile_text_of_a_header_appears_only_escaped(fresh: Workbench, tab: str) -> None:
    fresh.data.index.put([a_series(99, body_part=HOSTILE, model=HOSTILE, manufacturer=HOSTILE)])  # type: ignore[attr-defined]
    html = Client(mounted(fresh)).get(f"?tab={tab}&in.model={quote(HOSTILE)}").text
    assert str(escape(HOSTILE)) in html
    assert "<img src=x" not in html


@pytest.mark.parametrize("link", LINKS)
def test_every_answer_carries_the_strict_headers_and_stays_out_of_caches(client: Client, link: str) -> None:
    headers = client.get(link).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == "'self'"
    assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")


@pytest.mark.parametrize("link", LINKS)
def test_the_page_has_no_inline_script_or_style_and_only_relative_addresses(client: Client, link: str) -> None:
    page = Page(client.get(link).text)
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name == "style" or (name.startswith("on") and name != "on")], tag
        for name in ("href", "src", "action", "hx-get"):
            address = urlsplit(attributes.get(name) or "")
            assert (address.scheme, address.netloc, address.path[:1] == "/") == ("", "", False), attributes
    assert all(found.get("src") for found in page.all("script"))
    assert not page.all("style")


@pytest.mark.parametrize("link", LINKS)
def test_every_control_has_a_name_for_people_and_every_id_is_unique(client: Client, link: str) -> None:
    html = client.get(link).text
    page = Page(html)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.tags:
        if tag in ("input", "select", "textarea") and attributes.get("type") != "hidden":
            inside_label = re.search(rf"<label[^>]*>[^<]*(<[^>]*>)?[^<]*<{tag}[^>]*name=\"{re.escape(attributes['name'] or '')}\"", html)
            assert attributes.get("aria-label") or inside_label, attributes


def test_scripts_styles_and_icon_are_served_and_revalidated(client: Client) -> None:
    for name in ("page.css", "page.js", "icon.svg"):
        answer = client.get(f"static/{name}")
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")


@pytest.mark.parametrize("path", ["docs", "redoc", "openapi.json", "static/../app.py", "static/%2e%2e/app.py", "nothing"])
def test_there_is_no_other_page(client: Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_a_service_that_does_not_answer_is_a_503_page(workbench: Workbench) -> None:
    class Down:
        def answer(self, definition: object) -> None:
            raise ServiceUnreachable("The index does not answer.")

    answer = Client(mounted(replace(workbench, data=Down()))).get()  # type: ignore[arg-type]
    assert (answer.status_code, "The index does not answer." in answer.text) == (503, True)


def test_a_defect_is_a_500_page_that_repeats_nothing_of_it(workbench: Workbench) -> None:
    class Broken:
        def answer(self, definition: object) -> None:
            raise RuntimeError("secret detail")

    answer = Client(mounted(replace(workbench, data=Broken()))).get()  # type: ignore[arg-type]
    assert answer.status_code == 500
    assert "secret detail" not in answer.text
    assert "Report it" in answer.text
