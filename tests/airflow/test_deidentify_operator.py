"""The de-identification operator: shares cover a folder once, and a second attempt repeats nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deidentify.ct_builders import a_ct, as_file
from fairlead.files import relative_files

pytestmark = [pytest.mark.airflow, pytest.mark.filterwarnings("ignore")]  # Airflow's own deprecations are not ours to fix


@pytest.fixture
def scans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "home"))
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}.dcm").write_bytes(as_file(a_ct(SOPInstanceUID=f"1.3.6.1.4.1.99999.5.{number}")))
    (folder / "notes.txt").write_text("see the other folder")
    return folder


@pytest.fixture
def operator(dag_bag: Any) -> Any:  # the bag makes Airflow's test database
    from fairlead.airflow.deidentify import DeidentifyFolderOperator

    return DeidentifyFolderOperator


def run(operator: Any, scans: Path, **changes: str) -> dict[str, int]:
    made = operator(task_id="deidentify", source=str(scans), out=str(scans.parent / "safe"), **changes)
    return dict(made.execute({}))


def test_the_shares_of_mapped_tasks_cover_every_file_once(operator: Any, scans: Path) -> None:
    from fairlead.airflow.deidentify import shares

    done = [run(operator, scans, share=share) for share in shares(4)]
    assert {key: sum(one[key] for one in done) for key in done[0]} == {
        "files": 6, "written": 5, "already": 0, "quarantined": 1, "residue": 0,
    }  # fmt: skip
    assert len(relative_files(scans.parent / "safe")) == 5


def test_a_retry_repeats_only_what_is_not_finished(operator: Any, scans: Path) -> None:
    run(operator, scans)
    safe = scans.parent / "safe"
    lost, *kept = [safe / name for name in relative_files(safe)]
    lost.unlink()
    times = {path: path.stat().st_mtime_ns for path in kept}
    assert run(operator, scans) == {"files": 6, "written": 5, "already": 5, "quarantined": 1, "residue": 0}
    assert lost.is_file()
    assert {path: path.stat().st_mtime_ns for path in kept} == times


ATTEMPT = """
import os, signal, sys
from pathlib import Path
import fairlead.airflow.deidentify as room
from fairlead.progress import Silent

class Fatal(Silent):
    steps = 0
    def step(self, count=1, size_bytes=0):
        self.steps += 1
        if self.steps == 2:
            os.kill(os.getpid(), signal.SIGKILL)

room.Logged = Fatal
folder = Path(sys.argv[1])
room.DeidentifyFolderOperator(task_id="deidentify", source=str(folder / "scans"), out=str(folder / "safe"), share=sys.argv[2]).execute({})
"""


def outputs(safe: Path) -> dict[str, tuple[int, int]]:
    """Return inode and time of every finished file."""
    return {
        str(name): ((safe / name).stat().st_ino, (safe / name).stat().st_mtime_ns) for name in relative_files(safe) if name.suffix == ".dcm"
    }


def test_a_killed_mapped_task_goes_on_and_repeats_nothing(operator: Any, scans: Path) -> None:
    for number in range(5, 60):  # more than the writers may be ahead
        (scans / f"{number}.dcm").write_bytes(as_file(a_ct(SOPInstanceUID=f"1.3.6.1.4.1.99999.5.{number}")))
    other = run(operator, scans, share="2/2")
    killed = subprocess.run([sys.executable, "-c", ATTEMPT, str(scans.parent), "1/2"], check=False, env=os.environ, capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    before = outputs(scans.parent / "safe")
    entries = len(list((scans.parent / "home" / "deidentified").rglob("*.json")))
    assert other["written"] + 2 <= len(before) < 60, "killed in the middle"
    again = run(operator, scans, share="1/2")
    assert again["already"] == entries - other["files"] >= 2, "what the journal knew was not done again"
    after = outputs(scans.parent / "safe")
    assert {name: after[name] for name in before} == before, "the same files, not written again"
    assert other["written"] + again["written"] == len(after) == 60
    assert other["files"] + again["files"] == 61


@pytest.mark.parametrize(("changes", "message"), [({"share": "5/4"}, "not k/n"), ({"profile": "absent"}, "no de-identification profile")])
def test_bad_parameters_fail_at_once(operator: Any, scans: Path, changes: dict[str, str], message: str) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    with pytest.raises(AirflowFailException, match=message):
        run(operator, scans, **changes)


def test_the_operator_maps_over_shares_in_a_dag(operator: Any) -> None:
    from airflow.sdk import DAG

    from fairlead.airflow.deidentify import shares

    with DAG("mapped", schedule=None) as dag:
        operator.partial(task_id="deidentify", source="/in", out="/out").expand(share=shares(3))
    assert dag.get_task("deidentify").expand_input.value == {"share": ["1/3", "2/3", "3/3"]}
