"""The umbrella chart, with stubs in the place of the charts that can't be fetched here.

A stub proves that our values are the keys we recorded and reach the sub-chart, not that the real chart accepts them.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from charts.conftest import FAIRLEAD, PLATFORM, Refusal, Render, assert_fit, one, pods
from fairlead.errors import NotPermitted

pytestmark = pytest.mark.charts
LAPTOP, SINGLE, PRODUCTION = (PLATFORM / "values" / f"{name}.yaml" for name in ("laptop", "single-node", "production"))
SETS: dict[str, tuple[Path, ...]] = {
    "defaults": (),
    "laptop": (LAPTOP,),
    "single node": (SINGLE,),
    "production": (PRODUCTION,),
    "OpenShift": (PRODUCTION, PLATFORM / "values" / "openshift.yaml"),
    "Kaapana": (PLATFORM / "values" / "kaapana.yaml",),
    "celery": (PRODUCTION, PLATFORM / "values" / "celery.yaml"),
    "kubernetes": (PRODUCTION, PLATFORM / "values" / "kubernetes.yaml"),
    "restore": (SINGLE, PLATFORM / "values" / "restore.yaml"),
}
WITH_AIRFLOW = {name: files for name, files in SETS.items() if name != "restore"}


def airflow_values(render: Render, platform: Path, *files: Path, **values: Any) -> dict[str, Any]:
    """Return the values that the Airflow chart would be given."""
    stub = one(render(platform, *files, values=values), "ConfigMap", "stub-airflow")
    found: dict[str, Any] = json.loads(stub["data"]["values"])
    return found


def test_every_values_file_is_in_a_set() -> None:
    assert {file for files in SETS.values() for file in files} == set((PLATFORM / "values").glob("*.yaml"))


@pytest.mark.parametrize("files", SETS.values(), ids=SETS)
def test_the_umbrella_lints_and_its_objects_fit_kubernetes(
    helm: Callable[..., subprocess.CompletedProcess[str]], render: Render, platform: Path, files: tuple[Path, ...]
) -> None:
    options = [part for file in files for part in ("--values", str(file))]
    done = helm("lint", "--strict", platform, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_fit(render(platform, *files))


def test_dependencies_are_exact_and_our_own_chart_is_the_one_beside() -> None:
    chart = yaml.safe_load((PLATFORM / "Chart.yaml").read_text())
    ours = yaml.safe_load((FAIRLEAD / "Chart.yaml").read_text())
    versions = {entry["name"]: entry["version"] for entry in chart["dependencies"]}
    assert versions == {"fairlead": ours["version"], "airflow": "1.22.0", "opensearch": "3.6.0"}
    assert chart["dependencies"][0]["repository"] == "file://../fairlead"
    assert chart["version"] == ours["version"] == ours["appVersion"]


def test_airflow_is_the_version_that_our_constraints_pin(render: Render, platform: Path) -> None:
    pinned = (PLATFORM.parents[1] / "constraints.txt").read_text().splitlines()
    assert f"apache-airflow=={airflow_values(render, platform)['airflowVersion']}" in pinned


def test_every_secret_of_airflow_is_named_so_that_no_upgrade_rotates_it(render: Render, platform: Path) -> None:
    values = airflow_values(render, platform)
    names = [values[key] for key in ("fernetKeySecretName", "apiSecretKeySecretName", "jwtSecretName")]
    assert [*names, values["data"]["metadataSecretName"]] == ["fairlead-airflow"] * 4
    assert values["postgresql"]["enabled"] is False


def test_airflow_jobs_are_no_hooks(render: Render, platform: Path) -> None:
    assert airflow_values(render, platform)["migrateDatabaseJob"]["useHelmHooks"] is False


def test_the_first_image_of_the_guide_comes_through_a_port_forward_and_from_nowhere_else(
    render: Render, platform: Path, tmp_path: Path
) -> None:
    from fairlead.receive import load_routes

    (tmp_path / "routes.yaml").write_text(one(render(platform, LAPTOP), "ConfigMap", "fairlead-config")["data"]["routes.yaml"])
    table = load_routes(tmp_path / "routes.yaml")
    assert table.match(calling_ae="CT_BASEMENT", called_ae="FAIRLEAD", peer="127.0.0.1").project == "default"
    with pytest.raises(NotPermitted, match="not on the list"):
        table.match(calling_ae="CT_BASEMENT", called_ae="FAIRLEAD", peer="10.0.0.1")


def test_a_restore_runs_alone(render: Render, platform: Path) -> None:
    running = {name.rpartition("-")[0] for name, _ in pods(render(platform, *SETS["restore"])) if not name.startswith("Pod/")}
    assert running == {"Job/fairlead-restore"}


@pytest.mark.parametrize("files", WITH_AIRFLOW.values(), ids=WITH_AIRFLOW)
def test_nobody_is_made_administrator_with_a_password_that_everybody_knows(render: Render, platform: Path, files: tuple[Path, ...]) -> None:
    """The Airflow chart's createUserJob makes admin with the password admin, unless it is off; the stub does as it does."""
    rendered = render(platform, *files)
    assert json.loads(one(rendered, "ConfigMap", "stub-airflow")["data"]["values"])["createUserJob"] == {"enabled": False}
    assert not [each for each in rendered if each["kind"] == "Job" and "create-user" in each["metadata"]["name"]]


