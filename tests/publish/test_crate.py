from __future__ import annotations

import json
from pathlib import Path

import pytest
import requests_cache
import rocrate
from requests_cache import CachedRequest, CachedResponse
from rocrate_validator import models, services
from sqlalchemy import Engine

from fairlead.errors import CheckFailed
from fairlead.publish import DatasetStore, Exports, Site, write_crate
from fairlead.publish.crate import check_crate, dataset_crate
from fairlead.settings import CatalogSettings, Settings
from publish.conftest import run
from publish.samples import a_distribution, a_record

SITE = Site("https://fdp.example.org", "local", CatalogSettings())
ACCEPT = "application/ld+json, application/json, */*;q=0.1"
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # the validator's own


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return context_cache(tmp_path_factory.mktemp("crate"))


def context_cache(folder: Path) -> Path:
    """Return an HTTP cache that holds the RO-Crate contexts, so that the validator needs no network."""
    file = folder / "http"
    context = (Path(rocrate.__file__).parent / "data" / "ro-crate.jsonld").read_bytes()
    session = requests_cache.CachedSession(str(file), backend="sqlite")
    for version in ("1.1", "1.2", "1.3"):
        url = f"https://w3id.org/ro/crate/{version}/context"
        asked = CachedRequest(method="GET", url=url, headers={"Accept": ACCEPT})
        answer = CachedResponse(status_code=200, url=url, headers={"Content-Type": "application/ld+json"}, request=asked)
        answer._content = context
        session.cache.save_response(answer, expires=None)
    session.close()
    return file


def issues(crate: Path, cache: Path, severity: models.Severity = models.Severity.REQUIRED) -> list[str]:
    """Return what the RO-Crate validator requires, or also recommends, and does not find."""
    settings = models.ValidationSettings(
        rocrate_uri=str(crate),
        profile_identifier="ro-crate-1.2",
        requirement_severity=severity,
        validate_profile_checks=False,
        offline=True,
        cache_path=cache,
    )
    return [str(issue.message) for issue in services.validate(settings).get_issues()]


def test_the_published_crates_are_valid_ro_crate_1_2(exports: Exports, settings: Settings, engine: Engine, cache: Path):
    record = exports.publish(run(exports))
    folder = DatasetStore(settings, engine).folder(record.id)
    store = next(folder / item.path for item in record.distributions if item.store is not None)
    assert (issues(folder, cache), issues(store, cache)) == ([], [])


def test_the_validator_does_object(exports: Exports, settings: Settings, engine: Engine, cache: Path):
    record = exports.publish(run(exports))
    folder = DatasetStore(settings, engine).folder(record.id)
    document = json.loads((folder / "ro-crate-metadata.json").read_text())
    document["@graph"] = [item for item in document["@graph"] if item["@id"] != "./"]
    (folder / "ro-crate-metadata.json").write_text(json.dumps(document))
    assert issues(folder, cache)


def test_a_crate_that_names_an_absent_file_is_not_written(tmp_path: Path):
    with pytest.raises(CheckFailed, match=r"names members\.csv, which is not there"):
        write_crate(tmp_path, a_record(distributions=(a_record().distributions[1],)), site=SITE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("missing", ["name", "description", "license", "datePublished"])
def test_a_crate_whose_root_says_too_little_is_refused(tmp_path: Path, missing: str):
    document = dataset_crate(a_record(distributions=()), site=SITE)
    next(item for item in document["@graph"] if item["@id"] == "./").pop(missing)
    with pytest.raises(CheckFailed, match=f"says nothing about: {missing}"):
        check_crate(document, folder=tmp_path)


def test_a_crate_is_the_same_for_the_same_record():
    record = a_record(distributions=(a_distribution(1),))
    assert dataset_crate(record, site=SITE) == dataset_crate(record, site=SITE)


def test_a_crate_names_no_person():
    text = json.dumps(dataset_crate(a_record(distributions=()), site=SITE))
    assert not any(name in text for name in ("clara", "stewart", "ethics"))
