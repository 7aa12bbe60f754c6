"""The mapped conversion: shares divide a folder, nothing is done twice, refusals fail only what is empty."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from convert.builders import a_series, axial_positions, save

pytestmark = [pytest.mark.airflow, pytest.mark.filterwarnings("ignore")]  # Airflow's own deprecations are not ours to fix

DATA = (
    "dicom/ct/dcmqi_ct3slice/01.dcm",
    "dicom/ct/dcmqi_ct3slice/02.dcm",
    "dicom/ct/dcmqi_ct3slice/03.dcm",
    "dicom/seg/dcmqi_liver.dcm",
    "dicom/seg/dcmqi_sparse-labelmap-noppv.dcm",
    "dicom/pr/gsps_phantom.dcm",
    "ome/tiff/1x1.ome.tif",
    "ome/tiff/nyxus_p0_y1_r1_c0.ome.tif",
)


STOPPING: str = """
import os, sys, time
seen = []
def hook(event, arguments):
    if event == "os.rename" and str(arguments[0]).endswith(".staging"):
        seen.append(arguments)
        if len(seen) == 2:  # the first store is published, the second is written and not yet published
            print("in the middle", flush=True)
            time.sleep(600)
sys.addaudithook(hook)
from fairlead.airflow.convert import ConvertFolderOperator
ConvertFolderOperator(task_id="convert", folder=sys.argv[1], out=sys.argv[2], part=int(sys.argv[3]), parts=2).execute({})
"""


@pytest.fixture
def folder(data: Path, tmp_path: Path) -> Path:
    """Return a folder with CT, its segmentation, another one, OME-TIFF and something that is refused."""
    source = tmp_path / "in"
    source.mkdir()
    for name in DATA:
        (source / Path(name).name).write_bytes((data / name).read_bytes())
    return source


def executed(monkeypatch: pytest.MonkeyPatch, folder: Path, out: Path, **arguments: Any) -> dict[str, int]:
    from fairlead.airflow.convert import ConvertFolderOperator

    monkeypatch.setenv("FAIRLEAD_HOME", str(out.parent / "home"))
    return ConvertFolderOperator(task_id="convert", folder=str(folder), out=str(out), **arguments).execute({})


def stores(out: Path) -> dict[str, int]:
    return {path.name: (path / "zarr.json").stat().st_mtime_ns for path in out.iterdir() if path.suffix == ".zarr"}


def test_shares_together_make_what_one_task_makes(monkeypatch, folder, tmp_path):
    whole = executed(monkeypatch, folder, tmp_path / "whole")
    shares = [executed_or_empty(monkeypatch, folder, tmp_path / "shares", part=part, parts=3) for part in range(3)]
    assert stores(tmp_path / "whole").keys() == stores(tmp_path / "shares").keys()
    assert whole["stores"] == sum(share["stores"] for share in shares)
    assert whole["refused"] == sum(share["refused"] for share in shares)


def executed_or_empty(monkeypatch: pytest.MonkeyPatch, folder: Path, out: Path, **arguments: Any) -> dict[str, int]:
    from airflow.sdk.exceptions import AirflowFailException

    try:
        return executed(monkeypatch, folder, out, **arguments)
    except AirflowFailException:
        return {"stores": 0, "refused": 1}


def test_a_second_try_repeats_only_what_is_not_finished(monkeypatch, folder, tmp_path):
    first = executed(monkeypatch, folder, tmp_path / "out")
    before = stores(tmp_path / "out")
    victim, kept = sorted(before)[0], sorted(before)[1:]
    (tmp_path / "out" / victim / "zarr.json").unlink()
    assert executed(monkeypatch, folder, tmp_path / "out") == first
    after = stores(tmp_path / "out")
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert after[victim] > before[victim]


def killed_in_the_middle(folder: Path, out: Path, part: int) -> None:
    """Run the operator of one share in a process of its own, and kill it while it publishes its second store."""
    environment = os.environ | {"FAIRLEAD_HOME": str(out.parent / "home")}
    command = [sys.executable, "-c", STOPPING, str(folder), str(out), str(part)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment) as child:
        assert child.stdout is not None
        assert "in the middle\n" in iter(child.stdout.readline, "")
        child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL


def test_after_a_kill_the_share_goes_on_with_what_is_not_finished(monkeypatch, tmp_path):
    for number in range(6):  # six studies: at least one of two shares has three
        uid = f"1.2.826.0.1.3680043.8.498.7{number}"
        changes = {"StudyInstanceUID": uid, "SeriesInstanceUID": f"{uid}.1"}
        series = a_series(axial_positions(3), **changes)
        for dataset in series:
            dataset.SOPInstanceUID = f"{uid}.1.{dataset.InstanceNumber}"
        save(tmp_path / "in" / str(number), series)
    out, clean = tmp_path / "out", tmp_path / "clean"
    counts = [executed_or_empty(monkeypatch, tmp_path / "in", clean, part=part, parts=2)["stores"] for part in (0, 1)]
    part = counts.index(max(counts))
    killed_in_the_middle(tmp_path / "in", out, part)
    finished = {path.name: (path / "zarr.json").stat().st_ino for path in out.glob("*.ome.zarr")}
    assert len(finished) == 1
    assert len(list(out.glob(".*.staging"))) == 1
    assert executed(monkeypatch, tmp_path / "in", out, part=part, parts=2)["stores"] == max(counts)
    executed_or_empty(monkeypatch, tmp_path / "in", out, part=1 - part, parts=2)
    after = {path.name: (path / "zarr.json").stat().st_ino for path in out.glob("*.ome.zarr")}
    assert after.keys() == stores(clean).keys()
    assert after.items() >= finished.items()
    assert list(out.glob(".*.staging")) == []


def test_a_share_in_which_everything_is_refused_fails_without_a_retry(monkeypatch, data, tmp_path):
    from airflow.sdk.exceptions import AirflowFailException

    with pytest.raises(AirflowFailException, match="Nothing could be converted"):
        executed(monkeypatch, data / "dicom/pr", tmp_path / "out")


def test_a_wrong_option_fails_with_its_remedy(monkeypatch, folder, tmp_path):
    from airflow.sdk.exceptions import AirflowFailException

    with pytest.raises(AirflowFailException, match="strict, split or annotate"):
        executed(monkeypatch, folder, tmp_path / "out", geometry="loose")


def test_it_maps_over_shares(folder, tmp_path):
    from airflow.sdk import DAG
    from airflow.serialization.serialized_objects import DagSerialization

    from fairlead.airflow.convert import ConvertFolderOperator

    with DAG("converting", schedule=None) as dag:
        ConvertFolderOperator.partial(task_id="convert", folder=str(folder), out=str(tmp_path), parts=4).expand(part=[0, 1, 2, 3])
    assert DagSerialization.to_dict(dag)["dag"]["dag_id"] == "converting"
    assert dag.get_task("convert").is_mapped
