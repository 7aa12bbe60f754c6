"""What is taken along of a version: lists of members, the question as OpenSearch reads it, the words that cite it."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape

import pyarrow.parquet as parquet
import pytest

from fairlead.cohort import export_members, members_parquet, withdraw_consent
from fairlead.records import CohortSummary
from fairlead.workbench import ExportState, User, Workbench, definition_of
from fairlead.workbench.pictures import Tickets
from fairlead.workbench.state import Filter, PageState
from workbench.builders import a_series
from workbench.fakes import DOCTOR, Client, MemoryExports, Page, deny, mounted

CT = PageState({"modality": Filter(include=("DCM:CT",))})
BASE = "https://pacs.test/dicom-web"


@pytest.fixture
def frozen(fresh: Workbench) -> tuple[Workbench, CohortSummary]:
    """Return a version of twelve CT series of which one patient was withdrawn since."""
    version = fresh.versions.freeze(definition_of(CT), author="dr.who", title="Chest CT", purpose="")
    withdraw_consent(fresh.data.cohorts, "patient", "local:default:p" + "0" * 22 + "01", reason="consent withdrawn", by="dr.who")  # type: ignore[attr-defined]
    return fresh, version


def test_every_list_that_the_page_offers_is_the_cohorts_own_without_the_withdrawn(frozen: tuple[Workbench, CohortSummary]) -> None:
    workbench, version = frozen
    client = Client(mounted(workbench))
    offered = {
        str(found["id"]): unescape(str(found["href"]))
        for found in Page(client.get(f"?version={version.ref}").text).all("a")
        if str(found.get("id")).startswith("take-")
    }
    assert list(offered) == ["take-csv", "take-parquet", "take-ndjson", "take-s5cmd", "take-fhir"]
    answers = {name.removeprefix("take-"): client.get(link) for name, link in offered.items()}
    answers["dicomweb"] = client.get(f"members?version={version.ref}&form=dicomweb&base={BASE}")
    assert {answer.status_code for answer in answers.values()} == {200}
    rows = list(csv.DictReader(io.StringIO(answers["csv"].text)))
    assert [row["id"] for row in rows] == sorted(f"local:default:1.2.3.{number}" for number in range(2, 13))
    assert [json.loads(line)["id"] for line in answers["ndjson"].text.splitlines()] == [row["id"] for row in rows]
    assert parquet.read_table(io.BytesIO(answers["parquet"].content)).column("id").to_pylist() == [row["id"] for row in rows]
    assert answers["dicomweb"].text.splitlines() == [f"{BASE}/studies/{row['study_uid']}/series/{row['series_uid']}" for row in rows]
    assert answers["s5cmd"].text == "# 11 members are in no public bucket\n"
    assert answers["fhir"].json()["resourceType"] == "Group"
    own = workbench.versions.cohorts.exportable(version.ref)  # type: ignore[attr-defined]  # the real one
    assert answers["csv"].text.splitlines() == list(export_members(own, workbench.versions.index))  # type: ignore[attr-defined]
    disposition = answers["csv"].headers["content-disposition"]
    assert disposition == f'attachment; filename="{version.id}-v1.csv"'
    assert {answer.headers["cache-control"] for answer in answers.values()} == {"no-store"}
    noted = [(entry.who, entry.ref, entry.detail["format"]) for entry in workbench.audit.entries() if entry.what == "list-members"]
    assert noted == [(DOCTOR.name, version.ref, form) for form in answers]


@pytest.mark.parametrize("form", ["csv", "dicomweb"])
def test_who_may_only_count_gets_no_list_and_no_link(frozen: tuple[Workbench, CohortSummary], form: str) -> None:
    workbench, version = frozen
    counting = Client(mounted(workbench, user=lambda: replace(DOCTOR, sees_records=False)))
    answer = counting.get(f"members?version={version.ref}&form={form}&base={BASE}")
    assert (answer.status_code, "local:default" in answer.text) == (403, False)
    assert not [link for link in Page(counting.get(f"?version={version.ref}").text).all("a") if "members?" in str(link.get("href"))]
    stranger = Client(mounted(workbench, user=lambda: User("9", "lung", projects=frozenset({"lung"}))))
    assert stranger.get(f"members?version={version.ref}&form={form}&base={BASE}").status_code == 404
    assert Client(mounted(workbench, may_read=deny)).get(f"members?version={version.ref}").status_code == 403
    assert "list-members" not in {entry.what for entry in workbench.audit.entries()}


@pytest.mark.parametrize(
    ("asked", "status", "says"),
    [
        ("form=xlsx", 400, "There is no list"),
        ("form=dicomweb", 400, "address of a DICOMweb service is expected"),
        ("form=dicomweb&base=javascript:alert(1)", 400, "address of a DICOMweb service is expected"),
        ("form=csv&version=../etc/passwd", 400, "not complete"),  # of two versions the last one counts
        ("form=csv&version=00000000-0000-4000-8000-000000000000@1", 404, "There is no cohort"),
    ],
)
def test_a_list_that_cannot_be_is_refused_before_the_first_byte(
    frozen: tuple[Workbench, CohortSummary], asked: str, status: int, says: str
) -> None:
    workbench, version = frozen
    answer = Client(mounted(workbench)).get(f"members?version={version.ref}&{asked}")
    assert (answer.status_code, says in answer.text) == (status, True)
    assert "list-members" not in {entry.what for entry in workbench.audit.entries()}


def test_a_parquet_list_of_several_row_groups_is_one_file(frozen: tuple[Workbench, CohortSummary], monkeypatch: pytest.MonkeyPatch) -> None:
    workbench, version = frozen
    whole = workbench.versions.cohorts.get(version.ref)  # type: ignore[attr-defined]  # the real one
    monkeypatch.setattr("fairlead.cohort.export.ROW_GROUP", 5)
    table = parquet.ParquetFile(io.BytesIO(members_parquet(whole, workbench.versions.index)))  # type: ignore[attr-defined]
    assert (table.num_row_groups, table.metadata.num_rows) == (3, 12)
    assert table.read().column("id").to_pylist() == list(whole.members)
    assert table.schema_arrow.metadata[b"cohort"] == version.ref.encode()


def test_a_version_is_cited_by_title_reference_hash_day_and_link(frozen: tuple[Workbench, CohortSummary]) -> None:
    workbench, version = frozen
    text = Page(Client(mounted(workbench)).get(f"?version={version.ref}").text).text
    assert (
        f"“Chest CT”, version 1 of a Fairlead cohort ({version.ref}): 12 patients, 12 series, frozen on {version.created_at:%Y-%m-%d}; "
        f"sha256 of the members {version.members_sha256}. http://airflow.test/cohorts/?version={version.ref}"
    ) in text


def test_the_panel_shows_the_question_as_opensearch_reads_it_or_why_it_is_not_one(workbench: Workbench) -> None:
    client = Client(mounted(workbench))

    def shown(link: str) -> str:
        """Return what the panel says."""
        return unescape(client.get(link).text.split('id="definition-dsl"')[1].split("<code>")[1].split("</code>")[0])

    asked = json.loads(shown("?in.modality=DCM:CT&from.patient.age_years=41"))
    [inner] = asked["query"]["bool"]["filter"]
    assert inner["bool"]["filter"] == [
        {"bool": {"should": [{"terms": {"values.modality": ["DCM:CT"]}}], "minimum_should_match": 1}},
        {"range": {"values.patient.age_years": {"gte": 41.0}}},
    ]
    assert shown("?in.modality=DCM:CT&in.modality=DCM:MR&every.modality=patient").startswith("What concerns several series")


def test_the_panel_names_a_cohort_whose_members_are_looked_up_first_and_never_lists_them(fresh: Workbench) -> None:
    fresh.data.index.put([a_series(99)])  # type: ignore[attr-defined]  # the real one
    version = fresh.versions.freeze(definition_of(CT), author="ada", title="CT", purpose="")
    html = Client(mounted(fresh)).get(f"?of={version.ref}&how=union").text
    assert f"The members of {version.ref} are looked up first" in html
    assert "local:default:1.2.3" not in html


def test_a_picture_leads_to_the_published_dataset_or_says_why_not(frozen: tuple[Workbench, CohortSummary]) -> None:
    workbench, version = frozen
    exports = MemoryExports()
    client = Client(mounted(replace(workbench, exports=exports)))
    tickets = Tickets(workbench.form_key)
    member, other, gone = (tickets.issue(f"local:default:1.2.3.{number}") for number in (2, 20, 1))

    def said(of: str, ref: str = "") -> str:
        """Return what the page says of one picture."""
        return Page(client.get(f"look?of={of}&version={ref}", hx_request="true").text).text

    assert said(member).startswith("The viewer shows published images. Choose a version")
    assert said(other, version.ref).startswith("This series is not in “Chest CT” v1")
    assert "no export of “Chest CT” v1 is published yet" in said(member, version.ref)
    when = datetime(2026, 11, 20, tzinfo=UTC)
    exports.held = [ExportState("r1", version.ref, "Thorax", "published", "", "ada", when, "http://fdp.test/dataset/d1")]
    assert said(member, version.ref).startswith("“Chest CT” v1 is published as “Thorax”; its page opens the images in the viewer.")
    whole = Page(client.get(f"look?of={member}&version={version.ref}").text)
    assert whole.all("a", href="http://fdp.test/dataset/d1")
    assert client.get(f"look?of={gone}&version={version.ref}").status_code == 404  # withdrawn
    assert client.get(f"look?of=forged&version={version.ref}").status_code == 404
    counting = Client(mounted(workbench, user=lambda: replace(DOCTOR, sees_records=False)))
    assert counting.get(f"look?of={member}&version={version.ref}").status_code == 403
    assert "1.2.3." not in whole.text
