"""The documentation and the program say the same: settings, errors, chart values, links."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from fairlead.errors import error_classes
from fairlead.settings import Settings, load_settings

CHECKOUT = Path(__file__).parents[1]
SETTINGS_FILE = CHECKOUT / "configs" / "fairlead.yaml"
PAGES = sorted([*(CHECKOUT / "docs").rglob("*.md"), *CHECKOUT.glob("*.md")])


def setting_names(model: type[BaseModel] = Settings, prefix: str = "") -> set[str]:
    """Return the dotted names of every setting."""
    names: set[str] = set()
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names |= setting_names(kind, f"{prefix}{name}.")
        else:
            names.add(prefix + name)
    return names


def written_names(document: dict[str, Any], prefix: str = "") -> set[str]:
    """Return the dotted names of every leaf of a YAML document."""
    names: set[str] = set()
    for name, value in document.items():
        names |= written_names(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name}
    return names


def test_the_settings_file_names_every_setting_and_no_other() -> None:
    text = re.sub(r"^(\s*)#(\w+:)", r"\1\2", SETTINGS_FILE.read_text(), flags=re.MULTILINE)
    assert written_names(yaml.safe_load(text)) == setting_names()


def test_the_settings_file_as_it_stands_changes_nothing() -> None:
    assert load_settings(SETTINGS_FILE).model_dump() == Settings().model_dump()


def test_every_setting_has_a_comment_above_it_or_above_its_group() -> None:
    commented = False
    for line in SETTINGS_FILE.read_text().splitlines():
        if not line.strip():
            commented = False
        elif line.strip().startswith("# "):
            commented = True
        elif not re.match(r"^[a-z]+:$", line):
            assert commented, line


def test_generated_pages_are_current() -> None:
    done = subprocess.run([sys.executable, CHECKOUT / "tools" / "generate_docs.py", "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_error_code_is_on_the_errors_page_with_its_remedy() -> None:
    page = (CHECKOUT / "docs" / "errors.md").read_text()
    for kind in [kind for kind in error_classes() if kind.__module__.startswith("fairlead.")]:
        assert f"| `{kind.code}` |" in page, kind
        assert kind.default_remedy in page, kind


def test_no_two_errors_share_a_code_unless_one_is_the_others_kind() -> None:
    kinds = [kind for kind in error_classes() if kind.__module__.startswith("fairlead.")]
    for one in kinds:
        for other in kinds:
            assert one.code != other.code or issubclass(one, other) or issubclass(other, one), (one, other)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_links_to_files_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:|#", target):
            assert (page.parent / target.split("#")[0]).exists(), target


def test_the_site_lists_only_pages_that_exist() -> None:
    navigation = (CHECKOUT / "mkdocs.yml").read_text()
    for page in re.findall(r"([\w/-]+\.md)", navigation):
        assert (CHECKOUT / "docs" / page).is_file(), page


@pytest.mark.parametrize("number", ["0001", "0002", "0003", "0004"])
def test_a_decision_record_has_its_five_parts(number: str) -> None:
    (page,) = (CHECKOUT / "docs" / "adr").glob(f"{number}-*.md")
    headings = re.findall(r"^## (.+)$", page.read_text(), re.MULTILINE)
    assert headings == ["Context", "Decision", "Consequences", "Violated when", "Evidence"]


def test_every_make_target_in_the_contributor_page_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z-]+)", (CHECKOUT / "CONTRIBUTING.md").read_text()))
    assert named
    assert named <= targets
