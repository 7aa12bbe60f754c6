"""A real kube-apiserver, etcd, scheduler and controllers on loopback; the nodes are fake, no container runs (tools/kubernetes).

What this proves: that the API server takes our objects, its admission our pods, its scheduler our affinities, and that Helm's
install, upgrade, rollback and uninstall work. What it cannot prove: that a program in a pod works (tests/charts/sandbox.py does).
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

TOOLS = Path(__file__).parents[3] / "tools" / "kubernetes"
REMEDY = "run: make test-k8s"


class Cluster:
    """kubectl and helm with the administrator's configuration."""

    def __init__(self, folder: Path, programs: Path) -> None:
        home = folder / "helm"
        self.programs = programs
        self.environment = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "KUBECONFIG": str(folder / "kubeconfig"),
            "HOME": str(home),
            "HELM_MAX_HISTORY": "50",
        }

    def run(self, *command: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program, whatever its exit status."""
        words = [str(word) for word in command]
        words[0] = str(self.programs / words[0])
        return subprocess.run(words, env=self.environment, input=stdin, capture_output=True, text=True, timeout=120, check=False)

    def kubectl(self, *arguments: str | Path, stdin: str | None = None) -> str:
        """Run kubectl, which must succeed; return what it printed."""
        done = self.run("kubectl", *arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def shell(self, text: str, *, folder: Path) -> str:
        """Run the lines of a guide in a shell, as its reader would; every one must succeed."""
        command = ["bash", "-euo", "pipefail", "-c", text]
        done = subprocess.run(command, env=self.environment, cwd=folder, capture_output=True, text=True, timeout=180, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def get(self, namespace: str, kind: str) -> list[dict[str, Any]]:
        """Return the objects of one kind."""
        found: list[dict[str, Any]] = json.loads(self.kubectl("--namespace", namespace, "get", kind, "--output", "json"))["items"]
        return found

    def helm(self, *arguments: str | Path, namespace: str) -> str:
        """Run helm, which must succeed; what the server and its events say otherwise is in the message."""
        done = self.run("helm", *arguments, "--namespace", namespace)
        assert done.returncode == 0, f"{done.stderr}\n{self.events(namespace)}"
        return done.stdout

    def events(self, namespace: str) -> str:
        """Return reason and message of every event: helm itself says only that its time is over."""
        return "\n".join(f"{event['reason']}: {event['message']}" for event in self.get(namespace, "events"))

    def namespace(self, name: str) -> str:
        """Make a namespace that enforces the restricted Pod Security Standard."""
        self.kubectl("create", "namespace", name)
        self.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
        return name


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Start the control plane; its programs are built once by make test-k8s."""
    programs = Path(subprocess.run([TOOLS / "kube-up.sh", "--bin"], capture_output=True, text=True, check=True).stdout.strip())
    if subprocess.run([TOOLS / "kube-up.sh", "--whole"], capture_output=True, check=False).returncode:
        pytest.skip(f"no Kubernetes API server is built here, so the charts were NOT installed on one; {REMEDY}")
    folder = tmp_path_factory.mktemp("kube")
    with (folder / "up.log").open("w") as told:  # no pipe: the servers would hold it open
        started = subprocess.run([TOOLS / "kube-up.sh", folder], stdout=told, stderr=told, timeout=180, check=False)
    try:
        assert started.returncode == 0, (folder / "up.log").read_text()
        yield Cluster(folder, programs)
    finally:
        subprocess.run([TOOLS / "kube-down.sh", folder], capture_output=True, timeout=60, check=False)
