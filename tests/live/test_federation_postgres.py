"""The gateway on a real PostgreSQL: the audit refuses changes, and questions at once stay within the budget and in one chain."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from pydantic import SecretStr

from fairlead.federation import open_gateway, verify_audit
from fairlead.federation.app import create_app
from fairlead.settings import Settings
from federation.builders import EVERYBODY, Asker, a_center, a_hub, definition, patients_of
from live.servers import Postgres

pytestmark = pytest.mark.live


def test_parallel_questions_keep_budget_chain_and_numbers(tmp_path: Path, postgres: Postgres, migrated: str) -> None:
    hub = a_hub()
    budget = {"questions": 12, "per_minute": 1000, "project_questions": 1000}
    settings = a_center(tmp_path / "north", "north", {"hub-a": hub}, records=patients_of("north", each=5), budget=budget)
    address = SecretStr(postgres.new_database(migrated))
    settings = Settings(home=settings.home, center="north", gateway=settings.gateway, database_url=address)
    two = [open_gateway(settings) for _ in range(2)]  # as two replicas would
    askers = [Asker(TestClient(create_app(gateway)), hub) for gateway in two]
    female = definition({"field": "patient.sex", "op": "=", "value": "F"})
    asked = [(askers[number % 2], (EVERYBODY, female)[number // 2 % 2]) for number in range(20)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda one: one[0].answer(one[1]), asked))
    assert Counter(answer["state"] for answer in answers) == {"answered": 12, "refused": 8}
    told = {(answer["definition_sha256"], answer["patients"]) for answer in answers if answer["state"] == "answered"}
    assert len(told) == len({sha256 for sha256, _ in told})  # one number a question, whoever came first
    assert verify_audit(two[0].engine, settings.secrets_folder).seq == 20
    for statement in ("UPDATE federation_audit SET entry = ''", "DELETE FROM federation_audit", "TRUNCATE federation_audit"):
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), two[0].engine.begin() as connection:
            connection.exec_driver_sql(statement)
    for gateway in two:
        gateway.engine.dispose()