@pytest.mark.parametrize(
    ("name", "executor"), [("laptop", "LocalExecutor"), ("celery", "CeleryExecutor"), ("kubernetes", "KubernetesExecutor")]
)
def test_the_executor_is_the_one_that_the_file_names(render: Render, platform: Path, name: str, executor: str) -> None:
    assert airflow_values(render, platform, *SETS[name])["executor"] == executor


def test_airflow_is_tuned_and_warmed_up(render: Render, platform: Path) -> None:
    values = airflow_values(render, platform, PRODUCTION)
    assert values["config"]["scheduler"]["scheduler_idle_sleep_time"] == 0.1
    assert values["config"]["workers"] == {"min_heartbeat_interval": 1, "execution_api_timeout": 30}
    assert values["config"]["api"]["base_url"] == "https://airflow.example.org"
    assert "/execution/health" in values["apiServer"]["containerLifecycleHooks"]["postStart"]["exec"]["command"][-1]
    assert values["triggerer"]["enabled"] is True


def test_airflow_mounts_what_our_chart_makes(render: Render, platform: Path) -> None:
    rendered = render(platform)
    values = json.loads(one(rendered, "ConfigMap", "stub-airflow")["data"]["values"])
    volumes = {volume["name"]: volume for volume in values["volumes"]}
    assert one(rendered, "ConfigMap", volumes["fairlead-config"]["configMap"]["name"])
    assert one(rendered, "PersistentVolumeClaim", volumes["fairlead-home"]["persistentVolumeClaim"]["claimName"])
    assert {mount["name"] for mount in values["volumeMounts"]} == set(volumes)


def test_airflow_and_our_pods_are_one_user_because_keys_are_readable_by_their_owner_only(render: Render, platform: Path) -> None:
    rendered = render(platform)
    airflow = json.loads(one(rendered, "ConfigMap", "stub-airflow")["data"]["values"])["securityContexts"]["pod"]["runAsUser"]
    ours = {pod["securityContext"]["runAsUser"] for _, pod in pods(rendered)}
    assert ours == {airflow} == {50000}


