"""A home with something of every kind in it: received series, a watched microscopy file, a cohort, a publication, a catalog user."""

from __future__ import annotations

import gzip
import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
from sqlalchemy import Engine, insert

from fairlead.backup import Vault
from fairlead.backup.manifest import TABLES
from fairlead.catalog.accounts import Accounts
from fairlead.cli import hoist, run
from fairlead.database import open_database, utc_now
from fairlead.extract import load_catalogue
from fairlead.index import All, open_index
from fairlead.publish.tables import datasets, exports
from fairlead.settings import Settings
from publish.samples import a_record
from receive.builders import a_slice, part10


class Done(NamedTuple):
    """How a command line ended."""

    returncode: int
    stdout: str
    stderr: str


def fairlead(settings: Settings, *arguments: str | Path) -> Done:
    """Run the command line on these settings, in this process."""
    before, out, err = dict(os.environ), StringIO(), StringIO()
    os.environ |= {name: value for name, value in environment(settings).items() if name.startswith("FAIRLEAD_")}
    try:
        with redirect_stdout(out), redirect_stderr(err):
            status = run(hoist([str(argument) for argument in arguments]))
    finally:
        os.environ.clear()
        os.environ.update(before)
    return Done(status, out.getvalue(), err.getvalue())


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "fairlead.cli", *map(str, arguments)]


def environment(settings: Settings) -> dict[str, str]:
    database = {} if settings.database_url is None else {"FAIRLEAD_DATABASE_URL": settings.database}
    return {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "FAIRLEAD_HOME": str(settings.home_folder), **database}


def result(done: Done) -> dict[str, Any]:
    """Return the JSON document of a command that must have succeeded."""
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def furnish(settings: Settings, scratch: Path, *, slices: int = 4) -> None:
    """Fill a home through the same doors as its users."""
    source = scratch / "scanner"
    source.mkdir()
    for number in range(slices):
        (source / f"{number}.dcm").write_bytes(part10(a_slice(number + 1)))
    settings.watch_folder.mkdir(parents=True)
    tifffile.imwrite(settings.watch_folder / "cells.ome.tif", np.zeros((2, 8, 8), "uint16"), ome=True)
    result(fairlead(settings, "ingest", source, settings.watch_folder, "--json"))
    engine = open_database(settings)
    Accounts(settings, engine).add("ada@example.org", "a long password")
    publish(settings, engine)
    engine.dispose()


def publish(settings: Settings, engine: Engine) -> None:
    """Write one published version, row and bytes."""
    folder = settings.published_folder / "ds-1" / "1"
    folder.mkdir(parents=True)
    (folder / "record.ttl").write_text("<> a <urn:x> .\n")
    now = utc_now()
    with engine.begin() as connection:
        row = {"id": "ex-1", "run_id": "r", "state": "published", "cohort": "c@1", "parameters": "{}", "requested_by": "a"}
        connection.execute(insert(exports).values(**row, requested_at=now, changed_at=now))
        row = {"id": "ds-1", "version": 1, "state": "published", "folder": "ds-1/1", "record": a_record().model_dump_json()}
        connection.execute(insert(datasets).values(**row, content_sha256="0" * 64, export_id="ex-1", published_at=now))


def bytes_of(settings: Settings) -> dict[str, bytes]:
    """Return every file that a backup has to bring back, by its path below the home."""
    kept = (settings.archive_folder, settings.published_folder, settings.watch_folder)
    files = [path for folder in kept for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(settings.home_folder).as_posix(): path.read_bytes() for path in files}


def rows(vault: Path, snapshot: str) -> str:
    """Return the rows of a snapshot as text."""
    return gzip.decompress((Vault(vault).chosen(snapshot) / TABLES).read_bytes()).decode()


def records(settings: Settings) -> tuple[str, frozenset[str]]:
    """Return generation and members of the index."""
    index = open_index(settings, load_catalogue(settings.fields_file))
    return index.status().generation, frozenset(index.members(All()).ids)
