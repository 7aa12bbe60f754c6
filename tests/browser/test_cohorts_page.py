"""The Cohorts page in Chromium: mouse, keyboard, charts, freeze, export, Airflow's frame, accessibility."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from browser.conftest import Site
from fairlead.workbench import definition_of
from fairlead.workbench.state import TABS, Filter, PageState
from workbench.builders import a_series

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
PICTURES = os.environ.get("FAIRLEAD_SCREENSHOTS")


WOMEN = PageState({"patient.sex": Filter(include=("F",))})


def headline(tab: Page, words: str) -> None:
    """Wait until the big number says it, and nothing is under way any more."""
    expect(tab.locator(".patients")).to_have_text(words)
    expect(tab.locator("#page.htmx-request")).to_have_count(0)


def freeze(tab: Page, title: str) -> None:
    tab.get_by_label("Title", exact=True).fill(title)
    tab.get_by_role("button", name="Freeze").click()
    expect(tab.get_by_role("heading", name=f"{title} v1")).to_be_visible()


def picture(tab: Page, name: str) -> None:
    """Keep a picture of the page where $FAIRLEAD_SCREENSHOTS says."""
    if PICTURES:
        tab.screenshot(path=Path(PICTURES) / f"{name}.png")


def violations(tab: Page) -> list[str]:
    """Return what axe-core finds, as ``rule: element``."""
    if not AXE.is_file():
        pytest.skip("axe-core is not installed; `npm ci` in web/ installs it (make setup does when it builds the web assets)")
    tab.evaluate(AXE.read_text(encoding="utf-8"))
    found = tab.evaluate("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})")
    return [f"{rule['id']}: {node['html'][:120]}" for rule in found["violations"] for node in rule["nodes"]]


def test_a_cohort_is_built_with_the_mouse_and_the_address_is_a_permalink(site: Site, tab: Page) -> None:
    tab.goto(site.page)
    headline(tab, "24 patients")
    tab.get_by_label("CT", exact=True).check()
    headline(tab, "12 patients")
    tab.get_by_label("Exclude Sex F").check()
    headline(tab, "6 patients")
    expect(tab.get_by_label("MR", exact=True)).to_be_visible()
    address = tab.url
    assert "in.modality=DCM%3ACT" in address
    other = tab.context.browser.new_context() if tab.context.browser else None
    assert other is not None
    second = other.new_page()
    second.goto(address)
    expect(second.locator(".patients")).to_have_text("6 patients")
    other.close()
    tab.go_back()
    headline(tab, "12 patients")


def test_the_keyboard_alone_builds_and_freezes_a_cohort(site: Site, tab: Page) -> None:
    tab.goto(site.page)
    tab.keyboard.press("/")
    expect(tab.get_by_role("searchbox", name="Search values")).to_be_focused()
    tab.keyboard.type("chest ct")
    expect(tab.get_by_role("link", name="All of these")).to_be_visible()
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    headline(tab, "12 patients")
    tab.get_by_label("Chest", exact=True).focus()
    tab.keyboard.press("Space")
    expect(tab.get_by_label("Chest", exact=True)).not_to_be_checked()
    expect(tab.get_by_label("Chest", exact=True)).to_be_focused()
    headline(tab, "12 patients")
    tab.keyboard.press("f")
    tab.keyboard.type("Chest CT")
    tab.get_by_label("Single keys:").uncheck()
    tab.keyboard.press("/")
    expect(tab.get_by_role("searchbox", name="Search values")).not_to_be_focused()
    tab.get_by_label("Single keys:").check()
    tab.keyboard.press("f")
    tab.keyboard.press("End")
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("heading", name="Chest CT v1")).to_be_visible()
    [version] = site.workbench.versions.newest()
    assert (version.title, version.counts.patients) == ("Chest CT", 12)


def test_steps_are_undone_and_redone_by_button_and_key(site: Site, tab: Page) -> None:
    tab.goto(site.page)
    expect(tab.get_by_role("button", name="Undo")).to_be_disabled()
    tab.get_by_label("CT", exact=True).check()
    headline(tab, "12 patients")
    tab.get_by_label("Age from").fill("45")
    tab.get_by_label("Age from").blur()
    headline(tab, "8 patients")
    tab.get_by_role("button", name="Undo").click()
    headline(tab, "12 patients")
    expect(tab.get_by_label("Age from")).to_have_value("")
    tab.keyboard.press("Control+z")
    headline(tab, "24 patients")
    tab.get_by_role("button", name="Redo").click()
    headline(tab, "12 patients")
    tab.keyboard.press("Control+Shift+z")
    headline(tab, "8 patients")
    expect(tab.get_by_role("button", name="Redo")).to_be_disabled()
    assert "from.patient.age_years=45" in tab.url


def rules(tab: Page) -> list[str]:
    """Return the funnel's movable rules from top to bottom."""
    return [row.get_attribute("data-rule") or "" for row in tab.locator("tr[data-rule]").all()]