def test_with_project_keys_in_a_secret_airflow_mounts_them_where_the_settings_say(render: Render, platform: Path) -> None:
    for file in (SINGLE, PRODUCTION):
        values = airflow_values(render, platform, file)
        mounts = {mount["mountPath"]: mount["name"] for mount in values["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in values["volumes"]}
        assert volumes[mounts["/etc/fairlead-keys"]]["secret"]["secretName"] == "fairlead-project-keys"
        assert {mount["name"] for mount in values["volumeMounts"]} == set(volumes)


def test_on_openshift_nobody_is_given_a_user(render: Render, platform: Path) -> None:
    files = SETS["OpenShift"]
    assert airflow_values(render, platform, *files)["securityContexts"]["pod"]["runAsUser"] is None
    assert not [name for name, pod in pods(render(platform, *files)) if "runAsUser" in pod["securityContext"]]


def test_the_builder_of_kaapana_chooses_registry_and_pull_policy(render: Render, platform: Path) -> None:
    registry = "registry.example.org/kaapana"
    given = {
        "global": {"registry_url": registry, "pull_policy_images": "Always"},
        "airflow": {"defaultAirflowRepository": f"{registry}/fairlead/airflow"},
    }
    found = render(platform, *SETS["Kaapana"], values=given)
    images = {(container["image"], container.get("imagePullPolicy")) for _, pod in pods(found) for container in pod["containers"]}
    assert images == {(f"{registry}/fairlead/fairlead:0.1.0", "Always"), (f"{registry}/postgres:17.6-bookworm", "Always")}
    for chart in (FAIRLEAD, PLATFORM):
        keywords = yaml.safe_load((chart / "Chart.yaml").read_text())["keywords"]
        assert {word for word in keywords if word.startswith("kaapana")} == {"kaapanaapplication"}, "its workflows run in Airflow 2"


REFUSED: list[tuple[str, tuple[Path, ...], str, str]] = [
    ("a misspelt block", (), "component: {}", "component is not allowed"),
    ("an unknown component", (), "components: {kafka: true}", "kafka is not allowed"),
    ("a floating tag", (), "postgres: {image: 'postgres:latest'}", "postgres.image"),
    ("a bad value of our own chart", (), "fairlead: {nodes: {}}", "nodes is not allowed"),
    ("a misspelt key of Airflow's", (), "airflow: {executors: CeleryExecutor}", "executors is not allowed"),
    ("nothing at all", (), "components: {airflow: false, fairlead: false}", "components: everything is off"),
    ("Airflow without what it mounts", (), "components: {fairlead: false}", "components.airflow needs components.fairlead"),
    ("the user that everybody knows", (), "airflow: {createUserJob: {enabled: true}}", "airflow.createUserJob.enabled: that Job makes"),
    (
        "an index that does not run",
        (),
        "{fairlead: {index: {backend: opensearch, existingSecret: o}}, airflow: {secret: [{envName: FAIRLEAD_INDEX__PASSWORD}]}}",
        "Set components.opensearch=true, or fairlead.index.url",
    ),
    ("keys that only one side has", (), "fairlead: {keys: {existingSecret: k}}", "airflow.volumes lack k"),
    ("another claim", (), "fairlead: {storage: {existingClaim: images}}", "airflow.volumes lack images"),
    ("another name of our objects", (), "fairlead: {fullnameOverride: north}", "airflow.volumes lack north-config"),
    ("an authority that only one side has", (), "fairlead: {index: {caSecret: ca}}", "airflow.volumes lack ca"),
    ("two ledgers", (), "fairlead: {database: {existingSecret: db}}", "airflow.secret lacks FAIRLEAD_DATABASE_URL"),
    ("an index that tasks can't write", (PRODUCTION,), "airflow: {secret: [{envName: FAIRLEAD_DATABASE_URL}]}", "FAIRLEAD_INDEX__PASSWORD"),
    ("two users", (), "fairlead: {security: {runAsUser: 10001}}", "fairlead.security.runAsUser is 10001"),
    ("a registry that Airflow ignores", (), "global: {registry_url: r.example.org}", "airflow.defaultAirflowRepository to r.example.org/"),
]


@pytest.mark.parametrize(("files", "values", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_the_umbrella_refuses(refusal: Refusal, platform: Path, files: tuple[Path, ...], values: str, message: str) -> None:
    assert message in refusal(platform, *files, values=yaml.safe_load(values))


def test_components_can_be_left_out(render: Render, platform: Path) -> None:
    names = {document["metadata"]["name"] for document in render(platform, values={"components": {"airflow": False}})}
    assert "stub-airflow" not in names
    assert "fairlead-node" in names


def test_the_trial_database_is_restricted_too_and_off_in_production(render: Render, platform: Path) -> None:
    laptop = {name: pod for name, pod in pods(render(platform, LAPTOP)) if name.endswith("postgres")}
    assert laptop["StatefulSet/fairlead-postgres"]["securityContext"]["runAsNonRoot"] is True
    assert laptop["StatefulSet/fairlead-postgres"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    assert not [name for name, _ in pods(render(platform, PRODUCTION)) if name.endswith("postgres")]
