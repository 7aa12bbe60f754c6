"""The state of exports on the page and for programs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from fairlead.cohort import withdraw_consent
from fairlead.publish import ExportParameters
from fairlead.publish import ExportState as PublishState
from fairlead.records import Approval, CohortVersion
from fairlead.workbench import ExportState, Workbench, definition_of
from fairlead.workbench.reading import read_state
from fairlead.workbench.services import FINAL_STATES, STATE_WORDS
from fairlead.workbench.state import PageState
from workbench.builders import a_series
from workbench.fakes import Client, MemoryExports, Page, mounted

RUN = "cohorts__x__v1__a1"


def an_export(state: str, *, cohort: str = "c@1", **changes: Any) -> ExportState:
    export = ExportState(
        run_id=RUN,
        cohort=cohort,
        title="Chest CT",
        state=state,
        reason="",
        requested_by="dr.who",
        updated_at=datetime(2026, 11, 20, tzinfo=UTC),
    )
    return replace(export, **changes)


def frozen(workbench: Workbench, modality: str = "DCM:CT") -> CohortVersion:
    definition = definition_of(read_state([("in.modality", modality)], workbench.catalogue))
    return workbench.versions.freeze(definition, author="dr.who", title="Chest CT", purpose="")


def with_exports(workbench: Workbench, *held: ExportState) -> Client:
    return Client(mounted(replace(workbench, exports=MemoryExports(list(held)))))


def test_every_state_of_an_export_has_words_and_the_final_ones_are_known() -> None:
    assert {state.value for state in PublishState} | {"starting"} == set(STATE_WORDS)
    assert {state for state in STATE_WORDS if an_export(state).final} == FINAL_STATES == {"published", "refused", "failed"}


def test_a_run_that_has_registered_nothing_yet_is_nothing_to_show_and_for_programs_a_404(client: Client) -> None:
    assert (client.get("exports?run=nothing").status_code, client.get("exports?run=nothing").content) == (204, b"")
    assert client.get("exports?run=nothing", accept="application/json").status_code == 404


@pytest.mark.parametrize("run", ["", "a b", "x/../y", "<b>", "x" * 251])
def test_a_run_id_that_cannot_be_is_a_400(client: Client, run: str) -> None:
    assert client.get(f"exports?run={run}").status_code == 400


def test_a_waiting_export_leads_to_its_approval_in_airflow(workbench: Workbench) -> None:
    page = Page(with_exports(workbench, an_export("requested")).get(f"exports?run={RUN}").text)
    assert "waiting for a steward's approval" in page.text
    assert page.all("a")[0]["href"] == f"../dags/export_cohort/runs/{RUN}/required_actions?response_received=false"


def test_a_published_export_leads_to_its_dataset(workbench: Workbench) -> None:
    done = an_export("published", dataset_iri="http://fdp.test/dataset/d1")
    page = Page(with_exports(workbench, done).get(f"exports?run={RUN}").text)
    assert page.all("a")[0]["href"] == "http://fdp.test/dataset/d1"
    assert "data-final" in page.all("div")[0]


def test_the_form_of_a_version_that_was_published_chooses_nothing_anew(workbench: Workbench) -> None:
    version = frozen(workbench)
    first = with_exports(workbench, an_export("failed", cohort=version.ref)).get(f"?version={version.ref}").text
    again = with_exports(workbench, an_export("published", cohort=version.ref, dataset_iri="http://fdp.test/dataset/d1"))
    html = again.get(f"?version={version.ref}").text
    assert html.count('<option value="">as published</option>') == 2
    assert html.count('placeholder="as published"') == 2
    assert "as published" not in first
    assert 'name="title" maxlength="200" required value="Chest CT"' in first


def test_the_form_of_another_version_of_a_published_cohort_chooses_nothing_anew_either(workbench: Workbench) -> None:
    first, second = frozen(workbench), frozen(workbench, "DCM:MR")
    assert (first.id, first.version, second.version) == (second.id, 1, 2)
    client = with_exports(workbench, an_export("published", cohort=first.ref, dataset_iri="http://fdp.test/dataset/d1"))
    html = client.get(f"?version={second.ref}").text
    assert html.count('<option value="">as published</option>') == 2
    assert html.count('placeholder="as published"') == 2


def test_a_refusal_shows_the_stewards_reason_as_text(workbench: Workbench) -> None:
    html = with_exports(workbench, an_export("refused", reason="<b>No consent</b>")).get(f"exports?run={RUN}").text
    assert "&lt;b&gt;No consent&lt;/b&gt;" in html


def test_a_program_gets_state_and_dataset_as_json(workbench: Workbench) -> None:
    done = an_export("published", dataset_iri="http://fdp.test/dataset/d1")
    answer = with_exports(workbench, done).get(f"exports?run={RUN}", accept="application/json")
    assert answer.json() == {
        "run": RUN, "cohort": "c@1", "state": "published", "reason": "", "final": True, "dataset": "http://fdp.test/dataset/d1",
    }  # fmt: skip


def test_the_work_list_is_what_the_page_shows(fresh: Workbench) -> None:
    version = frozen(fresh)
    exports = fresh.exports.exports  # type: ignore[attr-defined]
    registered = exports.request(ExportParameters(cohort=version.ref, title="Chest CT"), requested_by="dr.who", run_id=RUN)
    client = Client(mounted(fresh))
    assert "waiting for a steward's approval" in Page(client.get(f"?version={version.ref}").text).text
    decision = Approval(
        requested_by="dr.who", decided_by="steward", decided_at=datetime(2026, 11, 20, tzinfo=UTC), approved=False, reason="No"
    )
    exports.decide(registered.id, decision)
    assert client.get(f"exports?run={RUN}", accept="application/json").json()["state"] == "refused"


def test_the_form_offers_the_profiles_the_rights_and_the_catalogues_licence(fresh: Workbench) -> None:
    version = frozen(fresh)
    page = Page(Client(mounted(fresh)).get(f"?version={version.ref}").text)
    assert page.all("form", id="export")[0]["data-cohort"] == version.ref
    assert fresh.profiles[0] == "basic"
    assert {"public", "restricted", "non-public"} <= set(page.words)
    assert page.value_of("license") == "https://creativecommons.org/licenses/by/4.0/"
    assert f"fairlead publish {version.ref}" in page.text


def test_before_an_export_the_page_says_what_to_look_at(fresh: Workbench) -> None:
    document = definition_of(read_state([("in.modality", "DCM:MR")], fresh.catalogue))
    few = fresh.versions.freeze(document, author="ada", title="Few", purpose="")
    many = fresh.versions.freeze(definition_of(PageState()), author="ada", title="All", purpose="A reader study")
    client = Client(mounted(fresh))
    before = Page(client.get(f"?version={many.ref}").text).text
    assert "✓ The purpose is stated. ✓ 24 patients. ✓ Nobody was withdrawn. ✓ As much data as when it was frozen." in before
    fresh.data.index.put([a_series(500, modality="MR"), a_series(501, modality="MR")])  # type: ignore[attr-defined]  # the real one
    withdraw_consent(fresh.data.cohorts, "series", "local:default:1.2.3.20", reason="consent", by="ada")  # type: ignore[attr-defined]  # the real one
    after = Page(client.get(f"?version={few.ref}").text).text
    for words in (
        "No purpose is stated",
        "Fewer than 10 patients",
        "1 member was withdrawn",
        "Since it was frozen: +1 series, +1 patients",
    ):
        assert f"Look at this: {words}" in after
