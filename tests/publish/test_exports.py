from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, update

from fairlead.errors import (
    ApprovalRefused,
    CheckFailed,
    Conflict,
    EmptyCohort,
    IllegalTransition,
    InvalidConfiguration,
    NotFound,
    NotPermitted,
    ShapeViolation,
    Withdrawn,
)
from fairlead.files import manifest_lines
from fairlead.publish import DatasetStore, ExportParameters, Exports, ExportState, Site, verify_published, withdraw
from fairlead.publish.counting import left_behind
from fairlead.publish.describing import write_views
from fairlead.publish.model import Ingredients
from fairlead.publish.reasons import public
from fairlead.publish.tables import datasets
from fairlead.records import Refusal
from fairlead.settings import CatalogSettings, ExportSettings, Settings
from publish.conftest import Clock, approval, run
from publish.fakes import SECRET_WORDS, FakeUpstream, a_cohort, an_imaging_record
from publish.samples import a_record

PARAMETERS = ExportParameters(cohort="chest@1")
MEMBERS = [an_imaging_record(1).id, an_imaging_record(2).id]


def broken(settings: Settings, engine: Engine, **how: str) -> Exports:
    """Return a work list whose members have accidents: ``first="quarantined"``."""
    records = [an_imaging_record(1), an_imaging_record(2)]
    accidents = {MEMBERS[0]: how.get("first", ""), MEMBERS[1]: how.get("second", "")}
    return Exports(settings, engine, upstream=FakeUpstream(a_cohort(records), records, accidents), clock=Clock())


def nothing_published(settings: Settings, engine: Engine) -> bool:
    """Return whether no row and no folder of a dataset is there, and staging is empty."""
    folders = [settings.published_folder, settings.staging_folder]
    return DatasetStore(settings, engine).published() == () and not any(list(folder.glob("*")) for folder in folders if folder.is_dir())


def test_the_whole_way_ends_in_a_published_dataset(exports: Exports, settings: Settings, engine: Engine):
    identifier = run(exports)
    store = DatasetStore(settings, engine)
    (record,) = store.published()
    assert exports.get(identifier).state == ExportState.PUBLISHED
    assert (record.version, record.counts.series, record.counts.images, record.counts.patients) == (1, 2, 2, 1)
    assert all(verify_published(store.folder(record.id), record).values())
    assert not list(settings.staging_folder.glob("*"))


def test_the_folder_name_is_made_of_ids_and_digests(exports: Exports, settings: Settings, engine: Engine):
    run(exports)
    (record,) = DatasetStore(settings, engine).published()
    folder = DatasetStore(settings, engine).folder(record.id)
    assert folder.parent.name == record.id
    assert folder.name.startswith("v1-")
    assert len(folder.name) == len("v1-") + 12


def test_the_manifest_names_every_file_but_itself_and_nothing_hidden(exports: Exports, settings: Settings, engine: Engine):
    run(exports)
    (record,) = DatasetStore(settings, engine).published()
    folder = DatasetStore(settings, engine).folder(record.id)
    lines = (folder / "manifest-sha256.txt").read_text().splitlines()
    assert lines == manifest_lines(folder, skip=frozenset({"manifest-sha256.txt"}))
    assert not any("/." in line for line in lines)


def test_no_identity_leaves_the_house(exports: Exports, settings: Settings, engine: Engine):
    run(exports)
    (record,) = DatasetStore(settings, engine).published()
    published = b"".join(path.read_bytes() for path in sorted(settings.published_folder.rglob("*")) if path.is_file())
    published += "".join(str(path) for path in settings.published_folder.rglob("*")).encode()
    visible = record.model_copy(update={"approval": None}).model_dump_json().encode() + published
    assert [word for word in (*SECRET_WORDS, "DOE_JANE", "Dr Stern", "clara", "stewart", *MEMBERS) if word.encode() in visible] == []