def test_rules_of_the_funnel_are_dragged_moved_by_key_and_switched(site: Site, tab: Page) -> None:
    tab.goto(f"{site.page}?in.modality=DCM:CT&in.patient.sex=F&from.patient.age_years=45")
    headline(tab, "4 patients")
    tab.locator("tr[data-rule='patient.sex']").drag_to(tab.locator("tr[data-rule=modality]"))
    expect(tab.locator("tr[data-rule]").first).to_have_attribute("data-rule", "patient.sex")
    headline(tab, "4 patients")
    assert "order=patient.sex&order=modality" in tab.url
    tab.get_by_label("Move down: Sex: F").focus()
    tab.keyboard.press("Enter")
    expect(tab.locator("tr[data-rule]").first).to_have_attribute("data-rule", "modality")
    expect(tab.get_by_label("Move down: Sex: F")).to_be_focused()
    tab.get_by_label("Switch off: Sex: F").click()
    headline(tab, "8 patients")
    assert rules(tab) == ["modality", "patient.sex", "patient.age_years"]
    tab.get_by_role("button", name="Undo").click()
    headline(tab, "4 patients")


def test_a_phrase_leads_to_its_card_and_two_values_are_asked_together(site: Site, tab: Page) -> None:
    tab.goto(f"{site.page}?in.modality=DCM:CT&from.patient.age_years=45")
    tab.get_by_role("link", name="age is at least 45 years").click()
    expect(tab.locator("[id='card-patient.age_years']")).to_be_in_viewport()
    assert tab.evaluate("document.activeElement.id") == "card-patient.age_years"
    tab.get_by_label("MR", exact=True).check()
    headline(tab, "11 patients")
    tab.get_by_label("Modality: any or all of the chosen values").select_option("patient")
    headline(tab, "0 patients")
    expect(tab.get_by_role("alert")).to_contain_text("Nothing is left.")
    expect(tab.get_by_role("alert")).to_contain_text("all in one patient: CT and MR")
    tab.get_by_label("Modality: any or all of the chosen values").select_option("any of them")
    headline(tab, "11 patients")


def test_two_people_edit_one_draft_and_the_second_is_told_and_loses_nothing(site: Site, tab: Page, browser) -> None:
    tab.goto(f"{site.page}?in.modality=DCM:CT")
    tab.get_by_label("Title", exact=True).fill("Shared")
    tab.get_by_role("button", name="Save draft").click()
    expect(tab.locator("#editing")).to_contain_text("Draft “Shared”, revision 1")
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    second = context.new_page()
    second.goto(tab.url)
    expect(second.locator("#editing")).to_contain_text("revision 1")
    tab.get_by_label("Age from").fill("45")
    tab.get_by_label("Age from").blur()
    headline(tab, "8 patients")
    tab.get_by_role("button", name="Save draft").click()
    expect(tab.locator("#editing")).to_contain_text("revision 2")
    second.get_by_label("Exclude Sex F").check()
    headline(second, "6 patients")
    expect(second.locator("#editing")).to_contain_text("dr.who saved revision 2")
    second.get_by_role("button", name="Save draft").click()
    expect(second.get_by_role("alert")).to_contain_text("Nothing is lost")
    expect(second.get_by_role("alert")).to_contain_text("condition removed: age is at least 45 years")
    picture(second, "cohorts-conflict-dark")
    headline(second, "6 patients")
    second.get_by_role("button", name="Save mine as a draft of its own").click()
    expect(second.locator("#editing")).to_contain_text("revision 1")
    assert [draft.revision for draft in site.workbench.drafts.list()] == [1, 2]
    context.close()


