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
    said = {block.text: cluster.shell(block.text, folder=tmp_path) for block in blocks("run: api-server")}
    assert len(said) >= 9
    (history,) = [text for command, text in said.items() if "helm rollback" in command]
    worked = [row.split()[0] for row in history.splitlines() if "superseded" in row]
    assert history.count("Rollback was a success") == 1
    assert worked[-1] == "2", "the revision before the one in use: not the first, after a backup was turned on"
    (restored,) = [job for job in cluster.get("restored", "jobs")]
    assert (restored["metadata"]["name"].rpartition("-")[0], restored["status"]["succeeded"]) == ("fairlead-restore", 1)
    claims = {claim["metadata"]["name"]: claim["status"]["phase"] for claim in cluster.get("imaging", "persistentvolumeclaims")}
    names = ("fairlead-home", "own-fairlead-home", "data-fairlead-postgres-0", "backups", "backup-keys")
    assert claims == dict.fromkeys(names, "Bound")
    assert "violates PodSecurity" not in cluster.events("imaging")
