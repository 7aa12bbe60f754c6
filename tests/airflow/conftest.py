"""Airflow's own test database, made once, and our DAG files loaded as the DAG processor loads them."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="session")
def dag_bag() -> Any:
    """Return the bag of our four DAG files."""
    from airflow.dag_processing.dagbag import DagBag
    from airflow.utils.db import initdb

    from fairlead.resources import dags_folder

    initdb()
    return DagBag(str(dags_folder()))
