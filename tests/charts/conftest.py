"""Rendering with the real helm, and the values files there are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

CHARTS = Path(__file__).parents[2] / "charts"
FAIRLEAD = CHARTS / "fairlead"
PLATFORM = CHARTS / "platform"
FAST_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Rendered = list[dict[str, Any]]
Render = Callable[..., Rendered]
Refusal = Callable[..., str]


def helm_binary() -> str:
    """Return helm beside this Python (the package helm-binary), else the one in PATH."""
    beside = Path(sys.executable).parent / "helm"
    found = str(beside) if beside.is_file() else shutil.which("helm")
    assert found, "helm is missing: make setup installs it"
    return found


@pytest.fixture(scope="session")
def helm() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs helm and gives its output, whatever the exit status."""
    binary = helm_binary()

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([binary, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)

    return run


@pytest.fixture(scope="session")
def render(helm: Callable[..., subprocess.CompletedProcess[str]], tmp_path_factory: pytest.TempPathFactory) -> Render:
    """Return a function: chart, values files, inline values -> the rendered objects."""

    known: dict[tuple[object, ...], str] = {}  # text, so that no test sees what another one changed

    def rendered(chart: Path = FAIRLEAD, *files: Path, values: dict[str, Any] | None = None) -> Rendered:
        given = yaml.safe_dump(values or {})
        key = (chart, files, given)
        if key not in known:
            known[key] = template(chart, *files, given=given)
        return [document for document in yaml.load_all(known[key], Loader=FAST_LOADER) if document]

    def template(chart: Path, *files: Path, given: str) -> str:
        inline = tmp_path_factory.mktemp("values") / "values.yaml"
        inline.write_text(given)
        options = [part for file in (*files, inline) for part in ("--values", str(file))]
        done = helm("template", "x", chart, "--namespace", "imaging", *options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return rendered


@pytest.fixture(scope="session")
def refusal(helm: Callable[..., subprocess.CompletedProcess[str]], tmp_path_factory: pytest.TempPathFactory) -> Refusal:
    """Return a function: chart, values files, inline values that must be refused -> what helm says."""
    folder = tmp_path_factory.mktemp("refused")

    def refused(chart: Path, *files: Path, values: dict[str, Any]) -> str:
        (folder / "values.yaml").write_text(yaml.safe_dump(values))
        options = [part for file in (*files, folder / "values.yaml") for part in ("--values", str(file))]
        done = helm("template", "x", chart, "--namespace", "imaging", *options)
        assert done.returncode != 0, "helm took these values"
        return done.stderr

    return refused


CUSTOM_KINDS = {"HTTPRoute", "ServiceMonitor", "PrometheusRule"}  # custom resources: the bundled schemas know only Kubernetes' own kinds
SCHEMAS = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"


def newest_minors(count: int) -> list[str]:
    """Return the newest Kubernetes versions, one for each minor, whose strict schemas kubernetes-validate bundles."""
    found = {tuple(map(int, re.findall(r"\d+", path.name)[:3])) for path in SCHEMAS.glob("v*-local-strict")}
    newest = {version[:2]: version for version in sorted(found)}
    return [".".join(map(str, version)) for version in list(newest.values())[-count:]]


MINORS = newest_minors(3)


@cache
def definitions(version: str) -> Registry[Any]:
    """Return the definitions of one version, read once: kubernetes-validate itself reads them for every object."""
    contents = json.loads((SCHEMAS / f"v{version}-local-strict" / "_definitions.json").read_text())
    return Resource.from_contents(contents) @ Registry()


@cache
def judged(text: str, version: str) -> None:
    """Validate one object, given as JSON so that each is judged once, against the strict schema of one version."""
    document = json.loads(text)
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", document["apiVersion"])
    schema = json.loads((SCHEMAS / f"v{version}-local-strict" / f"{document['kind'].lower()}-{group}.json").read_text())
    Draft202012Validator(schema, registry=Resource.from_contents(schema) @ definitions(version)).validate(document)


def assert_fit(objects: Rendered) -> None:
    """Fail when an object is not one of Kubernetes, by the strict schemas of the three newest minors."""
    for document in objects:
        if document["kind"] not in CUSTOM_KINDS:
            for version in MINORS:
                judged(json.dumps(document, sort_keys=True), version)


def closed_schema(keys: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON Schema that admits these keys and no other."""
    properties = {name: closed_schema(below) if isinstance(below, dict) else {} for name, below in keys.items()}
    return {"type": "object", "properties": {"global": {}, "enabled": {}, **properties}, "additionalProperties": False}


def write_stub(folder: Path, *, name: str, version: str, schema: dict[str, Any]) -> None:
    """Write a sub-chart that stands for one we can't fetch: same name and version, its values dumped into a ConfigMap."""
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text(yaml.safe_dump({"apiVersion": "v2", "name": name, "version": version}))
    (folder / "values.schema.json").write_text(json.dumps({"$schema": "http://json-schema.org/draft-07/schema#", **schema}))
    (folder / "templates" / "values.yaml").write_text(
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: stub-{name}}}\ndata:\n  values: {{{{ .Values | toJson | quote }}}}\n"
    )


CREATE_USER = """{{- if dig "enabled" true .Values.createUserJob }}
apiVersion: batch/v1
kind: Job
metadata: {name: airflow-create-user}
{{- end }}
"""
"""Under the condition under which the real chart makes its first user."""


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the umbrella with our own chart beside stubs for Airflow and OpenSearch."""
    chart = tmp_path_factory.mktemp("platform") / "platform"
    shutil.copytree(PLATFORM, chart)
    shutil.copytree(FAIRLEAD, chart / "charts" / "fairlead")
    keys = yaml.safe_load((Path(__file__).parent / "airflow-1.22.0-keys.yaml").read_text())
    write_stub(chart / "charts" / "airflow", name="airflow", version="1.22.0", schema=closed_schema(keys))
    (chart / "charts" / "airflow" / "templates" / "create-user.yaml").write_text(CREATE_USER)
    write_stub(chart / "charts" / "opensearch", name="opensearch", version="3.6.0", schema={"type": "object"})
    return chart


def pods(objects: Rendered) -> list[tuple[str, dict[str, Any]]]:
    """Return (kind/name, pod spec) of everything that runs pods."""
    found = []
    for document in objects:
        spec = document.get("spec") or {}
        spec = spec.get("jobTemplate", {}).get("spec", spec)  # a CronJob's
        pod = spec if document["kind"] == "Pod" else spec.get("template", {}).get("spec")
        if pod:
            found.append((f"{document['kind']}/{document['metadata']['name']}", pod))
    return found


def one(objects: Rendered, kind: str, name: str) -> dict[str, Any]:
    """Return the one object of that kind and name."""
    found = [document for document in objects if document["kind"] == kind and document["metadata"]["name"] == name]
    assert len(found) == 1, f"{kind} {name}: {[(d['kind'], d['metadata']['name']) for d in objects]}"
    return found[0]


def metrics_named(text: str) -> set[str]:
    """Return the metrics that a text names, without the endings of histograms."""
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\bfairlead_\w+", text)}
