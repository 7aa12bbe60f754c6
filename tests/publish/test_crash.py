"""Kill -9 at a line of the code that publishes: nothing half visible, and the next run ends well."""

from __future__ import annotations

import mmap
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

from fairlead.database import open_database
from fairlead.publish import DatasetStore, Exports, verify_published
from fairlead.settings import Settings
from publish.conftest import Clock, run
from publish.fakes import FakeUpstream, a_cohort, an_imaging_record

OURS = f"{os.sep}fairlead{os.sep}publish{os.sep}"
READERS = ("check.py", "crate.py", "graph.py", "graph_ap.py", "residue.py", "verify.py", "vocabulary.py")
"""They change nothing, so there is nothing to break by dying in them."""
EVERY = 11
"""Every eleventh line is tried: neighbouring lines of a statement are one place to die."""


def opened(home: Path) -> tuple[Settings, object, Exports]:
    """Return settings, engine and work list on a home."""
    settings = Settings(home=home)
    engine = open_database(settings)
    records = [an_imaging_record(1), an_imaging_record(2)]
    return settings, engine, Exports(settings, engine, upstream=FakeUpstream(a_cohort(records), records), clock=Clock())


def die_at(line: int, home: Path, step: str, identifier: str) -> bool:
    """Run a step in a child that is killed at its n-th line; return whether it was killed before the end."""
    child = os.fork()
    if child == 0:
        _, _, exports = opened(home)
        seen = 0

        def trace(frame, event, argument):
            nonlocal seen
            if OURS not in frame.f_code.co_filename or frame.f_code.co_filename.endswith(READERS):
                return None
            seen += event == "line"
            if seen >= line:
                os._exit(9)
            return trace

        sys.settrace(trace)
        getattr(exports, step)(identifier)
        sys.settrace(None)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 9


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # zarr's event loop; the child does not use it
@pytest.mark.parametrize(("prepared", "step"), [("describe", "publish"), ("convert", "describe")])
def test_a_kill_at_any_line_leaves_nothing_half_visible_and_the_step_can_be_repeated(tmp_path: Path, prepared: str, step: str):
    _, engine, exports = opened(tmp_path / "ready")
    identifier = run(exports, until=prepared)
    engine.dispose()
    line, killed = 1, True
    while killed:
        home = tmp_path / f"home-{line}"
        shutil.copytree(tmp_path / "ready", home)
        killed = die_at(line, home, step, identifier)
        settings, engine, again = opened(home)
        store = DatasetStore(settings, engine)
        for record in store.published():
            assert all(verify_published(store.folder(record.id), record).values())
        again.describe(identifier)
        record = again.publish(identifier)
        assert record.version == 1
        assert (store.folder(record.id) / "manifest-sha256.txt").is_file()
        assert not list(settings.staging_folder.glob("*"))
        engine.dispose()
        shutil.rmtree(home)
        line += EVERY if step == "publish" else EVERY * 40
    assert line > 5 * EVERY


def killed_at(share: float, home: Path, identifier: str, *, lines: int) -> bool:
    """Publish in a child, send it SIGKILL after a share of its lines, wherever it is by then; return whether that came in time."""
    seen = mmap.mmap(-1, 8)
    child = os.fork()
    if child == 0:
        _, _, exports = opened(home)

        def trace(frame, event, argument):
            if OURS not in frame.f_code.co_filename:
                return None
            seen[:] = (int.from_bytes(seen[:]) + (event == "line")).to_bytes(8)
            return trace

        sys.settrace(trace)
        exports.publish(identifier)
        os._exit(0)
    while int.from_bytes(seen[:]) < share * lines:
        if os.waitpid(child, os.WNOHANG)[0]:
            return False
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == -signal.SIGKILL


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_sigkill_of_the_publishing_process_leaves_nothing_half_visible(tmp_path: Path):
    _, engine, exports = opened(tmp_path / "ready")
    identifier = run(exports, until="describe")
    engine.dispose()
    lines = counted(tmp_path, identifier)
    killed = 0
    for step in (2, 5, 8, 9):
        home = tmp_path / f"home-{step}"
        shutil.copytree(tmp_path / "ready", home)
        killed += killed_at(step / 10, home, identifier, lines=lines)
        settings, engine, again = opened(home)
        store = DatasetStore(settings, engine)
        for record in store.published():
            assert all(verify_published(store.folder(record.id), record).values())
        assert again.publish(identifier).version == 1
        assert [all(verify_published(store.folder(record.id), record).values()) for record in store.published()] == [True]
        assert not list(settings.staging_folder.glob("*"))
        engine.dispose()
    assert killed >= 2


def counted(tmp_path: Path, identifier: str) -> int:
    """Return how many lines of ours a publication runs."""
    shutil.copytree(tmp_path / "ready", tmp_path / "whole")
    _, engine, exports = opened(tmp_path / "whole")
    number = 0

    def trace(frame, event, argument):
        nonlocal number
        number += event == "line" and OURS in frame.f_code.co_filename
        return trace if OURS in frame.f_code.co_filename else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        exports.publish(identifier)
    finally:
        sys.settrace(before)
        engine.dispose()
    return number


def test_a_folder_whose_exporter_died_before_its_row_gives_way_to_a_faster_one(tmp_path: Path):
    settings, engine, exports = opened(tmp_path / "home")
    slow = run(exports, until="describe")
    fast = run(exports, run_id="run-2", until="describe", license="CC0-1.0")
    record = exports.get(slow).record
    orphan = settings.published_folder / record.id / f"v1-{exports.get(slow).content_sha256[:12]}"
    orphan.parent.mkdir(parents=True)
    (settings.staging_folder / slow / "dataset").rename(orphan)
    assert DatasetStore(settings, engine).published() == ()
    assert exports.publish(fast).version == 1
    assert exports.publish(slow).version == 2
    store = DatasetStore(settings, engine)
    assert sorted(path.name[:2] for path in (settings.published_folder / record.id).iterdir()) == ["v1", "v2"]
    assert all(verify_published(store.folder(record.id), store.get(record.id)).values())
    engine.dispose()


def test_an_orphan_of_the_same_content_is_replaced(tmp_path: Path):
    settings, engine, exports = opened(tmp_path / "home")
    identifier = run(exports, until="describe")
    export = exports.get(identifier)
    orphan = settings.published_folder / export.dataset_id / f"v1-{export.content_sha256[:12]}"
    orphan.mkdir(parents=True)
    (orphan / "half").write_text("left by a crash")
    record = exports.publish(identifier)
    assert not (DatasetStore(settings, engine).folder(record.id) / "half").exists()
    engine.dispose()
