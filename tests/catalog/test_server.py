"""The program itself: ready line, a stranger's walk from the dataset's IRI to verified voxels, SIGTERM, a taken port."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import requests
import zarr
from rdflib import DCAT, Graph, URIRef

from catalog.conftest import Publish
from fairlead.cli import run
from fairlead.errors import PortInUse, ServiceUnreachable
from fairlead.settings import CatalogSettings, Settings


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def port() -> int:
    """Return the port whose address stands in the records."""
    return free_port()


@pytest.fixture
def settings(tmp_path: Path, port: int) -> Settings:
    """Return settings whose records name the address that is served."""
    return Settings(home=tmp_path / "home", catalog=CatalogSettings(base_url=f"http://127.0.0.1:{port}"))


@pytest.fixture
def server(settings: Settings, port: int) -> Iterator[subprocess.Popen[str]]:
    """Return the running command, after its ready line."""
    environment = os.environ | {"FAIRLEAD_HOME": str(settings.home), "FAIRLEAD_CATALOG__BASE_URL": settings.catalog.base_url}
    command = [sys.executable, "-m", "fairlead.cli", "catalog", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment) as process:
        assert process.stdout.readline() == f"listening http://127.0.0.1:{port}\n"
        yield process
        process.kill()


def test_a_stranger_reaches_verified_voxels_from_the_datasets_iri(publish: Publish, server, settings: Settings):
    """Only requests, rdflib and zarr: nothing of Fairlead."""
    iri = f"{settings.catalog.base_url}/dataset/{publish().id}"
    with requests.Session() as http:

        def read(address: str) -> Graph:
            return Graph().parse(data=http.get(address, headers={"Accept": "text/turtle"}).text, format="turtle")

        records = [(node, read(str(node))) for node in read(iri).objects(URIRef(iri), DCAT.distribution)]
        urls = [str(graph.value(node, DCAT.downloadURL)) for node, graph in records]
        stores = [url for url in urls if url.endswith(".zarr")]
        assert len(stores) == 2
        for url in stores:
            voxels = zarr.open_group(url, mode="r")["0"][...]
            assert np.array_equal(voxels, np.arange(24).reshape(2, 3, 4))
        folder = stores[0].split("/images/")[0]
        for line in http.get(f"{folder}/manifest-sha256.txt").text.splitlines():
            digest, name = line.split("  ", 1)
            assert hashlib.sha256(http.get(f"{folder}/{name}").content).hexdigest() == digest


def test_the_snippet_on_the_page_works_as_it_stands(publish: Publish, server, settings: Settings):
    address = f"{settings.catalog.base_url}/dataset/{publish().id}"
    page = httpx.get(address, headers={"Accept": "text/html"}, timeout=60).text
    snippet = re.search(r"<pre[^>]*><code>(import zarr.*?)</code></pre>", page, re.DOTALL)[1].replace("&#34;", '"')
    program = f"{snippet}\nprint(voxels.shape, voxels.sum())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "(2, 3, 4) 276\n"


def test_sigterm_ends_with_zero(server: subprocess.Popen[str], port: int):
    server.send_signal(signal.SIGTERM)
    assert server.wait(timeout=20) == 0
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_taken_port_is_named_and_exits_with_three(settings: Settings, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    monkeypatch.setenv("FAIRLEAD_HOME", str(settings.home))
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        number = holder.getsockname()[1]
        assert run(["catalog", "--port", str(number)]) == PortInUse.exit_status == 3
    assert f"Port {number} on 127.0.0.1 is in use" in capfd.readouterr().err


@pytest.mark.parametrize("host", ["192.0.2.1", "nonsense..x", "a" * 300])
def test_an_address_of_another_machine_or_none_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch, capfd, host: str):
    monkeypatch.setenv("FAIRLEAD_HOME", str(settings.home))
    assert run(["catalog", "--host", host, "--port", "0"]) == ServiceUnreachable.exit_status
    assert "cannot listen" in capfd.readouterr().err
