"""The Fairlead chart, rendered by the real helm and judged object by object."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import ValidationError

from charts.conftest import FAIRLEAD, MINORS, Render, Rendered, assert_fit, one, pods
from fairlead.settings import load_settings

pytestmark = pytest.mark.charts
LONGEST = (("CronJob", 52), ("StatefulSet", 52), ("Service", 63), ("Job", 63), ("Deployment", 63))
VARIANTS = sorted((FAIRLEAD / "ci").glob("*-values.yaml"))


@pytest.fixture(params=VARIANTS, ids=lambda path: path.stem.removesuffix("-values"))
def objects(request: pytest.FixtureRequest, render: Render) -> Rendered:
    return render(FAIRLEAD, request.param)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda path: path.stem)
def test_helm_lint_is_content_with_every_variant(helm: Callable[..., subprocess.CompletedProcess[str]], variant: Path) -> None:
    done = helm("lint", "--strict", FAIRLEAD, "--values", variant)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_object_fits_the_strict_schemas_of_kubernetes(objects: Rendered) -> None:
    assert_fit(objects)


def test_three_minors_of_kubernetes_are_checked_and_a_misspelt_field_is_found(render: Render) -> None:
    assert len({version.rpartition(".")[0] for version in MINORS}) == 3
    node = one(render(), "StatefulSet", "x-fairlead-node")
    node["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(ValidationError, match="livenesProbe"):
        assert_fit([node])


def test_every_pod_meets_the_restricted_standard(objects: Rendered) -> None:
    assert pods(objects)
    for name, pod in pods(objects):
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"].get("runAsUser") != 0, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod), name
        assert all("hostPath" not in volume for volume in pod["volumes"]), name


def test_every_container_is_locked_down_and_sized(objects: Rendered) -> None:
    for name, pod in pods(objects):
        for container in pod["containers"] + pod.get("initContainers", []):
            security = container["securityContext"]
            assert security == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}, name
            assert container["resources"]["requests"].keys() >= {"cpu", "memory"}, name
            assert "memory" in container["resources"]["limits"], name


def test_no_image_floats(objects: Rendered) -> None:
    images = {container["image"] for _, pod in pods(objects) for container in pod["containers"]}
    assert images
    for image in images:
        assert re.search(r"(:[^:/]+|@sha256:[0-9a-f]{64})$", image), image
        assert not image.endswith(":latest")


def test_no_object_is_a_secret_and_no_password_stands_in_a_config_map(objects: Rendered) -> None:
    assert "Secret" not in {document["kind"] for document in objects}
    for document in objects:
        if document["kind"] == "ConfigMap":
            assert not re.search(r"(?i)password|secret_key|token|://[^/\s]*@", "".join(document["data"].values()))


def catalog_of(objects: Rendered) -> dict[str, Any]:
    found: dict[str, Any] = one(objects, "Deployment", "x-fairlead-catalog")["spec"]["template"]["spec"]
    return found


@pytest.mark.parametrize("values", [{}, {"keys": {"existingSecret": "keys"}}], ids=["keys on the volume", "keys in a secret"])
def test_the_public_catalog_sees_published_files_and_what_is_its_own_and_nothing_else(render: Render, values: dict[str, Any]) -> None:
    pod = catalog_of(render(values=values))
    mounts = {mount["mountPath"]: mount for mount in pod["containers"][0]["volumeMounts"]}
    assert {path: mount.get("subPath") for path, mount in mounts.items() if mount["name"] == "home"} == {
        "/var/lib/fairlead/published": "published",
        "/var/lib/fairlead/secrets": "catalog-secrets",
        "/var/lib/fairlead/database": "database",
    }
    assert mounts["/var/lib/fairlead/published"]["readOnly"] is True
    assert {volume["name"] for volume in pod["volumes"]} == {"home", "config", "tmp"}


def test_with_secrets_of_its_own_the_catalog_mounts_published_files_only(render: Render) -> None:
    container = catalog_of(render(FAIRLEAD, FAIRLEAD / "ci" / "production-values.yaml"))["containers"][0]
    assert [mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "home"] == ["/var/lib/fairlead/published"]
    given = {entry["name"]: entry["valueFrom"]["secretKeyRef"]["name"] for entry in container["env"] if "valueFrom" in entry}
    assert given == {
        "FAIRLEAD_DATABASE_URL": "fairlead-catalog-database",
        "FAIRLEAD_PROJECT_KEY_CATALOG_TOKENS": "fairlead-catalog-signing",
    }


def test_the_gateway_sees_its_own_secrets_and_its_policy_and_no_image(render: Render, tmp_path: Path) -> None:
    rendered = render(FAIRLEAD, FAIRLEAD / "ci" / "gateway-values.yaml")
    container = one(rendered, "Deployment", "x-fairlead-gateway")["spec"]["template"]["spec"]["containers"][0]
    homes = [(mount["mountPath"], mount["subPath"]) for mount in container["volumeMounts"] if mount["name"] == "home"]
    assert homes == [("/var/lib/fairlead/secrets", "gateway-secrets")]
    assert container["args"] == ["gateway"]
    data = one(rendered, "ConfigMap", "x-fairlead-gateway")["data"]
    (tmp_path / "fairlead.yaml").write_text(data["fairlead.yaml"])
    gateway = load_settings(tmp_path / "fairlead.yaml").gateway
    assert (gateway.url, str(gateway.governance)) == ("https://gateway.example.org", "/etc/fairlead/governance.yaml")
    assert yaml.safe_load(data["governance.yaml"])["disclosure"]["threshold"] == 11


def test_nobody_reaches_the_gateway_but_the_listed_networks(render: Render) -> None:
    rendered = render(FAIRLEAD, FAIRLEAD / "ci" / "gateway-values.yaml", values={"networkPolicy": {"metricsFrom": ""}})
    policy = one(rendered, "NetworkPolicy", "x-fairlead-gateway")["spec"]
    assert [peer for rule in policy["ingress"] for peer in rule["from"]] == [{"ipBlock": {"cidr": "192.0.2.10/32"}}]
    closed = render(FAIRLEAD, FAIRLEAD / "ci" / "gateway-values.yaml", values={"networkPolicy": {"metricsFrom": "", "gatewayClients": []}})
    assert "ingress" not in one(closed, "NetworkPolicy", "x-fairlead-gateway")["spec"]


def test_there_is_no_gateway_until_it_is_configured(render: Render) -> None:
    assert not [document for document in render() if document["metadata"]["name"].endswith("gateway")]


def test_the_web_door_has_a_service_of_its_own_and_its_token_from_a_secret(render: Render, tmp_path: Path) -> None:
    rendered = render(FAIRLEAD, FAIRLEAD / "ci" / "production-values.yaml")
    assert one(rendered, "Service", "x-fairlead-node-web")["spec"]["ports"][0]["targetPort"] == "web"
    env = one(rendered, "StatefulSet", "x-fairlead-node")["spec"]["template"]["spec"]["containers"][0]["env"]
    token = next(entry for entry in env if entry["name"] == "FAIRLEAD_NODE__WEB__TOKEN")
    assert token["valueFrom"]["secretKeyRef"] == {"name": "fairlead-stow", "key": "token"}
    (tmp_path / "fairlead.yaml").write_text(one(rendered, "ConfigMap", "x-fairlead-config")["data"]["fairlead.yaml"])
    node = load_settings(tmp_path / "fairlead.yaml").node
    assert (node.web.port, node.tls.mutual, str(node.tls.ca_file)) == (8042, True, "/etc/fairlead-tls/ca.crt")


def test_the_node_reaches_an_s3_server_and_the_public_catalog_has_no_part_in_it(render: Render) -> None:
    objects = render(FAIRLEAD, FAIRLEAD / "ci" / "production-values.yaml")

    def given(container: dict[str, Any]) -> dict[str, Any]:
        return {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"] if each["name"].startswith("AWS_")}

    secret = {name: {"secretKeyRef": {"name": "fairlead-s3", "key": name}} for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    address = {"AWS_ENDPOINT_URL": "http://s3.storage.svc:9000", "AWS_ALLOW_HTTP": "true", "AWS_REGION": "eu-central-1"}
    assert given(one(objects, "StatefulSet", "x-fairlead-node")["spec"]["template"]["spec"]["containers"][0]) == address | secret
    assert given(catalog_of(objects)["containers"][0]) == {}


def test_without_the_web_door_nothing_of_it_is_there(render: Render) -> None:
    rendered = render()
    assert not [document for document in rendered if document["metadata"]["name"].endswith("-web")]
    ports = one(rendered, "StatefulSet", "x-fairlead-node")["spec"]["template"]["spec"]["containers"][0]["ports"]
    assert [port["name"] for port in ports] == ["dicom"]


def container_words(objects: Rendered, kind: str, name: str) -> tuple[list[str], dict[str, str]]:
    """Return the arguments of the one container, and by path which claim it mounts there."""
    (pod,) = [pod for found, pod in pods(objects) if found.startswith(f"{kind}/{name}")]
    (container,) = pod["containers"]
    claims = {each["name"]: each["persistentVolumeClaim"]["claimName"] for each in pod["volumes"] if "persistentVolumeClaim" in each}
    mounts = {each["mountPath"]: claims[each["name"]] for each in container["volumeMounts"] if each["name"] in claims}
    return container["args"], mounts


def test_backups_go_by_the_clock_to_a_claim_of_their_own_and_keys_to_another(render: Render) -> None:
    objects = render(FAIRLEAD, FAIRLEAD / "ci" / "backup-values.yaml")
    job = one(objects, "CronJob", "x-fairlead-backup")["spec"]
    assert (job["schedule"], job["concurrencyPolicy"]) == ("15 1 * * 1-6", "Forbid")
    assert container_words(objects, "CronJob", "x-fairlead-backup") == (
        ["backup", "/backup", "--json", "--keys", "/backup-keys", "--keep", "30"],
        {"/var/lib/fairlead": "x-fairlead-home", "/backup": "backups", "/backup-keys": "backup-keys"},
    )


def test_a_restore_runs_alone_and_names_its_snapshot(render: Render) -> None:
    objects = render(FAIRLEAD, FAIRLEAD / "ci" / "restore-values.yaml")
    words, mounts = container_words(objects, "Job", "x-fairlead-restore")
    assert words == ["restore", "/backup", "--json", "--snapshot", "20260101T021500.000000Z-0a1b"]
    assert mounts == {"/var/lib/fairlead": "x-fairlead-home", "/backup": "backups"}
    assert {name.partition("/")[0] for name, _ in pods(objects)} == {"Job", "Pod"}, "beside it only the pod of helm test"


def test_no_backup_is_taken_unless_asked_for(render: Render) -> None:
    assert "CronJob" not in {document["kind"] for document in render()}


def test_the_longest_names_are_still_names_of_kubernetes(render: Render) -> None:
    """A CronJob's name may have 52 characters, a StatefulSet's 52 too, for its pods carry it in a label with a hash."""
    for given in ({"fullnameOverride": "f" * 45}, {"nameOverride": "n" * 45}):
        objects = render(FAIRLEAD, FAIRLEAD / "ci" / "backup-values.yaml", values=given)
        assert {kind: max(len(each["metadata"]["name"]) for each in objects if each["kind"] == kind) <= most for kind, most in LONGEST} == {
            kind: True for kind, _ in LONGEST
        }


def test_installations_may_share_an_opensearch_under_names_of_their_own(render: Render, tmp_path: Path) -> None:
    config = one(render(values={"index": {"name": "north"}}), "ConfigMap", "x-fairlead-config")
    (tmp_path / "fairlead.yaml").write_text(config["data"]["fairlead.yaml"])
    assert load_settings(tmp_path / "fairlead.yaml").index.name == "north"


def test_service_links_are_off_so_that_no_fairlead_variable_appears_by_accident(objects: Rendered) -> None:
    assert all(pod["enableServiceLinks"] is False for _, pod in pods(objects))


def test_long_running_containers_have_three_probes_on_ports_they_declare(objects: Rendered) -> None:
    for name, pod in pods(objects):
        if name.split("/")[0] not in {"StatefulSet", "Deployment"}:
            continue
        for container in pod["containers"]:
            if "ports" not in container:  # it listens to nobody: nothing to ask it
                assert container["args"] == ["gateway", "pull"]
                continue
            declared = {port["name"] for port in container["ports"]}
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                action = container[probe]
                aims = [action[kind]["port"] for kind in ("httpGet", "tcpSocket") if kind in action]
                assert set(aims) <= declared, f"{name} {probe}"
                assert aims or action["exec"]["command"], f"{name} {probe}"


def test_services_find_pods_and_ports_that_exist(objects: Rendered) -> None:
    """No schema and no API server notices a wrong targetPort."""
    workloads = [document["spec"]["template"] for document in objects if document["kind"] in {"StatefulSet", "Deployment"}]
    services = [document for document in objects if document["kind"] == "Service"]
    assert bool(services) == bool(workloads)
    for service in services:
        selector = service["spec"]["selector"].items()
        served = [template for template in workloads if selector <= template["metadata"]["labels"].items()]
        assert len(served) == 1, service["metadata"]["name"]
        names = {port["name"] for container in served[0]["spec"]["containers"] for port in container.get("ports", [])}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= names


def test_what_a_pod_mounts_is_a_volume_it_has(objects: Rendered) -> None:
    made = {document["metadata"]["name"] for document in objects if document["kind"] == "ConfigMap"}
    for name, pod in pods(objects):
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in pod["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes, name
        assert {volume["configMap"]["name"] for volume in pod["volumes"] if "configMap" in volume} <= made, name


def test_the_rendered_settings_are_read_by_the_program_itself(objects: Rendered, tmp_path: Path) -> None:
    config = next(document for document in objects if document["kind"] == "ConfigMap")
    (tmp_path / "fairlead.yaml").write_text(config["data"]["fairlead.yaml"])
    settings = load_settings(tmp_path / "fairlead.yaml")
    assert str(settings.home) == "/var/lib/fairlead"
    assert (settings.node.host, settings.catalog.host) == ("0.0.0.0", "0.0.0.0")  # noqa: S104  pods listen for their Service
    assert settings.log.format == "json"


def test_the_rendered_routes_are_read_by_the_program_itself(objects: Rendered, tmp_path: Path) -> None:
    from fairlead.receive import load_routes

    config = next(document for document in objects if document["kind"] == "ConfigMap")
    (tmp_path / "routes.yaml").write_text(config["data"]["routes.yaml"])
    table = load_routes(tmp_path / "routes.yaml")
    assert table.match(calling_ae="FAIRLEAD_PROBE", called_ae="FAIRLEAD", peer="127.0.0.1").project


def test_values_of_the_administrator_reach_the_settings(render: Render, tmp_path: Path) -> None:
    rendered = render(FAIRLEAD, FAIRLEAD / "ci" / "production-values.yaml")
    (tmp_path / "fairlead.yaml").write_text(one(rendered, "ConfigMap", "x-fairlead-config")["data"]["fairlead.yaml"])
    settings = load_settings(tmp_path / "fairlead.yaml")
    assert (settings.project, settings.node.settle_after_s, settings.log.level) == ("trauma", 8, "WARNING")
    assert settings.catalog.base_url == "https://data.example.org/fdp"
    assert str(settings.secrets) == "/etc/fairlead-keys"


def test_the_dicom_port_is_open_to_the_networks_of_the_routes_and_to_nobody_else(render: Render) -> None:
    rendered = render(FAIRLEAD, FAIRLEAD / "ci" / "production-values.yaml", values={"networkPolicy": {"dicomPeers": ["192.0.2.0/24"]}})
    policy = one(rendered, "NetworkPolicy", "x-fairlead-node")["spec"]
    blocks = [peer["ipBlock"]["cidr"] for peer in policy["ingress"][0]["from"] if "ipBlock" in peer]
    assert blocks == ["10.20.30.41/32", "10.20.40.0/24", "192.0.2.0/24", "fd00:20::/64"]
    assert policy["ingress"][0]["ports"] == [{"protocol": "TCP", "port": "dicom"}]
    service = one(rendered, "Service", "x-fairlead-node")["spec"]
    assert service["loadBalancerSourceRanges"] == blocks
    assert service["externalTrafficPolicy"] == "Local"


def test_without_routes_no_address_may_reach_the_dicom_port(render: Render) -> None:
    policy = one(render(), "NetworkPolicy", "x-fairlead-node")["spec"]
    assert [set(peer) for rule in policy["ingress"] for peer in rule["from"]] == [{"podSelector"}]


def test_default_deny_covers_every_pod_of_the_release(render: Render) -> None:
    rendered = render()
    policy = one(rendered, "NetworkPolicy", "x-fairlead-default-deny")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert not {"ingress", "egress"} & set(policy)
    wanted = policy["podSelector"]["matchLabels"].items()
    for document in rendered:
        template = document if document["kind"] == "Pod" else (document.get("spec") or {}).get("template")
        if template:
            assert wanted <= template["metadata"]["labels"].items(), document["metadata"]["name"]


def test_the_volume_survives_uninstall_and_keeps_pods_on_one_cluster_node(render: Render) -> None:
    rendered = render()
    claim = one(rendered, "PersistentVolumeClaim", "x-fairlead-home")
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    for name, pod in pods(rendered):
        terms = pod["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert terms[0]["topologyKey"] == "kubernetes.io/hostname", name


def test_the_grace_period_is_longer_than_the_drain(render: Render) -> None:
    node = one(render(values={"settings": {"node": {"drain_grace_s": 200}}}), "StatefulSet", "x-fairlead-node")
    assert node["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 230


def test_the_liveness_of_the_node_is_a_c_echo_with_the_nodes_own_title(render: Render) -> None:
    node = one(render(values={"node": {"aeTitle": "RESEARCH 1", "port": 4242}}), "StatefulSet", "x-fairlead-node")
    command = node["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]["exec"]["command"]
    assert command[:4] == ["python", "-m", "pynetdicom", "echoscu"]
    assert command[-6:] == ["-aet", "FAIRLEAD_PROBE", "-aec", "RESEARCH 1", "127.0.0.1", "4242"]


def test_the_migration_job_has_another_name_when_its_content_changes(render: Render) -> None:
    def name(**values: Any) -> str:
        return next(document["metadata"]["name"] for document in render(values=values) if document["kind"] == "Job")

    assert name() == name()
    assert name() != name(image={"tag": "0.1.1"})
    assert name() != name(database={"existingSecret": "db"})


@pytest.mark.parametrize(("hooks", "annotation"), [(True, "post-install,pre-upgrade"), (False, None)])
def test_migrations_are_helm_hooks_only_when_asked(render: Render, hooks: bool, annotation: str | None) -> None:
    job = next(document for document in render(values={"migrations": {"useHelmHooks": hooks}}) if document["kind"] == "Job")
    assert job["metadata"].get("annotations", {}).get("helm.sh/hook") == annotation
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["db", "upgrade"]


def test_the_database_url_comes_from_the_named_secret(render: Render) -> None:
    node = one(render(values={"database": {"existingSecret": "db", "key": "dsn"}}), "StatefulSet", "x-fairlead-node")
    variables = {entry["name"]: entry for entry in node["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert variables["FAIRLEAD_DATABASE_URL"]["valueFrom"] == {"secretKeyRef": {"name": "db", "key": "dsn"}}


def test_a_change_of_routes_restarts_the_node(render: Render) -> None:
    rule = {"name": "CT", "project": "p", "center": "north", "from_networks": ["10.0.0.1/32"]}
    sums = [
        one(render(values=values), "StatefulSet", "x-fairlead-node")["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
        for values in ({}, {"routes": [rule]})
    ]
    assert sums[0] != sums[1]


def test_ingress_and_route_lead_to_the_catalog_service(render: Render) -> None:
    ingress = one(render(FAIRLEAD, FAIRLEAD / "ci" / "production-values.yaml"), "Ingress", "x-fairlead-catalog")["spec"]
    assert ingress["rules"][0]["http"]["paths"][0]["backend"] == {"service": {"name": "x-fairlead-catalog", "port": {"name": "http"}}}
    assert ingress["tls"] == [{"hosts": ["data.example.org"], "secretName": "data-example-org"}]
    route = one(render(FAIRLEAD, FAIRLEAD / "ci" / "gateway-api-values.yaml"), "HTTPRoute", "x-fairlead-catalog")["spec"]
    assert route["parentRefs"] == [{"name": "public", "namespace": "gateways"}]
    assert route["rules"][0]["backendRefs"] == [{"name": "x-fairlead-catalog", "port": 80}]


def test_a_disruption_budget_appears_only_where_two_pods_run_on_several_cluster_nodes(render: Render) -> None:
    """On one cluster node it would hold the last pod there for ever, because its replacement may run nowhere else."""
    two = {"catalog": {"replicas": 2}, "database": {"existingSecret": "db"}}
    shared = two | {"storage": {"accessMode": "ReadWriteMany"}}
    has = [any(document["kind"] == "PodDisruptionBudget" for document in render(values=values)) for values in ({}, two, shared)]
    assert has == [False, False, True]


@pytest.mark.parametrize(
    ("web", "probe"), [(True, {"httpGet": {"path": "/healthz", "port": "web"}}), (False, {"tcpSocket": {"port": "dicom"}})]
)
def test_with_dicom_tls_no_probe_speaks_plain_dicom_to_the_node(render: Render, web: bool, probe: dict[str, Any]) -> None:
    """A plain C-ECHO to a TLS port fails for ever, and the pod would be restarted again and again."""
    values = {"node": {"tls": {"existingSecret": "tls"}, "web": {"enabled": web, "existingSecret": "stow"}}}
    objects = render(values=values)
    container = one(objects, "StatefulSet", "x-fairlead-node")["spec"]["template"]["spec"]["containers"][0]
    assert probe.items() <= container["livenessProbe"].items()
    assert "echoscu" not in str(container)
    tested = next(each for each in one(objects, "Pod", "x-fairlead-test")["spec"]["containers"] if each["name"] == "node")
    assert "pynetdicom" not in tested["command"][-1]


def egress(objects: Rendered, name: str) -> list[tuple[list[dict[str, Any]], set[int]]]:
    """Return (peers, ports) of the rules of an outgoing policy."""
    rules = one(objects, "NetworkPolicy", name)["spec"]["egress"]
    return [(rule["to"], {port["port"] for port in rule["ports"]}) for rule in rules]


def test_names_are_asked_where_the_platform_answers_them(render: Render) -> None:
    ours, openshift = render(), render(FAIRLEAD, FAIRLEAD / "ci" / "openshift-values.yaml")
    namespace = lambda name: [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}]  # noqa: E731
    assert egress(ours, "x-fairlead-egress") == [(namespace("kube-system"), {53})]
    assert egress(openshift, "x-fairlead-egress") == [(namespace("openshift-dns"), {5353})]
    local = egress(render(FAIRLEAD, FAIRLEAD / "ci" / "gateway-values.yaml"), "x-fairlead-egress")[0]
    assert local[0] == [*namespace("kube-system"), {"ipBlock": {"cidr": "169.254.20.10/32"}}]


def test_a_database_inside_the_cluster_is_reached_by_labels_because_its_address_is_not_its_own(render: Render) -> None:
    rules = egress(render(FAIRLEAD, FAIRLEAD / "ci" / "gateway-values.yaml"), "x-fairlead-egress")[1:]
    inside = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "search"}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "opensearch"}},
    }
    assert rules == [([inside], {9200}), ([{"ipBlock": {"cidr": "192.0.2.20/32"}}], {443})]


def test_the_node_may_call_its_peers_and_knows_them(render: Render, tmp_path: Path) -> None:
    """Storage commitments are reported on a connection that the node opens."""
    from fairlead.receive import load_routes

    objects = render(FAIRLEAD, FAIRLEAD / "ci" / "gateway-values.yaml")
    assert egress(objects, "x-fairlead-peers") == [
        ([{"ipBlock": {"cidr": "10.20.40.7/32"}}], {104}),
        ([{"ipBlock": {"cidr": "fd00:20::7/128"}}], {2762}),
    ]
    (tmp_path / "routes.yaml").write_text(one(objects, "ConfigMap", "x-fairlead-config")["data"]["routes.yaml"])
    peer = load_routes(tmp_path / "routes.yaml").peer("TEACHING")
    assert peer is not None
    assert (peer.host, peer.port, peer.tls) == ("fd00:20::7", 2762, True)


def test_a_peer_in_the_values_has_the_words_of_the_programs_own_table() -> None:
    from fairlead.receive.routes import Peer

    item = yaml.safe_load((FAIRLEAD / "values.schema.json").read_text())["properties"]["peers"]["items"]
    assert set(item["properties"]) == set(Peer.model_fields)
    assert set(item["required"]) == {name for name, field in Peer.model_fields.items() if field.is_required()}


def test_whatever_may_make_the_volume_first_runs_where_the_node_may_run(render: Render) -> None:
    """A volume is made on the cluster node of the first pod that uses it; the migrations Job may be that pod."""
    place = {"nodeSelector": {"storage": "yes"}, "tolerations": [{"key": "imaging", "operator": "Exists"}]}
    placed = [pod for name, pod in pods(render(values={"node": place})) if not name.endswith("-catalog")]
    assert len(placed) == 3
    assert all(pod["nodeSelector"] == place["nodeSelector"] and pod["tolerations"] == place["tolerations"] for pod in placed)


def test_a_finished_migration_stays_unless_a_time_is_given_because_git_ops_would_make_it_again(render: Render) -> None:
    def job(**values: Any) -> dict[str, Any]:
        found: dict[str, Any] = next(document for document in render(values=values) if document["kind"] == "Job")["spec"]
        return found

    assert "ttlSecondsAfterFinished" not in job()
    assert job(migrations={"ttlSecondsAfterFinished": 60})["ttlSecondsAfterFinished"] == 60


def test_a_mailbox_is_emptied_by_a_container_beside_the_gateway(render: Render) -> None:
    objects = render(FAIRLEAD, FAIRLEAD / "ci" / "gateway-values.yaml")
    gateway, pull = one(objects, "Deployment", "x-fairlead-gateway")["spec"]["template"]["spec"]["containers"]
    assert (gateway["args"], pull["args"]) == (["gateway"], ["gateway", "pull"])
    assert (gateway["volumeMounts"], gateway["env"]) == (pull["volumeMounts"], pull["env"])
    without = render(FAIRLEAD, FAIRLEAD / "ci" / "gateway-values.yaml", values={"settings": {"gateway": {"mailbox": ""}}})
    assert len(one(without, "Deployment", "x-fairlead-gateway")["spec"]["template"]["spec"]["containers"]) == 1


def test_the_authority_of_a_private_search_server_is_mounted_where_the_settings_say(render: Render, tmp_path: Path) -> None:
    objects = render(FAIRLEAD, FAIRLEAD / "ci" / "gateway-values.yaml")
    (tmp_path / "fairlead.yaml").write_text(one(objects, "ConfigMap", "x-fairlead-config")["data"]["fairlead.yaml"])
    ca_file = load_settings(tmp_path / "fairlead.yaml").index.ca_file
    readers = [pod for name, pod in pods(objects) if not name.endswith("-catalog")]
    for pod in readers:
        (volume,) = [volume for volume in pod["volumes"] if volume.get("secret", {}).get("secretName") == "fairlead-search-ca"]
        for container in pod["containers"]:
            (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == volume["name"]]
            assert f"{mount['mountPath']}/ca.crt" == str(ca_file)


def test_the_platform_may_choose_the_user(render: Render) -> None:
    for name, pod in pods(render(FAIRLEAD, FAIRLEAD / "ci" / "openshift-values.yaml")):
        assert set(pod["securityContext"]) == {"runAsNonRoot", "seccompProfile"}, name
        assert pod["serviceAccountName"] == "restricted"


def test_labels_do_not_repeat_a_key_and_name_the_release(objects: Rendered) -> None:
    for document in objects:
        assert document["metadata"]["labels"]["app.kubernetes.io/instance"] == "x", document["metadata"]["name"]


def test_the_schema_documents_the_same_values_as_the_defaults() -> None:
    schema = yaml.safe_load((FAIRLEAD / "values.schema.json").read_text())
    values = yaml.safe_load((FAIRLEAD / "values.yaml").read_text())

    def compare(declared: dict[str, Any], given: dict[str, Any], where: str) -> None:
        assert set(declared["properties"]) == set(given), where
        assert declared["additionalProperties"] is False, where
        for name, value in given.items():
            below = declared["properties"][name]
            if isinstance(value, dict) and value and "properties" in below:
                compare(below, value, f"{where}.{name}")

    compare(schema, values, "values")


def test_a_route_in_the_values_has_the_words_of_the_programs_own_table() -> None:
    from fairlead.receive.routes import RouteRule

    item = yaml.safe_load((FAIRLEAD / "values.schema.json").read_text())["properties"]["routes"]["items"]
    assert set(item["properties"]) == set(RouteRule.model_fields)
    assert set(item["required"]) == {name for name, field in RouteRule.model_fields.items() if field.is_required()}


def test_the_rendered_table_has_the_probe_first_then_the_rules_in_order_and_last_who_may_only_echo(render: Render) -> None:
    config = one(render(FAIRLEAD, FAIRLEAD / "ci" / "production-values.yaml"), "ConfigMap", "x-fairlead-config")
    rules = yaml.safe_load(config["data"]["routes.yaml"])["routes"]
    assert [rule["name"] for rule in rules] == ["liveness probe", "CT in the basement", "PACS", "helm test"]
    assert rules[0]["from_networks"] == ["127.0.0.1/32"]
    assert (rules[-1]["calling_ae"], rules[-1]["sop_classes"]) == (["FAIRLEAD_TEST"], ["1.2.840.10008.1.1"])


def test_without_a_title_for_helm_test_nobody_is_added_to_the_table(render: Render) -> None:
    objects = render(values={"node": {"testAs": ""}})
    rules = yaml.safe_load(one(objects, "ConfigMap", "x-fairlead-config")["data"]["routes.yaml"])["routes"]
    assert [rule["name"] for rule in rules] == ["liveness probe"]
    (node,) = [each for each in one(objects, "Pod", "x-fairlead-test")["spec"]["containers"] if each["name"] == "node"]
    assert "is_rejected" in node["command"][-1]


def test_no_pod_has_rights_in_the_cluster(objects: Rendered) -> None:
    kinds = {document["kind"] for document in objects}
    assert not kinds & {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"}
    assert all(document["automountServiceAccountToken"] is False for document in objects if document["kind"] == "ServiceAccount")


def patterns(part: Any) -> list[str]:
    """Return every pattern of a schema."""
    if isinstance(part, list):
        return [found for each in part for found in patterns(each)]
    if not isinstance(part, dict):
        return []
    own = [part["pattern"]] if isinstance(part.get("pattern"), str) else []
    return own + [found for name, each in part.items() if name != "settings" for found in patterns(each)]


def test_a_refused_text_is_answered_with_what_is_wanted_not_with_a_pattern_only() -> None:
    """Helm shows the pattern and nothing else: each ends with a branch that matches nothing and says what is wanted."""
    found = [text for text in patterns(json.loads((FAIRLEAD / "values.schema.json").read_text())) if text != "latest"]
    assert len(found) > 15
    for text in found:
        _, told, words = text.partition(r"|\b\B ")
        assert told, text
        assert len(words) > 10, text
        assert not re.search(text, words), text


NETWORKS = (
    "0.0.0.0/0",
    "10.20.30.41/32",
    "::/0",
    "::1/128",
    "fd00::/8",
    "2001:db8::1/64",
    "1:2:3:4:5:6:7:8/64",
    "1::8/64",
    "1:2:3:4:5:6:7::/64",
)


@pytest.mark.parametrize("network", [*NETWORKS, "::2:3:4:5:6:7:8/64", "2001:DB8:0:0:1::/80"])
def test_every_form_of_a_network_is_taken(network: str) -> None:
    assert ip_network(network, strict=False)
    cidr = json.loads((FAIRLEAD / "values.schema.json").read_text())["definitions"]["cidr"]
    assert re.search(cidr["pattern"], network)


def test_every_value_has_its_meaning_in_the_generated_pages() -> None:
    for page in (FAIRLEAD / "README.md", FAIRLEAD.parents[1] / "docs" / "admin" / "values.md"):
        rows = re.findall(r"^\| `([\w.]+)` \| `.*?` \| (.*) \|$", page.read_text(), re.MULTILINE)
        assert len(rows) > 100
        assert [name for name, meaning in rows if len(meaning) < 10] == []
