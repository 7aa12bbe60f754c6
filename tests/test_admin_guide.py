"""docs/admin/index.md: what can be run without a cluster is run, what can be compared is compared."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from cryptography.fernet import Fernet

from fairlead.cli import build_app
from guides import ADMIN, KNOWN, blocks
from live.servers import free_port
from needs import program
from receive.builders import a_slice, part10

CHECKOUT = Path(__file__).parents[1]
GUIDE = (CHECKOUT / "docs" / "admin" / "index.md").read_text()
PAGES = "\n".join(page.read_text() for page in sorted(ADMIN.glob("*.md")))
BLOCKS = "\n".join(re.findall(r"```\w+\n(.*?)```", GUIDE, re.DOTALL))
VALUES = yaml.safe_load((CHECKOUT / "charts" / "platform" / "values.yaml").read_text())


def literals(secret: str) -> dict[str, str]:
    """Return key -> shell text of every --from-literal of one `kubectl create secret` in the guide."""
    (command,) = re.findall(rf"create secret generic {secret} \\?\n?(.*?)(?:`|\n\s*```)", GUIDE, re.DOTALL)
    return dict(re.findall(r'--from-literal=([\w-]+)="(.*?)"(?:\s|$)', command))


def shell(text: str) -> str:
    return subprocess.run(["bash", "-ec", text], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\b((?:charts|configs|docs|tools)/[\w./-]+\w)", GUIDE))))
def test_a_path_in_the_guide_exists(path: str) -> None:
    assert (CHECKOUT / path).exists()


def test_an_image_is_built_from_a_target_that_exists_and_named_as_the_charts_name_it() -> None:
    targets = set(re.findall(r"^FROM .* AS (\w+)$", (CHECKOUT / "Dockerfile").read_text(), re.MULTILINE))
    built = dict(re.findall(r"docker build --target (\w+)\s+--tag (\S+)", BLOCKS))
    assert set(built) <= targets
    assert built["airflow"] == f"{VALUES['airflow']['defaultAirflowRepository']}:{VALUES['airflow']['defaultAirflowTag']}"
    ours = yaml.safe_load((CHECKOUT / "charts" / "fairlead" / "values.yaml").read_text())["image"]["repository"]
    assert built["fairlead"].rpartition(":")[0] == ours


@pytest.mark.parametrize(
    "command", sorted(set(re.findall(r"(?:^|[`-] )fairlead ((?:[a-z]+(?:-[a-z]+)* ?)+)|`fairlead ((?:[a-z]+(?:-[a-z]+)* ?)+)", PAGES)))
)
def test_a_command_in_the_guides_exists(command: tuple[str, str]) -> None:
    found: Any = typer.main.get_command(build_app())
    for word in "".join(command).split():
        if not hasattr(found, "commands"):
            break  # an argument
        assert word in found.commands, f"{word} of: fairlead {''.join(command)}"
        found = found.commands[word]


def names_of_values() -> set[str]:
    """Return the dotted name of every value of the chart, of blocks and of leaves, ``settings`` included."""

    def below(schema: dict[str, Any], prefix: str) -> set[str]:
        found = {f"{prefix}{name}" for name in schema.get("properties", {})}
        return found.union(*(below(part, f"{prefix}{name}.") for name, part in schema.get("properties", {}).items()))

    return below(json.loads((CHECKOUT / "charts" / "fairlead" / "values.schema.json").read_text()), "")


def test_a_value_that_a_guide_names_is_one_of_the_charts() -> None:
    known = names_of_values()
    blocks_of_values = {name for name in known if "." not in name}
    named = {
        name for name in re.findall(r"`(?:fairlead\.)?(\w+\.[\w.]*\w)(?:[ =:][^`]*)?`", PAGES) if name.split(".")[0] in blocks_of_values
    }
    assert len(named) > 30
    assert {name for name in named if name not in known and name != "image.dcm"} == set()


def test_the_secret_of_the_guide_has_the_keys_that_the_charts_read() -> None:
    assert VALUES["airflow"]["data"]["metadataSecretName"] == VALUES["postgres"]["existingSecret"] == "fairlead-airflow"
    assert set(literals("fairlead-airflow")) == {"password", "connection", "fernet-key", "api-secret-key", "jwt-secret"}
    assert "@fairlead-postgres/airflow" in literals("fairlead-airflow")["connection"]


def test_the_database_secret_has_the_key_that_our_chart_reads_by_default() -> None:
    ours = yaml.safe_load((CHECKOUT / "charts" / "fairlead" / "values.yaml").read_text())
    assert set(literals("fairlead-database")) == {ours["database"]["key"]}


def test_the_generated_keys_are_keys() -> None:
    made = {name: shell(f'printf %s "{text}"') for name, text in literals("fairlead-airflow").items() if name.endswith(("-key", "-secret"))}
    assert Fernet(made["fernet-key"]).decrypt(Fernet(made["fernet-key"]).encrypt(b"x")) == b"x"
    assert len(made["jwt-secret"]) >= 64  # Airflow warns below 64 bytes
    assert len(made["api-secret-key"]) >= 32


def test_the_environment_of_the_compose_file_is_what_the_guide_writes(tmp_path: Path) -> None:
    (command,) = re.findall(r"^\[ -e \.env \].*\(umask .*\.env\)$", BLOCKS, re.MULTILINE)
    assert command in (CHECKOUT / "docker-compose.yaml").read_text(), "one command in both places"
    shell(f"cd '{tmp_path}' && {command}")
    first = (tmp_path / ".env").read_text()
    shell(f"cd '{tmp_path}' && {command}")
    assert (tmp_path / ".env").read_text() == first, "what is there opens the database that is there"
    written = dict(line.split("=", 1) for line in first.splitlines())
    needed = set(re.findall(r"\$\{(\w+):\?", (CHECKOUT / "docker-compose.yaml").read_text()))
    assert set(written) == needed
    assert all(len(value) >= 32 for value in written.values())
    assert Fernet(written["FERNET_KEY"])
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600


def test_the_guide_names_the_airflow_charts_own_minimum_of_helm() -> None:
    assert "Helm 3.19" in GUIDE


def test_every_block_of_commands_says_how_it_is_tested() -> None:
    assert {block.how for block in blocks()} == KNOWN
    pages = {page.stem for page in ADMIN.glob("*.md") if "```console" in page.read_text()}
    assert pages == {block.page for block in blocks()}


def in_the_checkout(folder: Path, *pages: str) -> subprocess.CompletedProcess[str]:
    """Run the blocks of these pages in one shell, in a folder of their own, at a port that is free."""
    text = "\n".join(block.text for block in blocks("run: checkout", pages)).replace("11112", str(free_port()))
    path = f"{Path(program('storescu')).parent}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = ["timeout", "--kill-after=5", "90", "bash", "-eu", "-o", "pipefail", "-c", text]
    return subprocess.run(command, cwd=folder, env={"PATH": path, "HOME": str(folder)}, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.live
def test_the_first_image_arrives_and_comes_back_from_a_backup_by_the_commands_of_the_guide(tmp_path: Path) -> None:
    (tmp_path / "image.dcm").write_bytes(part10(a_slice()))
    done = in_the_checkout(tmp_path, "index")
    assert done.returncode == 0, done.stderr
    arrived = list((tmp_path / "home" / "archive" / "objects").rglob("*.dcm"))
    assert len(arrived) == 1
    assert re.search(r"^quarantined +0$", done.stdout, re.MULTILINE)
    done = in_the_checkout(tmp_path, "backup")
    assert done.returncode == 0, done.stderr
    back = list((tmp_path / "other" / "archive" / "objects").rglob("*.dcm"))
    assert [file.read_bytes() for file in back] == [file.read_bytes() for file in arrived]