def test_the_approval_reason_is_kept_but_not_in_any_file(exports: Exports, settings: Settings):
    identifier = run(exports)
    assert exports.get(identifier).approval.reason == "ethics vote 7 of Dr Stern"
    texts = [path.read_bytes() for path in settings.published_folder.rglob("*") if path.is_file()]
    assert not any(b"Dr Stern" in text or b"stewart" in text or b"clara" in text for text in texts)


def test_each_step_may_be_repeated(exports: Exports, upstream: FakeUpstream):
    identifier = run(exports)
    before = exports.get(identifier)
    for step in ("deidentify", "convert", "describe", "publish"):
        getattr(exports, step)(identifier)
    assert exports.get(identifier) == before
    assert upstream.calls == ["deidentify", "deidentify", "convert", "convert"]


def test_the_same_run_is_the_same_export(exports: Exports):
    first = exports.request(PARAMETERS, requested_by="clara", run_id="r")
    assert exports.request(PARAMETERS, requested_by="clara", run_id="r") == first
    assert [export.id for export in exports.list()] == [first.id]


def test_a_run_cannot_ask_for_two_things(exports: Exports):
    exports.request(PARAMETERS, requested_by="clara", run_id="r")
    with pytest.raises(Conflict, match="requested another export"):
        exports.request(PARAMETERS.model_copy(update={"geometry": "split"}), requested_by="clara", run_id="r")


def test_the_same_content_again_adds_no_version(exports: Exports, settings: Settings, engine: Engine):
    run(exports)
    again = exports.publish(run(exports, run_id="run-2"))
    assert again.version == 1
    assert len(list((settings.published_folder / again.id).iterdir())) == 1


def test_another_licence_is_another_version_and_the_first_stays(exports: Exports, settings: Settings, engine: Engine):
    run(exports)
    run(exports, run_id="run-2", license="CC0-1.0")
    store = DatasetStore(settings, engine)
    (record,) = store.published()
    assert (record.version, record.license) == (2, "https://creativecommons.org/publicdomain/zero/1.0/")
    assert store.folder(record.id, 1).is_dir()
    assert record.issued < record.modified


def test_two_exporters_race_and_both_end_well(exports: Exports, settings: Settings, engine: Engine):
    first = run(exports, until="describe")
    second = run(exports, run_id="run-2", until="describe", license="CC0-1.0")
    assert exports.get(first).record.version == exports.get(second).record.version == 1
    assert [exports.publish(second).version, exports.publish(first).version] == [1, 2]
    (record,) = DatasetStore(settings, engine).published()
    assert all(verify_published(DatasetStore(settings, engine).folder(record.id), record).values())


def test_an_unknown_cohort_is_not_found(exports: Exports):
    with pytest.raises(NotFound, match="no cohort nobody@1"):
        exports.request(ExportParameters(cohort="nobody@1"), requested_by="clara", run_id="r")


def test_an_empty_cohort_is_refused(settings: Settings, engine: Engine):
    exports = Exports(settings, engine, upstream=FakeUpstream(a_cohort([]), []))
    with pytest.raises(EmptyCohort, match="chest@1 has no members"):
        exports.request(PARAMETERS, requested_by="clara", run_id="r")


def test_an_unknown_profile_is_refused_before_anybody_approves(exports: Exports):
    with pytest.raises(InvalidConfiguration, match="no profile 'loose'"):
        exports.request(PARAMETERS.model_copy(update={"profile": "loose"}), requested_by="clara", run_id="r")


def test_an_unknown_export_is_not_found(exports: Exports):
    with pytest.raises(NotFound, match="no export 'ex-0'"):
        exports.get("ex-0")


def test_a_refused_export_publishes_nothing_and_says_who_when_why(exports: Exports, settings: Settings, engine: Engine):
    identifier = run(exports, until="request")
    decided = exports.decide(identifier, approval(approved=False))
    assert decided.state == ExportState.REFUSED
    assert (decided.approval.decided_by, decided.reason) == ("stewart", "ethics vote 7 of Dr Stern")
    for step in ("deidentify", "convert", "describe", "publish"):
        with pytest.raises(ApprovalRefused, match="steward refused"):
            getattr(exports, step)(identifier)
    assert nothing_published(settings, engine)


