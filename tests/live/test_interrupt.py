"""Ctrl-C: the demo stops at once and leaves no process behind, not even grandchildren."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.live, pytest.mark.airflow]


def processes_of(workdir: Path) -> list[str]:
    """Return the command lines of all processes whose environment names the work folder, as every server's does."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment, command = (process / "environ").read_bytes(), (process / "cmdline").read_bytes()
        except OSError:
            continue  # it ended while we looked, or is not ours
        if str(workdir).encode() in environment:
            found.append(command.replace(b"\0", b" ").decode())
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "term"])
def test_an_interrupted_demo_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    workdir = tmp_path / "demo"
    command = [sys.executable, "-m", "fairlead.cli", "demo", "--json", "--workdir", str(workdir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as demo:
        assert demo.stderr is not None
        assert demo.stdout is not None
        for line in demo.stderr:
            if line.startswith("… start servers"):
                break
        airflow = workdir / "logs" / "airflow.log"
        while not airflow.exists() or airflow.stat().st_size == 0:  # Airflow's own children are starting now
            assert demo.poll() is None
        assert processes_of(workdir)
        demo.send_signal(number)
        said = demo.stderr.read()
        assert demo.wait() == 130
        assert demo.stdout.read() == ""
    assert said.splitlines()[-2:] == ["stopping the servers …", "stopped"]
    assert processes_of(workdir) == []
