"""Freezing without scripts: the form of the page is posted as a browser would."""

from __future__ import annotations

import pytest

from fairlead.workbench import User, Workbench, definition_of
from fairlead.workbench.reading import read_state
from fairlead.workbench.security import form_token
from workbench.fakes import BASE, DOCTOR, Client, Page, mounted

LINK = "?in.modality=DCM:CT&from.patient.age_years=45"


@pytest.fixture
def browser(fresh: Workbench) -> Client:
    return Client(mounted(fresh))


def form_of(page: Page, **filled: str) -> dict[str, str]:
    """Return the freeze form of a page with some fields filled in."""
    return {"token": page.value_of("token"), "state": page.value_of("state"), "title": "Chest CT", **filled}


def test_the_form_freezes_what_the_page_shows_and_leads_to_the_version(browser: Client, fresh: Workbench) -> None:
    page = Page(browser.get(LINK).text)
    answer = browser.post("freeze", form_of(page, purpose="Reader study"))
    [version] = fresh.versions.newest()
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        f"./?in.modality=DCM%3ACT&from.patient.age_years=45&version={version.id}%401",
    )
    assert (version.title, version.author, version.purpose, version.counts.series) == ("Chest CT", DOCTOR.name, "Reader study", 8)
    shown = Page(browser.get(answer.headers["location"].removeprefix("./")).text)
    assert "Chest CT v1" in shown.text
    assert "frozen" in shown.text
    assert not shown.all("a", id="reopen")  # it is what the page shows
    assert "changed" not in shown.text
    other = Page(browser.get(f"?in.modality=DCM:MR&tab=table&version={version.ref}").text)
    assert "Chest CT v1, changed" in other.text
    [link] = [str(found["href"]) for found in other.all("a", id="reopen")]
    assert link == str(other.all("a", id=f"version-{version.id}-1")[0]["href"]) == f"./open?tab=table&version={version.id}%401"
    leads = browser.get(link.removeprefix("./"))
    assert (leads.status_code, leads.headers["location"]) == (
        303,
        f"./?in.modality=DCM%3ACT&from.patient.age_years=45&tab=table&version={version.id}%401",
    )
    assert browser.get(f"open?version={version.id}@9").status_code == 404
    assert browser.get("open").status_code == 404


def test_the_same_title_makes_the_next_version_and_both_are_listed(browser: Client, fresh: Workbench) -> None:
    browser.post("freeze", form_of(Page(browser.get(LINK).text)))
    answer = browser.post("freeze", form_of(Page(browser.get("?in.modality=DCM:CT").text)))
    page = Page(browser.get(answer.headers["location"].removeprefix("./")).text)
    assert [version.version for version in fresh.versions.newest()] == [2]
    assert [found["href"] is not None for found in page.all("a", id="history-1") + page.all("a", id="history-2")] == [True, True]


def test_a_definition_that_filters_cannot_show_is_opened_by_its_members(browser: Client, fresh: Workbench) -> None:
    document = definition_of(read_state([], fresh.catalogue)) | {"unit": "patient"}
    version = fresh.versions.freeze(document, author="cli", title="All patients", purpose="")
    page = Page(browser.get(browser.get(f"open?version={version.ref}").headers["location"].removeprefix("./")).text)
    assert "All patients v1" in page.text
    assert "changed" not in page.text
    assert "it is in “All patients” v1" in page.text


def test_hostile_titles_are_shown_as_text(browser: Client) -> None:
    answer = browser.post("freeze", form_of(Page(browser.get(LINK).text), title="<script>alert(1)</script>"))
    html = browser.get(answer.headers["location"].removeprefix("./")).text
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        pytest.param({"origin": "https://evil.test"}, "does not say", id="foreign origin"),
        pytest.param({"origin": "null"}, "does not say", id="opaque origin"),
        pytest.param({"sec_fetch_site": "cross-site"}, "another site", id="fetch metadata"),
    ],
)
def test_a_post_from_another_site_changes_nothing(browser: Client, fresh: Workbench, headers: dict[str, str], says: str) -> None:
    answer = browser.post("freeze", form_of(Page(browser.get(LINK).text)), **headers)
    assert (answer.status_code, says in answer.text) == (403, True)
    assert fresh.versions.newest() == ()


@pytest.mark.parametrize(
    "token", [pytest.param("", id="none"), pytest.param("1.2", id="made up"), pytest.param("another's", id="of another user")]
)
def test_a_post_without_a_token_of_this_user_changes_nothing(browser: Client, fresh: Workbench, token: str) -> None:
    given = form_token(fresh.form_key, "8") if token == "another's" else token
    answer = browser.post("freeze", form_of(Page(browser.get(LINK).text), token=given))
    assert answer.status_code in (400, 403)
    assert fresh.versions.newest() == ()


@pytest.mark.parametrize(
    ("filled", "status"),
    [
        pytest.param({"title": ""}, 400, id="no title"),
        pytest.param({"title": "   "}, 400, id="blank title"),
        pytest.param({"title": "x" * 201}, 400, id="long title"),
        pytest.param({"purpose": "x" * 2001}, 400, id="long purpose"),
        pytest.param({"state": "in.nope=1"}, 400, id="unknown field"),
        pytest.param({"state": "&".join(["in.modality=a"] * 1001)}, 400, id="too many values"),
        pytest.param({"state": "in.modality=DCM:ZZ"}, 409, id="nobody in it"),
    ],
)
def test_a_form_that_does_not_hold_is_refused_with_words(browser: Client, fresh: Workbench, filled: dict[str, str], status: int) -> None:
    answer = browser.post("freeze", form_of(Page(browser.get(LINK).text), **filled))
    assert answer.status_code == status
    assert Page(answer.text).all("div", role="alert")
    assert fresh.versions.newest() == ()


def test_freezing_by_get_is_refused(browser: Client) -> None:
    assert browser.get("freeze").status_code == 405


def test_the_token_of_one_page_serves_another_worker_of_the_same_installation(fresh: Workbench) -> None:
    token = Page(Client(mounted(fresh)).get(LINK).text).value_of("token")
    other = Client(mounted(fresh, user=lambda: User(DOCTOR.id, DOCTOR.name)))
    assert other.post("freeze", {"token": token, "state": "", "title": "T"}, origin=BASE).status_code == 303
