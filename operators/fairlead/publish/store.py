"""What is published now: the catalogue's only window on records and bytes. An outage is an outage, never an empty answer."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Column, Engine, RowMapping, func, select, update
from sqlalchemy.exc import SQLAlchemyError

from fairlead.database import utc_now
from fairlead.errors import InvalidInput, NotFound, ServiceUnreachable, Withdrawn
from fairlead.files import sync_folder
from fairlead.publish.tables import datasets
from fairlead.publish.vocabulary import AccessRights
from fairlead.records import DatasetRecord
from fairlead.settings import Settings

type Columns = tuple[Column[Any], ...]
PLACES: Final[Columns] = (datasets.c.version, datasets.c.state, datasets.c.folder)
"""What a request for bytes needs of a row; the record is large, and a store has many chunks."""


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What remains of a withdrawn dataset: its id, title, when and why."""

    id: str
    title: str
    withdrawn_at: datetime
    reason: str


@contextmanager
def store_errors() -> Iterator[None]:
    """Turn every failure of the database into :class:`ServiceUnreachable`: a reader must never take it for "nothing there"."""
    try:
        yield
    except SQLAlchemyError as error:
        raise ServiceUnreachable("The record store does not answer.", remedy="Repeat later.") from error


class DatasetStore:
    """Published datasets: records from the database, bytes from the published folder."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._root = settings.published_folder
        self._engine = engine
        self._rights: dict[tuple[str, int], AccessRights] = {}

    def published(self, *, limit: int | None = None, offset: int = 0) -> tuple[DatasetRecord, ...]:
        """Return the newest version of every dataset that is published, by id; or only some of them."""
        if limit is None and offset == 0:
            query = select(datasets).where(datasets.c.state == "published").order_by(datasets.c.id, datasets.c.version)
            newest = {row["id"]: row for row in self._rows(query)}
        else:
            names = select(datasets.c.id).where(datasets.c.state == "published").distinct().order_by(datasets.c.id)
            chosen = [row["id"] for row in self._rows(names.limit(limit).offset(offset))]
            query = select(datasets).where(datasets.c.id.in_(chosen), datasets.c.state == "published")
            newest = {row["id"]: row for row in self._rows(query.order_by(datasets.c.id, datasets.c.version))}
        return tuple(DatasetRecord.model_validate_json(row["record"]) for row in newest.values())

    def count(self) -> int:
        """Return how many datasets are published."""
        query = select(func.count(func.distinct(datasets.c.id)).label("n")).where(datasets.c.state == "published")
        return int(self._rows(query)[0]["n"])

    def withdrawn(self) -> tuple[Tombstone, ...]:
        """Return what remains of every withdrawn dataset, by id."""
        query = select(datasets).where(datasets.c.state == "withdrawn").order_by(datasets.c.id, datasets.c.version)
        newest = {row["id"]: row for row in self._rows(query)}
        return tuple(_tombstone(row) for row in newest.values())

    def withdrawn_records(self) -> tuple[DatasetRecord, ...]:
        """Return the records that tombstones stand for."""
        query = select(datasets.c.record).where(datasets.c.state == "withdrawn").order_by(datasets.c.id, datasets.c.version)
        return tuple(DatasetRecord.model_validate_json(row["record"]) for row in self._rows(query))

    def generation(self) -> str:
        """Return a cheap mark that changes whenever what is published changes."""
        columns = (func.count(), func.max(datasets.c.published_at), func.max(datasets.c.withdrawn_at), func.count(datasets.c.withdrawn_at))
        return "|".join(str(value) for value in self._rows(select(*columns))[0].values())

    def get(self, dataset: str) -> DatasetRecord:
        """Return the newest version of one dataset.

        Raises
        ------
        NotFound : there is none of that id.
        Withdrawn : it has a tombstone.
        """
        return DatasetRecord.model_validate_json(self._row(dataset)["record"])

    def tombstone(self, dataset: str) -> Tombstone:
        """Return the tombstone of a withdrawn dataset; raise NotFound when it has none."""
        rows = [row for row in self._versions(dataset) if row["state"] == "withdrawn"]
        if not rows:
            raise NotFound(f"Dataset {dataset!r} has no tombstone.")
        return _tombstone(rows[-1])

    def folder(self, dataset: str, version: int | None = None) -> Path:
        """Return the folder of one version, the newest when none is given.

        Raises
        ------
        NotFound, Withdrawn : as :meth:`get`.
        ServiceUnreachable : the row is there and the folder is not: storage is not mounted.
        """
        row = self._row(dataset, version, columns=PLACES)
        folder = self._root / str(row["folder"])
        if not folder.is_dir():
            raise ServiceUnreachable("The storage of published datasets does not answer.", remedy="Repeat later.")
        return folder

    def access_rights(self, dataset: str, version: int) -> AccessRights:
        """Return who may fetch the bytes of one version; a version never changes, so it is read once."""
        key = (dataset, version)
        if key not in self._rights:
            self._rights[key] = AccessRights(DatasetRecord.model_validate_json(self._row(dataset, version)["record"]).access_rights)
        return self._rights[key]

    def _row(self, dataset: str, version: int | None = None, *, columns: Columns = ()) -> RowMapping:
        rows = self._versions(dataset, columns)
        if rows and rows[-1]["state"] == "withdrawn":
            raise Withdrawn(f"Dataset {dataset} was withdrawn.")
        found = [row for row in rows if version is None or row["version"] == version]
        if not found:
            raise NotFound("There is no published dataset of that id and version.")
        return found[-1]

    def _versions(self, dataset: str, columns: Columns = ()) -> list[RowMapping]:
        return self._rows(select(*(columns or (datasets,))).where(datasets.c.id == dataset).order_by(datasets.c.version))

    def _rows(self, query: object) -> list[RowMapping]:
        with store_errors(), self._engine.connect() as connection:
            return list(connection.execute(query).mappings())  # type: ignore[call-overload]  # every caller gives a Select


def _tombstone(row: RowMapping) -> Tombstone:
    title = DatasetRecord.model_validate_json(row["record"]).title
    return Tombstone(row["id"], title, row["withdrawn_at"], row["withdrawn_reason"])


def withdraw(settings: Settings, engine: Engine, dataset: str, reason: str, *, clock: Callable[[], datetime] = utc_now) -> Tombstone:
    """Put a tombstone in the place of a dataset, then move its bytes out of the published folder, or remove them; safe to repeat.

    Raises
    ------
    InvalidInput : no reason is given; the tombstone is public and has to say why.
    NotFound : there is no such dataset.
    """
    if not reason.strip():
        raise InvalidInput("A withdrawal needs a reason; the tombstone shows it to everybody.", remedy="Give --reason.")
    store = DatasetStore(settings, engine)
    identifier = dataset.rstrip("/").rpartition("/")[2]
    with store_errors(), engine.begin() as connection:
        known = connection.execute(select(datasets.c.id).where(datasets.c.id == identifier).limit(1)).one_or_none()
        if known is None:
            raise NotFound(f"There is no published dataset {identifier!r}.")
        change = {"state": "withdrawn", "withdrawn_at": clock(), "withdrawn_reason": reason.strip()}
        connection.execute(update(datasets).where(datasets.c.id == identifier, datasets.c.state == "published").values(change))
    _move_away(settings, identifier)
    if settings.export.withdrawn_bytes == "remove":
        _remove(settings, identifier)
    return store.tombstone(identifier)


def _move_away(settings: Settings, identifier: str) -> None:
    source = settings.published_folder / identifier
    if not source.is_dir():
        return
    attic = settings.published_folder.parent / f".{settings.published_folder.name}-withdrawn"
    attic.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = attic / identifier
    if target.exists():
        shutil.rmtree(target)
    source.rename(target)
    sync_folder(attic)
    sync_folder(settings.published_folder)


def _remove(settings: Settings, identifier: str) -> None:
    """Remove what was moved away, also what an earlier, interrupted withdrawal left."""
    attic = settings.published_folder.parent / f".{settings.published_folder.name}-withdrawn" / identifier
    if attic.is_dir():
        shutil.rmtree(attic)
        sync_folder(attic.parent)
