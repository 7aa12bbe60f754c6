"""What the chart tells Kubernetes to run is run here, against the real programs: containers' arguments and their probes."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from charts.conftest import FAIRLEAD, Render, Rendered, metrics_named, one
from receive.builders import a_slice, part10

pytestmark = [pytest.mark.charts, pytest.mark.slow]
DEADLINE_S = 60
ONLY_WHEN_THERE_IS_ONE = {"fairlead_exports_oldest_seconds"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Pod:
    """Runs containers of rendered pods as processes, with the rendered ConfigMap as their configuration."""

    def __init__(self, folder: Path, objects: Rendered, config: str = "x-fairlead-config") -> None:
        (folder / "etc").mkdir()
        for name, text in one(objects, "ConfigMap", config)["data"].items():
            (folder / "etc" / name).write_text(text)
        self.folder = folder
        # What differs from a pod: paths lie below the test's folder, and listeners stay on this machine.
        self.environment = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "PYTHONUNBUFFERED": "1",
            "FAIRLEAD_CONFIG": str(folder / "etc" / "fairlead.yaml"),
            "FAIRLEAD_HOME": str(folder / "home"),
            "FAIRLEAD_DATABASE_URL": f"sqlite:///{folder}/home/database/fairlead.sqlite",
            "FAIRLEAD_NODE__ROUTES": str(folder / "etc" / "routes.yaml"),
            "FAIRLEAD_NODE__HOST": "127.0.0.1",
            "FAIRLEAD_CATALOG__HOST": "127.0.0.1",
        }

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a probe's or a Job's command to its end."""
        return subprocess.run(
            command, env=self.environment, cwd=self.folder, capture_output=True, text=True, timeout=DEADLINE_S, check=False
        )

    @contextmanager
    def started(self, container: dict[str, Any]) -> Iterator[subprocess.Popen[str]]:
        """Start a container's process and wait until it says that it listens; SIGTERM must end it well."""
        with (self.folder / f"{container['name']}.log").open("w") as log:
            command = ["fairlead", *container["args"]]
            process = subprocess.Popen(command, env=self.environment, cwd=self.folder, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            ready, _, _ = select.select([process.stdout], [], [], DEADLINE_S)
            line = process.stdout.readline() if ready and process.stdout else ""
            assert line.startswith("listening"), (self.folder / f"{container['name']}.log").read_text()
            yield process
            process.send_signal(signal.SIGTERM)
            assert process.wait(DEADLINE_S) == 0
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            if process.stdout:
                process.stdout.close()


def container_of(objects: Rendered, kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = one(objects, kind, name)["spec"]["template"]["spec"]["containers"][0]
    return found


def answers(address: str) -> int:
    """Return the status of the first answer that comes before the deadline."""
    until = time.monotonic() + DEADLINE_S
    while True:
        try:
            return httpx.get(address, timeout=5, trust_env=False).status_code
        except httpx.TransportError:
            assert time.monotonic() < until, address


def test_the_migration_job_does_its_work_and_may_be_repeated(render: Render, tmp_path: Path) -> None:
    objects = render()
    job = next(document for document in objects if document["kind"] == "Job")
    arguments = job["spec"]["template"]["spec"]["containers"][0]["args"]
    pod = Pod(tmp_path, objects)
    assert [pod.run("fairlead", *arguments).returncode for _ in range(2)] == [0, 0]


class Running(NamedTuple):
    """A node and a catalog of the chart, started once for all that is asked of them."""

    pod: Pod
    objects: Rendered
    ports: dict[str, int]


@pytest.fixture(scope="module")
def running(render: Render, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("running")
    ports = {"node": free_port(), "web": free_port(), "catalog": free_port()}
    web = {"enabled": True, "existingSecret": "t", "port": ports["web"]}
    given = {"node": {"port": ports["node"], "aeTitle": "CENTRE NORTH", "web": web}, "catalog": {"port": ports["catalog"]}}
    objects = render(values={**given, "serviceMonitor": {"enabled": True}})
    pod = Pod(folder, objects)
    pod.environment |= {"FAIRLEAD_NODE__WEB__TOKEN": "t", "FAIRLEAD_NODE__WEB__HOST": "127.0.0.1"}
    node, catalog = container_of(objects, "StatefulSet", "x-fairlead-node"), container_of(objects, "Deployment", "x-fairlead-catalog")
    with pod.started(node), pod.started(catalog):
        yield Running(pod, objects, ports)


def test_the_node_of_the_chart_passes_its_own_probes_and_refuses_a_title_that_no_route_names(running: Running, tmp_path: Path) -> None:
    pod, objects, ports = running
    node, image = container_of(objects, "StatefulSet", "x-fairlead-node"), tmp_path / "image.dcm"
    image.write_bytes(part10(a_slice()))
    for probe in ("livenessProbe", "readinessProbe"):
        done = pod.run(*node[probe]["exec"]["command"])
        assert done.returncode == 0, f"{probe}: {done.stdout}{done.stderr}"
    (test,) = [each["command"] for each in one(objects, "Pod", "x-fairlead-test")["spec"]["containers"] if each["name"] == "node"]
    echo = [{"x-fairlead-node": "127.0.0.1"}.get(part, part) for part in test[:-1]] + [str(ports["node"])]
    assert pod.run(*echo).returncode == 0, "helm test"
    assert pod.run(*[{"FAIRLEAD_TEST": "STRANGER"}.get(part, part) for part in echo]).returncode != 0
    assert pod.run(*[{"echoscu": "storescu"}.get(part, part) for part in echo if part != "-q"], str(image)).returncode != 0


def test_the_catalog_of_the_chart_passes_its_own_probes_and_shows_the_metrics_that_the_monitor_scrapes(running: Running) -> None:
    path = one(running.objects, "ServiceMonitor", "x-fairlead-catalog")["spec"]["endpoints"][0]["path"]
    catalog = container_of(running.objects, "Deployment", "x-fairlead-catalog")
    for asked in (catalog["readinessProbe"]["httpGet"]["path"], "/", path):
        assert answers(f"http://127.0.0.1:{running.ports['catalog']}{asked}") == 200, asked


def test_every_metric_of_alerts_and_dashboard_is_shown_by_the_programs(render: Render, running: Running) -> None:
    here = shown(f"http://127.0.0.1:{running.ports['web']}/metrics") | shown(f"http://127.0.0.1:{running.ports['catalog']}/metrics")
    backup = {"enabled": True, "existingClaim": "backups", "keysClaim": "keys"}
    watched = render(FAIRLEAD, FAIRLEAD / "ci" / "gateway-values.yaml", values={"backup": backup})
    rules = one(watched, "PrometheusRule", "x-fairlead")["spec"]["groups"][0]["rules"]
    dashboard = one(watched, "ConfigMap", "x-fairlead-dashboard")["data"]["fairlead.json"]
    asked = metrics_named(dashboard) | {name for rule in rules for name in metrics_named(rule["expr"])}
    assert len(asked) > 10
    assert asked - here == ONLY_WHEN_THERE_IS_ONE


def shown(address: str) -> set[str]:
    return metrics_named(httpx.get(address, timeout=20, trust_env=False).raise_for_status().text)


def test_the_liveness_probe_fails_when_nobody_listens(render: Render, tmp_path: Path) -> None:
    objects = render(values={"node": {"port": free_port()}})
    command = container_of(objects, "StatefulSet", "x-fairlead-node")["livenessProbe"]["exec"]["command"]
    assert Pod(tmp_path, objects).run(*command).returncode != 0


def test_the_gateway_of_the_chart_passes_its_own_probes_under_the_policy_of_the_values(render: Render, tmp_path: Path) -> None:
    """Only the index is another one here: the chart asks for OpenSearch, and the gateway speaks to both by the same words."""
    port = free_port()
    given = {"gateway": {"port": port, "tls": {"existingSecret": ""}, "service": {"type": "ClusterIP"}}, "index": {"caSecret": ""}}
    objects = render(FAIRLEAD, FAIRLEAD / "ci" / "gateway-values.yaml", values=given)
    gateway, _ = one(objects, "Deployment", "x-fairlead-gateway")["spec"]["template"]["spec"]["containers"]
    pod = Pod(tmp_path, objects, "x-fairlead-gateway")
    pod.environment |= {
        "FAIRLEAD_INDEX__BACKEND": "embedded",
        "FAIRLEAD_GATEWAY__HOST": "127.0.0.1",
        "FAIRLEAD_GATEWAY__GOVERNANCE": str(tmp_path / "etc" / "governance.yaml"),
        "FAIRLEAD_SECRETS": str(tmp_path / "gateway-secrets"),
    }
    with pod.started(gateway):
        address = f"http://127.0.0.1:{port}"
        for asked in (gateway["startupProbe"]["httpGet"]["path"], gateway["readinessProbe"]["httpGet"]["path"], "/metrics"):
            assert answers(f"{address}{asked}") == 200, asked
        assert httpx.get(f"{address}/v1/policy", trust_env=False).json()["disclosure"]["threshold"] == 11
    keys = list((tmp_path / "gateway-secrets").iterdir())
    assert keys
    assert {key.stat().st_mode & 0o077 for key in keys if key.is_file()} == {0}
