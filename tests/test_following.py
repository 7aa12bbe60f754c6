"""Log lines from an association to an export name what ties them together."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from backup.builders import fairlead
from fairlead.logs import JsonLines, about
from fairlead.settings import Settings
from receive.builders import a_slice, part10


def line_of(message: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(JsonLines().format(logging.LogRecord("x", logging.INFO, "", 0, message, (), None)))
    return found


def test_ids_stand_in_every_line_of_their_block_and_in_no_other() -> None:
    with about(association="a1"), about(export="e1"):
        assert (line_of("x")["association"], line_of("x")["export"]) == ("a1", "e1")
    assert not {"association", "export"} & set(line_of("x"))


def test_a_series_is_followed_from_its_sender_to_its_record(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "1.dcm").write_bytes(part10(a_slice()))
    monkeypatch.setenv("FAIRLEAD_LOG__FORMAT", "json")
    done = fairlead(settings, "ingest", tmp_path / "1.dcm", "--json")
    lines = {line["message"]: line for line in map(json.loads, filter(lambda text: text.startswith("{"), done.stderr.splitlines()))}
    left, complete, indexed = (lines[message] for message in ("a sender left its series", "a series is complete", "indexed"))
    assert left["association"]
    assert left["series"] == complete["series"]
    assert complete["generation"] == indexed["generation"]
    assert len(indexed["records"]) == 1
    assert "Doe" not in done.stderr
