"""A PACS that gives less than it names: what came is kept, and the series is not called complete for it."""

from contextlib import contextmanager

import pytest
from pydicom import Dataset
from pynetdicom import AE, evt

from fairlead.progress import Silent
from fairlead.receive import Ledger, Wish, pull
from fairlead.receive.pulling import FIND, GET
from fairlead.receive.routes import Peer
from fairlead.records import SeriesState
from receive.builders import CT, EXPLICIT, ROUTE, STUDY, Clock, a_slice, quick


def answer(**values: object) -> Dataset:
    found = Dataset()
    for name, value in values.items():
        setattr(found, name, value)
    return found


@contextmanager
def pacs(gives: list[int], named: int):
    """An archive that names ``named`` instances of one series, and sends those whose numbers are in ``gives``."""

    def find(event):
        match event.identifier.QueryRetrieveLevel:
            case "STUDY":
                yield 0xFF00, answer(StudyInstanceUID=STUDY)
            case "SERIES":
                yield 0xFF00, answer(SeriesInstanceUID=f"{STUDY}.1", NumberOfSeriesRelatedInstances=named)
            case _:
                for number in range(1, named + 1):
                    yield 0xFF00, answer(SOPInstanceUID=f"{STUDY}.1.{number}", SOPClassUID=CT)

    def get(event):
        wanted = event.identifier.get("SOPInstanceUID")
        numbers = [number for number in gives if wanted in (None, f"{STUDY}.1.{number}")]
        yield len(numbers)
        for number in numbers:
            image = a_slice(number)
            image.file_meta = answer(TransferSyntaxUID=EXPLICIT)
            yield 0xFF00, image

    ae = AE(ae_title="PACS")
    ae.add_supported_context(FIND)
    ae.add_supported_context(GET)
    ae.add_supported_context(CT, EXPLICIT, scu_role=True, scp_role=True)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, find), (evt.EVT_C_GET, get)])
    try:
        yield Peer(ae_title="PACS", host="127.0.0.1", port=server.server_address[1])
    finally:
        server.shutdown()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ledger(engine, clock):
    return Ledger(engine, clock)


def test_a_series_of_which_the_peer_gives_only_a_part_waits_and_the_rest_completes_it(tmp_path, ledger, clock):
    settings, wish = quick(tmp_path), Wish({"StudyInstanceUID": STUDY})

    def pulled(gives: list[int]):
        with pacs(gives, named=3) as peer:
            return pull(settings, ledger, peer, wish=wish, route=ROUTE, progress=Silent())

    first = pulled([1, 2])
    assert (first.complete, first.series[0].stored, first.series[0].missing) == (False, 2, [f"{STUDY}.1.3"])
    clock.pass_s(50)
    assert ledger.settle(settle_after_s=5, quiet_after_s=60) == 0
    assert ledger.counts()[SeriesState.SETTLING] == 1
    assert pulled([1, 2, 3]).complete
    assert ledger.expect(lambda _path: 99) == 0  # the peer's number counts, not what a header announces
    assert ledger.settle(settle_after_s=5, quiet_after_s=60) == 1
