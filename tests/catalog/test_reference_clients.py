"""Health-RI's ``fairclient`` and ``sempyro`` in an environment of their own, against the running catalog.

They pin rdflib 7.0, which our validators exclude, so the test makes them a virtual environment from reference_clients.txt.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from catalog.conftest import PASSWORD
from catalog.test_server import port, server, settings  # noqa: F401  (fixtures)
from needs import missing

HERE = Path(__file__).parent
REASONS = ("A dataset has a theme, an IRI.", "not valid turtle", "A distribution has", "has a title")
"""Why examples are refused: snippets of DCAT-AP have no theme, which the FAIR Data Point makes mandatory, and three files are no Turtle."""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the python of the clients' environment; skip with the reason where the packages cannot be had."""
    uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    folder = tmp_path_factory.mktemp("clients") / "venv"
    for command in (
        [str(uv), "venv", "-q", "--python", sys.executable, str(folder)],
        [str(uv), "pip", "install", "-q", "--python", str(folder), "-r", str(HERE / "reference_clients.txt")],
    ):
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=180)
        except (OSError, subprocess.SubprocessError):
            missing(
                "fairclient 1.0.1 and sempyro 2.2.0", "connect to the package registry: uv installs them into an environment of their own"
            )
    return folder / "bin" / "python"


def test_the_reference_clients_write_update_delete_and_load(python: Path, server, settings, accounts, data: Path) -> None:  # noqa: F811
    base = settings.catalog.base_url
    command = [
        str(python),
        str(HERE / "reference_client.py"),
        base,
        f"{base}/catalog/local",
        "root@example.org",
        PASSWORD,
        str(data / "fair"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["flow"] == {"seen": [200, 200], "title": "Livers", "deleted": 204, "gone": 410}
    stored = {name: entry["stored"] for name, entry in found["load"].items()}
    refused = {name: sorted({why for _, why in entry["refused"]}) for name, entry in found["load"].items() if entry["refused"]}
    valid = [file.name for folder in ("fdp-records", "health-ri/examples") for file in (data / "fair" / folder).glob("*.ttl")]
    assert not refused.keys() & set(valid)
    assert {name for name in valid if not stored[name]} == {"dtl-fdp.ttl", "example-dataservice.ttl"}  # services, which no client writes
    assert {name: status for name, entry in found["load"].items() for status, _ in entry["refused"]}.keys() == refused.keys()
    for name, reasons in refused.items():
        assert all(any(words in why for words in REASONS) for why in reasons), (name, reasons)
