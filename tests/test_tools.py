"""The scripts in tools/: they parse, explain themselves, and system-deps refuses or skips with a message."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
TOOLS = CHECKOUT / "tools"
BASH = shutil.which("bash") or "/bin/bash"
SCRIPTS = sorted(path for path in TOOLS.rglob("*") if path.is_file() and path.read_bytes().startswith(b"#!/usr/bin/env bash"))
by_script = pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(TOOLS)))


@by_script
def test_a_script_parses_stops_at_the_first_error_and_may_be_run(script: Path) -> None:
    assert subprocess.run([BASH, "-n", script], check=False).returncode == 0
    assert re.search(r"^set -euo pipefail$", script.read_text(), re.MULTILINE)
    assert os.access(script, os.X_OK)


@by_script
def test_a_script_names_no_address_to_download_from(script: Path) -> None:
    hosts = re.findall(r"https?://([\w.$\[\]{}-]+)", script.read_text())
    assert {host for host in hosts if not re.match(r"127\.0\.0\.1|localhost|kubernetes\.default|\$", host)} == set()


if SHELLCHECK := shutil.which("shellcheck"):  # a developer's tool; what CI needs is checked above

    @by_script
    def test_shellcheck_is_content(script: Path) -> None:
        done = subprocess.run([str(SHELLCHECK), script], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


class Debian:
    """A folder of fake commands that stands for PATH: packages are files, apt-get makes them."""

    def __init__(self, folder: Path, *, root: bool, apt_works: bool = True) -> None:
        self.folder, self.state, self.log = folder / "bin", folder / "installed", folder / "log"
        self.folder.mkdir(parents=True)
        self.state.mkdir()
        self.log.touch()
        apt = f'for a; do case $a in -*|install|update) ;; *) touch "{self.state}/$a";; esac; done' if apt_works else "exit 100"
        self.command("dpkg-query", f'for name; do :; done; [ -e "{self.state}/$name" ] && printf installed')
        self.command("apt-get", f'echo "apt-get $*" >>"{self.log}"; {apt}')
        self.command("id", f"echo {0 if root else 1000}")
        for stopper in ("service", "systemctl"):
            self.command(stopper, f'echo "stop orthanc" >>"{self.log}"')
        for real in ("bash", "touch", "sed"):
            (self.folder / real).symlink_to(shutil.which(real) or real)

    def command(self, name: str, body: str) -> None:
        """Write one fake command."""
        file = self.folder / name
        file.write_text(f"#!{BASH}\n{body}\n")
        file.chmod(0o755)

    def run(self, *, ci: bool = False) -> subprocess.CompletedProcess[str]:
        """Run system-deps on this machine."""
        environment = {"PATH": str(self.folder), **({"CI": "true"} if ci else {})}
        return subprocess.run([BASH, TOOLS / "system-deps"], env=environment, capture_output=True, text=True, check=False)


def packages() -> list[str]:
    listed = subprocess.run([BASH, TOOLS / "system-deps", "--list"], capture_output=True, text=True, check=True)
    return listed.stdout.split()


def test_the_packages_of_the_live_tests_are_listed() -> None:
    assert {"chromium", "dcmtk", "dicom3tools", "orthanc", "postgresql"} <= set(packages())


def test_everything_missing_is_installed_once_and_orthanc_is_stopped(tmp_path: Path) -> None:
    machine = Debian(tmp_path, root=True)
    assert machine.run(ci=True).returncode == 0
    assert sorted(path.name for path in machine.state.iterdir()) == sorted(packages())
    assert "stop orthanc" in machine.log.read_text()
    again = machine.run(ci=True)
    assert again.returncode == 0
    assert f"all {len(packages())} packages are installed" in again.stderr
    assert machine.log.read_text().count("apt-get install") == 1


def test_an_orthanc_that_was_there_before_is_left_running(tmp_path: Path) -> None:
    machine = Debian(tmp_path, root=True)
    (machine.state / "orthanc").touch()
    assert machine.run().returncode == 0
    assert "stop orthanc" not in machine.log.read_text()


def test_without_root_the_command_to_run_is_named_and_nothing_is_tried(tmp_path: Path) -> None:
    machine = Debian(tmp_path, root=False)
    done = machine.run()
    assert done.returncode == 1
    assert "Run as root: apt-get update && apt-get install" in done.stderr
    assert machine.log.read_text() == ""


@pytest.mark.parametrize(("ci", "status"), [(False, 0), (True, 1)])
def test_another_system_is_skipped_with_a_message_and_fails_only_in_ci(tmp_path: Path, ci: bool, status: int) -> None:
    machine = Debian(tmp_path, root=True)
    (machine.folder / "apt-get").unlink()
    done = machine.run(ci=ci)
    assert done.returncode == status
    assert "this system has no apt-get" in done.stderr


def test_a_failure_of_apt_is_a_failure(tmp_path: Path) -> None:
    done = Debian(tmp_path, root=True, apt_works=False).run()
    assert done.returncode == 1
    assert "apt-get failed" in done.stderr


def test_opensearch_names_a_wrong_option(tmp_path: Path) -> None:
    done = subprocess.run([BASH, TOOLS / "opensearch-up.sh", tmp_path, "9200", "--secure"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "unknown option --secure" in done.stderr


def test_stopping_an_opensearch_that_never_ran_is_no_error(tmp_path: Path) -> None:
    done = subprocess.run([BASH, TOOLS / "opensearch-down.sh", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "not running" in done.stderr
