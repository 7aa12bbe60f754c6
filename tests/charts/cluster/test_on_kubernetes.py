"""The Fairlead chart on a real API server: installed, upgraded, rolled back, removed; what admission, scheduler and RBAC say of it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from charts.cluster.conftest import Cluster
from charts.conftest import FAIRLEAD
from guides import ADMIN

pytestmark = [pytest.mark.charts, pytest.mark.slow]
VARIANTS = sorted((FAIRLEAD / "ci").glob("*-values.yaml"))
UPGRADE = ADMIN / "upgrade.md"
WAIT = ("--wait", "--wait-for-jobs", "--timeout", "60s")
ROUTE = {"name": "CT", "project": "trauma", "center": "north", "calling_ae": ["CT"], "from_networks": ["10.0.0.1/32"]}
FORBIDDEN = (("get", "secrets"), ("list", "pods"), ("create", "pods"), ("create", "pods/exec"), ("get", "configmaps"), ("*", "*"))


def given(folder: Path, **values: Any) -> tuple[str, str]:
    """Write a values file and return helm's option for it."""
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    return "--values", str(file)


def uid_of_the_volume(cluster: Cluster, namespace: str) -> str:
    (claim,) = cluster.get(namespace, "persistentvolumeclaims")
    assert claim["status"]["phase"] == "Bound"
    return str(claim["metadata"]["uid"])


def image_of_the_node(cluster: Cluster, namespace: str) -> str:
    (node,) = cluster.get(namespace, "statefulsets")
    return str(node["spec"]["template"]["spec"]["containers"][0]["image"])


def jobs(cluster: Cluster, namespace: str) -> dict[str, int]:
    """Return how often each Job has succeeded."""
    return {job["metadata"]["name"]: job["status"].get("succeeded", 0) for job in cluster.get(namespace, "jobs")}


def test_a_release_is_installed_upgraded_rolled_back_and_removed_and_its_data_stay(cluster: Cluster, tmp_path: Path) -> None:
    namespace = cluster.namespace("life")
    options = given(tmp_path, routes=[ROUTE])
    cluster.helm("install", "fl", FAIRLEAD, *options, *WAIT, namespace=namespace)
    volume, first = uid_of_the_volume(cluster, namespace), jobs(cluster, namespace)
    assert list(first.values()) == [1]

    cluster.helm("upgrade", "fl", FAIRLEAD, *options, *WAIT, namespace=namespace)
    assert jobs(cluster, namespace) == first, "the same content is migrated once"

    cluster.helm("upgrade", "fl", FAIRLEAD, *options, "--set", "image.tag=0.1.1", *WAIT, namespace=namespace)
    after = jobs(cluster, namespace)
    assert len(set(after) - set(first)) == 1
    assert set(after.values()) == {1}
    assert image_of_the_node(cluster, namespace).endswith(":0.1.1")
    assert uid_of_the_volume(cluster, namespace) == volume

    cluster.helm("rollback", "fl", "2", *WAIT, namespace=namespace)
    assert image_of_the_node(cluster, namespace).endswith(":0.1.0")
    assert uid_of_the_volume(cluster, namespace) == volume

    cluster.helm("uninstall", "fl", "--wait", namespace=namespace)
    assert uid_of_the_volume(cluster, namespace) == volume
    left = cluster.get(namespace, "deployments,statefulsets,services,networkpolicies,configmaps,serviceaccounts")
    assert {document["metadata"]["name"] for document in left} == {"kube-root-ca.crt", "default"}, "these are of every namespace"

    cluster.helm("install", "fl", FAIRLEAD, *options, *WAIT, namespace=namespace)
    assert uid_of_the_volume(cluster, namespace) == volume, "a new release of that name takes the volume up again"


