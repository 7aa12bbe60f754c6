"""One real server of each kind a session, on loopback, stopped at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from live.servers import OpenSearch, free_port


@pytest.fixture(scope="session")
def opensearch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSearch]:
    """Return a running OpenSearch."""
    server = OpenSearch(tmp_path_factory.mktemp("opensearch"), free_port())
    try:
        server.start()
        yield server
    finally:
        server.stop()
