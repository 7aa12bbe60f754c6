from __future__ import annotations

import pytest
from sqlalchemy import Engine

from fairlead.errors import CheckFailed
from fairlead.publish import DatasetStore, ExportParameters, Exports
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
    with pytest.raises(CheckFailed, match="Version 1 was published as restricted since this export was asked for as public"):
        exports.publish(older)
    (record,) = DatasetStore(settings, engine).published()
    assert (record.version, record.access_rights) == (1, "restricted")
