"""Files that travel with the package: configs and DAGs, in a checkout beside it, in a wheel inside it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).parent


def _folder(in_wheel: str, in_checkout: str) -> Path:
    packaged = PACKAGE / in_wheel
    return packaged if packaged.is_dir() else PACKAGE.parents[1] / in_checkout


def configs_folder() -> Path:
    """Return the folder with ``fields.yaml``, ``routes.yaml``, ``deidentify/`` and the other defaults."""
    return _folder("_configs", "configs")


def dags_folder() -> Path:
    """Return the folder with the four DAG files."""
    return _folder("_dags", "dags")