def test_versions_are_compared_and_combined_with_the_mouse(site: Site, tab: Page) -> None:
    tab.goto(f"{site.page}?in.modality=DCM:CT")
    freeze(tab, "Chest CT")
    tab.get_by_label("Age from").fill("45")
    tab.get_by_label("Age from").blur()
    headline(tab, "8 patients")
    tab.get_by_label("Title", exact=True).fill("Chest CT")
    tab.get_by_role("button", name="Freeze").click()
    expect(tab.get_by_role("heading", name="Chest CT v2")).to_be_visible()
    tab.get_by_role("link", name="Compare").click()
    expect(tab.locator("#diff-removed")).to_have_text("4")
    tab.get_by_role("link", name="v1", exact=True).click()  # its filters, not those of the page
    headline(tab, "12 patients")
    expect(tab.locator("#where")).to_have_text("Chest CT v1")
    expect(tab.get_by_label("Age from")).to_have_value("")
    tab.goto(f"{site.page}?in.patient.sex=F")
    freeze(tab, "Women")
    tab.get_by_label("Mark Women v1").check()
    tab.get_by_label("Mark Chest CT v2").check()
    tab.get_by_role("button", name="Overlap of marked versions").click()
    expect(tab.get_by_role("row", name="A and B")).to_contain_text("4")
    tab.get_by_role("link", name="Open as cohort A and B").click()
    headline(tab, "4 patients")


def test_a_value_is_included_or_excluded_never_both(site: Site, tab: Page) -> None:
    tab.goto(site.page)
    tab.get_by_label("CT", exact=True).check()
    headline(tab, "12 patients")
    tab.get_by_label("Exclude Modality CT").check()
    headline(tab, "12 patients")
    expect(tab.get_by_label("CT", exact=True)).not_to_be_checked()
    tab.get_by_text("MR", exact=True).click(button="right")
    headline(tab, "4 patients")
    expect(tab.get_by_label("Exclude Modality MR")).to_be_checked()
    tab.get_by_text("MR", exact=True).click(button="right")
    headline(tab, "12 patients")


def test_a_value_among_many_is_found_by_a_word_and_stays_found(site: Site, tab: Page) -> None:
    site.workbench.data.index.put([a_series(100 + number, manufacturer=f"Maker {number:02}") for number in range(60)])  # type: ignore[attr-defined]
    tab.goto(site.page)
    tab.get_by_label("CT", exact=True).check()
    headline(tab, "72 patients")
    expect(tab.locator("[id^=after-modality] .then").first).to_be_visible()
    expect(tab.get_by_label("Maker 57", exact=True)).to_have_count(0)
    tab.get_by_label("Find in Manufacturer").press_sequentially("ker 5", delay=20)
    expect(tab.locator("#announcer")).to_have_text("15 values in Manufacturer")
    tab.get_by_label("Maker 57", exact=True).focus()
    tab.keyboard.press("Space")
    headline(tab, "1 patient")
    expect(tab.get_by_label("Find in Manufacturer")).to_have_value("ker 5")
    expect(tab.get_by_label("Maker 58", exact=True)).to_be_visible()
    assert "find." not in tab.url
    tab.get_by_label("Find in Manufacturer").fill("")
    expect(tab.get_by_label("Maker 58", exact=True)).to_have_count(0)
    expect(tab.get_by_label("Maker 57", exact=True)).to_be_checked()
    assert violations(tab) == []


