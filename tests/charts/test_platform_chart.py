"""The umbrella chart, with stubs in the place of the charts that can't be fetched here.

A stub proves that our values are the keys we recorded and reach the sub-chart, not that the real chart accepts them.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from charts.conftest import FAIRLEAD, PLATFORM, Render, one, pods
from charts.test_fairlead_chart import CUSTOM_KINDS

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
}


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
    for document in render(platform, *files):
        if document["kind"] not in CUSTOM_KINDS:
            kubernetes_validate.validate(document, "1.37", strict=True)


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
    values = airflow_values(render, platform)
    assert values["migrateDatabaseJob"]["useHelmHooks"] is values["createUserJob"]["useHelmHooks"] is False


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
    given = {"global": {"registry_url": "registry.example.org/kaapana", "pull_policy_images": "Always"}}
    found = render(platform, *SETS["Kaapana"], values=given)
    ours = [container for name, pod in pods(found) if "postgres" not in name for container in pod["containers"]]
    assert {(container["image"], container["imagePullPolicy"]) for container in ours} == {
        ("registry.example.org/kaapana/fairlead/fairlead:0.1.0", "Always")
    }
    assert "kaapanaapplication" in yaml.safe_load((FAIRLEAD / "Chart.yaml").read_text())["keywords"]


def test_a_misspelt_airflow_key_is_refused(helm: Callable[..., subprocess.CompletedProcess[str]], platform: Path, tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text("airflow: {executors: CeleryExecutor}")
    done = helm("template", "x", platform, "--values", tmp_path / "values.yaml")
    assert done.returncode != 0
    assert "executors is not allowed" in done.stderr


@pytest.mark.parametrize(
    "values", ["component: {}", "components: {kafka: true}", "postgres: {image: 'postgres:latest'}", "fairlead: {nodes: {}}"]
)
def test_a_bad_value_of_the_umbrella_is_refused(
    helm: Callable[..., subprocess.CompletedProcess[str]], platform: Path, tmp_path: Path, values: str
) -> None:
    (tmp_path / "values.yaml").write_text(values)
    done = helm("template", "x", platform, "--values", tmp_path / "values.yaml")
    assert done.returncode != 0
    assert "values don't meet the specifications of the schema" in done.stderr


def test_components_can_be_left_out(render: Render, platform: Path) -> None:
    names = {document["metadata"]["name"] for document in render(platform, values={"components": {"airflow": False, "fairlead": False}})}
    assert names == set()


def test_the_trial_database_is_restricted_too_and_off_in_production(render: Render, platform: Path) -> None:
    laptop = {name: pod for name, pod in pods(render(platform, LAPTOP)) if name.endswith("postgres")}
    assert laptop["StatefulSet/fairlead-postgres"]["securityContext"]["runAsNonRoot"] is True
    assert laptop["StatefulSet/fairlead-postgres"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    assert not [name for name, _ in pods(render(platform, PRODUCTION)) if name.endswith("postgres")]
