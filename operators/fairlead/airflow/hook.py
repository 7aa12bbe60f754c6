"""The connection to one Fairlead installation."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowException

from fairlead.errors import FairleadError
from fairlead.settings import Settings, load_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from fairlead.extract import FieldCatalogue
    from fairlead.index import Index
    from fairlead.publish import Exports
    from fairlead.receive import Ledger


class FairleadHook(BaseHook):
    """Opens the ledger, the index and the exports of the installation that a connection names.

    Without the connection the process environment decides (``FAIRLEAD_HOME``, ``FAIRLEAD_CONFIG``), which is what the
    embedded demo and the chart use.
    """

    conn_name_attr = "fairlead_conn_id"
    default_conn_name = "fairlead_default"
    conn_type = "fairlead"
    hook_name = "Fairlead"

    def __init__(self, fairlead_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.fairlead_conn_id = fairlead_conn_id

    @cached_property
    def settings(self) -> Settings:
        """Effective settings; the connection's ``home`` and ``config`` win over the environment."""
        extra = self._extra()
        settings = load_settings(Path(extra["config"]) if extra.get("config") else None)
        return settings.model_copy(update={"home": Path(extra["home"])}) if extra.get("home") else settings

    def _extra(self) -> dict[str, Any]:
        try:
            connection = self.get_connection(self.fairlead_conn_id)
        except AirflowException:
            # No such connection: the environment decides. A typo in a non-default id must not pass silently.
            if self.fairlead_conn_id != self.default_conn_name:
                raise
            return {}
        extra: dict[str, Any] = connection.extra_dejson
        return extra

    @cached_property
    def engine(self) -> Engine:
        """The migrated database."""
        from fairlead.database import open_database

        return open_database(self.settings)

    @cached_property
    def ledger(self) -> Ledger:
        """The work list of received series and files."""
        from fairlead.receive import Ledger

        return Ledger(self.engine)

    @cached_property
    def catalogue(self) -> FieldCatalogue:
        """The field catalogue."""
        from fairlead.extract import load_catalogue

        return load_catalogue(self.settings.fields_file)

    @cached_property
    def index(self) -> Index:
        """The searchable index."""
        from fairlead.index import open_index

        return open_index(self.settings, self.catalogue)

    @cached_property
    def exports(self) -> Exports:
        """The work list of exports."""
        from fairlead.publish import Exports

        return Exports(self.settings, self.engine)

    def test_connection(self) -> tuple[bool, str]:
        """Answer the Connections page whether the database is reachable and the index readable."""
        try:
            generation = self.index.generation()
            waiting = self.ledger.waiting()
        except FairleadError as error:
            return False, str(error)
        return True, f"index generation {generation[:12]}, {waiting} waiting"
