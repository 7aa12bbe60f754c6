"""The moment of publication: everything flushed, one rename, and the database row last, in the transaction that ends the export.

Killed before the rename, staging is whole and the step runs again. Killed between rename and commit, the folder has no
row: nobody sees it, and the step that runs again finds it by its name.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, RowMapping, select, text

from fairlead.database import database_errors
from fairlead.errors import CheckFailed, Withdrawn
from fairlead.files import sync_folder
from fairlead.publish.staging import Staging, sync_tree
from fairlead.publish.states import ExportEvent
from fairlead.publish.tables import datasets, exports
from fairlead.publish.vocabulary import AccessRights
from fairlead.publish.worklist import Export, move_in
from fairlead.records import DatasetRecord

OPEN: Final = tuple(AccessRights)
"""Access rights, the most open first."""


class Overtaken(Exception):
    """Another export has published this version number in the meantime; no error, the describe step answers it."""


@dataclass(frozen=True, slots=True)
class Placing:
    """Publication of one described export."""

    engine: Engine
    published: Path
    staging: Staging

    def publish(self, export: Export, *, now: datetime) -> DatasetRecord:
        """Make the dataset visible and return the record that is; the same content again adds no version.

        Raises
        ------
        Overtaken : the version number is taken.
        Withdrawn : the dataset was withdrawn.
        CheckFailed : the staged folder is gone, or the cohort was closed since this export was asked for.
        """
        record = _described(export)
        if self.staging.dataset.is_dir():
            sync_tree(self.staging.dataset)
        with database_errors(), self.engine.begin() as connection:
            _one_at_a_time(connection)
            newest = newest_row(connection, record.id)
            if newest is not None and newest["content_sha256"] == export.content_sha256:
                record = DatasetRecord.model_validate_json(newest["record"])
            else:
                self._require_not_looser(connection, export)
                if newest is not None and newest["version"] >= record.version:
                    self._take_back(export)
                    raise Overtaken
                self._place(export)
                connection.execute(datasets.insert().values(_row(export, record, now=now)))
            move_in(connection, export.id, ExportEvent.PUBLISH, changes={"changed_at": now, "record": record.model_dump_json()})
        return record

    def _place(self, export: Export) -> None:
        target = self.published / folder_name(export)
        if self.staging.dataset.is_dir():
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():  # left by an export that was killed before its row and never resumed; nobody has seen it
                shutil.rmtree(target)
            self.staging.dataset.rename(target)
            sync_folder(target.parent)
            sync_folder(self.published)
        elif not target.is_dir():
            raise CheckFailed("The export's staged folder is gone.", remedy="Request a new export.")

    def _require_not_looser(self, connection: Connection, export: Export) -> None:
        """Refuse when anything of the cohort was published with less open rights after this was asked for: who asked could not know."""
        now = export.parameters.access_rights
        for row in rows_of_cohort(connection, export.parameters.cohort):
            record = DatasetRecord.model_validate_json(row["record"])
            if row["published_at"] > export.requested_at and OPEN.index(now) < OPEN.index(AccessRights(record.access_rights)):
                self._take_back(export)
                raise CheckFailed(
                    f"Version {record.version} of {record.cohort} was published as {record.access_rights} since this export was asked"
                    f" for as {now.value}.",
                    remedy="Request the export again.",
                )

    def _take_back(self, export: Export) -> None:
        target = self.published / folder_name(export)
        if target.is_dir() and not self.staging.dataset.exists():
            self.staging.root.mkdir(parents=True, exist_ok=True)
            target.rename(self.staging.dataset)


def folder_name(export: Export) -> str:
    """Return ``<dataset-id>/v<N>-<sha12>``: made of ids and digests only."""
    record = _described(export)
    return f"{record.id}/v{record.version}-{(export.content_sha256 or '')[:12]}"


def newest_row(connection: Connection, dataset: str) -> RowMapping | None:
    """Return the newest published version's row, None when the dataset is new.

    Raises
    ------
    Withdrawn : it was withdrawn.
    """
    query = select(datasets).where(datasets.c.id == dataset).order_by(datasets.c.version.desc()).limit(1)
    row = connection.execute(query).mappings().one_or_none()
    if row is not None and row["state"] == "withdrawn":
        raise Withdrawn("The dataset of this cohort version was withdrawn.", remedy="Freeze a new cohort version to publish again.")
    return row


def rows_of_cohort(connection: Connection, reference: str) -> list[RowMapping]:
    """Return the rows of what was ever published of any version of a cohort, what was published last first."""
    cohort = f"{reference.rpartition('@')[0]}@"
    same = exports.c.cohort.startswith(cohort, autoescape=True)
    query = select(datasets, exports.c.cohort).join(exports, exports.c.id == datasets.c.export_id).where(same)
    rows = connection.execute(query.order_by(datasets.c.published_at.desc(), datasets.c.id, datasets.c.version.desc())).mappings()
    return [row for row in rows if row["cohort"].startswith(cohort)]  # LIKE knows no case in SQLite


def _one_at_a_time(connection: Connection) -> None:
    # SQLite transactions begin IMMEDIATE, so writers queue there; PostgreSQL has to be told.
    if connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE datasets IN SHARE ROW EXCLUSIVE MODE"))


def _described(export: Export) -> DatasetRecord:
    if export.record is None:
        raise CheckFailed("The export has no record yet.", remedy="Run its describe step first.")
    return export.record


def _row(export: Export, record: DatasetRecord, *, now: datetime) -> dict[str, Any]:
    return {
        "id": record.id,
        "version": record.version,
        "state": "published",
        "folder": folder_name(export),
        "record": record.model_dump_json(),
        "content_sha256": export.content_sha256,
        "export_id": export.id,
        "published_at": now,
        "withdrawn_reason": "",
    }
