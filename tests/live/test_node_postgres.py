"""Storage commitment, announced counts and the quarantine on a real PostgreSQL: the tests of the room that ask for its ledger."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import SecretStr

from fairlead.receive import Ledger
from fairlead.receive.sink import dataset_sha256
from fairlead.records import SeriesState
from live.on_postgres import again, engine
from receive import test_commitment, test_expected
from receive.builders import CT, ROUTE, STUDY, a_slice, archived, association, encoded, quick, running, send, send_bytes, wait_for
from receive.raw import rejection

__all__ = ["engine"]
pytestmark = pytest.mark.live
globals().update(again(test_commitment, "ledger") | again(test_expected, "ledger"))


def test_a_database_that_is_killed_refuses_loses_nothing_and_is_used_again(postgres, migrated, tmp_path):
    address = postgres.new_database(migrated)
    settings = quick(tmp_path / "home").model_copy(update={"database_url": SecretStr(address)})
    with running(settings) as (node, port):
        with association(port) as peer:
            assert send(peer, a_slice(1)) == 0
            postgres.kill()
            try:
                refused, comment = store(peer, a_slice(2))
                assert (refused, comment) == (0xA700, "The database does not answer.")
                assert rejection(port) == (2, 3, 1)  # others shall come again, and are told so at once
            finally:
                postgres.start()
            wait_for(lambda: send(peer, a_slice(2)) == 0)
        wait_for(lambda: node.ledger.counts()[SeriesState.COMPLETE] == 1)
        (series,) = node.ledger.claim_series(9, claimant="test")
        assert [one.sop_instance_uid for one in series.instances] == [f"{STUDY}.1.1", f"{STUDY}.1.2"]
        assert all(dataset_sha256(settings.archive_folder / one.path) == one.sha256 for one in series.instances)
        assert len(archived(settings)) == 2


def store(peer, image) -> tuple[int, str]:
    return send_bytes(peer, encoded(image), sop_class=image.SOPClassUID, sop_instance=image.SOPInstanceUID)


def test_two_requests_for_commitment_at_once_are_both_kept(engine):
    ledgers, asked = [Ledger(engine), Ledger(engine)], threading.Barrier(2)

    def request(number: int) -> None:
        asked.wait(timeout=10)
        for transaction in range(20):
            pairs = [(CT, f"{STUDY}.1.{number}")]
            ledgers[number].request_commitment(f"1.2.{transaction}", pairs, route=ROUTE, holder=f"holder{number}")
            ledgers[number].request_commitment(f"1.3.{number}.{transaction}", pairs, route=ROUTE, holder=f"holder{number}")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(request, range(2)))
    due = ledgers[0].due_commitments()
    assert len(due) == len({one.transaction_uid for one in due}) == 60  # the same transaction of one sender is one request