@pytest.mark.parametrize("name", ["", " ", "unknown", "Unknown"])
def test_nobody_cannot_ask_for_an_export(exports: Exports, name: str):
    with pytest.raises(NotPermitted, match="Nobody is named") as refusal:
        exports.request(PARAMETERS, requested_by=name, run_id="r")
    assert "signed-in user" in refusal.value.remedy
    assert exports.list() == ()


def test_where_stewards_are_named_nobody_else_decides(engine: Engine, settings: Settings, upstream: FakeUpstream):
    strict = settings.model_copy(update={"export": ExportSettings(stewards=("Stewart",))})
    exports = Exports(strict, engine, upstream=upstream)
    identifier = run(exports, until="request")
    for approved in (True, False):
        with pytest.raises(NotPermitted, match="Only a data steward"):
            exports.decide(identifier, approval(by="bob", approved=approved))
    assert exports.decide(identifier, approval(by="stewart")).state == ExportState.APPROVED


@pytest.mark.parametrize("name", ["clara", " Clara ", "", "unknown"])
def test_four_eyes_are_required(exports: Exports, name: str):
    identifier = run(exports, until="request")
    with pytest.raises(NotPermitted, match="four eyes"):
        exports.decide(identifier, approval(by=name))
    assert exports.get(identifier).state == ExportState.REQUESTED


def test_two_eyes_are_enough_where_governance_says_so(engine: Engine, settings: Settings, upstream: FakeUpstream):
    relaxed = settings.model_copy(update={"export": ExportSettings(four_eyes=False)})
    exports = Exports(relaxed, engine, upstream=upstream)
    identifier = run(exports, until="request")
    assert exports.decide(identifier, approval(by="clara")).state == ExportState.APPROVED


def test_the_requester_may_take_the_request_back(exports: Exports):
    identifier = run(exports, until="request")
    assert exports.decide(identifier, approval(approved=False, by="clara")).state == ExportState.REFUSED


def test_a_decision_may_be_repeated_but_not_changed(exports: Exports):
    identifier = run(exports, until="decide")
    assert exports.decide(identifier, approval()).state == ExportState.APPROVED
    with pytest.raises(Conflict, match="decided before"):
        exports.decide(identifier, approval(approved=False))


def test_nothing_happens_before_the_approval(exports: Exports):
    identifier = run(exports, until="request")
    with pytest.raises(IllegalTransition, match="requested cannot deidentify"):
        exports.deidentify(identifier)


def test_steps_cannot_be_skipped(exports: Exports):
    identifier = run(exports, until="decide")
    with pytest.raises(IllegalTransition, match="approved cannot publish"):
        exports.publish(identifier)


@pytest.mark.parametrize(
    ("accident", "code", "words"),
    [
        ("lost", "not-found", "no longer in the index"),
        ("quarantined", "quarantined", "could not be de-identified safely"),
        ("unreadable", "invalid-input", "The source cannot be read."),
        ("irregular", "geometry", "The geometry of the series is irregular."),
        ("unverified", "check-failed", "did not pass a check"),
    ],
)
def test_a_member_that_does_not_pass_is_listed_and_not_counted(settings: Settings, engine: Engine, accident: str, code: str, words: str):
    exports = broken(settings, engine, first=accident)
    identifier = run(exports)
    record = exports.publish(identifier)
    (refusal,) = record.refused
    assert refusal.code == code
    assert words in refusal.reason
    assert code in exports.get(identifier).reason
    assert (record.counts.series, len(record.distributions)) == (1, 3)
    assert "1 member of the cohort could not be published" in record.description
    assert left_behind(record) == 1
    assert [step.partition(" ")[0] for step in record.provenance] == ["Selected", "Approved", "De-identified", "Converted"]
    assert not any(word in refusal.model_dump_json() for word in SECRET_WORDS)


