"""The administrator's guide on a real API server: its commands as they stand, in their order."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from charts.cluster.conftest import Cluster
from charts.conftest import FAIRLEAD
from guides import blocks

pytestmark = [pytest.mark.charts, pytest.mark.slow]


def test_the_commands_of_the_guide_install_the_platform_change_a_secret_upgrade_go_back_and_leave_the_data(
    cluster: Cluster, platform: Path, tmp_path: Path
) -> None:
    """The umbrella's public charts are stubs here; the Fairlead chart and the trial database are the real ones."""
    shutil.copytree(platform, tmp_path / "charts" / "platform")
    shutil.copytree(FAIRLEAD, tmp_path / "charts" / "fairlead")
    ran = 0
    for block in blocks("run: api-server"):
        cluster.shell(block.text, folder=tmp_path)
        ran += 1
    assert ran >= 7
    claims = {claim["metadata"]["name"]: claim["status"]["phase"] for claim in cluster.get("imaging", "persistentvolumeclaims")}
    assert claims == {"fairlead-home": "Bound", "own-fairlead-home": "Bound", "data-fairlead-postgres-0": "Bound"}
    assert "violates PodSecurity" not in cluster.events("imaging")
