"""STOW-RS with dicomweb-client as the sender and bodies made by hand; health and metrics."""

import io
import json
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from dicomweb_client import DICOMwebClient
from pydicom import dcmread

from fairlead.errors import InvalidConfiguration
from fairlead.receive import DicomNode
from fairlead.receive.multipart import BadMultipart, MultipartStream
from fairlead.records import SeriesState
from receive.builders import STUDY, a_slice, archived, association, part10, quick, running, send, wait_for

BOUNDARY = "fairlead-test"
RELATED = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'


@pytest.fixture
def settings(tmp_path):
    return quick(tmp_path / "home", web={"port": 0})


@pytest.fixture
def node(settings):
    with running(settings) as (found, port):
        found.port = port
        yield found


@pytest.fixture
def base(node) -> str:
    return "http://{}:{}".format(*node.web_address)


def body(*parts: bytes, media_type: str = "application/dicom") -> bytes:
    head = f"\r\n--{BOUNDARY}\r\nContent-Type: {media_type}\r\n\r\n".encode()
    return b"".join(head + part for part in parts) + f"\r\n--{BOUNDARY}--\r\n".encode()


def post(url: str, content, *, kind: str = RELATED, **headers: str) -> httpx.Response:
    return httpx.post(url, content=content, headers={"Content-Type": kind, **headers}, timeout=30, trust_env=False)


def uids(answer: httpx.Response, tag: str) -> list[str]:
    return [item["00081155"]["Value"][0] for item in answer.json().get(tag, {}).get("Value", ())]


def reasons(answer: httpx.Response, tag: str = "00081198") -> list[int]:
    return [item["00081197"]["Value"][0] for item in answer.json().get(tag, {}).get("Value", ())]


def test_dicomweb_client_stores_a_series_that_completes(node, settings, base):
    sent = [dcmread(io.BytesIO(part10(a_slice(number)))) for number in range(1, 4)]
    answer = DICOMwebClient(base).store_instances(sent, study_instance_uid=STUDY)
    assert [item.ReferencedSOPInstanceUID for item in answer.ReferencedSOPSequence] == [f"{STUDY}.1.{n}" for n in (1, 2, 3)]
    wait_for(lambda: node.ledger.counts()[SeriesState.COMPLETE] == 1)
    (series,) = node.ledger.claim_series(1, claimant="test")
    assert (series.route.door, series.route.calling_ae, series.route.project) == ("stow", "STOW-RS", "default")
    assert len(series.instances) == len(archived(settings)) == 3


def test_objects_are_archived_byte_for_byte_and_a_resend_is_success(node, settings, base):
    data = part10(a_slice(1))
    for _ in range(2):
        answer = post(f"{base}/studies", body(data))
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/dicom+json")
    (path,) = archived(settings)
    assert path.read_bytes() == data


def test_the_address_chooses_the_project(node, base):
    assert post(f"{base}/kp-heart/studies", body(part10(a_slice(1)))).status_code == 200
    wait_for(lambda: node.ledger.counts()[SeriesState.COMPLETE] == 1)
    assert node.ledger.series_of("heart", "local", f"{STUDY}.1").route.called_ae == "kp-heart"


def test_some_refused_is_202_and_everything_refused_is_409(base):
    good, cut = part10(a_slice(1)), part10(a_slice(2))[:400]
    answer = post(f"{base}/studies", body(good, cut, b"no image at all", part10(a_slice(3))))
    assert answer.status_code == 202
    assert uids(answer, "00081199") == [f"{STUDY}.1.1", f"{STUDY}.1.3"]
    assert reasons(answer) + reasons(answer, "0008119A") == [0xC000, 0xC000]
    assert post(f"{base}/studies", body(cut)).status_code == 409


def test_an_object_of_another_study_than_the_address_is_refused(base):
    answer = post(f"{base}/studies/1.2.3", body(part10(a_slice(1))))
    assert (answer.status_code, uids(answer, "00081198"), reasons(answer)) == (409, [f"{STUDY}.1.1"], [0xA900])
    assert post(f"{base}/studies/1.2.x", body(b"")).status_code == 400


