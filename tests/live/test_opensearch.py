"""The OpenSearch adapter keeps the index contract on a real server."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from conformance.index_contract import CATALOGUE, IndexContract, MakeIndex
from fairlead.index.criteria import All
from fairlead.index.opensearch import OpenSearchIndex
from fairlead.settings import IndexSettings
from live.servers import OpenSearch

pytestmark = pytest.mark.live


@pytest.fixture(scope="session")
def emptied(opensearch: OpenSearch) -> Callable[[], OpenSearchIndex]:
    """Return a maker of empty indexes that hands out three in turn: creating one costs the server more than emptying it."""
    three = [OpenSearchIndex(IndexSettings(backend="opensearch", url=opensearch.url, name=f"contract-{n}"), CATALOGUE) for n in range(3)]
    turn = itertools.cycle(three)

    def make() -> OpenSearchIndex:
        index = next(turn)
        index.remove(index.members(All()).ids)
        return index

    return make


class TestOpenSearchIndex(IndexContract):
    """The contract on real indexes."""

    @pytest.fixture
    def make_index(self, emptied: MakeIndex) -> MakeIndex:
        return emptied