def test_what_was_typed_survives_an_answer_that_comes_meanwhile(site: Site, tab: Page) -> None:
    tab.goto(site.page)
    tab.get_by_label("Title", exact=True).fill("Draft title")
    tab.get_by_label("CT", exact=True).check()
    tab.get_by_label("Age from").fill("45")
    tab.get_by_label("Age from").blur()
    headline(tab, "8 patients")
    expect(tab.get_by_label("CT", exact=True)).to_be_checked()
    expect(tab.get_by_label("Title", exact=True)).to_have_value("Draft title")


def test_of_questions_that_overlap_none_is_lost(site: Site, tab: Page) -> None:
    held: list[Route] = []
    tab.goto(site.page)
    tab.route(re.compile(r"/cohorts/\?tab=charts$"), lambda route: held.append(route))
    tab.get_by_role("link", name="Charts").click()
    with tab.expect_request(re.compile("in.modality")):
        tab.get_by_label("CT", exact=True).check()
    headline(tab, "12 patients")  # though the checkbox has the focus all the time
    expect(tab.get_by_role("heading", name="Charts")).to_be_visible()
    assert len(held) == 1
    tab.get_by_label("Age from").fill("45")
    tab.get_by_role("link", name="Table").click()
    headline(tab, "8 patients")
    expect(tab.get_by_role("heading", name="Records")).to_be_visible()
    expect(tab.get_by_label("CT", exact=True)).to_be_checked()
    forms: list[Route] = []
    tab.route("**/freeze", lambda route: forms.append(route))
    tab.get_by_label("Title", exact=True).fill("Of eight")
    tab.get_by_role("button", name="Freeze").click()
    tab.get_by_label("Exclude Sex F").check()
    tab.get_by_role("link", name="Samples").click()
    forms[0].continue_()
    headline(tab, "4 patients")
    expect(tab.get_by_role("heading", name="Samples")).to_be_visible()
    expect(tab.get_by_role("heading", name="Of eight v1")).to_be_visible()
    [version] = site.workbench.versions.newest()
    assert version.counts.patients == 8
    tab.keyboard.press("Control+z")
    tab.keyboard.press("Control+z")
    tab.keyboard.press("Control+Shift+z")
    headline(tab, "8 patients")


def test_a_refusal_is_shown_beside_its_field_and_the_numbers_stay(site: Site, tab: Page) -> None:
    tab.goto(f"{site.page}?in.modality=DCM:CT")
    tab.get_by_label("Slice thickness from").fill("5")
    tab.get_by_label("Slice thickness to").fill("1")
    tab.get_by_label("Slice thickness to").blur()
    card = tab.locator("[id='card-series.slice_thickness_mm']")
    expect(card.get_by_role("alert")).to_contain_text("the first bound is above the second")
    expect(card.get_by_role("alert")).to_be_in_viewport()
    expect(tab.get_by_label("Slice thickness from")).to_have_attribute("aria-invalid", "true")
    headline(tab, "12 patients")
    tab.get_by_role("link", name="Charts").click()
    expect(tab.get_by_role("heading", name="Charts")).to_be_visible()
    expect(tab.get_by_label("Slice thickness from")).to_have_value("")
    said = tab.console_said  # type: ignore[attr-defined]
    assert all("400" in text for text in said)
    said.clear()


