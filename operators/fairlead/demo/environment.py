"""Folders, ports, passwords and settings of one demo run, all below its work folder and on loopback."""

from __future__ import annotations

import json
import os
import secrets
import sys
import uuid
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from fairlead.demo.processes import free_ports
from fairlead.files import usable_folder
from fairlead.records import ImagingRecord, SeriesState
from fairlead.resources import configs_folder, dags_folder
from fairlead.settings import CatalogSettings, NodeSettings, Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from fairlead.extract import FieldCatalogue
    from fairlead.index import Index

SETTLE_AFTER_S: Final = 1.0
FOREIGN: Final = ("AIRFLOW_", "AIRFLOW__", "FAIRLEAD_", "_AIRFLOW_", "PYTHONDONTWRITEBYTECODE")
USERS: Final = {"admin": "admin", "steward": "user", "clinician": "user", "guest": "viewer"}
DEFINITION_NAMESPACE: Final = uuid.UUID("7d0a4b3e-6a7f-5a53-9d2c-2f1c33a3a6c1")


@dataclass(frozen=True)
class DemoEnvironment:
    """Everything that one run owns. Nothing outside ``workdir`` is written."""

    workdir: Path
    node_port: int
    catalog_port: int
    airflow_port: int
    log_ports: tuple[int, int]
    passwords: dict[str, str]
    run: str
    """Tells this run's export from those of earlier runs in the same folder."""

    @classmethod
    def create(cls, workdir: Path) -> Self:
        """Choose free ports and fresh passwords."""
        workdir = workdir.resolve()
        usable_folder(workdir, "work folder", mode=0o700)
        node, catalog, airflow, worker_log, trigger_log = free_ports(5)
        passwords = {user: secrets.token_urlsafe(9) for user in USERS}
        return cls(workdir, node, catalog, airflow, (worker_log, trigger_log), passwords, run=secrets.token_hex(4))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close what was opened of the database."""
        if "engine" in self.__dict__:
            self.engine.dispose()

    @property
    def logs(self) -> Path:
        """One log file a server."""
        return self.workdir / "logs"

    @property
    def airflow_url(self) -> str:
        """Base of Airflow's pages and API."""
        return f"http://127.0.0.1:{self.airflow_port}"

    @property
    def catalog_url(self) -> str:
        """Base of the FAIR Data Point."""
        return f"http://127.0.0.1:{self.catalog_port}"

    @property
    def password_file(self) -> Path:
        """Where Airflow's simple auth manager reads the passwords of this run; readable by the owner only."""
        return self.workdir / "airflow" / "passwords.json"

    def urls(self) -> dict[str, str]:
        """Where people look."""
        return {
            "airflow": self.airflow_url,
            "catalog": f"{self.catalog_url}/",
            "cohorts": f"{self.airflow_url}/plugin/cohorts",
            "passwords": str(self.password_file),
        }

    @cached_property
    def settings(self) -> Settings:
        """The same settings that the servers read from their environment."""
        return Settings(
            home=self.workdir / "home",
            node=NodeSettings(port=self.node_port, settle_after_s=SETTLE_AFTER_S, low_water_bytes=64 * 1024**2),
            catalog=CatalogSettings(port=self.catalog_port, base_url=self.catalog_url),
        )

    def variables(self) -> dict[str, str]:
        """Return the whole environment of every server: this process's, without settings of other installations."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        return inherited | {
            "FAIRLEAD_CONFIG": str(configs_folder() / "fairlead.yaml"),
            "FAIRLEAD_HOME": str(self.settings.home_folder),
            "FAIRLEAD_NODE__PORT": str(self.node_port),
            "FAIRLEAD_NODE__SETTLE_AFTER_S": str(SETTLE_AFTER_S),
            "FAIRLEAD_NODE__LOW_WATER_BYTES": str(self.settings.node.low_water_bytes),
            "FAIRLEAD_CATALOG__PORT": str(self.catalog_port),
            "FAIRLEAD_CATALOG__BASE_URL": self.catalog_url,
            "PYTHONUNBUFFERED": "1",
        }

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of one of our servers."""
        return [sys.executable, "-m", "fairlead.cli", *arguments]

    def airflow_command(self) -> list[str]:
        """Return the command line of ``airflow standalone``."""
        return [str(Path(sys.executable).parent / "airflow"), "standalone"]

    def airflow_variables(self) -> dict[str, str]:
        """Return Airflow's settings: loopback only, own ports, the two tuned intervals, our DAGs, four users."""
        passwords = self.password_file
        passwords.parent.mkdir(parents=True, exist_ok=True)
        passwords.touch(mode=0o600)
        passwords.write_text(json.dumps(self.passwords))
        return {
            # `airflow standalone` starts its parts as `airflow` from PATH.
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            "AIRFLOW_HOME": str(passwords.parent),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder()),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{user}:{role}" for user, role in USERS.items()),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.airflow_port),
            "AIRFLOW__API__BASE_URL": self.airflow_url,
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(self.log_ports[0]),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(self.log_ports[1]),
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "30",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        }

    @cached_property
    def engine(self) -> Engine:
        """The ledger's database."""
        from fairlead.database import open_database

        return open_database(self.settings)

    @cached_property
    def catalogue(self) -> FieldCatalogue:
        """The field catalogue."""
        from fairlead.extract import load_catalogue

        return load_catalogue(self.settings.fields_file)

    @cached_property
    def index(self) -> Index:
        """The index that the DAGs fill."""
        from fairlead.index import open_index

        return open_index(self.settings, self.catalogue)

    def indexed(self) -> bool:
        """Return whether something came in and nothing waits any more."""
        from fairlead.receive import Ledger

        ledger = Ledger(self.engine)
        counts = ledger.counts()
        busy = sum(counts.get(state, 0) for state in (SeriesState.RECEIVING, SeriesState.SETTLING, SeriesState.COMPLETE))
        kinds = {record.core.kind for record in self.records()}
        return busy == 0 and ledger.waiting() == 0 and kinds == {"dicom-series", "ome-image"}

    def records(self) -> tuple[ImagingRecord, ...]:
        """Return every record of the index."""
        from fairlead.index import All

        ids = self.index.members(All()).ids
        found = (self.index.get(record_id) for record_id in ids)
        return tuple(record for record in found if record is not None)

    def definition(self, title: str) -> dict[str, Any]:
        """Return a definition over both kinds of data; its id is derived, so that a second run makes version 2 or none."""
        return {
            "schemaVersion": "1",
            "id": str(uuid.uuid5(DEFINITION_NAMESPACE, title)),
            "version": 1,
            "title": title,
            "unit": "series",
            "include": {
                "any": [
                    {"field": "modality", "op": "in", "value": ["CT", "MR", "PT"]},
                    {"field": "kind", "op": "=", "value": "ome-image"},
                ]
            },
            "rules": [{"name": "images with pixels", "where": {"field": "series.size_x", "op": ">=", "value": 1}}],
        }

    def export_of(self, run_id: str) -> str | None:
        """Return the id of the export that an Airflow run made."""
        from fairlead.publish import Exports

        return next((export.id for export in Exports(self.settings, self.engine).list() if export.run_id == run_id), None)

    def export_reason(self, run_id: str) -> str:
        """Return why an export failed, as recorded."""
        from fairlead.publish import Exports

        exports = Exports(self.settings, self.engine).list()
        return next((export.reason for export in exports if export.run_id == run_id and export.reason), "Read the log of airflow.")
