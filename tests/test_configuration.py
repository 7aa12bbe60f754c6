"""What a new user gets wrong first: each mistake is named with a remedy, and never ends in a traceback."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from fairlead.cli import run
from fairlead.configuration import read_mapping, unknown_variables
from fairlead.errors import InvalidConfiguration
from fairlead.settings import Settings, load_settings

COMMANDS = [("cohort", "list"), ("ingest", "."), ("index", "status"), ("catalog",), ("node", "status")]


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("FAIRLEAD_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("home", ["a-file", "a-file/below", "/proc/nowhere/home", "/dev/null"])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_home_that_cannot_be_used_is_named(
    command: tuple[str, ...], home: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a-file").write_text("")
    monkeypatch.setenv("FAIRLEAD_HOME", home)
    assert run(list(command)) == 1
    told = capsys.readouterr().err
    assert f"error [invalid-configuration] The home folder {(tmp_path / home).resolve()} cannot be used (" in told
    assert "→ Choose a folder that you may write" in told


def test_a_home_of_a_user_who_does_not_exist_is_named() -> None:
    with pytest.raises(InvalidConfiguration, match="The home folder ~nobody-here-xyz/x cannot be used"):
        _ = Settings(home=Path("~nobody-here-xyz/x")).home_folder


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"just words", "holds no named values"),
        (b"- a\n- b\n", "holds no named values"),
        (b"1: 2\n", "holds no named values"),
        (b"\x89PNG\r\n\x1a\n\x00\xff", "it is no text"),
        (b"\x00\x01\x02", "is not YAML"),
        (b"a: [\n", "line 2 is not YAML"),
        (b"a: 2026-99-99", "is not YAML"),
        (b"[" * 5000, "is not YAML"),
        (b"home: a\nlog: {level: x}\nhome: b\n", "line 3 is not YAML: 'home' stands twice"),
        (b"a: !!bool maybe", "is not YAML"),
    ],
)
def test_a_file_that_holds_no_mapping_is_refused_by_settings_and_routes(tmp_path: Path, content: bytes, message: str) -> None:
    from fairlead.receive import load_routes

    file = tmp_path / "x.yaml"
    file.write_bytes(content)
    for read in (load_settings, load_routes):
        with pytest.raises(InvalidConfiguration, match=message):
            read(file)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="cannot be read"):
        read_mapping(tmp_path, "routes file")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("FAIRLEAD_NODE__PORT", "many", r"FAIRLEAD_NODE__PORT: Input should be a valid integer"),
        ("FAIRLEAD_NODE__PROT", "104", r"FAIRLEAD_NODE__PROT: Extra inputs"),
        ("FAIRLEAD_CENTER", "Bad Name", r"FAIRLEAD_CENTER: String should match"),
        ("FAIRLEAD_NODE", "text", r"FAIRLEAD_NODE holds no JSON"),
    ],
)
def test_a_wrong_variable_is_named_as_its_author_wrote_it(name: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidConfiguration, match=message):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("FAIRLEAD_HOEM", "/x", "FAIRLEAD_HOEM is no setting; did you mean FAIRLEAD_HOME?"),
        ("FAIRLEAD_NODE_PORT", "104", "did you mean FAIRLEAD_NODE__PORT?"),
        ("FAIRLEAD_QQQQQQQQQQQQQQQQQQ", "1", "FAIRLEAD_QQQQQQQQQQQQQQQQQQ is no setting."),
        ("FAIRLEAD_DATABASE_URL", "nonsense", "FAIRLEAD_DATABASE_URL"),
        ("FAIRLEAD_CATALOG__BASE_URL", "catalog.example.org", "FAIRLEAD_CATALOG__BASE_URL must be an http or https address"),
        ("FAIRLEAD_CATALOG__BASE_URL", "ftp://example.org", "must be an http or https address"),
        ("FAIRLEAD_CATALOG__BASE_URL", "http://a b", "must be an http or https address"),
        ("FAIRLEAD_CATALOG__BASE_URL", "http://[", "must be an http or https address"),
        ("FAIRLEAD_CATALOG__BASE_URL", "http://h/?x=1", "must be an http or https address"),
    ],
)
def test_the_check_names_what_would_be_ignored_or_fail_later(
    name: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["config", "check"]) == 0
    monkeypatch.setenv(name, value)
    assert run(["config", "check"]) == 1
    assert message in capsys.readouterr().err


def test_variables_that_are_no_settings_on_purpose_are_not_complained_about() -> None:
    others = {"FAIRLEAD_CONFIG": "x", "FAIRLEAD_PROJECT_KEY_TRIAL": "y", "FAIRLEAD_PORT": "tcp://10.0.0.1:80", "FAIRLEAD_SERVICE_HOST": "h"}
    assert unknown_variables(Settings, others | {"FAIRLEAD_NODE__TLS__MUTUAL": "true", "PATH": "x"}) == []


@pytest.mark.parametrize("workdir", ["a-file", "/dev/null/x", "/proc/nowhere/x"])
def test_a_folder_of_the_demo_that_cannot_be_used_is_named(workdir: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a-file").write_text("")
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        assert run(["demo", "--workdir", workdir]) == 1
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert f"The work folder {(tmp_path / workdir).resolve()} cannot be used (" in capsys.readouterr().err
