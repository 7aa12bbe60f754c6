"""``fairlead node pull`` against DCMTK's archive."""

import json
import logging
import os
import subprocess

import pytest
from pydicom import dcmread

from fairlead.cli import run
from fairlead.receive.sink import dataset_sha256
from live.servers import free_port
from needs import program
from receive.builders import archived, ledger_of, quick, wait_for

pytestmark = pytest.mark.live
CONFIGURATION = """NetworkTCPPort = {port}
MaxPDUSize = 131072
MaxAssociations = 16
HostTable BEGIN
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
PACS {folder} RW (200, 1024mb) ANY
AETable END
"""
NAGLE_OFF = {"TCP_NODELAY": "1"}


@pytest.fixture(autouse=True)
def _no_handler_stays_behind():
    """The command sets up logging on the captured stderr, which is closed after the test."""
    yield
    logging.basicConfig(handlers=[logging.NullHandler()], force=True)


@pytest.fixture(scope="module")
def pacs(tmp_path_factory, data):
    """Run dcmqrscp with one CT series of three slices and a compressed MR object; yield its port."""
    folder, port = tmp_path_factory.mktemp("pacs"), free_port()
    (folder / "archive").mkdir()
    (folder / "dcmqrscp.cfg").write_text(CONFIGURATION.format(port=port, folder=folder / "archive"))
    command = [program("dcmqrscp"), "-c", str(folder / "dcmqrscp.cfg"), "+xe"]
    process = subprocess.Popen(command, env=os.environ | NAGLE_OFF, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        echo = [program("echoscu"), "-aec", "PACS", "127.0.0.1", str(port)]
        wait_for(lambda: subprocess.run(echo, capture_output=True, check=False).returncode == 0)
        files = [*map(str, sorted((data / "dicom/ct/dcmqi_ct3slice").iterdir())), str(data / "dicom/ct/CT_small.dcm")]
        subprocess.run(
            [program("dcmsend"), "-aec", "PACS", "127.0.0.1", str(port), *files],
            env=os.environ | NAGLE_OFF,
            check=True,
            capture_output=True,
        )
        yield port
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture
def home(tmp_path, pacs, monkeypatch):
    routes = tmp_path / "routes.yaml"
    routes.write_text(f"routes: []\npeers: [{{ae_title: PACS, host: 127.0.0.1, port: {pacs}}}]\n")
    for name, value in {"HOME": tmp_path / "home", "NODE__ROUTES": routes, "NODE__LOW_WATER_BYTES": 0}.items():
        monkeypatch.setenv(f"FAIRLEAD_{name}", str(value))
    return quick(tmp_path / "home")


def pulled(capsys, *arguments: str) -> tuple[int, dict]:
    status = run(["node", "pull", "--from", "PACS", *arguments, "--json"])
    out = capsys.readouterr().out
    return status, json.loads(out) if out else {}


def test_a_study_comes_whole_once_and_is_complete(home, data, capsys):
    slices = sorted((data / "dicom/ct/dcmqi_ct3slice").iterdir())
    study = str(dcmread(slices[0], stop_before_pixels=True).StudyInstanceUID)
    status, first = pulled(capsys, "--study", study)
    assert (status, first["complete"]) == (0, True)
    assert [(one["expected"], one["stored"], one["present"]) for one in first["series"]] == [(3, 3, 0)]
    status, second = pulled(capsys, "--study", study)
    assert [(one["expected"], one["stored"], one["present"]) for one in second["series"]] == [(3, 0, 3)]
    with ledger_of(home) as ledger:
        ledger.settle(settle_after_s=5, quiet_after_s=60)
        (series,) = ledger.claim_series(9, claimant="test")
    assert {one.sop_instance_uid for one in series.instances} == {str(dcmread(path).SOPInstanceUID) for path in slices}
    assert (series.route.calling_ae, series.route.project) == ("PACS", "default")


def test_a_pull_that_was_cut_off_fetches_the_rest(home, data, capsys):
    slices = sorted((data / "dicom/ct/dcmqi_ct3slice").iterdir())
    assert run(["ingest", str(slices[0])]) == 0
    capsys.readouterr()
    study = str(dcmread(slices[0], stop_before_pixels=True).StudyInstanceUID)
    _, report = pulled(capsys, "--study", study)
    assert [(one["expected"], one["stored"], one["present"], one["missing"]) for one in report["series"]] == [(3, 2, 1, [])]
    assert len({dataset_sha256(path) for path in archived(home)}) == 3


def test_a_query_finds_studies_and_what_does_not_match_is_named(home, capsys):
    status, report = pulled(capsys, "--query", "PatientID=*", "--project", "heart")
    assert (status, sum(one["stored"] for one in report["series"])) == (0, 4)
    assert run(["node", "pull", "--from", "PACS", "--study", "1.2.3"]) == 1
    assert "not-found" in capsys.readouterr().err
    assert run(["node", "pull", "--from", "NOBODY", "--study", "1.2.3"]) == 1
    assert run(["node", "pull", "--from", "PACS"]) == 2


def test_a_peer_that_is_away_is_named(home, capsys, tmp_path):
    (tmp_path / "routes.yaml").write_text(f"routes: []\npeers: [{{ae_title: PACS, host: 127.0.0.1, port: {free_port()}}}]\n")
    assert run(["node", "pull", "--from", "PACS", "--study", "1.2.3"]) == 3
    assert "Nothing answers" in capsys.readouterr().err