@pytest.mark.parametrize(
    ("kind", "headers", "status"),
    [
        ("application/dicom", {}, 415),
        ('multipart/related; type="application/dicom+json"; boundary=x', {}, 415),
        ("multipart/form-data; boundary=x", {}, 415),
        (RELATED, {"Accept": "application/dicom+xml"}, 406),
        ('multipart/related; type="application/dicom"', {}, 400),
        (RELATED + "-other", {}, 400),
    ],
)
def test_a_request_in_another_form_gets_its_status(base, kind, headers, status):
    assert post(f"{base}/studies", body(part10(a_slice(1))), kind=kind, **headers).status_code == status


def test_a_part_of_another_type_is_refused_alone(base):
    answer = post(f"{base}/studies", body(b"{}", media_type="application/json"))
    assert (answer.status_code, reasons(answer, "0008119A")) == (409, [0xC000])


def test_a_body_that_ends_early_stores_what_was_whole_and_leaves_no_part(settings, node, base):
    whole = body(part10(a_slice(1)), part10(a_slice(2)))
    assert post(f"{base}/studies", whole[:-200]).status_code == 400
    assert len(archived(settings)) == 1
    assert list((settings.archive_folder / ".incoming").iterdir()) == []


def test_a_body_over_the_limit_is_refused_before_and_while_it_comes(tmp_path):
    with running(quick(tmp_path, web={"port": 0, "max_request_bytes": 10_000})) as (node, _):
        base = "http://{}:{}".format(*node.web_address)
        big = body(part10(a_slice(1, pixels=bytes(50_000))))
        assert post(f"{base}/studies", big).status_code == 413
        assert post(f"{base}/studies", iter([big[:8000], big[8000:]])).status_code == 413
        assert post(f"{base}/studies", body(part10(a_slice(1)))).status_code == 200


def test_a_large_object_streams_through_in_small_pieces(settings, node, base):
    data = part10(a_slice(1, pixels=bytes(8_000_000)))
    whole = body(data)
    assert post(f"{base}/studies", (whole[at : at + 30_011] for at in range(0, len(whole), 30_011))).status_code == 200
    (path,) = archived(settings)
    assert path.read_bytes() == data


def test_a_token_is_asked_for_where_one_is_set_and_demanded_beyond_this_machine(tmp_path):
    with running(quick(tmp_path / "a", web={"port": 0, "token": "s3cret"})) as (node, _):
        url = "http://{}:{}/studies".format(*node.web_address)
        assert post(url, body(part10(a_slice(1)))).status_code == 401
        assert post(url, body(part10(a_slice(1))), Authorization="Bearer wrong").status_code == 401
        assert post(url, body(part10(a_slice(1))), Authorization="Bearer s3cret").status_code == 200
    with pytest.raises(InvalidConfiguration, match="bearer token"):
        DicomNode(
            quick(tmp_path / "b", web={"port": 0, "host": "0.0.0.0"})  # noqa: S104  # that is what is refused
        ).start()


def test_an_address_that_no_route_lists_is_forbidden(tmp_path):
    routes = tmp_path / "routes.yaml"
    routes.write_text("routes: [{name: far, project: p, center: c, from_networks: [10.0.0.0/8]}]")
    with running(quick(tmp_path / "home", routes=routes, web={"port": 0})) as (node, _):
        assert post("http://{}:{}/studies".format(*node.web_address), body(part10(a_slice(1)))).status_code == 403


def test_below_the_low_water_mark_a_sender_is_told_to_come_again(tmp_path):
    with running(quick(tmp_path, low_water_bytes=2**62, web={"port": 0})) as (node, _):
        answer = post("http://{}:{}/studies".format(*node.web_address), body(part10(a_slice(1))))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")