def test_charts_are_drawn_under_the_strict_policy(site: Site, tab: Page) -> None:
    tab.goto(f"{site.page}?tab=charts")
    expect(tab.locator(".chart canvas")).to_have_count(4)
    assert all(box["width"] > 100 for canvas in tab.locator(".chart canvas").all() if (box := canvas.bounding_box()))
    years = tab.locator(".chart[data-brush] canvas")
    years.scroll_into_view_if_needed()
    box = years.bounding_box()
    assert box is not None
    tab.mouse.move(box["x"] + box["width"] * 0.55, box["y"] + 60)
    tab.mouse.down()
    tab.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 90, steps=5)
    tab.mouse.up()
    expect(tab.get_by_label("Date to")).to_have_value("2020-12-31")
    headline(tab, "16 patients")
    tab.get_by_role("button", name="Undo").click()
    headline(tab, "24 patients")
    tab.get_by_role("link", name="Table").click()
    expect(tab.get_by_role("heading", name="Records")).to_be_visible()
    tab.get_by_role("link", name="Charts").click()
    expect(tab.locator(".chart canvas")).to_have_count(4)


def test_the_export_is_started_as_the_user_and_followed_to_the_dataset(site: Site, tab: Page) -> None:
    site.airflow.outages = 1
    site.airflow.states = ["queued", "running"]
    tab.goto(f"{site.page}?in.modality=DCM:CT")
    freeze(tab, "Chest CT")
    tab.get_by_label("Access").select_option("restricted")
    tab.get_by_role("button", name="Start the export").click()
    expect(tab.locator("#export-state")).to_contain_text("waiting for a steward's approval", timeout=60_000)
    [version] = site.workbench.versions.newest()
    [run] = site.airflow.runs
    assert run["logical_date"] is None
    assert run["conf"] == {
        "cohort": version.ref, "title": "Chest CT", "profile": "basic", "access_rights": "restricted",
        "license": "https://creativecommons.org/licenses/by/4.0/",
    }  # fmt: skip
    tab.get_by_label("MR", exact=True).check()  # the page is swapped while the export is followed
    headline(tab, "20 patients")
    site.airflow.states = ["success"]
    expect(tab.locator(".exports a.dataset")).to_have_text("http://fdp.test/dataset/d1", timeout=60_000)
    said = tab.console_said  # type: ignore[attr-defined]
    assert all("503" in text for text in said)  # the outage; a run before its first task is no fault
    said.clear()


def test_a_follow_up_survives_lost_late_and_broken_replies_and_goes_on_to_the_record(site: Site, tab: Page) -> None:
    site.airflow.states = ["running"]
    lost: list[str] = []

    def lose(route: Route) -> None:
        """Lose the first reply, break the second, cut the third short, hold the fourth for ever, and let the others pass."""
        lost.append(route.request.url)
        match len(lost):
            case 1:
                route.abort("connectionreset")
            case 2:
                route.fulfill(status=502, body="Bad Gateway")
            case 3:
                route.fulfill(status=200, content_type="application/json", body='{"state": "run')
            case 4:
                pass
            case _:
                route.continue_()

    tab.clock.install()
    tab.goto(f"{site.page}?in.modality=DCM:CT")
    freeze(tab, "Chest CT")
    tab.get_by_role("button", name="Start the export").click()
    expect(tab.locator("#export-state")).to_contain_text("waiting for a steward's approval", timeout=60_000)
    site.airflow.states = ["success"]
    tab.route("**/dagRuns/cohorts__*", lose)
    for seen in range(1, 6):
        until(lambda seen=seen: len(lost) >= seen, tab)
    expect(tab.locator("#export-state a.dataset")).to_have_attribute("href", "http://fdp.test/dataset/d1", timeout=60_000)
    tab.console_said.clear()  # type: ignore[attr-defined]  # the lost replies


def until(holds: Callable[[], bool], tab: Page) -> None:
    """Let the page's clock run until something holds, and fail when it never does."""
    for _ in range(60):
        if holds():
            return
        tab.clock.run_for(1000)
    raise AssertionError("It never came to that.")


