"""Series that announce how many objects they have: complete as soon as those are there."""

import pytest
from pydicom.uid import UID

from fairlead.receive import Ledger
from fairlead.receive.completion import Ending
from fairlead.receive.expected import expected_instances
from fairlead.receive.series_ledger import Arrival
from fairlead.records import SeriesState
from receive.builders import ROUTE, STUDY, Clock, a_row, a_slice, association, part10, quick, running, send, wait_for

ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"


@pytest.mark.parametrize(
    ("attributes", "number"),
    [
        ({"ImagesInAcquisition": 32}, 32),
        ({"ImagesInAcquisition": 32, "NumberOfTemporalPositions": 3}, 96),
        ({"NumberOfSlices": 47, "NumberOfTimeSlices": 2}, 94),
        ({"NumberOfSlices": 47}, 0),
        ({"SOPClassUID": UID(ENHANCED_CT), "NumberOfFrames": 40, "ImagesInAcquisition": 40}, 1),
        ({"NumberOfFrames": 40}, 0),
        ({}, 0),
    ],
)
def test_headers_announce_a_number_or_none(tmp_path, attributes, number):
    image = a_slice()
    for name, value in attributes.items():
        setattr(image, name, value)
    (tmp_path / "one.dcm").write_bytes(part10(image))
    assert expected_instances(tmp_path / "one.dcm") == number


def test_a_header_that_cannot_be_read_announces_nothing(tmp_path):
    (tmp_path / "noise.dcm").write_bytes(b"\x08\x00\xff\xff" * 9)
    assert expected_instances(tmp_path / "noise.dcm") == expected_instances(tmp_path / "absent.dcm") == 0


def test_real_headers_announce_what_their_makers_wrote(data):
    assert expected_instances(data / "dicom/ct/CT_small.dcm") == 0


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ledger(engine, clock):
    return Ledger(engine, clock)


@pytest.mark.parametrize(
    ("ending", "expected", "complete"),
    [(Ending.RELEASED, 2, 1), (Ending.ABORTED, 2, 1), (Ending.RELEASED, 3, 0), (Ending.RELEASED, 0, 0)],
)
def test_a_series_with_all_it_announced_waits_no_longer(ledger, ending, expected, complete):
    for number in (1, 2):
        ledger.record([Arrival(a_row(number), STUDY, f"{STUDY}.1", ROUTE, "a")])
    assert ledger.expect(lambda _path: 99) == 0  # its sender is still there
    ledger.sender_left("a", ending)
    assert ledger.expect(lambda _path: expected) == 1
    assert ledger.expect(lambda _path: 99) == 0  # asked once
    assert ledger.settle(settle_after_s=5, quiet_after_s=60) == complete


def test_another_open_association_still_holds_a_series_that_has_everything(ledger):
    ledger.record([Arrival(a_row(1), STUDY, f"{STUDY}.1", ROUTE, "a"), Arrival(a_row(2), STUDY, f"{STUDY}.1", ROUTE, "b")])
    ledger.sender_left("a", Ending.RELEASED)
    ledger.expect(lambda _path: 2)
    assert ledger.settle(settle_after_s=5, quiet_after_s=60) == 0
    ledger.sender_left("b", Ending.RELEASED)
    ledger.expect(lambda _path: 2)
    assert ledger.settle(settle_after_s=5, quiet_after_s=60) == 1


def test_the_node_completes_such_a_series_although_its_sender_aborted(tmp_path):
    with running(quick(tmp_path, settle_after_s=600, quiet_after_s=600)) as (node, port):
        with association(port) as peer:
            for number in (1, 2):
                image = a_slice(number)
                image.ImagesInAcquisition = 2
                assert send(peer, image) == 0
            peer.abort()
        wait_for(lambda: node.ledger.counts()[SeriesState.COMPLETE] == 1)
