"""What an export keeps of the version before: a choice that nobody makes anew stays, so nothing becomes public by leaving words out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, select

from fairlead.database import database_errors
from fairlead.publish.model import dataset_id
from fairlead.publish.parameters import ExportParameters
from fairlead.publish.placing import newest_row, rows_of_cohort
from fairlead.publish.tables import exports
from fairlead.records import DatasetRecord
from fairlead.settings import ExportSettings


def parameters_before(engine: Engine, cohort: str, *, licence: str, run_id: str = "") -> ExportParameters | None:
    """Return what the run asked for when it was here before, else what the version before was made with, else None.

    The version before is the newest of the cohort version's own dataset; of a cohort version that was never published, it is what was
    published last of any version of the cohort, be it withdrawn by now. A version that took the catalogue's own licence keeps it by name
    when the catalogue has another one by now.

    Raises
    ------
    Withdrawn : the dataset was withdrawn.
    """
    columns = select(exports.c.parameters)
    with database_errors(), engine.connect() as connection:
        newest = newest_row(connection, dataset_id(cohort))
        asked = connection.execute(columns.where(exports.c.run_id == run_id)).scalar_one_or_none()
        if asked is not None:
            return ExportParameters.model_validate_json(asked)
        newest = newest or next(iter(rows_of_cohort(connection, cohort)), None)
        if newest is None:
            return None
        found = ExportParameters.model_validate_json(connection.execute(columns.where(exports.c.id == newest["export_id"])).scalar_one())
    published = DatasetRecord.model_validate_json(newest["record"]).license
    return found if found.license or published == licence else found.model_copy(update={"license": published})


def completed(given: ExportParameters, before: ExportParameters | None, *, rules: ExportSettings) -> ExportParameters:
    """Return the parameters with every one that was not given as it was before; the first version takes what the settings say.

    >>> before = ExportParameters(cohort="c@1", access_rights="restricted", geometry="split")
    >>> now = completed(ExportParameters(cohort="c@1", geometry="strict"), before, rules=ExportSettings())
    >>> now.access_rights.value, now.geometry
    ('restricted', 'strict')
    """
    usual: dict[str, Any] = {"profile": rules.profile, "geometry": rules.geometry, "ngff": rules.ngff}
    kept = usual if before is None else {name: getattr(before, name) for name in ExportParameters.model_fields if name != "cohort"}
    return given.model_copy(update={name: value for name, value in kept.items() if name not in given.model_fields_set})


def changes_of(now: ExportParameters, before: ExportParameters | None) -> Sequence[str]:
    """Return what differs from the version before, for the steward: name, old and new value.

    >>> before = ExportParameters(cohort="c@1", access_rights="restricted")
    >>> changes_of(ExportParameters(cohort="c@1"), before)
    ['access_rights: restricted → public']
    """
    if before is None:
        return []
    old, new = before.model_dump(mode="json"), now.model_dump(mode="json")
    return [f"{name}: {_shown(old[name])} → {_shown(new[name])}" for name in old if old[name] != new[name]]


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value or "none")
