"""Senders we did not write: DCMTK's tools and Orthanc."""

import json
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom import dcmread

from fairlead.errors import NotFound
from fairlead.progress import Silent
from fairlead.receive import PullReport, Wish, pull
from fairlead.receive.routes import Peer
from fairlead.records import Route, SeriesState
from needs import program
from receive.builders import CT, EXPLICIT, archived, association, quick, running, wait_for

pytestmark = pytest.mark.live
ORTHANC = "/usr/sbin/Orthanc"  # Debian keeps it out of a user's PATH


@pytest.fixture
def settings(tmp_path):
    return quick(tmp_path / "home")


@pytest.fixture
def node(settings):
    with running(settings) as (found, port):
        found.port = port
        yield found


def call(name: str, port: int, *arguments: str, called: str = "FAIRLEAD") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program(name), "-aec", called, *arguments, "127.0.0.1", str(port)], capture_output=True, text=True, timeout=60, check=False
    )


def test_echoscu_is_answered_and_refused_under_another_title(node):
    assert call("echoscu", node.port).returncode == 0
    refused = call("echoscu", node.port, called="OTHER")
    assert refused.returncode != 0
    assert "Called AE Title Not Recognized" in refused.stderr


def test_dcmsend_sends_a_series_that_completes(node, data):
    folder = data / "dicom/ct/philips_phantom_axial_1mm"
    done = subprocess.run(
        [program("dcmsend"), "-aec", "kp-heart", "127.0.0.1", str(node.port), "+sd", str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    wait_for(lambda: node.ledger.counts()[SeriesState.COMPLETE] == 1)
    (series,) = node.ledger.claim_series(9, claimant="test")
    assert (len(series.instances), series.route.project, series.route.calling_ae) == (32, "heart", "DCMSEND")
    assert {i.sop_instance_uid for i in series.instances} == {str(dcmread(f).SOPInstanceUID) for f in folder.iterdir()}


def test_an_aborted_storescu_leaves_what_was_acknowledged(node, data):
    files = sorted((data / "dicom/ct/dcmqi_ct3slice").iterdir())
    command = [program("storescu"), "--abort", "-aec", "FAIRLEAD", "127.0.0.1", str(node.port), *map(str, files)]
    assert subprocess.run(command, capture_output=True, timeout=60).returncode == 0
    wait_for(lambda: node.ledger.open_associations() == 0)
    assert node.ledger.settle(settle_after_s=0, quiet_after_s=1000) == 0
    assert node.ledger.settle(settle_after_s=0, quiet_after_s=1e-6) == 1
    assert len(node.ledger.claim_series(9, claimant="test")[0].instances) == 3


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(port: int, path: str, body: bytes | None = None) -> object:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=body)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def answers(port: int) -> bool:
    try:
        return bool(ask(port, "/system"))
    except OSError:
        return False


@contextmanager
def orthanc_beside(folder: Path, node_port: int, **more: object) -> Iterator[int]:
    """Run an Orthanc that knows the node; yield the port of its REST API."""
    orthanc_program = ORTHANC if Path(ORTHANC).exists() else program("Orthanc")
    http = free_port()
    configuration = {
        "StorageDirectory": str(folder / "orthanc"),
        "IndexDirectory": str(folder / "orthanc"),
        "HttpPort": http,
        "DicomPort": free_port(),
        "DicomAet": "ORTHANC",
        "Plugins": [],
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "DicomModalities": {"fairlead": ["FAIRLEAD", "127.0.0.1", node_port]},
    }
    (folder / "orthanc.json").write_text(json.dumps(configuration | more))
    process = subprocess.Popen([orthanc_program, str(folder / "orthanc.json")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: answers(http), within_s=30)
        yield http
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture
def orthanc(tmp_path, node):
    with orthanc_beside(tmp_path, node.port) as http:
        yield http


def test_orthanc_asks_for_storage_commitment_and_takes_the_report(tmp_path, data):
    """Orthanc as SCU: it sends, asks for a commitment of what it sent and of what it did not, and gets both verdicts."""
    routes, called_back = tmp_path / "routes.yaml", free_port()
    routes.write_text(
        "routes: [{name: all, project: default, center: local, from_networks: [127.0.0.0/8]}]\n"
        f"peers: [{{ae_title: ORTHANC, host: 127.0.0.1, port: {called_back}}}]\n"
    )
    files = sorted((data / "dicom/ct/dcmqi_ct3slice").iterdir())
    with running(quick(tmp_path / "home", routes=routes)) as (_, port), orthanc_beside(tmp_path, port, DicomPort=called_back) as http:
        sent, kept = [ask(http, "/instances", file.read_bytes())["ID"] for file in files[:2]], str(dcmread(files[2]).SOPInstanceUID)
        assert ask(http, "/modalities/fairlead/store", json.dumps(sent).encode())["FailedInstancesCount"] == 0

        def verdict(*uids: str) -> dict:
            wanted = json.dumps({"DicomInstances": [{"SOPClassUID": CT, "SOPInstanceUID": uid} for uid in uids]}).encode()
            place = ask(http, "/modalities/fairlead/storage-commitment", wanted)["Path"]
            wait_for(lambda: ask(http, place)["Status"] != "Pending")
            return ask(http, place)

        uids = [str(dcmread(file).SOPInstanceUID) for file in files[:2]]
        some = verdict(uids[0], kept)
        assert some["Status"] == "Failure"
        assert [one["SOPInstanceUID"] for one in some["Success"]] == [uids[0]]
        assert [(one["SOPInstanceUID"], one["FailureReason"]) for one in some["Failures"]] == [(kept, 0x0112)]
        every = verdict(*uids)
        assert every["Status"] == "Success"
        assert sorted(one["SOPInstanceUID"] for one in every["Success"]) == sorted(uids)


def test_orthanc_as_a_sender(node, orthanc, data):
    files = [*sorted((data / "dicom/mr_enhanced").glob("emri_small_jpeg_ls*")), data / "dicom/ct/CT_small.dcm"]
    ids = [ask(orthanc, "/instances", file.read_bytes())["ID"] for file in files]
    assert ask(orthanc, "/modalities/fairlead/echo", b"{}") == {}
    done = ask(orthanc, "/modalities/fairlead/store", json.dumps(ids).encode())
    assert (done["InstancesCount"], done["FailedInstancesCount"]) == (2, 0)
    wait_for(lambda: node.ledger.counts()[SeriesState.COMPLETE] == 2)
    syntaxes = {i.transfer_syntax_uid for s in node.ledger.claim_series(9, claimant="test") for i in s.instances}
    assert syntaxes == {"1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.1"}


@pytest.mark.parametrize("by_move", [False, True], ids=["C-GET", "C-MOVE to the node itself"])
def test_a_pull_fetches_what_is_not_here_counts_it_and_goes_on_where_it_was(settings, node, orthanc, data, by_move):
    files = [data / "dicom/ct/CT_small.dcm", *sorted((data / "dicom/ct/dcmqi_ct3slice").iterdir())]
    for file in files:
        ask(orthanc, "/instances", file.read_bytes())
    address = ask(orthanc, "/system")
    peer = Peer(ae_title="ORTHANC", host="127.0.0.1", port=address["DicomPort"])
    route = Route(project="default", center="local", calling_ae="ORTHANC", door="dimse")

    def pulled(**keys: str) -> PullReport:
        return pull(settings, node.ledger, peer, wish=Wish(keys, by_move), route=route, progress=Silent())

    with association(node.port, (CT, EXPLICIT)) as sender:
        assert sender.send_c_store(dcmread(files[1])).Status == 0  # one slice of three is here already
    study = str(dcmread(files[1]).StudyInstanceUID)
    (series,) = pulled(StudyInstanceUID=study).series
    assert (series.expected, series.present, series.stored, series.missing) == (3, 1, 2, [])
    (again,) = pulled(StudyInstanceUID=study).series
    assert (again.present, again.stored, again.missing) == (3, 0, [])
    assert pulled(PatientID=str(dcmread(files[0]).PatientID)).complete
    assert len(archived(settings)) == 4
    with pytest.raises(NotFound, match="no study that matches"):
        pulled(PatientID="nobody")