def test_a_start_whose_reply_is_lost_is_the_same_run_when_it_is_asked_again(site: Site, tab: Page) -> None:
    site.airflow.states = ["running"]
    tries: list[str] = []

    def lose(route: Route) -> None:
        """Let every request reach Airflow, and lose its first four replies."""
        tries.append(json.loads(route.request.post_data or "{}")["dag_run_id"])
        answer = route.fetch()
        route.abort("connectionreset") if len(tries) <= 4 else route.fulfill(response=answer)

    tab.route("**/export_cohort/dagRuns", lose)
    tab.goto(site.page)
    freeze(tab, "Everything")
    tab.get_by_role("button", name="Start the export").click()
    expect(tab.locator("#export-state")).to_contain_text("Airflow does not answer. Try again.")
    tab.get_by_role("button", name="Start the export").click()
    expect(tab.locator("#export-state")).to_contain_text("waiting for a steward's approval", timeout=60_000)
    assert len(tries) == 5
    assert len(set(tries)) == len(site.airflow.runs) == 1
    tab.console_said.clear()  # type: ignore[attr-defined]  # the lost replies


@pytest.mark.parametrize(
    ("status", "says"), [(403, "You may not start exports"), (401, "not signed in"), (404, "does not know the export DAG")]
)
def test_a_refused_start_says_why(site: Site, tab: Page, status: int, says: str) -> None:
    site.airflow.status = status
    tab.goto(site.page)
    freeze(tab, "Everything")
    tab.get_by_role("button", name="Start the export").click()
    expect(tab.locator("#export-state")).to_contain_text(says)
    assert site.airflow.runs == []
    said = tab.console_said  # type: ignore[attr-defined]
    assert all(str(status) in text for text in said)
    said.clear()


def test_inside_airflows_sandboxed_frame_everything_works_and_links_lead_out(site: Site, tab: Page) -> None:
    site.airflow.states = ["running"]
    tab.goto(f"{site.address}/plugin")
    frame = tab.frame_locator("#plugin")
    expect(frame.locator(".patients")).to_have_text("24 patients")
    tab.keyboard.press("/")  # no click has been inside
    expect(frame.get_by_role("searchbox")).to_be_focused()
    frame.get_by_label("CT", exact=True).check()
    expect(frame.locator(".patients")).to_have_text("12 patients")
    expect(tab).to_have_url(f"{site.address}/plugin#?in.modality=DCM%3ACT")  # a bookmark of Airflow's page is one of the view
    frame.get_by_role("link", name="Table").click()
    expect(frame.get_by_role("heading", name="Records")).to_be_visible()
    tab.go_back()
    expect(frame.get_by_role("heading", name="What each rule leaves")).to_be_visible()
    expect(tab).to_have_url(f"{site.address}/plugin#?in.modality=DCM%3ACT")
    tab.go_back()
    expect(frame.locator(".patients")).to_have_text("24 patients")
    expect(tab).to_have_url(f"{site.address}/plugin")
    tab.goto("about:blank")
    tab.goto(f"{site.address}/plugin#?in.no_such_field=x")
    frame.get_by_role("link", name="Back to the Cohorts page").click()
    expect(frame.locator(".patients")).to_have_text("24 patients")
    tab.goto("about:blank")
    tab.goto(f"{site.address}/plugin#?in.modality=DCM%3ACT")
    expect(frame.locator(".patients")).to_have_text("12 patients")
    frame.get_by_text("Definition", exact=False).first.click()
    with tab.expect_download() as download:
        frame.get_by_role("link", name="Download the definition").click()
    assert json.loads(Path(download.value.path()).read_text())["unit"] == "series"
    frame.get_by_label("Title", exact=True).fill("Framed")
    frame.get_by_role("button", name="Freeze").click()
    frame.get_by_text("Members, citation, notebook").click()
    with tab.expect_download() as download:
        frame.get_by_role("link", name="CSV").click()
    assert Path(download.value.path()).read_text().count("dicom-series") == 12
    expect(frame.locator("#cite")).to_contain_text(f"{site.page}?version=")
    frame.get_by_role("button", name="Copy the citation").click()
    expect(frame.locator("#announcer")).to_have_text(re.compile("Copied.|Marked: press Ctrl.C."))
    frame.get_by_role("button", name="Start the export").click()
    frame.get_by_role("link", name="Go to the approval").first.click(timeout=15_000)
    tab.wait_for_url("**/required_actions?response_received=false")
    expect(tab).to_have_title("Required actions")
    said = tab.console_said  # type: ignore[attr-defined]
    foreign = ("sandbox", "400", "404")  # Airflow's frame, the view that was refused, the icon that the outer page has not
    said[:] = [text for text in said if not any(word in text for word in foreign)]


