"""The command line: exit status, where things are printed, no traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from fairlead import __version__, cli
from fairlead.cli import COMMAND_MODULES, build_app, hoist, run
from fairlead.errors import InvalidInput, ServiceUnreachable


def test_version_is_printed_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"fairlead {__version__}\n"


def test_wrong_usage_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["no-such-command"]) == 2
    assert "No such command" in capsys.readouterr().err


def test_a_missing_settings_file_exits_with_1_and_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--config", "missing.yaml", "config", "show"]) == 1
    error = capsys.readouterr().err
    assert "error [invalid-configuration] There is no settings file missing.yaml." in error
    assert "→ Correct --config" in error


@pytest.mark.parametrize(
    "line", [["--config", "x", "db", "upgrade"], ["db", "--config", "x", "upgrade"], ["db", "upgrade", "--config", "x"]]
)
def test_config_may_stand_anywhere(line: list[str]) -> None:
    assert hoist(line) == ["--config", "x", "db", "upgrade"]


def test_what_follows_two_dashes_is_left_alone() -> None:
    assert hoist(["ingest", "--", "--config", "x"]) == ["ingest", "--", "--config", "x"]


def test_config_with_equals_sign_and_debug_move_to_the_front() -> None:
    assert hoist(["node", "--debug", "--config=x"]) == ["--debug", "--config=x", "node"]


def test_every_command_has_help_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    command = typer.main.get_command(build_app())
    waiting = [([], command)]
    while waiting:
        path, found = waiting.pop()
        children = getattr(found, "commands", {})
        waiting += [([*path, name], child) for name, child in children.items()]
        assert run([*path, "--help"]) == 0
        text = " ".join(capsys.readouterr().out.split())  # an example may be wrapped
        assert children or "Example: fairlead" in text, path


def test_db_upgrade_prints_one_json_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path))
    assert run(["db", "upgrade", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"backend": "sqlite", "upgraded": True}
    assert (tmp_path / "fairlead.sqlite").is_file()


def test_config_show_masks_secrets(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FAIRLEAD_INDEX__PASSWORD", "hunter2")
    monkeypatch.setenv("FAIRLEAD_DATABASE_URL", "postgresql://user:hunter2@host/db")
    assert run(["config", "show"]) == 0
    assert "hunter2" not in capsys.readouterr().out


def test_config_check_accepts_what_is_shipped(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "check", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is True
    assert answer["profile"] == "basic"


def _app_that_raises(error: BaseException) -> object:
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    def fails() -> None:
        raise error

    return lambda: app


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (InvalidInput("The file is empty."), 1, "error [invalid-input] The file is empty."),
        (ServiceUnreachable("No index."), 3, "error [service-unreachable] No index."),
        (RuntimeError("secret detail"), 1, "error [internal] RuntimeError"),
        (KeyboardInterrupt(), 130, "stopped"),
        (BrokenPipeError(), 1, ""),
        (typer.Exit(4), 4, ""),
    ],
)
def test_exit_status_and_words(
    error: BaseException, status: int, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "build_app", _app_that_raises(error))
    assert run([]) == status
    shown = capsys.readouterr().err
    assert text in shown
    assert "Traceback" not in shown
    assert "secret detail" not in shown


@pytest.mark.parametrize("error", [InvalidInput("bad"), RuntimeError("bad")])
def test_debug_shows_the_traceback(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    def fails(debug: bool = False) -> None:
        raise error

    monkeypatch.setattr(cli, "build_app", lambda: app)
    with pytest.raises(type(error), match="bad"):
        run(["--debug"])


def test_main_exits_with_the_status() -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0


def test_every_command_module_is_registered() -> None:
    names = set(typer.main.get_command(build_app()).commands)
    assert {"demo", "node", "ingest", "extract", "index", "cohort", "deidentify", "convert", "publish", "catalog", "db", "config"} <= names
    assert "admin" in COMMAND_MODULES
