"""What the web build promises: exact pins, no addresses, nothing third-party in the repository, licences beside the scripts."""

from __future__ import annotations

import json
import re
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from fairlead.workbench.rendering import FOLDER

ROOT = Path(__file__).parents[2]
WEB, VENDOR = ROOT / "web", FOLDER / "static" / "vendor"


def test_every_dependency_is_pinned_exactly() -> None:
    package = json.loads((WEB / "package.json").read_text())
    pins = package["dependencies"] | package["devDependencies"]
    assert {"htmx.org", "neuroglancer", "vega", "vega-lite", "vega-embed"} == set(package["dependencies"])
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in pins.values())


def test_the_lock_names_hashes_and_no_registry() -> None:
    packages = json.loads((WEB / "package-lock.json").read_text())["packages"]
    assert all("resolved" not in package for package in packages.values())
    assert all(package["integrity"].startswith("sha512-") for place, package in packages.items() if place)


def test_no_third_party_script_is_in_the_repository() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files", "*.js"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    ours = {f"operators/fairlead/workbench/static/{name}.js" for name in ("asking", "cards", "centers", "copying", "frame", "page")}
    assert {name for name in listed if name.startswith(("web/", "operators/"))} <= ours


def test_the_vendor_folder_is_what_its_stamp_says_and_the_page_finds_its_scripts() -> None:
    if not (VENDOR / ".ready").is_file():
        pytest.skip("the web assets are not built; `make setup` builds them")
    stamped = dict(reversed(line.split("  ")) for line in (VENDOR / ".ready").read_text().splitlines())
    for name, digest in stamped.items():
        file = WEB / name if name == "package-lock.json" else VENDOR / name
        assert sha256(file.read_bytes()).hexdigest() == digest
    script = (FOLDER / "static" / "page.js").read_text()
    wanted = {f"{name}.min.js" for name in json.loads(re.search(r"VEGA = (\[.*\])", script)[1])} | {"htmx.min.js"}  # type: ignore[index]
    assert wanted == {name for name in stamped if name.endswith(".js")}


def test_the_licences_of_everything_bundled_travel_along() -> None:
    if not (VENDOR / ".ready").is_file():
        pytest.skip("the web assets are not built; `make setup` builds them")
    text = (VENDOR / "LICENCES.txt").read_text()
    for name in ("htmx.org", "vega", "vega-lite", "vega-embed", "d3-scale", "topojson-client"):
        assert re.search(rf"^=== {re.escape(name)} \d", text, re.MULTILINE)