@pytest.mark.parametrize("scheme", ["dark", "light"], indirect=True)
def test_axe_finds_nothing_to_complain_about_on_any_tab(site: Site, tab: Page, scheme: str) -> None:
    tab.goto(site.page)
    tab.get_by_label("CT", exact=True).check()
    headline(tab, "12 patients")
    tab.get_by_label("Title", exact=True).fill("Chest CT")
    tab.get_by_role("button", name="Save draft").click()
    expect(tab.locator("#editing")).to_be_visible()
    freeze(tab, "Chest CT")
    [first] = site.workbench.versions.newest()
    women = site.workbench.versions.freeze(definition_of(WOMEN), author="ada", title="Women", purpose="")
    address = tab.url
    for view in TABS:
        tab.goto(f"{address}&tab={view}&against={women.ref}&of={first.ref}&of={women.ref}&q=chest")
        if view == "charts":
            expect(tab.locator(".chart canvas")).to_have_count(4)
        if view in ("samples", "compare"):
            expect(tab.locator(".frame img").nth(5)).to_be_visible()
        if view == "samples":
            tab.locator("a.frame").first.focus()
            tab.keyboard.press("Space")
            expect(tab.locator("#look")).to_contain_text("The viewer shows published images")
        picture(tab, f"cohorts-{view}-{scheme}")
        assert (view, violations(tab)) == (view, [])


def test_the_page_fits_1280_pixels_without_scrolling_sideways(site: Site, tab: Page) -> None:
    long = "Hamburgische Gesellschaft für Medizintechnik und Röntgenapparate"
    site.workbench.data.index.put([a_series(99, manufacturer=long)])  # type: ignore[attr-defined]  # the real one
    for width in (1400, 1280):
        tab.set_viewport_size({"width": width, "height": 900})
        tab.goto(f"{site.page}?tab=table&in.modality=DCM:CT")
        for seen in ("document.documentElement", "document.querySelector('.scroll')"):  # no last column is cut
            assert tab.evaluate(f"{seen}.scrollWidth <= {seen}.clientWidth"), (width, seen)
    label = tab.locator(".pick .name", has_text=long)
    overflows = "(label) => label.scrollWidth > label.clientWidth"
    assert label.evaluate(overflows)
    assert label.evaluate("(label) => getComputedStyle(label).textOverflow") == "ellipsis"
    tab.get_by_label(long, exact=True).focus()
    assert not label.evaluate(overflows)  # with the keyboard its whole text is there
    boxes = [box for element in tab.locator(".drop, .tabs a, button").all() if element.is_visible() and (box := element.bounding_box())]
    assert len(boxes) > 20
    assert min(min(box["width"], box["height"]) for box in boxes) >= 24  # WCAG 2.2, 2.5.8


def test_without_scripts_filters_and_freeze_work(site: Site, browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site.page)
    page.get_by_label("CT", exact=True).check()
    page.get_by_role("button", name="Apply filters").click()
    expect(page.locator(".patients")).to_have_text("12 patients")
    page.get_by_label("Title", exact=True).fill("No scripts")
    page.get_by_role("button", name="Freeze").click()
    expect(page.get_by_role("heading", name="No scripts v1")).to_be_visible()
    expect(page.get_by_text("fairlead publish")).to_be_visible()
    context.close()
