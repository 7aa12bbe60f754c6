"""The whole way through a running Airflow: the demo's steps, then what people do besides the happy path."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from browser.in_airflow import chromium, open_cohorts, patients, picture, signed_in, status_of_post, violations
from fairlead.demo import DemoOptions, DemoResult, run_demo
from fairlead.demo.airflow_client import AirflowClient, wait_until
from fairlead.demo.environment import DemoEnvironment
from fairlead.demo.run import EXPORT_DAG
from fairlead.errors import CheckFailed
from fairlead.publish import Exports

pytestmark = [pytest.mark.live, pytest.mark.airflow, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
WAIT_S = 180


@dataclass
class Running:
    """A demo that has finished its steps and keeps its servers for the tests of this module."""

    workdir: Path
    told: list[str] = field(default_factory=list)
    result: DemoResult | None = None
    error: BaseException | None = None
    ready: threading.Event = field(default_factory=threading.Event)
    enough: threading.Event = field(default_factory=threading.Event)
    environment: DemoEnvironment | None = None

    def run(self) -> None:
        try:
            run_demo(DemoOptions(self.workdir, timeout_s=WAIT_S, keep=self.hold), tell=self.told.append)
        except BaseException as error:  # handed to the test that waits in another thread
            self.error = error
        finally:
            self.ready.set()

    def hold(self, result: DemoResult) -> None:
        self.result = result
        self.ready.set()
        self.enough.wait()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with pytest.MonkeyPatch.context() as patch:
        demo = Running(tmp_path_factory.mktemp("demo"))
        create = DemoEnvironment.create

        def remembered(workdir: Path) -> DemoEnvironment:
            demo.environment = create(workdir)
            return demo.environment

        patch.setattr(DemoEnvironment, "create", remembered)
        thread = threading.Thread(target=demo.run)
        thread.start()
        demo.ready.wait()
        yield demo
        demo.enough.set()
        thread.join()


@pytest.fixture
def environment(running: Running) -> DemoEnvironment:
    if running.error is not None:
        raise running.error
    assert running.environment is not None
    return running.environment


@pytest.fixture
def sign_in(environment: DemoEnvironment) -> Iterator[Callable[[str], AirflowClient]]:
    with ExitStack() as stack:
        yield lambda user: stack.enter_context(AirflowClient(environment.airflow_url, user=user, password=environment.passwords[user]))


def published(environment: DemoEnvironment) -> list[Path]:
    return sorted(environment.settings.published_folder.rglob("zarr.json"))


def finished(client: AirflowClient, run_id: str) -> str:
    def state() -> str | None:
        found = client.run_state(EXPORT_DAG, run_id)
        return found if found in {"success", "failed"} else None

    return wait_until(state, what=f"{run_id} to finish", timeout_s=WAIT_S)


def wait_for_approval(client: AirflowClient, run_id: str) -> None:
    def waits() -> bool:
        return client.task_states(EXPORT_DAG, run_id).get("approve") == "awaiting_input"

    wait_until(lambda: waits() or None, what="the approval", timeout_s=WAIT_S)


def decided(client: AirflowClient, run_id: str, *, option: str, reason: str) -> None:
    def answered() -> bool:
        states = client.task_states(EXPORT_DAG, run_id)
        if states.get("approve") == "awaiting_input":
            client.answer_approval(EXPORT_DAG, run_id, "approve", option=option, reason=reason)
        return states.get("decide") in {"success", "skipped", "failed"}

    wait_until(lambda: answered() or None, what="the decision", timeout_s=WAIT_S)


def export_of(environment: DemoEnvironment, run_id: str) -> Any:
    exports = Exports(environment.settings, environment.engine)
    return next(export for export in exports.list() if export.run_id == run_id)


def reference(running: Running) -> str:
    assert running.result is not None
    return f"{running.result.cohort['id']}@{running.result.cohort['version']}"


def test_every_check_of_the_outsider_passes(running: Running, environment: DemoEnvironment) -> None:
    assert running.result is not None
    document = running.result.document()
    assert set(document["dataset"]["checks"]) == {"json-ld equals turtle", "shacl", "voxels", "manifest", "ome-zarr-models"}
    assert all(document["dataset"]["checks"].values())
    assert document["ok"] is True
    assert document["series"] >= 3
    assert document["ome_images"] >= 2
    modalities = {record.core.modality.raw for record in environment.records() if record.core.modality}
    assert {"CT", "MR"} <= modalities
    assert all(Path(store).is_dir() for store in document["dataset"]["stores"])
    assert Path(document["dataset"]["picture"]).read_bytes().startswith(b"\x89PNG")


def test_every_step_is_shown_with_its_seconds(running: Running, environment: DemoEnvironment) -> None:
    assert running.result is not None
    names = [step["name"] for step in running.result.steps]
    assert [line.split(" ", 1)[1] for line in running.told if line.startswith("…")] == names
    assert all(step["seconds"] >= 0 and step["detail"] for step in running.result.steps)


def test_a_refusal_is_recorded_and_nothing_is_published(
    running: Running, environment: DemoEnvironment, sign_in: Callable[[str], AirflowClient]
) -> None:
    before = published(environment)
    clinician, steward = sign_in("clinician"), sign_in("steward")
    clinician.trigger(EXPORT_DAG, conf={"cohort": reference(running), "title": "To be refused"}, run_id="refused")
    wait_for_approval(clinician, "refused")
    decided(steward, "refused", option="Reject", reason="The purpose is missing.")
    assert finished(clinician, "refused") == "success"
    states = clinician.task_states(EXPORT_DAG, "refused")
    assert states["decide"] == "skipped"
    assert {states[task] for task in ("deidentify", "convert", "describe", "publish")} == {"skipped"}
    export = export_of(environment, "refused")
    assert (str(export.state), export.reason) == ("refused", "The purpose is missing.")
    assert published(environment) == before


def test_nobody_approves_their_own_export(running: Running, environment: DemoEnvironment, sign_in: Callable[[str], AirflowClient]) -> None:
    before = published(environment)
    clinician = sign_in("clinician")
    clinician.trigger(EXPORT_DAG, conf={"cohort": reference(running), "title": "My own"}, run_id="own")
    wait_for_approval(clinician, "own")
    decided(clinician, "own", option="Approve", reason="I like it.")
    assert finished(clinician, "own") == "failed"
    assert str(export_of(environment, "own").state) == "failed"
    assert published(environment) == before


def test_an_unknown_cohort_fails_before_anybody_is_asked(
    running: Running, environment: DemoEnvironment, sign_in: Callable[[str], AirflowClient]
) -> None:
    clinician = sign_in("clinician")
    clinician.trigger(EXPORT_DAG, conf={"cohort": "00000000-0000-4000-8000-000000000000@1"}, run_id="unknown")
    assert finished(clinician, "unknown") == "failed"
    states = clinician.task_states(EXPORT_DAG, "unknown")
    assert (states["request"], states["approve"]) == ("failed", "upstream_failed")
    log = clinician.call("GET", f"/api/v2/dags/{EXPORT_DAG}/dagRuns/unknown/taskInstances/request/logs/1", params={"full_content": True})
    assert "00000000-0000-4000-8000-000000000000" in str(log)
    assert "[not-found]" in str(log) or "There is no cohort" in str(log) or "not exist" in str(log)


def test_who_may_only_look_cannot_start_an_export(running: Running, sign_in: Callable[[str], AirflowClient]) -> None:
    with pytest.raises(CheckFailed, match="answered 403"):
        sign_in("guest").trigger(EXPORT_DAG, conf={"cohort": reference(running)}, run_id="guest")


def test_the_cohorts_page_is_behind_airflows_login(environment: DemoEnvironment, sign_in: Callable[[str], AirflowClient]) -> None:
    address = f"{environment.airflow_url}/cohorts/"
    assert httpx.get(address).status_code == 401
    page = sign_in("clinician").page("/cohorts/")
    assert "<h1" in page
    assert "patients" in page


@pytest.mark.browser
def test_a_clinician_works_in_airflows_own_pages(
    running: Running, environment: DemoEnvironment, sign_in: Callable[[str], AirflowClient]
) -> None:
    with chromium() as browser, signed_in(browser, environment.airflow_url, "clinician", environment.passwords["clinician"]) as tab:
        frame = open_cohorts(tab)
        everything = patients(frame)
        drawn = {kept.read_bytes()[:4] for kept in (environment.settings.home_folder / "pictures").rglob("*.png")}
        assert b"\x89PNG" in drawn  # at ingest: nobody has opened the page before
        frame.get_by_role("link", name="Samples").click()
        expect(frame.locator(".frame img").first).to_be_visible()
        picture(tab, "airflow-samples")
        frame.get_by_role("link", name="Charts").click()
        expect(frame.locator(".chart canvas").first).to_be_visible()
        picture(tab, "airflow-charts")
        frame.get_by_role("link", name="Funnel").click()
        expect(frame.get_by_role("heading", name="What each rule leaves")).to_be_visible(timeout=WAIT_S * 1000)
        frame.get_by_label("CT", exact=True).check()
        expect(frame.locator(".patients")).not_to_have_text(f"{everything} patients", timeout=WAIT_S * 1000)
        by_mouse = patients(frame)
        assert 0 < by_mouse < everything
        frame.get_by_label("Title", exact=True).fill("In the browser")
        frame.get_by_role("button", name="Freeze").click()
        expect(frame.get_by_role("heading", name="In the browser v1")).to_be_visible()

        frame.get_by_role("searchbox").press("Escape")  # from here on by keyboard
        tab.keyboard.type("mr")
        expect(frame.get_by_role("link", name="Modality: MR")).to_be_visible()
        tab.keyboard.press("Tab")
        tab.keyboard.press("Enter")
        expect(frame.get_by_label("MR", exact=True)).to_be_checked()
        frame.locator("body").press("f")
        tab.keyboard.type("In the browser")
        tab.keyboard.press("Enter")
        expect(frame.get_by_role("heading", name="In the browser v2")).to_be_visible()
        both = patients(frame)
        assert by_mouse < both <= everything

        frame.get_by_role("link", name="Compare", exact=True).click()
        expect(frame.locator("#diff-removed")).to_have_text("0")
        assert int(frame.locator("#diff-added").text_content() or "0") > 0
        assert violations(tab) == []
        picture(tab, "airflow-compare")
        frame.get_by_label("Mark In the browser v2").check()
        frame.locator("#sets input[type=checkbox]:not(:checked)").first.check()
        frame.get_by_role("button", name="Overlap of marked versions").click()
        frame.get_by_role("link", name="Open as cohort A and B").click()
        expect(frame.locator(".sentence")).to_contain_text("it is in “In the browser” v2")
        assert 0 < patients(frame) <= both
        link, shown = frame.locator("#permalink").get_attribute("href") or "", patients(frame)
        with signed_in(browser, environment.airflow_url, "steward", environment.passwords["steward"]) as second:
            second.goto(f"{environment.airflow_url}/cohorts/{link.removeprefix('./')}")
            expect(second.locator(".patients")).to_contain_text(f"{shown} patient")

        frame.get_by_role("link", name="In the browser", exact=True).click()
        frame.get_by_role("button", name="Start the export").click()
        expect(frame.locator("#export-state")).to_contain_text("waiting for a steward's approval", timeout=WAIT_S * 1000)
        picture(tab, "airflow-export")
        run = str(frame.locator("#export-state .export").get_attribute("data-run"))
        decided(sign_in("steward"), run, option="Reject", reason="Only a test.")
        expect(frame.locator("#export-state")).to_contain_text("refused by the steward", timeout=WAIT_S * 1000)
        frame.locator(".timeline").get_by_role("link", name="CT, MR and microscopy").first.click()  # the sentence names it too
        expect(frame.locator(".exports a.dataset").first).to_contain_text("/dataset/")


@pytest.mark.browser
def test_a_guest_looks_and_is_refused_to_start(running: Running, environment: DemoEnvironment) -> None:
    with chromium() as browser, signed_in(browser, environment.airflow_url, "guest", environment.passwords["guest"]) as tab:
        frame = open_cohorts(tab)
        frame.get_by_role("link", name="CT, MR and microscopy").first.click()
        expect(frame.get_by_role("heading", name="Looking only")).to_be_visible()
        expect(frame.get_by_role("button", name="Freeze")).to_have_count(0)
        expect(frame.get_by_role("button", name="Start the export")).to_have_count(0)
        picture(tab, "airflow-guest")
        conf = json.dumps({"logical_date": None, "conf": {"cohort": reference(running)}})
        assert status_of_post(tab, f"/api/v2/dags/{EXPORT_DAG}/dagRuns", conf) == 403
        assert status_of_post(tab, "/cohorts/freeze", "title=T&token=x", "application/x-www-form-urlencoded") == 403


def test_the_connection_type_is_offered(environment: DemoEnvironment, sign_in: Callable[[str], AirflowClient]) -> None:
    kinds = sign_in("admin").call("GET", "/ui/connections/hook_meta")
    assert "fairlead" in {kind["connection_type"] for kind in kinds}
