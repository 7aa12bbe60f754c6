"""Drafts on the page: two people at one draft, the second is told and loses nothing."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from fairlead.workbench import User, Workbench
from workbench.fakes import Client, Page, mounted

CT, MR = "in.modality=DCM%3ACT", "in.modality=DCM%3AMR"


@pytest.fixture
def ada(fresh: Workbench) -> Client:
    return Client(mounted(fresh, user=lambda: User("1", "ada")))


@pytest.fixture
def bob(fresh: Workbench) -> Client:
    return Client(mounted(fresh, user=lambda: User("2", "bob")))


def save(client: Client, link: str, *, follow: bool = True, **filled: str) -> str:
    """Save the page at a link as a draft and return the link that follows, or the refusal's text."""
    page = Page(client.get(f"?{link}").text)
    answer = client.post("drafts", {"token": page.value_of("token"), "state": page.value_of("state"), "title": "Chest", **filled})
    assert answer.status_code == (303 if follow else 409), answer.text
    return answer.headers["location"].removeprefix("./?") if follow else answer.text


def test_a_draft_is_saved_listed_and_opened_again(ada: Client, fresh: Workbench) -> None:
    link = save(ada, CT, purpose="Reader study")
    [draft] = fresh.drafts.list()
    assert link == f"{CT}&draft={draft.id}&rev=1"
    page = Page(ada.get("").text)
    assert page.all("a", id=f"draft-{draft.id}")[0]["href"] == f"./?{link}"
    assert "Draft “Chest”, revision 1" in Page(ada.get(f"?{link}").text).text
    again = save(ada, link.replace("CT", "MR"))
    assert again == f"{MR}&draft={draft.id}&rev=2"
    assert fresh.drafts.get(draft.id).title == "Chest"


def test_the_second_of_two_people_is_told_sees_both_sides_and_loses_nothing(ada: Client, bob: Client, fresh: Workbench) -> None:
    link = save(ada, CT)
    save(ada, f"{link}&from.patient.age_years=50")
    told = Page(save(bob, link.replace("CT", "MR"), follow=False))
    assert "ada saved this draft" in told.text
    assert "condition removed: age is at least 50 years" in told.text
    assert "condition added: modality is Magnetic Resonance" in told.text
    assert MR in told.value_of("state")
    [draft] = fresh.drafts.list()
    assert (draft.saved_by, draft.revision) == ("ada", 2)
    form = {name: told.value_of(name) for name in ("token", "state", "title", "purpose", "seen")}
    copied = bob.post("drafts", form | {"action": "copy"})
    assert copied.status_code == 303
    assert {one.saved_by for one in fresh.drafts.list()} == {"ada", "bob"}
    over = bob.post("drafts", form | {"action": "save"})
    assert parse_qs(urlsplit(over.headers["location"]).query)["rev"] == ["3"]
    assert fresh.drafts.get(draft.id).saved_by == "bob"


def test_a_third_person_between_looking_and_overwriting_is_not_overwritten(ada: Client, bob: Client, fresh: Workbench) -> None:
    link = save(ada, CT)
    save(ada, f"{link}&from.patient.age_years=50")
    told = Page(save(bob, link.replace("CT", "MR"), follow=False))
    save(ada, f"{CT}&draft={fresh.drafts.list()[0].id}&rev=2&from.patient.age_years=60")
    form = {name: told.value_of(name) for name in ("token", "state", "title", "purpose", "seen")}
    assert bob.post("drafts", form | {"action": "save"}).status_code == 409
    assert fresh.drafts.list()[0].saved_by == "ada"


def test_an_open_draft_that_somebody_saved_since_says_so_before_saving(ada: Client, bob: Client) -> None:
    link = save(ada, CT)
    save(ada, link.replace("CT", "MR"))
    page = Page(bob.get(f"?{link}").text)
    assert "ada saved revision 2" in page.text
    assert page.all("a", id="theirs")[0]["href"].startswith(f"./?{MR}")  # type: ignore[union-attr]
    assert "12 patients" in page.text


def test_a_conflict_for_htmx_is_a_fragment_for_the_alerts(ada: Client, bob: Client) -> None:
    link = save(ada, CT)
    save(ada, link.replace("CT", "MR"))
    page = Page(bob.get(f"?{link}&from.patient.age_years=50").text)
    form = {"token": page.value_of("token"), "state": page.value_of("state"), "title": "Chest"}
    answer = bob.post("drafts", form, hx_request="true")
    assert (answer.status_code, answer.text.lstrip()[:27]) == (409, '<div class="alert conflict"')


def test_a_discarded_draft_is_gone_and_the_filters_stay(ada: Client, fresh: Workbench) -> None:
    page = Page(ada.get(f"?{save(ada, CT)}").text)
    answer = ada.post("drafts/discard", {"token": page.value_of("token"), "state": page.value_of("state")})
    assert (answer.status_code, answer.headers["location"]) == (303, f"../?{CT}")
    assert fresh.drafts.list() == ()


@pytest.mark.parametrize("link", ["draft=x", "draft=0b6c1c1e-6f64-4f57-9f0a-6f1f5f4a2a1&rev=1", "rev=-1", "seed=1e9", "how=nothing&of=a@1"])
def test_a_link_with_what_is_no_draft_revision_or_seed_is_refused(ada: Client, link: str) -> None:
    assert ada.get(f"?{link}").status_code == 400
