"""kube-score on every rendered variant. What it is not asked, and why, stands here."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from charts.conftest import FAIRLEAD

pytestmark = [pytest.mark.charts, pytest.mark.slow]
SCRIPT = Path(__file__).parents[2] / "tools" / "kubernetes" / "kube-score.sh"
VARIANTS = sorted((FAIRLEAD / "ci").glob("*-values.yaml"))
CRITICAL = 1
NOT_ASKED = {
    "container-image-pull-policy": "tags are never reused and digests recommended: Always would only need the registry at every start",
}
ONLY_IN = {
    "openshift-values": {"container-security-context-user-group-id": "the platform chooses the user"},
    "gateway-values": {
        "pod-probes-identical": "with mutual TLS the kubelet, which has no certificate, can only see whether the port is open"
    },
    "catalog-only-values": {"pod-networkpolicy": "this variant is the one without policies"},
}


@pytest.fixture(scope="module")
def kube_score() -> Path:
    """Return the program; CI builds it (one CPU minute) where Go is."""
    binary = Path(subprocess.run([SCRIPT, "--bin"], capture_output=True, text=True, check=True).stdout.strip())
    if os.environ.get("CI") == "true":
        subprocess.run([SCRIPT, "--build"], capture_output=True, timeout=300, check=False)
    if subprocess.run([SCRIPT, "--whole"], capture_output=True, check=False).returncode:
        pytest.skip("kube-score is not built here, so NO policy of it was checked; run: tools/kubernetes/kube-score.sh --build")
    return binary


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda path: path.stem)
def test_no_policy_is_broken(helm: Callable[..., subprocess.CompletedProcess[str]], kube_score: Path, variant: Path) -> None:
    rendered = helm("template", "x", FAIRLEAD, "--namespace", "imaging", "--values", variant).stdout
    ignored = [*NOT_ASKED, *ONLY_IN.get(variant.stem, {})]
    # No CPU limit on purpose: it throttles a node in the middle of an association.
    command = [
        kube_score,
        "score",
        "--output-format",
        "json",
        "--ignore-container-cpu-limit",
        *(f"--ignore-test={name}" for name in ignored),
        "-",
    ]
    done = subprocess.run(command, input=rendered, capture_output=True, text=True, timeout=60, check=False)
    judged = json.loads(done.stdout)
    assert len(judged) >= 5, done.stderr
    broken = [
        f"{document['object_name']}: {check['check']['id']}: {comment['path']} {comment['summary']}"
        for document in judged
        for check in document["checks"]
        if check["grade"] == CRITICAL and not check["skipped"]
        for comment in check["comments"] or [{"path": "", "summary": ""}]
    ]
    assert not broken
