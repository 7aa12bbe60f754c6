"""The pods' containers run as processes with the pods' own mounts: read-only root file system, an arbitrary user id, no capability."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from charts.conftest import Render, Rendered, one, pods
from charts.sandbox import ANY_USER, SandboxedPod, needs_namespaces
from charts.test_probes import container_of, free_port
from receive.builders import a_slice, part10

pytestmark = [pytest.mark.charts, pytest.mark.slow]
LOOPBACK = {"FAIRLEAD_NODE__HOST": "127.0.0.1", "FAIRLEAD_CATALOG__HOST": "127.0.0.1"}


@pytest.fixture(scope="module")
def objects(render: Render) -> Rendered:
    return render(values={"node": {"port": free_port()}, "catalog": {"port": free_port()}})


@pytest.fixture(scope="module")
def pod(objects: Rendered, tmp_path_factory: pytest.TempPathFactory) -> SandboxedPod:
    """Return a volume on which the migration Job has run."""
    needs_namespaces()
    made = SandboxedPod(tmp_path_factory.mktemp("pod"), one(objects, "ConfigMap", "x-fairlead-config")["data"])
    job = next(document for document in objects if document["kind"] == "Job")["spec"]["template"]["spec"]["containers"][0]
    done = made.run(job, "fairlead", *job["args"])
    assert done.returncode == 0, done.stderr
    return made


def test_the_ledger_lies_in_the_folder_that_the_catalog_may_have(pod: SandboxedPod) -> None:
    assert (pod.volume / "database" / "fairlead.sqlite").is_file()
    assert (pod.volume / "database" / "fairlead.sqlite").stat().st_uid == ANY_USER


def test_the_node_runs_and_passes_its_probes_as_any_user(pod: SandboxedPod, objects: Rendered) -> None:
    node = container_of(objects, "StatefulSet", "x-fairlead-node")
    with pod.started(node, **LOOPBACK):
        for probe in ("livenessProbe", "readinessProbe"):
            done = pod.run(node, *node[probe]["exec"]["command"], **LOOPBACK)
            assert done.returncode == 0, f"{probe}: {done.stdout}{done.stderr}"


def test_the_catalog_runs_issues_tokens_and_never_sees_what_is_not_published(pod: SandboxedPod, objects: Rendered) -> None:
    for folder in (pod.volume / "archive", pod.volume / "secrets"):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o2775)  # the node, which may start later, writes there as well
    (pod.volume / "secrets" / "trauma.key").write_text("x")
    catalog = container_of(objects, "Deployment", "x-fairlead-catalog")
    user = pod.run(catalog, "fairlead", "catalog", "user", "ada@example.org", "--json", **LOOPBACK)
    assert user.returncode == 0, user.stderr
    with pod.started(catalog, **LOOPBACK) as line:
        address = line.split()[1]
        assert httpx.get(f"{address}/healthz", trust_env=False).status_code == 200
        password = json.loads(user.stdout)["password"]
        answer = httpx.post(f"{address}/tokens", json={"email": "ada@example.org", "password": password}, trust_env=False)
        assert answer.status_code in {200, 201}, answer.text
    assert [file.name for file in (pod.volume / "catalog-secrets").iterdir()] == ["catalog-tokens.key"]
    seen = pod.run(catalog, "ls", "-1", "/var/lib/fairlead").stdout.split()
    assert sorted(seen) == ["database", "published", "secrets"]
    assert pod.run(catalog, "ls", "/var/lib/fairlead/secrets").stdout.split() == ["catalog-tokens.key"]
    assert pod.run(catalog, "touch", "/var/lib/fairlead/published/x").returncode != 0


def test_what_the_cron_job_backs_up_the_restore_job_brings_back_with_its_keys_and_not_without(render: Render, tmp_path: Path) -> None:
    needs_namespaces()
    claims = {"existingClaim": "backups", "keysClaim": "keys"}
    off = {"enabled": False}
    objects = render(values={"backup": {"enabled": True, **claims}})
    ((_, backup),) = [found for found in pods(objects) if found[0].startswith("CronJob/")]
    alone = {"node": off, "catalog": off, "migrations": off}
    jobs = [
        next(
            pod for name, pod in pods(render(values=alone | {"backup": given | {"restore": {"enabled": True}}})) if name.startswith("Job/")
        )
        for given in ({"existingClaim": "backups"}, claims)
    ]
    config = one(objects, "ConfigMap", "x-fairlead-config")["data"]
    old = SandboxedPod(tmp_path / "old", config, backups=tmp_path / "claims")
    (old.volume / "image.dcm").write_bytes(part10(a_slice()))
    taking, without, bringing = (pod["containers"][0] for pod in (backup, *jobs))
    assert old.run(taking, "fairlead", "ingest", "/var/lib/fairlead/image.dcm").returncode == 0
    done = old.run(taking, "fairlead", *taking["args"])
    assert (done.returncode, json.loads(done.stdout)["keys"]) == (0, 1), done.stderr
    new = SandboxedPod(tmp_path / "new", config, backups=tmp_path / "claims")
    refused = new.run(without, "fairlead", *without["args"])
    assert (refused.returncode, "are missing: default" in refused.stderr) == (1, True), refused.stderr
    done = new.run(bringing, "fairlead", *bringing["args"])
    assert (done.returncode, done.stdout and json.loads(done.stdout)["indexed"]) == (0, 1), done.stderr


@pytest.mark.parametrize("path", ["/etc/x", "/var/lib/x", "/usr/x", "/etc/fairlead/x"])
def test_nothing_but_the_volumes_can_be_written(pod: SandboxedPod, objects: Rendered, path: str) -> None:
    done = pod.run(container_of(objects, "StatefulSet", "x-fairlead-node"), "touch", path)
    assert "Read-only file system" in done.stderr or "Permission denied" in done.stderr


def test_the_process_has_no_capability_and_can_gain_none(pod: SandboxedPod, objects: Rendered) -> None:
    status = pod.run(container_of(objects, "StatefulSet", "x-fairlead-node"), "cat", "/proc/self/status").stdout
    found = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert {found[name] for name in ("CapEff", "CapPrm", "CapBnd", "CapInh")} == {"0" * 16}
    assert found["NoNewPrivs"] == "1"