def test_a_reason_that_holds_twice_for_a_member_is_listed_once():
    found = [Refusal(source=source, code="geometry", reason=f"{source} part {part}") for source in ("i1", "i2") for part in (1, 2)]
    assert [(item.source, item.reason) for item in public(found)] == [
        ("i1", "The geometry of the series is irregular."),
        ("i2", "The geometry of the series is irregular."),
    ]


def test_a_series_that_lost_an_instance_is_published_with_a_note(settings: Settings, engine: Engine):
    exports = broken(settings, engine, first="partial")
    record = exports.publish(run(exports))
    assert (record.counts.series, left_behind(record)) == (2, 0)
    assert [refusal.reason for refusal in record.refused] == ["Instances stayed behind, because they could not be de-identified safely."]


def test_a_file_that_changed_since_it_was_indexed_is_not_published(settings: Settings, engine: Engine):
    records = [an_imaging_record(1, kind="ome-image"), an_imaging_record(2)]
    upstream = FakeUpstream(a_cohort(records), records, {MEMBERS[0]: "changed"})
    exports = Exports(settings, engine, upstream=upstream)
    assert [refusal.code for refusal in exports.publish(run(exports)).refused] == ["changed"]


def test_microscopy_is_not_said_to_be_de_identified_dicom(settings: Settings, engine: Engine):
    records = [an_imaging_record(1, kind="ome-image")]
    exports = Exports(settings, engine, upstream=FakeUpstream(a_cohort(records), records))
    record = exports.publish(run(exports))
    assert record.deidentification == ()
    assert not any("PS3.15" in step for step in record.provenance)


@pytest.mark.parametrize(("step", "accident"), [("de-identification", "quarantined"), ("conversion", "irregular")])
def test_nothing_publishable_is_a_failed_check(settings: Settings, engine: Engine, step: str, accident: str):
    exports = broken(settings, engine, first=accident, second=accident)
    with pytest.raises(CheckFailed, match=f"No member of the cohort passed {step}"):
        run(exports)
    assert DatasetStore(settings, engine).published() == ()


def test_a_plate_that_cannot_be_drawn_is_published_without_its_picture(settings: Settings, engine: Engine):
    record = (exports := broken(settings, engine, first="unseen")).publish(run(exports))
    assert [item.store.preview for item in record.distributions if item.store] == [None, None]
    assert {refusal.code for refusal in record.refused} == {"no-preview"}
    assert record.counts.series == 2


def test_the_steward_reads_exactly_what_will_be_public(exports: Exports):
    identifier = run(exports, until="request", title="Lungs")
    shown = exports.summary(identifier).replace("\\", "")
    exports.decide(identifier, approval())
    for step in ("deidentify", "convert", "describe"):
        getattr(exports, step)(identifier)
    record = exports.publish(identifier)
    assert "Title: Lungs\n" in shown
    assert f"Selection: {record.sentence}\n" in shown
    assert f"Description: {record.description}\n" in shown


@pytest.mark.parametrize("title", ["Scans of Mueller_Hans", "Ask hans@clinic.example", "Born 19570314"])
def test_a_title_that_identifies_somebody_blocks_publication(exports: Exports, settings: Settings, engine: Engine, title: str):
    if "1957" in title:
        assert exports.publish(run(exports, title=title)).title == "Born (date)"
        return
    with pytest.raises(CheckFailed, match="nothing was published"):
        run(exports, title=title)
    assert DatasetStore(settings, engine).published() == ()


@pytest.mark.parametrize("where", ["dataset/images/*/0/c/0/0/0", "dataset/members.csv", "dataset/images/*/zarr.json"])
def test_a_byte_that_changed_after_the_checks_blocks_publication(exports: Exports, settings: Settings, engine: Engine, where: str):
    identifier = run(exports, until="describe")
    file = next((settings.staging_folder / identifier).glob(where))
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(CheckFailed, match="does not pass"):
        exports.publish(identifier)
    assert DatasetStore(settings, engine).published() == ()


def test_a_failure_is_recorded_and_staging_is_removed(exports: Exports, settings: Settings, engine: Engine):
    identifier = run(exports, until="convert")
    assert exports.fail(identifier, "disk on fire").state == ExportState.FAILED
    assert exports.get(identifier).reason == "disk on fire"
    assert nothing_published(settings, engine)
    assert exports.fail(identifier, "again").reason == "disk on fire"


