"""The Dockerfile as far as it can be judged without a container engine: stages, sources, user, commands, pins."""

from __future__ import annotations

import fnmatch
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from fairlead import __version__

CHECKOUT = Path(__file__).parents[1]


class Stage(NamedTuple):
    """One FROM and the instructions below it."""

    name: str
    base: str
    instructions: list[tuple[str, str]]


def instructions() -> list[tuple[str, str]]:
    """Return (word, rest) of every instruction, continuation lines joined."""
    text = re.sub(r"^#.*$\n?", "", (CHECKOUT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]  # type: ignore[misc]


def stages() -> dict[str, Stage]:
    """Return the stages by name; ARGs before the first FROM are put in."""
    arguments = dict(rest.split("=", 1) for word, rest in instructions() if word == "ARG")
    found: dict[str, Stage] = {}
    current: Stage | None = None
    for word, rest in instructions():
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            base = re.sub(r"\$\{(\w+)\}", lambda match: arguments[match[1]], base)
            current = found.setdefault(name, Stage(name, base, []))
        elif current is not None:
            current.instructions.append((word, rest))
    return found


def copied() -> list[str]:
    """Return every path that a stage copies from the checkout."""
    rests = [rest for stage in stages().values() for word, rest in stage.instructions if word == "COPY" and "--from" not in rest]
    return [source for rest in rests for source in [part for part in rest.split() if not part.startswith("--")][:-1]]


def test_the_stages_are_the_ones_that_documentation_and_charts_name() -> None:
    assert list(stages()) == ["wheel", "environment", "fairlead", "node", "catalog", "airflow"]


@pytest.mark.parametrize("source", sorted(set(copied())))
def test_a_copied_path_exists_and_is_sent_to_the_builder(source: str) -> None:
    assert (CHECKOUT / source).exists()
    rules = [line for line in (CHECKOUT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    sent = "*" not in rules
    for rule in rules:
        if fnmatch.fnmatch(source, rule.removeprefix("!")):
            sent = rule.startswith("!")
    assert sent


def test_nothing_private_is_sent_to_the_builder() -> None:
    rules = (CHECKOUT / ".dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in rules if line.startswith("!")}
    assert "*" in rules
    assert not {".git", ".fairlead", ".venv", "tests", ".env"} & allowed


@pytest.mark.parametrize("name", ["fairlead", "airflow"])
def test_the_last_user_of_an_image_is_a_number_that_is_not_root(name: str) -> None:
    users = [rest for word, rest in stages()[name].instructions if word == "USER"]
    assert re.fullmatch(r"[1-9]\d*:\d+", users[-1])


@pytest.mark.parametrize("name", ["fairlead", "airflow"])
def test_base_images_name_a_version(name: str) -> None:
    assert re.search(r":\d", stages()[name].base)
    assert "latest" not in stages()[name].base


def test_the_airflow_image_is_the_version_that_is_pinned() -> None:
    pins = (CHECKOUT / "constraints.txt").read_text().splitlines()
    (version,) = re.findall(r"apache/airflow:([\d.]+)-python3\.13", stages()["airflow"].base)
    assert f"apache-airflow=={version}" in pins


def test_python_is_the_version_that_the_checkout_names() -> None:
    assert f"python:{(CHECKOUT / '.python-version').read_text().strip()}-" in stages()["fairlead"].base


@pytest.mark.parametrize("name", ["environment", "airflow"])
def test_installs_are_held_to_the_pinned_set(name: str) -> None:
    runs = " ".join(rest for word, rest in stages()[name].instructions if word == "RUN")
    assert "--constraint" in runs
    assert "constraints.txt" in runs


def test_the_entry_point_is_a_script_of_the_project_and_its_default_command_works() -> None:
    entry = dict(stages()["fairlead"].instructions)
    assert entry["ENTRYPOINT"] == '["fairlead"]'
    command = yaml.safe_load(entry["CMD"])
    done = subprocess.run([sys.executable, "-m", "fairlead.cli", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    for used in ("node", "catalog", "db"):
        assert used in done.stdout


def test_the_script_that_the_image_enters_is_declared() -> None:
    assert 'fairlead = "fairlead.cli:main"' in (CHECKOUT / "pyproject.toml").read_text()


def test_no_instruction_brings_a_secret() -> None:
    for word, rest in instructions():
        assert not (word in {"ARG", "ENV"} and re.search(r"(?i)password|secret|token|key=", rest)), rest


def test_the_compose_file_runs_hardened_containers_of_this_version() -> None:
    services = yaml.safe_load((CHECKOUT / "docker-compose.yaml").read_text())["services"]
    for name in ("migrate", "node", "catalog"):
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]
        assert services[name]["image"] == f"fairlead/fairlead:{__version__}"
    builds = {service["build"]["target"] for service in services.values() if "build" in service}
    assert builds <= set(stages())
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert [port for port in published if not port.startswith("127.0.0.1:")] == ["${DICOM_ADDRESS:-127.0.0.1}:11112:11112"]
    locked = {name for name, service in services.items() if service.get("cap_drop") == ["ALL"]}
    assert locked == {"migrate", "node", "catalog", "airflow"}
    assert [name for name, service in services.items() if service.get("security_opt") != ["no-new-privileges:true"]] == ["volume"]


def test_only_this_host_may_send_to_the_node_of_the_compose_file_until_a_modality_is_listed() -> None:
    from fairlead.receive import load_routes

    document = yaml.safe_load((CHECKOUT / "docker-compose.yaml").read_text())
    (mounted,) = [volume.split(":")[0] for volume in document["services"]["node"]["volumes"] if volume.endswith("routes.yaml:ro")]
    rules = load_routes(CHECKOUT / mounted).rules
    (network,) = document["networks"]["default"]["ipam"]["config"]
    assert [str(each) for rule in rules for each in rule.from_networks] == [f"{network['gateway']}/32"]
    assert [rule.calling_ae for rule in rules] == [("CT_BASEMENT",)]


def test_the_charts_are_released_with_the_version_of_the_package() -> None:
    for chart in ("fairlead", "platform"):
        assert yaml.safe_load((CHECKOUT / "charts" / chart / "Chart.yaml").read_text())["appVersion"] == __version__


@pytest.mark.parametrize("name", ["node", "catalog"])
def test_a_target_of_one_service_is_the_common_image_with_its_argument(name: str) -> None:
    stage = stages()[name]
    assert (stage.base, stage.instructions) == ("fairlead", [("CMD", f'["{name}"]')])
