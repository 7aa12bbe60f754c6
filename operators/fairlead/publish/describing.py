"""The describe step: members table, crates, record, checked views, manifest. Everything here can be done again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from fairlead.files import atomic_write, write_text
from fairlead.publish.check import check_shapes, require_valid, shapes_of
from fairlead.publish.check_documents import require_documents
from fairlead.publish.crate import write_crate, write_store_crate
from fairlead.publish.members import PARQUET, TABLE, write_members
from fairlead.publish.model import Ingredients, build_record
from fairlead.publish.staging import MANIFEST, below, content_sha256, lines_of, measure, remove_hidden
from fairlead.publish.views import render, serialise
from fairlead.records import DatasetRecord

RECORD_FILES: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "fdp": (("record.ttl", "text/turtle"), ("record.jsonld", "application/ld+json")),
    "dcat-ap": (("record.dcat-ap.ttl", "text/turtle"),),
    "health-ri": (("record.health-ri.ttl", "text/turtle"),),
    "healthdcat-ap": (("record.healthdcat-ap.ttl", "text/turtle"),),
    "imaging": (("record.imaging.ttl", "text/turtle"),),
}
"""Files of each view in a published folder, with their media types."""


def write_dataset(folder: Path, given: Ingredients, *, version: int, now: datetime, issued: datetime | None) -> tuple[DatasetRecord, str]:
    """Complete the dataset's folder and return its record and the digest of its content.

    Raises
    ------
    ShapeViolation : a view does not conform; nothing is published.
    CheckFailed : a crate does not hold together.
    """
    write_members(folder, given.stores, given.records)
    remove_hidden(folder)
    content = measure(folder, descriptions=False)
    digest = content_sha256(content, parameters=given.parameters.model_dump_json())
    made = {path: below(content, path) for path in (item.store.path for item in given.stores)}
    tables = {path: content[path] for path in (TABLE, PARQUET) if path in content}
    made |= tables
    draft = build_record(replace(given, made=made), version=version, now=now, issued=issued)
    for item in draft.distributions:
        if item.store is not None:
            write_store_crate(folder / item.path, draft, title=item.title)
    crates = measure(folder, descriptions=True)
    made |= {path: below({**content, **crates}, path) for path in made if path not in tables}
    record = build_record(replace(given, made=made), version=version, now=now, issued=issued)
    write_views(folder, record, given=given)
    require_documents(record, site=given.site)
    write_crate(folder, record, site=given.site)
    write_text(folder / MANIFEST, "\n".join(lines_of({**content, **measure(folder, descriptions=True)})) + "\n")
    return record, digest


def write_views(folder: Path, record: DatasetRecord, *, given: Ingredients) -> None:
    """Render, check and write every view that was asked for; the first that does not conform stops the export."""
    for profile in given.parameters.views:
        graph = render(record, profile, site=given.site)
        require_valid(check_shapes(graph, shapes_of(profile, record)))
        for name, media_type in RECORD_FILES[profile]:
            with atomic_write(folder / name) as handle:
                handle.write(serialise(graph, media_type))
