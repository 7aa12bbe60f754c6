"""Storage commitment, announced counts and the quarantine on a real PostgreSQL: the tests of the room that ask for its ledger."""

import pytest

from live.on_postgres import again, engine
from receive import test_commitment, test_expected

__all__ = ["engine"]
pytestmark = pytest.mark.live
globals().update(again(test_commitment, "ledger") | again(test_expected, "ledger"))