def test_two_requests_at_once_for_one_series_make_one_series(node, base):
    def store(number: int) -> int:
        return post(f"{base}/studies", body(part10(a_slice(number)))).status_code

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(store, range(1, 5)))
    assert answers == [200] * 4
    wait_for(lambda: node.ledger.counts()[SeriesState.COMPLETE] == 1)
    assert len(node.ledger.claim_series(1, claimant="test")[0].instances) == 4


def test_health_is_an_echo_and_metrics_tell_the_numbers(node, base):
    assert httpx.get(f"{base}/healthz", trust_env=False).json()["status"] == "ok"
    with association(node.port) as peer:
        send(peer, a_slice(1))
    wait_for(lambda: node.ledger.counts()[SeriesState.COMPLETE] == 1)
    text = httpx.get(f"{base}/metrics", trust_env=False).text
    for line in (
        'fairlead_node_instances_total{calling_ae="SCANNER",result="0000"} 1',
        'fairlead_node_associations_total{calling_ae="SCANNER",result="released"} 1',
        'fairlead_node_series{state="complete"} 1',
        "fairlead_node_ledger_up 1",
        "fairlead_node_sync_seconds_count 1",
    ):
        assert line in text.splitlines()


def test_health_fails_when_nobody_listens(node, base):
    node._close_listeners()
    answer = httpx.get(f"{base}/healthz", trust_env=False)
    assert (answer.status_code, answer.json()["status"]) == (503, "failed")


def test_the_audit_trail_has_one_line_for_each_request_and_association(node, settings, base):
    post(f"{base}/studies", body(part10(a_slice(1)), b"noise"))
    with association(node.port) as peer:
        send(peer, a_slice(2))
    trail = settings.archive_folder / "audit"
    wait_for(lambda: sum(len(file.read_text().splitlines()) for file in trail.glob("*.jsonl")) == 2)
    web, dimse = (json.loads(line) for file in trail.glob("*.jsonl") for line in file.read_text().splitlines())
    assert (web["calling_ae"], web["result"], web["stored"], web["refused"]) == ("STOW-RS", "released", 1, 1)
    assert (dimse["calling_ae"], dimse["result"], dimse["stored"], dimse["project"]) == ("SCANNER", "released", 1, "default")
    assert "PYNETDICOM" in dimse["implementation"]


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_parts_do_not_depend_on_how_the_body_is_cut(chunk):
    whole = body(b"one", b"", b"\r\n--fairlead-tes\r\n")
    stream = MultipartStream((whole[at : at + chunk] for at in range(0, len(whole), chunk)), BOUNDARY)
    assert [(part.media_type, b"".join(part.chunks)) for part in stream.parts()] == [
        ("application/dicom", b"one"),
        ("application/dicom", b""),
        ("application/dicom", b"\r\n--fairlead-tes\r\n"),
    ]


@pytest.mark.parametrize("data", [b"", b"no boundary", body(b"x")[:-6], b"\r\n--" + BOUNDARY.encode() + b"\r\nA: " + b"x" * 20_000])
def test_a_malformed_body_is_named(data):
    parts = MultipartStream(iter([data]), BOUNDARY).parts()
    with pytest.raises(BadMultipart):
        deque(parts)  # what is not read of a part is skipped


def test_a_loop_outlives_a_defect_and_health_tells_how_long_ago_it_last_ended_well(node, base, caplog):
    rounds = []

    def step():
        rounds.append(len(rounds))
        if len(rounds) < 3:
            raise RuntimeError("Doe^Jane")

    node._loop("fragile", 0.01, step)
    wait_for(lambda: len(rounds) > 3)
    ages = httpx.get(f"{base}/healthz", trust_env=False).json()["loop_age_seconds"]
    assert set(ages) == {"settle", "report", "watch", "fragile"}
    assert all(age >= 0 for age in ages.values())
    text = httpx.get(f"{base}/metrics", trust_env=False).text
    assert 'fairlead_node_loop_failures_total{loop="fragile"} 2' in text.splitlines()
    assert 'fairlead_node_loop_age_seconds{loop="fragile"}' in text
    assert "fragile: RuntimeError" in caplog.text
    assert "Jane" not in caplog.text
