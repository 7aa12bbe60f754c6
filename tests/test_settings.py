"""Settings: order of sources, derived paths, refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.errors import InvalidConfiguration
from fairlead.settings import Settings, load_settings, settings_file


def test_paths_follow_home(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert settings.archive_folder == tmp_path / "archive"
    assert settings.published_folder == tmp_path / "published"
    assert settings.staging_folder.parent == settings.published_folder.parent
    assert settings.watch_folder == tmp_path / "watch"
    assert settings.secrets_folder == tmp_path / "secrets"
    assert settings.index_file == tmp_path / "index.sqlite"
    assert settings.database == f"sqlite:///{tmp_path}/fairlead.sqlite"


def test_the_environment_beats_the_file_and_the_file_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "fairlead.yaml"
    file.write_text("node:\n  port: 104\n  ae_title: FROM_FILE\n")
    monkeypatch.setenv("FAIRLEAD_NODE__PORT", "4242")
    settings = load_settings(file)
    assert settings.node.port == 4242
    assert settings.node.ae_title == "FROM_FILE"
    assert settings.node.settle_after_s == 5.0


def test_the_database_url_is_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_DATABASE_URL", "postgresql://u:hunter2@h/d")
    settings = load_settings()
    assert settings.database == "postgresql://u:hunter2@h/d"
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nodes: {}", "nodes: Extra inputs are not permitted"),
        ("node: {port: 70000}", r"node\.port: Input should be less than or equal to 65535"),
        ("node: {ae_title: SEVENTEEN_LETTERS}", r"node\.ae_title"),
        ("center: Bad Name", "center: String should match pattern"),
        ("a: [", "is not YAML"),
    ],
)
def test_every_problem_is_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "fairlead.yaml"
    file.write_text(text)
    with pytest.raises(InvalidConfiguration, match=message):
        load_settings(file)


def test_a_wrong_secret_is_not_repeated(tmp_path: Path) -> None:
    file = tmp_path / "fairlead.yaml"
    file.write_text("index: {password: [hunter2]}")
    with pytest.raises(InvalidConfiguration) as caught:
        load_settings(file)
    assert "hunter2" not in str(caught.value)


def test_the_file_named_by_the_environment_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("project: trial")
    monkeypatch.setenv("FAIRLEAD_CONFIG", str(file))
    assert settings_file() == file
    assert load_settings().project == "trial"


def test_outside_a_checkout_the_packaged_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = settings_file()
    assert found is not None
    assert found.name == "fairlead.yaml"
    assert load_settings().model_dump() == Settings().model_dump()
