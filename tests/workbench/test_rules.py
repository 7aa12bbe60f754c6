"""The sentence whose phrases lead to their cards, the funnel with rules to move and switch, and all of several values."""

from __future__ import annotations

import pytest

from fairlead.workbench import Workbench, definition_of
from fairlead.workbench.reading import read_state
from fairlead.workbench.state import PageState
from workbench.builders import a_series
from workbench.fakes import Client, Page, mounted

CT_OF_WOMEN = "?in.modality=DCM:CT&in.patient.sex=F&from.patient.age_years=45"


def rules(page: Page) -> list[str]:
    """Return the fields of the funnel's rows from top to bottom."""
    return [found["data-rule"] or "" for found in page.all("tr") if "data-rule" in found]


def link(page: Page, identity: str) -> str:
    return (page.all("a", id=identity)[0]["href"] or "").removeprefix("./")


def test_every_phrase_of_the_sentence_leads_to_its_card(client: Client) -> None:
    html = client.get(CT_OF_WOMEN).text
    sentence = html.split('class="sentence">')[1].split("</p>")[0]
    assert sentence == (
        'Series where <a href="#card-modality">modality is CT (Computed Tomography)</a> and '
        '<a href="#card-patient.age_years">age is at least 45 years</a> and <a href="#card-patient.sex">sex is F</a>.'
    )
    cards = {found["id"] for found in Page(html).all("fieldset")}
    assert {"card-modality", "card-patient.age_years", "card-patient.sex"} <= cards


def test_a_rule_moves_in_the_funnel_and_the_members_stay(client: Client) -> None:
    page = Page(client.get(CT_OF_WOMEN).text)
    assert rules(page) == ["modality", "patient.age_years", "patient.sex"]
    moved = Page(client.get(link(page, "up-patient.sex")).text)
    assert rules(moved) == ["modality", "patient.sex", "patient.age_years"]
    assert "Sex: F ↑ ↓ off" not in page.text
    assert "4 patients 4 studies" in page.text
    assert "4 patients 4 studies" in moved.text
    assert not page.all("a", id="up-modality")
    assert not page.all("a", id="down-patient.sex")
    assert page.value_of("token")


def test_a_rule_that_is_off_asks_nothing_but_keeps_its_values(client: Client) -> None:
    page = Page(client.get(CT_OF_WOMEN).text)
    off = Page(client.get(link(page, "switch-patient.age_years")).text)
    assert "6 patients 6 studies" in off.text
    assert "Age: from 45 switched off" in off.text
    assert off.value_of("from.patient.age_years") == "45"
    assert "Off in the funnel." in off.text
    assert link(off, "on-patient.age_years") == link(page, "permalink")
    assert "patient.age_years" not in client.get(link(off, "permalink").replace("?", "definition?")).text


def test_a_project_that_is_off_does_not_say_whose_a_cohort_is(workbench: Workbench) -> None:
    state = read_state([("in.project", "lung"), ("off", "project")], workbench.catalogue)
    assert not state.narrows
    assert definition_of(state) == definition_of(PageState())


@pytest.mark.parametrize(("group", "series"), [("", 5), ("patient", 4), ("study", 2)])
def test_all_of_several_values_are_asked_of_a_patient_or_a_study(fresh: Workbench, group: str, series: int) -> None:
    fresh.data.index.put(  # type: ignore[attr-defined]  # the real one
        [
            a_series(301, patient="both-in-a-study", modality="PT"),
            a_series(302, patient="both-in-a-study", modality="NM").model_copy(
                update={
                    "core": a_series(302, patient="both-in-a-study", modality="NM").core.model_copy(update={"study_uid": "1.2.3.301.1"})
                }
            ),
            a_series(303, patient="both-ever", modality="PT"),
            a_series(304, patient="both-ever", modality="NM"),
            a_series(305, patient="one", modality="PT"),
        ]
    )
    page = Page(Client(mounted(fresh)).get(f"?in.modality=DCM:PT&in.modality=DCM:NM&every.modality={group}").text)
    assert f"{series} series" in page.text
    assert [found["value"] for found in page.all("option") if "selected" in found] == [group]


def test_the_switch_between_any_and_all_comes_with_the_second_value(client: Client) -> None:
    assert not Page(client.get("?in.modality=DCM:CT").text).all("select", name="every.modality")
    assert Page(client.get("?in.modality=DCM:CT&in.modality=DCM:MR").text).all("select", name="every.modality")


def test_the_top_says_which_version_is_in_view_and_whether_it_was_changed(fresh: Workbench) -> None:
    client = Client(mounted(fresh))
    version = fresh.versions.freeze(
        definition_of(read_state([("in.modality", "DCM:CT")], fresh.catalogue)), author="a", title="CT", purpose=""
    )
    told = [Page(client.get(f"?{query}&version={version.ref}").text).text for query in ("in.modality=DCM:CT", "in.modality=DCM:MR")]
    assert ["CT v1 12 patients" in told[0], "CT v1, changed 8 patients" in told[1]] == [True, True]
    assert "Not saved 24 patients" in Page(client.get().text).text
