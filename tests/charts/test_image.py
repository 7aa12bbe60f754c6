"""The commands of the Dockerfile, run in a folder in place of an image; what they make runs as any user with everything read-only."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from charts.conftest import Render, one
from charts.sandbox import SandboxedPod, needs_namespaces
from charts.test_probes import container_of, free_port
from fairlead import __version__
from needs import missing
from test_dockerfile import CHECKOUT, Stage, stages

pytestmark = [pytest.mark.slow, pytest.mark.charts]


class Image:
    """Folders that stand for /source, /wheels and /opt/fairlead."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.prefix = folder / "opt" / "fairlead"
        for name in ("source", "wheels", "opt"):
            (folder / name).mkdir()

    def build(self, stage: Stage) -> None:
        """Do what the stage's COPY and RUN say, in their order."""
        for word, rest in stage.instructions:
            if word == "COPY":
                self._copy(*rest.split())
            elif word == "RUN" and "pip install" in rest.split("uv", 1)[0]:
                wanted = re.search(r"^uv==.*", (CHECKOUT / "constraints.txt").read_text(), re.MULTILINE)
                assert wanted is not None, "pip would install this uv, which is the one that runs here"
            elif word == "RUN":
                self.run(rest)

    def _copy(self, *words: str) -> None:
        *sources, target = words
        for source in sources:
            to = self.folder / "source" / target
            if (CHECKOUT / source).is_dir():
                shutil.copytree(CHECKOUT / source, to, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
            else:
                place = to / Path(source).name if target.endswith("/") else to
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(CHECKOUT / source, place)

    def run(self, command: str) -> str:
        """Run one RUN command; the packages come from this machine's cache where they can."""
        text = command.replace("--no-cache ", "")
        for name in ("/wheels", "/opt/fairlead", "/source"):
            text = re.sub(rf"(?<![\w.]){name}\b", f"{self.folder}{name}", text)
        keep = {name: value for name, value in os.environ.items() if not name.startswith(("FAIRLEAD_", "VIRTUAL_ENV", "PYTHON", "COV"))}
        environment = keep | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "UV_PYTHON": sys.executable,
        }
        command_line = ["bash", "-ec", text]
        done = subprocess.run(
            command_line, cwd=self.folder / "source", env=environment, capture_output=True, text=True, timeout=400, check=False
        )
        if done.returncode and re.search(r"(?i)dns|connect|network|timed out", done.stderr):
            missing("the package index", f"connect this machine to it: {done.stderr[-200:]}")
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """Return the folder of the built image; not below /tmp, which a pod's own /tmp would hide."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="fairlead-test-image-") as folder:
        made = Image(Path(folder))
        made.build(stages()["wheel"])
        made.build(stages()["environment"])
        yield made


def test_the_environment_has_the_versions_that_are_pinned_and_none_of_the_tools(image: Image) -> None:
    rows = (image.prefix / "LICENCES.txt").read_text().splitlines()
    installed = dict(re.match(r"(\S+) ([^:]+):", row).groups() for row in rows)  # type: ignore[union-attr,misc]
    pinned = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", (CHECKOUT / "constraints.txt").read_text(), re.MULTILINE))
    assert installed.pop("fairlead") == __version__
    assert {name: version for name, version in installed.items() if pinned.get(name) not in {version, None}} == {}
    assert not {"pytest", "ruff", "mypy", "apache-airflow"} & set(installed)


def test_the_bill_of_materials_lists_every_package_once_with_its_licence(image: Image) -> None:
    bill = json.loads((image.prefix / "sbom.cdx.json").read_text())
    assert (bill["bomFormat"], bill["specVersion"], bill["metadata"]["component"]["version"]) == ("CycloneDX", "1.6", __version__)
    purls = [part["purl"] for part in bill["components"]]
    assert len(purls) == len(set(purls)) > 40
    assert all(re.fullmatch(r"pkg:pypi/[a-z0-9-]+@\S+", purl) for purl in purls)
    assert {part["licenses"][0]["license"]["name"] for part in bill["components"]} >= {"MIT", "Apache-2.0"}
    assert bill == json.loads(image.run("/opt/fairlead/bin/python tools/sbom.py"))


@pytest.mark.parametrize("module", ["opensearchpy", "obstore", "psycopg2", "pyarrow", "wsidicom"])
def test_what_values_of_the_chart_may_ask_for_is_in_the_image(image: Image, module: str) -> None:
    """index.backend, s3, database, members tables and slides: an extra that is left out fails only in the pod."""
    assert image.run(f"/opt/fairlead/bin/python -c 'import {module}; print({module}.__name__)'").strip() == module


def test_compiled_files_are_there_because_a_read_only_file_system_cannot_keep_them(image: Image) -> None:
    compiled = list((image.prefix / "lib").glob("python3*/site-packages/pydicom/__pycache__/*.pyc"))
    assert compiled


def test_every_entry_point_starts_as_any_user_with_a_read_only_file_system(image: Image, render: Render, tmp_path: Path) -> None:
    needs_namespaces()
    objects = render(values={"node": {"port": free_port()}, "catalog": {"port": free_port()}})
    pod = SandboxedPod(tmp_path, one(objects, "ConfigMap", "x-fairlead-config")["data"], program=image.prefix)
    loopback = {"FAIRLEAD_NODE__HOST": "127.0.0.1", "FAIRLEAD_CATALOG__HOST": "127.0.0.1"}
    node, catalog = container_of(objects, "StatefulSet", "x-fairlead-node"), container_of(objects, "Deployment", "x-fairlead-catalog")
    for words, said in (("--version", __version__), ("db upgrade", "up to date"), ("config check", "hold"), ("--help", "restore")):
        done = pod.run(node, "fairlead", *words.split(), **loopback)
        assert done.returncode == 0, done.stderr
        assert said in done.stdout
    where = pod.run(node, "python", "-c", "import fairlead; print(fairlead.__file__)").stdout
    assert where.startswith(str(image.prefix)), "the wheel is what runs, not this checkout"
    with pod.started(node, **loopback):
        assert pod.run(node, *node["livenessProbe"]["exec"]["command"], **loopback).returncode == 0
    with pod.started(catalog, **loopback) as line:
        assert httpx.get(f"{line.split()[1]}/healthz", trust_env=False).status_code == 200


def test_the_airflow_image_can_be_made_from_the_pinned_set_without_moving_airflow(image: Image) -> None:
    (install,) = [rest for word, rest in stages()["airflow"].instructions if word == "RUN"]
    version = re.search(r"apache/airflow:([\d.]+)", stages()["airflow"].base)
    assert version is not None
    text = install.replace("pip install --no-cache-dir", "uv pip install --dry-run --python /opt/fairlead/bin/python")
    text = text.replace("/wheels/constraints.txt", str(CHECKOUT / "constraints.txt")).replace("${AIRFLOW_VERSION}", version[1])
    planned = image.run(text)
    assert f"+ apache-airflow=={version[1]}" in planned
    assert re.findall(r"^ [-~] (\S+)==", planned, re.MULTILINE) == [], "nothing that the other image has would be changed"
