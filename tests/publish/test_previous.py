from __future__ import annotations

import pytest
from sqlalchemy import Engine

from fairlead.errors import CheckFailed
from fairlead.publish import DatasetStore, ExportParameters, Exports, withdraw
from fairlead.settings import CatalogSettings, Settings
from publish.conftest import Clock, run
from publish.fakes import FakeUpstream, a_cohort, an_imaging_record

CC0 = "https://creativecommons.org/publicdomain/zero/1.0/"
RESTRICTED = {"access_rights": "restricted", "title": "MR of knees", "geometry": "split", "series": "http://hub.test/series/1"}


def test_what_is_not_given_stays_as_in_the_version_before(exports: Exports, settings: Settings, engine: Engine):
    run(exports, **RESTRICTED)
    run(exports, run_id="run-2", license="CC0-1.0")
    (record,) = DatasetStore(settings, engine).published()
    assert (record.version, record.access_rights, record.title, record.license) == (2, "restricted", "MR of knees", CC0)
    assert record.series == "http://hub.test/series/1"
    assert "geometry policy split" in " ".join(record.provenance)


def test_access_becomes_more_open_only_when_somebody_says_so(exports: Exports, settings: Settings, engine: Engine):
    run(exports, **RESTRICTED)
    run(exports, run_id="run-2", access_rights="public")
    (record,) = DatasetStore(settings, engine).published()
    assert (record.version, record.access_rights, record.title) == (2, "public", "MR of knees")


def a_later_version(settings: Settings, engine: Engine, *, reference: str = "chest@2", days: int = 1) -> Exports:
    """Return the work list of another version of the cohort, or of another cohort, days after the first."""
    records = [an_imaging_record(1)]
    return Exports(settings, engine, upstream=FakeUpstream(a_cohort(records, reference=reference), records), clock=Clock(days=days))


@pytest.mark.parametrize("rights", ["restricted", "non-public"])
@pytest.mark.parametrize("is_withdrawn", [False, True])
def test_another_version_of_a_cohort_is_not_more_open_than_the_one_before(
    exports: Exports, settings: Settings, engine: Engine, rights: str, is_withdrawn: bool
):
    first = run(exports, **RESTRICTED | {"access_rights": rights})
    if is_withdrawn:
        withdraw(settings, engine, exports.get(first).dataset_id, "no consent")
    later = a_later_version(settings, engine)
    summary = later.summary(run(later, run_id="run-2", until="request", cohort="chest@2"))
    assert f"| Access | {rights}: the record is public, the pixels are not served" in summary
    assert "Changed since the version before** | cohort: chest@1 → chest@2 |" in summary
    run(later, run_id="run-3", cohort="chest@2")
    (record,) = (record for record in DatasetStore(settings, engine).published() if record.cohort == "chest@2")
    assert (record.version, record.access_rights, record.title) == (1, rights, "MR of knees")


def test_another_version_of_a_cohort_is_opened_only_by_saying_so(exports: Exports, settings: Settings, engine: Engine):
    run(exports, **RESTRICTED)
    later = a_later_version(settings, engine)
    said = run(later, run_id="run-2", until="request", cohort="chest@2", access_rights="public")
    assert "access\\_rights: restricted → public" in later.summary(said)
    assert later.get(said).parameters.access_rights == "public"


@pytest.mark.parametrize("other", ["chest2@1", "Chest@1", "ches_@1", "chest-1@1"])
def test_another_cohort_is_not_the_version_before(exports: Exports, settings: Settings, engine: Engine, other: str):
    run(exports, **RESTRICTED)
    later = a_later_version(settings, engine, reference=other)
    assert later.get(run(later, run_id="run-2", until="request", cohort=other)).parameters.access_rights == "public"


def test_an_older_request_does_not_open_another_version_of_what_was_closed_since(exports: Exports, settings: Settings, engine: Engine):
    late = a_later_version(settings, engine, days=0)
    older = run(late, run_id="run-2", until="describe", cohort="chest@2")
    run(exports, **RESTRICTED)
    with pytest.raises(CheckFailed, match="Version 1 of chest@1 was published as restricted since this export was asked for as public"):
        late.publish(older)
    assert [record.cohort for record in DatasetStore(settings, engine).published()] == ["chest@1"]


def test_the_steward_reads_what_changes(exports: Exports):
    run(exports, **RESTRICTED)
    summary = exports.summary(run(exports, run_id="run-2", until="request", access_rights="public"))
    assert "Changed since the version before** | access\\_rights: restricted → public |" in summary
    assert "Changed since" not in exports.summary(run(exports, run_id="run-3", until="request"))


def test_a_version_keeps_the_licence_when_the_catalogue_has_another_by_now(settings: Settings, engine: Engine):
    def of(licence: str) -> Exports:
        """Return a work list under a catalogue with a licence of its own."""
        here = settings.model_copy(update={"catalog": settings.catalog.model_copy(update={"license": licence})})
        records = [an_imaging_record(1), an_imaging_record(2)]
        return Exports(here, engine, upstream=FakeUpstream(a_cohort(records), records), clock=Clock())

    run(of(CatalogSettings().license))
    run(of(CC0), run_id="run-2", title="Another")
    (record,) = DatasetStore(settings, engine).published()
    assert (record.version, record.license) == (2, CatalogSettings().license)


def test_a_run_that_goes_on_keeps_what_it_asked_for(exports: Exports):
    first = exports.request(ExportParameters(cohort="chest@1", geometry="annotate"), requested_by="clara", run_id="r")
    run(exports, **RESTRICTED)
    assert exports.request(ExportParameters(cohort="chest@1", geometry="annotate"), requested_by="clara", run_id="r") == first


def test_an_older_request_does_not_open_what_was_published_since_as_restricted(exports: Exports, settings: Settings, engine: Engine):
    older = run(exports, until="describe")
    run(exports, run_id="run-2", **RESTRICTED)
    with pytest.raises(CheckFailed, match="Version 1 of chest@1 was published as restricted since this export was asked for as public"):
        exports.publish(older)
    (record,) = DatasetStore(settings, engine).published()
    assert (record.version, record.access_rights) == (1, "restricted")
