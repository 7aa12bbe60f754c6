from __future__ import annotations

import shutil

import pytest
from sqlalchemy import Engine, text

from fairlead.errors import InvalidInput, NotFound, ServiceUnreachable, Withdrawn
from fairlead.publish import AccessRights, DatasetStore, Exports, withdraw
from fairlead.records import DatasetRecord
from fairlead.settings import Settings
from publish.conftest import run


@pytest.fixture
def record(exports: Exports) -> DatasetRecord:
    """Return a published dataset's record."""
    return exports.publish(run(exports))


@pytest.fixture
def store(settings: Settings, engine: Engine) -> DatasetStore:
    """Return the store."""
    return DatasetStore(settings, engine)


def test_nothing_is_there_at_first(store: DatasetStore):
    assert store.published() == ()
    with pytest.raises(NotFound, match="no published dataset"):
        store.get("ds-0")
    with pytest.raises(NotFound, match="no tombstone"):
        store.tombstone("ds-0")


def test_the_generation_changes_with_every_publication_and_withdrawal(store: DatasetStore, exports: Exports, settings, engine):
    seen = [store.generation()]
    record = exports.publish(run(exports))
    seen.append(store.generation())
    run(exports, run_id="run-2", license="CC0-1.0")
    seen.append(store.generation())
    withdraw(settings, engine, record.id, "consent")
    assert len({*seen, store.generation()}) == 4


def test_a_version_that_does_not_exist_is_not_found(store: DatasetStore, record: DatasetRecord):
    with pytest.raises(NotFound, match="id and version"):
        store.folder(record.id, 2)
    assert store.access_rights(record.id, 1) == AccessRights.PUBLIC


@pytest.mark.parametrize("address", ["{id}", "http://127.0.0.1:8000/dataset/{id}", "http://127.0.0.1:8000/dataset/{id}/"])
def test_a_withdrawn_dataset_leaves_a_tombstone_and_no_bytes(store, record: DatasetRecord, settings, engine, address: str):
    stone = withdraw(settings, engine, address.format(id=record.id), " consent withdrawn ")
    assert (stone.id, stone.title, stone.reason) == (record.id, "Chest CT", "consent withdrawn")
    assert store.published() == ()
    assert not (settings.published_folder / record.id).exists()
    for ask in (store.get, store.folder):
        with pytest.raises(Withdrawn, match="was withdrawn"):
            ask(record.id)


@pytest.mark.parametrize(("policy", "left"), [("keep", 1), ("remove", 0)])
def test_the_bytes_of_a_withdrawn_dataset_follow_the_policy(record: DatasetRecord, settings, engine, policy: str, left: int):
    chosen = settings.model_copy(update={"export": settings.export.model_copy(update={"withdrawn_bytes": policy})})
    withdraw(chosen, engine, record.id, "consent")
    assert len(list(settings.published_folder.parent.glob(".published-withdrawn/*"))) == left
    assert not (settings.published_folder / record.id).exists()


def test_withdrawing_twice_keeps_the_first_reason(record: DatasetRecord, settings, engine):
    first = withdraw(settings, engine, record.id, "consent")
    assert withdraw(settings, engine, record.id, "other") == first


def test_a_withdrawal_that_was_killed_before_the_bytes_moved_is_finished_by_the_next(record: DatasetRecord, settings, engine):
    withdraw(settings, engine, record.id, "consent")
    attic = settings.published_folder.parent / ".published-withdrawn" / record.id
    shutil.copytree(attic, settings.published_folder / record.id)
    withdraw(settings, engine, record.id, "consent")
    assert not (settings.published_folder / record.id).exists()
    assert attic.is_dir()


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_withdrawal_says_why(record: DatasetRecord, settings, engine, reason: str):
    with pytest.raises(InvalidInput, match="needs a reason"):
        withdraw(settings, engine, record.id, reason)


def test_what_was_never_published_cannot_be_withdrawn(settings, engine):
    with pytest.raises(NotFound, match="no published dataset 'ds-0'"):
        withdraw(settings, engine, "ds-0", "why")


def test_storage_that_is_not_mounted_is_an_outage_not_an_absence(store: DatasetStore, record: DatasetRecord, settings):
    shutil.rmtree(settings.published_folder)
    with pytest.raises(ServiceUnreachable, match="storage of published datasets"):
        store.folder(record.id)
    assert store.get(record.id) == record


def test_a_database_without_its_tables_is_an_outage_not_an_absence(store: DatasetStore, record: DatasetRecord, engine: Engine):
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE datasets"))
    with pytest.raises(ServiceUnreachable, match="record store does not answer"):
        store.published()
