"""`fairlead cohort …` as a user runs it: keys of the contract, exit status, words."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyarrow import parquet

from fairlead.cli import run
from fairlead.resources import configs_folder

CT: dict[str, Any] = {"schemaVersion": "1", "title": "CT", "unit": "series", "include": {"field": "modality", "op": "=", "value": "CT"}}
EVERYTHING = {"field": "kind", "op": "exists"}


@pytest.fixture(scope="module")
def home(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home with real DICOM and OME files ingested."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAIRLEAD_HOME", str(folder))
        assert (
            run(["ingest", *(str(data / part) for part in ("dicom/dicomdir_fileset", "dicom/seg", "dicom/ct", "ome/tiff", "ome/zarr"))])
            == 0
        )
    return folder


class Shell:
    """Runs commands in one home."""

    def __init__(self, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        self._capsys, self._folder, self.told = capsys, folder, ""

    def definition(self, **changes: Any) -> Path:
        """Write a definition file."""
        file = self._folder / "definition.yaml"
        file.write_text(yaml.safe_dump(CT | changes))
        return file

    def __call__(self, *arguments: str | Path, status: int = 0) -> str:
        """Run and return what went to stdout, or to stderr when the command failed."""
        assert run([*map(str, arguments)]) == status
        captured = self._capsys.readouterr()
        self.told = captured.err
        return captured.err if status else captured.out

    def json(self, *arguments: str | Path) -> Any:
        """Run with ``--json``."""
        return json.loads(self(*arguments, "--json"))


@pytest.fixture
def shell(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    capsys.readouterr()
    monkeypatch.setenv("FAIRLEAD_HOME", str(home))
    return Shell(capsys, tmp_path)


def test_count_has_the_keys_of_the_contract(shell: Shell) -> None:
    found = shell.json("cohort", "count", shell.definition())
    assert set(found) == {"patients", "studies", "series", "images", "bytes", "unknown", "attrition", "sentence"}
    assert found["attrition"][-1] == {"rule": "include", "patients": found["patients"], "series": found["series"]}
    assert 0 < found["patients"] <= found["studies"] <= found["series"] <= found["images"]
    assert "modality is Computed Tomography" in shell("cohort", "count", shell.definition())


def test_a_value_that_nobody_has_is_questioned_beside_the_answer(shell: Shell) -> None:
    asked = shell.definition(include={"field": "body_part", "op": "=", "value": "Chestt"})
    assert shell.json("cohort", "count", asked)["series"] == 0
    assert "No record states 'Chestt' as body_part, and no vocabulary knows it; did you mean 'Chest'" in shell.told
    assert "No record states 'Chestt'" in shell("cohort", "freeze", asked, "--title", "Nobody", status=1)
    shell.json("cohort", "count", shell.definition())
    assert shell.told == ""


def test_a_definition_comes_from_standard_input(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(CT)))
    assert shell.json("cohort", "count", "-")["series"] > 0


def test_facets_have_the_keys_of_the_contract(shell: Shell) -> None:
    found = shell.json("cohort", "facets", shell.definition(), "--fields", "modality, kind")
    assert set(found) == {"facets", "took_ms"}
    assert set(found["facets"]) == {"modality", "kind"}
    assert {"value", "label", "patients", "series"} == set(found["facets"]["modality"][0])
    assert {bucket["value"] for bucket in found["facets"]["modality"]} >= {"DCM:CT", "DCM:MR", None}
    assert "Computed Tomography" in shell("cohort", "facets", shell.definition(), "--fields", "modality")


def test_a_cohort_lives_from_freeze_to_diff(shell: Shell) -> None:
    frozen = shell.json("cohort", "freeze", shell.definition(), "--title", "Life")
    assert set(frozen) >= {"id", "version", "definition_sha256", "members_sha256", "patients", "series", "index_generation"}
    again = shell.json("cohort", "freeze", shell.definition(), "--title", "Life")
    assert again == frozen
    assert shell.told == f"Nothing changed since {frozen['id']}@1 was frozen; there is no new version.\n"
    narrowed = shell.definition(rules=[{"name": "stack", "where": {"field": "series.size_z", "op": ">=", "value": 3}}])
    second = shell.json("cohort", "freeze", narrowed, "--title", "Life", "--author", "ada", "--purpose", "a test")
    assert (second["id"], second["version"], second["author"]) == (frozen["id"], 2, "ada")
    assert f"This continues {frozen['id']}, whose version 1 by {frozen['author']} has another definition." in shell.told
    one, two = (f"{frozen['id']}@{number}" for number in (1, 2))

    found = shell.json("cohort", "diff", one, two)
    assert set(found) >= {"added", "removed", "revised", "causes", "definition_changes", "members"}
    assert found["removed"] == frozen["series"] - second["series"] == found["causes"]["definition"] > 0
    assert found["definition_changes"] == ["rule added: stack (size z is at least 3)"]
    assert "caused by definition" in shell("cohort", "diff", one, two)

    shown = shell.json("cohort", "show", frozen["id"])
    assert (shown["version"], shown["versions"], shown["purpose"]) == (2, [1, 2], "a test")
    assert [step["rule"] for step in shown["attrition"]] == ["in scope", "include", "stack"]
    assert two in shell("cohort", "list")
    assert two in {f"{item['id']}@{item['version']}" for item in shell.json("cohort", "list")}
    assert "sentence:" in shell("cohort", "show", one)

    lines = shell("cohort", "members", one).splitlines()
    assert len(lines) == frozen["series"] + 1
    assert json.loads(shell("cohort", "members", one, "--format", "ndjson").splitlines()[0])["modality"] == "DCM:CT"

    rerun = shell.json("cohort", "rerun", frozen["id"])
    assert (rerun["version"], rerun["before"], rerun["diff"]["members"]) == (2, two, [])
    assert "nothing changed" in shell("cohort", "rerun", frozen["id"])


def test_set_operations_freeze_a_new_cohort(shell: Shell) -> None:
    ct = shell.json("cohort", "freeze", shell.definition(), "--title", "Set CT")
    both = shell.definition(include={"field": "modality", "op": "in", "value": ["CT", "MR"]})
    wide = shell.json("cohort", "freeze", both, "--title", "Set CT and MR")
    refs = [f"{version['id']}@{version['version']}" for version in (wide, ct)]
    assert shell.json("cohort", "union", *refs, "--title", "Set union")["members_sha256"] == wide["members_sha256"]
    assert shell.json("cohort", "intersect", *refs, "--title", "Set intersection")["members_sha256"] == ct["members_sha256"]
    assert shell.json("cohort", "subtract", *refs, "--title", "Set rest")["series"] == wide["series"] - ct["series"]
    studies = shell.json("cohort", "freeze", shell.definition(unit="study"), "--title", "Set CT studies")
    mixed = shell.json("cohort", "union", f"{studies['id']}@1", refs[0], "--title", "Set of two units")
    assert (mixed["unit"], mixed["members_sha256"]) == ("series", wide["members_sha256"])
    assert "counts study" in shell.told
    assert "they count series" in shell.told
    assert "nothing is left after the step 'include'" in shell("cohort", "subtract", *reversed(refs), "--title", "Set nothing", status=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["count", "nowhere.yaml"], "There is no definition file"),
        (["show", "nowhere@1"], "There is no cohort 'nowhere@1'"),
        (["members", "0b6c1c1e-6f64-4f57-9f0a-6f1f5f4a2a10@1"], "`fairlead cohort show ID` the numbers of all"),
        (["count", "."], ". is a folder"),
        (["import", ".", "--reason", "r"], "is a folder"),
        (["facets", "nowhere.yaml", "--fields", " ,"], "No field is named"),
    ],
)
def test_a_refusal_says_what_to_do(shell: Shell, arguments: list[str], message: str) -> None:
    assert message in shell("cohort", *arguments, status=1)


def test_members_as_parquet_hold_what_the_other_formats_hold(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    frozen = shell.json("cohort", "freeze", shell.definition(), "--title", "Members")
    reference = f"{frozen['id']}@1"
    lines = shell("cohort", "members", reference, "--format", "ndjson").splitlines()
    assert "Supported: csv, ndjson, parquet" in shell("cohort", "members", reference, "--format", "xml", status=1)
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, write_through=True))
    assert run(["cohort", "members", reference, "--format", "parquet"]) == 0
    table = parquet.read_table(io.BytesIO(written.getvalue()))
    assert table.to_pylist() == [json.loads(line) for line in lines]
    assert table.schema.metadata[b"members_sha256"].decode() == frozen["members_sha256"]


def test_a_withdrawn_series_is_named_with_the_versions_that_hold_it(shell: Shell) -> None:
    frozen = shell.json("cohort", "freeze", shell.definition(), "--title", "To be marked")
    reference = f"{frozen['id']}@1"
    member = json.loads(shell("cohort", "members", reference, "--format", "ndjson").splitlines()[0])["id"]
    for mistyped in (f"{member}.none", member.rpartition(":")[2]):
        answer = shell("cohort", "withdraw", "series", mistyped, "--reason", "a test", status=1)
        assert "No record and no version holds this series" in answer
    assert "holds this patient" in shell("cohort", "withdraw", "patient", "local:default:p0", "--reason", "a test", status=1)
    done = shell.json("cohort", "withdraw", "series", f"{member}.none", "--reason", "a test", "--ahead")
    assert done == {"kind": "series", "versions": {}, "datasets": []}
    assert "names one patient or one series" in shell("cohort", "withdraw", "study", member, "--reason", "a test", status=1)


def test_what_leaves_the_house_has_no_withdrawn_member(shell: Shell, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_HOME", str(shutil.copytree(home, tmp_path / "own")))  # others count on whom we withdraw
    frozen = shell.json("cohort", "freeze", shell.definition(), "--title", "To be thinned")
    reference = f"{frozen['id']}@1"
    everybody = [json.loads(line) for line in shell("cohort", "members", reference, "--format", "ndjson").splitlines()]
    gone = everybody[0]["id"]
    name = hashlib.sha256(gone.encode()).hexdigest()
    picture = tmp_path / "own" / "pictures" / name[:2] / name / "drawn.png"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"")
    shell.json("cohort", "withdraw", "series", gone, "--reason", "a test")
    assert not picture.exists()
    shell("cohort", "members", reference, "--output", tmp_path / "members.csv")
    shell("cohort", "members", reference, "--format", "parquet", "--output", tmp_path / "members.parquet")
    listed = [line.partition(",")[0] for line in (tmp_path / "members.csv").read_text().splitlines()[1:]]
    table = parquet.read_table(tmp_path / "members.parquet")
    assert listed == table.column("id").to_pylist() == [one["id"] for one in everybody if one["id"] != gone]
    assert table.schema.metadata[b"withdrawn"] == b"1"
    assert shell.json("cohort", "show", reference)["withdrawn"] == 1
    shell("cohort", "manifest", reference, "--base", "https://pacs.example.org", "--output", tmp_path / "addresses")
    assert gone.rpartition(":")[2] not in (tmp_path / "addresses").read_text()


def test_a_list_becomes_a_cohort_and_a_cohort_a_manifest(shell: Shell, tmp_path: Path) -> None:
    frozen = shell.json("cohort", "freeze", shell.definition(), "--title", "To be listed")
    reference = f"{frozen['id']}@1"
    uids = [json.loads(line)["series_uid"] for line in shell("cohort", "members", reference, "--format", "ndjson").splitlines()]
    (tmp_path / "list.tcia").write_text("\n".join(["ListOfSeriesToDownload=", *uids, "1.2.3.4.5"]))
    definition = tmp_path / "list.json"
    definition.write_text(shell("cohort", "import", tmp_path / "list.tcia", "--reason", "chosen by hand"))
    listed = shell.json("cohort", "freeze", definition)
    assert listed["members_sha256"] == frozen["members_sha256"]
    shell("cohort", "members", reference, "--output", tmp_path / "members.csv")
    definition.write_text(shell("cohort", "import", tmp_path / "members.csv", "--reason", "chosen by hand"))
    assert shell.json("cohort", "freeze", definition, "--title", "Listed by id")["members_sha256"] == frozen["members_sha256"]
    lines = shell("cohort", "manifest", reference, "--base", "https://pacs.example.org/dicom-web").splitlines()
    assert sorted(line.rpartition("/")[2] for line in lines) == sorted(uids)
    assert shell.json("cohort", "translate", shell.definition(), "--to", "beacon")["query"]["filters"][0]["id"] == "DCM:CT"
    assert "There is no target" in shell("cohort", "translate", shell.definition(), "--to", "sql", status=1)


# --- a closer look ------------------------------------------------------------------------------------------------------------


def test_attrition_is_written_for_everybody_and_for_each_centre(shell: Shell, tmp_path: Path) -> None:
    thin = {"name": "=thin", "where": {"field": "series.instances", "op": ">=", "value": 2}}
    file = shell.definition(rules=[thin])
    told = shell.json("cohort", "count", file)["attrition"]
    shell("cohort", "attrition", file, "--output", tmp_path / "attrition.csv")
    rows = list(csv.DictReader((tmp_path / "attrition.csv").read_text().splitlines()))
    for center in ("", "local"):  # there is one centre
        mine = [row for row in rows if row["center"] == center]
        assert [(int(row["patients"]), int(row["series"])) for row in mine] == [(one["patients"], one["series"]) for one in told]
        assert [row["rule"] for row in mine] == ["in scope", "include", "'=thin"]
    assert shell.json("cohort", "attrition", file) == {"attrition": told, "centers": {"local": told}}


def test_a_sample_is_drawn_again_by_its_seed_and_extremes_are_the_ends(shell: Shell) -> None:
    drawn = shell.json("cohort", "sample", shell.definition(), "--size", "3", "--seed", "7")
    assert drawn == shell.json("cohort", "sample", shell.definition(), "--size", "3", "--seed", "7")
    assert len({one["id"] for one in drawn["records"]}) == 3
    ends = shell.json("cohort", "sample", shell.definition(), "--size", "1", "--extremes", "series.instances")
    frozen = shell.json("cohort", "freeze", shell.definition(), "--title", "All to sample")
    sizes = [json.loads(line)["instances"] for line in shell("cohort", "members", f"{frozen['id']}@1", "--format", "ndjson").splitlines()]
    assert [ends[side][0]["series.instances"] for side in ("least", "greatest")] == [[min(sizes)], [max(sizes)]]
    assert "least" in shell("cohort", "sample", shell.definition(), "--extremes", "series.instances")
    assert "no least and greatest" in shell("cohort", "sample", shell.definition(), "--extremes", "modality", status=1)


def test_a_record_is_told_which_criteria_hold_for_it(shell: Shell) -> None:
    include = {"all": [CT["include"], {"field": "patient.age_years", "op": ">", "value": 200}]}
    (record,) = shell.json("cohort", "sample", shell.definition(), "--size", "1")["records"]
    for name in (record["id"], record["id"].rpartition(":")[2]):
        (found,) = shell.json("cohort", "explain", shell.definition(include=include), name)
        assert (found["id"], found["member"], found["withdrawn"]) == (record["id"], False, False)
        scope, asked = found["steps"]
        assert (scope["holds"], asked["criterion"]) == (True, "include")
        assert asked["parts"][0]["holds"] is True
        assert asked["parts"][1]["holds"] in (False, None)
    assert "a member" in shell("cohort", "explain", shell.definition(), record["id"])
    assert "no such record" in shell("cohort", "explain", shell.definition(), "1.2.3.4.5", status=1)


def test_drift_and_overlap_are_told_without_freezing(shell: Shell) -> None:
    refs = [f"{shell.json('cohort', 'freeze', shell.definition(**more))['id']}@1" for more in ({}, {"title": "All", "include": EVERYTHING})]
    assert shell.json("cohort", "drift", refs[1].partition("@")[0])["words"] == "+0 −0 series, +0 patients since v1"
    regions = shell.json("cohort", "venn", *refs)["regions"]
    assert [(one["in"], one["series"] > 0) for one in regions] == [([refs[0]], False), ([refs[1]], True), (refs, True)]
    assert "only" in shell("cohort", "venn", *refs)
    assert "1 versions were given" in shell("cohort", "venn", refs[0], status=1)


def test_the_audit_chain_is_shown_checked_and_compared_with_what_was_noted(shell: Shell) -> None:
    shell("cohort", "sample", shell.definition())
    told = shell.json("cohort", "audit", "--last", "1")
    assert [one["what"] for one in told["last"]] == ["sample"]
    assert told["last"][0]["sha256"] == told["sha256"]
    shell("cohort", "sample", shell.definition())
    assert shell.json("cohort", "audit", "--holds", told["sha256"])["entries"] == told["entries"] + 1
    assert "no entry with this sha256" in shell("cohort", "audit", "--holds", "0" * 64, status=1)


ELSEWHERE = ("ct-and-pet-in-one-study", "two-time-points", "mouse-nuclei", "ct-and-slide", "recent-unannotated")
"""Definitions that these files have nobody for; tests/live/test_cohorts_on_both_engines.py runs them on records that do."""


@pytest.mark.parametrize("file", sorted((configs_folder() / "cohorts").glob("*.yaml")), ids=lambda file: file.stem)
def test_every_definition_of_the_gallery_finds_someone_in_real_data(shell: Shell, file: Path) -> None:
    found = shell.json("cohort", "count", file)
    assert found["series"] > 0 or file.stem in ELSEWHERE
    assert found["sentence"].endswith(".")


def test_radiology_and_microscopy_stand_in_one_cohort(shell: Shell) -> None:
    found = shell.json("cohort", "facets", configs_folder() / "cohorts" / "radiology-and-microscopy.yaml", "--fields", "kind")
    assert {bucket["value"] for bucket in found["facets"]["kind"]} == {"dicom-series", "ome-image"}
