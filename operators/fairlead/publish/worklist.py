"""The rows of the work list: read, add, and move along the table of states, one transaction each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, select, update
from sqlalchemy.exc import IntegrityError

from fairlead.database import database_errors
from fairlead.errors import Conflict, NotFound
from fairlead.publish.model import dataset_id
from fairlead.publish.parameters import ExportParameters
from fairlead.publish.states import ExportEvent, ExportState, advance
from fairlead.publish.tables import exports
from fairlead.records import Approval, DatasetRecord, Record


class Export(Record):
    """One export as the work list knows it. ``record`` is set from the describe step on."""

    id: str
    run_id: str
    state: ExportState
    parameters: ExportParameters
    requested_by: str
    requested_at: datetime
    approval: Approval | None = None
    reason: str = ""
    record: DatasetRecord | None = None
    content_sha256: str | None = None

    @property
    def title(self) -> str:
        """The title the dataset will have."""
        return self.parameters.title or ""

    @property
    def dataset_id(self) -> str:
        """The id the dataset will have."""
        return dataset_id(self.parameters.cohort)


def export_id(run_id: str) -> str:
    """Return the id of the export that a run makes: the same run, the same export."""
    return "ex-" + hashlib.sha256(run_id.encode()).hexdigest()[:20]


class WorkList:
    """Exports in the database."""

    def __init__(self, engine: Engine, *, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._clock = clock

    def add(self, parameters: ExportParameters, *, requested_by: str, run_id: str) -> Export:
        """Add an export, or return the one that this run made before.

        Raises
        ------
        Conflict : the run made an export with other parameters.
        """
        now = self._clock()
        row = {
            "id": export_id(run_id),
            "run_id": run_id,
            "state": ExportState.REQUESTED.value,
            "cohort": parameters.cohort,
            "parameters": parameters.model_dump_json(),
            "requested_by": requested_by,
            "requested_at": now,
            "reason": "",
            "changed_at": now,
        }
        try:
            with database_errors(), self._engine.begin() as connection:
                connection.execute(exports.insert().values(row))
        except IntegrityError:
            found = self.get(export_id(run_id))
            if found.parameters != parameters:
                raise Conflict("This run has requested another export before.", remedy="Start a new run.") from None
            return found
        return self.get(str(row["id"]))

    def get(self, identifier: str) -> Export:
        """Return one export.

        Raises
        ------
        NotFound : there is none of that id.
        """
        with database_errors(), self._engine.connect() as connection:
            return _read(connection, identifier)

    def list(self) -> tuple[Export, ...]:
        """Return every export, the oldest first."""
        with database_errors(), self._engine.connect() as connection:
            rows = connection.execute(select(exports).order_by(exports.c.requested_at, exports.c.id)).mappings()
            return tuple(_export(row) for row in rows)

    def move(self, identifier: str, event: ExportEvent, *, changes: Mapping[str, Any] | None = None) -> Export:
        """Move an export by one event, with what it left behind.

        Raises
        ------
        IllegalTransition : the table has no such step.
        """
        with database_errors(), self._engine.begin() as connection:
            move_in(connection, identifier, event, changes={"changed_at": self._clock(), **(changes or {})})
            return _read(connection, identifier)


def move_in(connection: Connection, identifier: str, event: ExportEvent, *, changes: Mapping[str, Any]) -> None:
    """Move an export inside somebody's transaction; the row is guarded by the state it was read in."""
    before = _read(connection, identifier).state
    after = advance(before, event)
    done = connection.execute(
        update(exports).where(exports.c.id == identifier, exports.c.state == before.value).values(state=after.value, **changes)
    )
    if done.rowcount != 1:
        raise Conflict("Another process moved the export at the same moment.", remedy="Look at its state and repeat.")


def _read(connection: Connection, identifier: str) -> Export:
    row = connection.execute(select(exports).where(exports.c.id == identifier)).mappings().one_or_none()
    if row is None:
        raise NotFound(f"There is no export {identifier!r}.")
    return _export(row)


def _export(row: RowMapping) -> Export:
    return Export(
        id=row["id"],
        run_id=row["run_id"],
        state=ExportState(row["state"]),
        parameters=ExportParameters.model_validate(json.loads(row["parameters"])),
        requested_by=row["requested_by"],
        requested_at=row["requested_at"],
        approval=Approval.model_validate_json(row["approval"]) if row["approval"] else None,
        reason=row["reason"],
        record=DatasetRecord.model_validate_json(row["record"]) if row["record"] else None,
        content_sha256=row["content_sha256"],
    )