@pytest.fixture(scope="module")
def installed(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the namespace of a release with two catalog pods on a database of one's own."""
    namespace = cluster.namespace("clinic")
    for name, key in (("db", "url"), ("stow", "token")):
        cluster.kubectl("--namespace", namespace, "create", "secret", "generic", name, f"--from-literal={key}=x")
    values = {"routes": [ROUTE], "catalog": {"replicas": 2}, "database": {"existingSecret": "db"}}
    web = {"node": {"web": {"enabled": True, "existingSecret": "stow"}}}
    cluster.helm("install", "fl", FAIRLEAD, *given(tmp_path_factory.mktemp("v"), **values, **web), *WAIT, namespace=namespace)
    return namespace


def test_every_pod_runs_where_the_restricted_standard_is_enforced_and_on_the_cluster_node_of_the_volume(
    cluster: Cluster, installed: str
) -> None:
    running = [pod for pod in cluster.get(installed, "pods") if pod["status"]["phase"] == "Running"]
    assert sorted(pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in running) == ["catalog", "catalog", "node"]
    assert len({pod["spec"]["nodeName"] for pod in running}) == 1
    assert "violates PodSecurity" not in cluster.events(installed)


def test_every_service_finds_ready_pods_and_their_ports(cluster: Cluster, installed: str) -> None:
    """A wrong targetPort passes every schema and helm --wait; only the slice shows it."""
    slices = [piece for piece in cluster.get(installed, "endpointslices")]
    served = {piece["metadata"]["labels"]["kubernetes.io/service-name"]: piece for piece in slices}
    assert set(served) == {"fl-fairlead-node", "fl-fairlead-node-pod", "fl-fairlead-node-web", "fl-fairlead-catalog"}
    for name, piece in served.items():
        assert piece["ports"], name
        assert all(endpoint["conditions"]["ready"] for endpoint in piece["endpoints"]), name


def test_default_deny_is_there_and_selects_every_pod(cluster: Cluster, installed: str) -> None:
    policies = {policy["metadata"]["name"]: policy["spec"] for policy in cluster.get(installed, "networkpolicies")}
    deny = policies["fl-fairlead-default-deny"]
    assert (deny["policyTypes"], deny.get("ingress"), deny.get("egress")) == (["Ingress", "Egress"], None, None)
    wanted = deny["podSelector"]["matchLabels"].items()
    assert all(wanted <= pod["metadata"]["labels"].items() for pod in cluster.get(installed, "pods"))


@pytest.mark.parametrize(("verb", "resource"), FORBIDDEN, ids=[" ".join(row) for row in FORBIDDEN])
def test_the_service_account_may_do_nothing(cluster: Cluster, installed: str, verb: str, resource: str) -> None:
    account = f"system:serviceaccount:{installed}:fl-fairlead"
    done = cluster.run("kubectl", "--namespace", installed, "auth", "can-i", verb, resource, "--as", account)
    assert (done.stdout.strip(), done.returncode) == ("no", 1)
    admin = cluster.run("kubectl", "--namespace", installed, "auth", "can-i", verb, resource)
    assert admin.stdout.strip() == "yes", "the question itself is a sound one"


def test_no_pod_carries_a_token(cluster: Cluster, installed: str) -> None:
    volumes = [volume for pod in cluster.get(installed, "pods") for volume in pod["spec"]["volumes"]]
    assert volumes
    assert not [volume for volume in volumes if "projected" in volume]


def test_the_disruption_budget_lets_one_catalog_pod_go(cluster: Cluster, tmp_path: Path) -> None:
    namespace = cluster.namespace("shared")
    cluster.kubectl("--namespace", namespace, "create", "secret", "generic", "db", "--from-literal=url=x")
    shared = {"catalog": {"replicas": 2}, "database": {"existingSecret": "db"}, "storage": {"accessMode": "ReadWriteMany"}}
    cluster.helm("install", "fl", FAIRLEAD, *given(tmp_path, **shared), *WAIT, namespace=namespace)
    (budget,) = cluster.get(namespace, "poddisruptionbudgets")
    assert budget["status"]["disruptionsAllowed"] == 1


def test_the_cluster_node_of_a_volume_for_one_can_be_drained(cluster: Cluster, installed: str) -> None:
    """All pods are there, and none of them may run elsewhere: a budget would hold the last catalog pod for ever."""
    node = next(pod["spec"]["nodeName"] for pod in cluster.get(installed, "pods") if pod["status"]["phase"] == "Running")
    selector = ("--pod-selector", "app.kubernetes.io/name=fairlead,app.kubernetes.io/instance=fl", "--delete-emptydir-data")
    try:
        cluster.kubectl("drain", node, *selector, "--ignore-daemonsets", "--timeout", "40s")
    finally:
        cluster.kubectl("uncordon", node)
    cluster.kubectl("--namespace", installed, "rollout", "status", "deployment/fl-fairlead-catalog", "--timeout", "60s")


def test_the_job_that_makes_the_volume_runs_where_the_node_may_run(cluster: Cluster, tmp_path: Path) -> None:
    namespace = cluster.namespace("placed")
    names = sorted(node["metadata"]["name"] for node in cluster.get("default", "nodes"))
    cluster.kubectl("label", "node", names[-1], "storage=yes")
    place = {"nodeSelector": {"storage": "yes"}}
    cluster.helm("install", "fl", FAIRLEAD, *given(tmp_path, node=place, catalog=place), *WAIT, namespace=namespace)
    assert {pod["spec"]["nodeName"] for pod in cluster.get(namespace, "pods")} == {names[-1]}


def test_an_upgrade_by_the_guides_options_knows_the_values_that_a_newer_chart_brings(cluster: Cluster, tmp_path: Path) -> None:
    """--reuse-values would leave a newer chart without its own defaults, and its templates would stumble over what is not there."""
    (options,) = re.findall(r"^helm upgrade fairlead charts/platform --namespace imaging (.*)$", UPGRADE.read_text(), re.MULTILINE)
    namespace, before = cluster.namespace("newer"), tmp_path / "before"
    shutil.copytree(FAIRLEAD, before)
    older = yaml.safe_load((before / "values.yaml").read_text())
    del older["networkPolicy"]["dns"]
    (before / "values.yaml").write_text(yaml.safe_dump(older))
    cluster.helm("install", "fl", before, *given(tmp_path, node={"aeTitle": "NORTH"}), *WAIT, namespace=namespace)
    cluster.helm("upgrade", "fl", FAIRLEAD, *options.split(), namespace=namespace)
    text = cluster.helm("get", "manifest", "fl", namespace=namespace)
    assert ("kube-system" in text, "ae_title: NORTH" in text) == (True, True), "the new default is there, the old choice too"


def test_helm_test_makes_pods_that_admission_takes(cluster: Cluster, installed: str) -> None:
    assert "Succeeded" in cluster.helm("test", "fl", "--timeout", "60s", namespace=installed)


def test_a_secret_that_is_missing_stops_the_pod_and_the_event_names_it(cluster: Cluster, tmp_path: Path) -> None:
    namespace = cluster.namespace("no-secret")
    options = given(tmp_path, database={"existingSecret": "nowhere"})
    done = cluster.run("helm", "install", "fl", FAIRLEAD, *options, "--wait", "--timeout", "8s", "--namespace", namespace)
    assert done.returncode != 0
    assert 'secret "nowhere" not found' in cluster.events(namespace)


def test_an_upgrade_that_fails_goes_back_by_itself_when_asked(cluster: Cluster, tmp_path: Path) -> None:
    namespace = cluster.namespace("back")
    cluster.helm("install", "fl", FAIRLEAD, *WAIT, namespace=namespace)
    options = given(tmp_path, keys={"existingSecret": "nowhere"})
    command = ("upgrade", "fl", FAIRLEAD, *options, "--rollback-on-failure", "--wait", "--timeout", "10s")
    assert cluster.run("helm", *command, "--namespace", namespace).returncode != 0
    assert "STATUS: deployed" in cluster.helm("status", "fl", namespace=namespace)


def test_a_host_port_is_refused_where_the_standard_is_enforced(cluster: Cluster) -> None:
    namespace = cluster.namespace("host-port")
    options = ("--values", FAIRLEAD / "ci" / "host-port-values.yaml", "--wait", "--timeout", "8s")
    assert cluster.run("helm", "install", "fl", FAIRLEAD, *options, "--namespace", namespace).returncode != 0
    assert "hostPort" in cluster.events(namespace)


CUSTOM = (
    ("monitoring.coreos.com", "v1", "ServiceMonitor", "servicemonitors"),
    ("monitoring.coreos.com", "v1", "PrometheusRule", "prometheusrules"),
    ("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes"),
)


@pytest.fixture(scope="module")
def custom_kinds(cluster: Cluster) -> None:
    """Declare the custom kinds that optional values make, without a controller behind them."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    for group, version, kind, plural in CUSTOM:
        spec = {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [{"name": version, "served": True, "storage": True, "schema": schema}],
        }
        metadata = {"name": f"{plural}.{group}"}
        if group.endswith("k8s.io"):
            metadata["annotations"] = {"api-approved.kubernetes.io": "unapproved, a stub for tests"}
        document = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": metadata, "spec": spec}
        cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(document))
        cluster.kubectl("wait", "crd", f"{plural}.{group}", "--for", "condition=Established", "--timeout", "30s")


@pytest.mark.usefixtures("custom_kinds")
@pytest.mark.parametrize("variant", VARIANTS, ids=lambda path: path.stem)
def test_the_server_takes_every_object_of_every_variant(cluster: Cluster, variant: Path) -> None:
    cluster.helm("install", "dry", FAIRLEAD, "--values", variant, "--dry-run=server", namespace="default")
    objects = cluster.helm("template", "dry", FAIRLEAD, "--values", variant, "--skip-tests", namespace="default")
    cluster.kubectl("apply", "--namespace", "default", "--dry-run=server", "--validate=strict", "-f", "-", stdin=objects)