def test_a_published_export_cannot_fail_any_more(exports: Exports):
    identifier = run(exports)
    assert exports.fail(identifier, "late").state == ExportState.PUBLISHED


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("contact_email", "not an address"),
        ("publisher_iri", "example"),
        ("license", "mine"),
        ("base_url", "ftp://x"),
        ("publisher_name", " "),
    ],
)
def test_settings_that_cannot_stand_in_a_record_are_refused_first(
    engine: Engine, settings: Settings, upstream: FakeUpstream, name: str, value: str
):
    odd = settings.model_copy(update={"catalog": CatalogSettings(**{name: value})})
    with pytest.raises(InvalidConfiguration, match=f"catalog.{name}"):
        run(Exports(odd, engine, upstream=upstream), until="request")


def test_a_view_that_breaks_its_shapes_blocks_publication(settings: Settings, tmp_path: Path):
    given = Ingredients(Site.of(settings), PARAMETERS, a_cohort([]), "", approval(), (), {}, (), (), {})
    with pytest.raises(ShapeViolation, match="A dataset has a theme"):
        write_views(tmp_path, a_record(themes=()), given=given)
    assert list(tmp_path.iterdir()) == []


def test_staging_removed_by_hand_is_a_clear_error(exports: Exports, settings: Settings):
    import shutil

    identifier = run(exports, until="deidentify")
    shutil.rmtree(settings.staging_folder)
    with pytest.raises(CheckFailed, match="staging folder is gone"):
        exports.convert(identifier)


def test_a_described_folder_removed_by_hand_publishes_nothing(exports: Exports, settings: Settings, engine: Engine):
    import shutil

    identifier = run(exports, until="describe")
    shutil.rmtree(settings.staging_folder)
    with pytest.raises(CheckFailed, match="folder is gone"):
        exports.publish(identifier)
    assert DatasetStore(settings, engine).published() == ()


def test_a_withdrawn_dataset_is_not_published_again(exports: Exports, settings: Settings, engine: Engine):
    waiting = run(exports, run_id="run-2", until="describe", license="CC0-1.0")
    record = exports.publish(run(exports))
    withdraw(settings, engine, record.id, "consent")
    with pytest.raises(Withdrawn, match="was withdrawn"):
        exports.publish(waiting)
    with pytest.raises(Withdrawn, match="was withdrawn"):
        exports.request(PARAMETERS, requested_by="clara", run_id="r3")


def test_the_summary_tells_the_steward_what_matters(exports: Exports):
    text = exports.summary(run(exports, until="request"))
    for words in ("Chest CT", "`chest@1`", "| Modalities | CT × 2 |", "PS3.15 codes 113100", "anyone may fetch the pixels", "1, 1, 2, 6"):
        assert words in text


def test_the_summary_shows_hostile_titles_as_they_are(settings: Settings, engine: Engine):
    records = [an_imaging_record(1)]
    exports = Exports(settings, engine, upstream=FakeUpstream(a_cohort(records, title="[x](javascript:1) <b>"), records))
    text = exports.summary(run(exports, until="request"))
    assert r"\[x\]\(javascript:1\) \<b\>" in text


def test_the_summary_counts_members_that_are_gone(settings: Settings, engine: Engine):
    exports = broken(settings, engine, first="lost")
    assert "| No longer in the index | 1 of 2 |" in exports.summary(run(exports, until="request"))


def test_the_row_is_what_makes_a_dataset_visible(exports: Exports, settings: Settings, engine: Engine):
    record = exports.publish(run(exports))
    with engine.begin() as connection:
        row = connection.execute(select(datasets)).mappings().one()
        connection.execute(update(datasets).values(state="hidden"))
    assert json.loads(row["record"])["id"] == record.id
    assert DatasetStore(settings, engine).published() == ()
    assert Path(settings.published_folder, row["folder"]).is_dir()
