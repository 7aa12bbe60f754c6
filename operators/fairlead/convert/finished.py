"""Remember what a conversion made of which bytes, so that a resumed run repeats nothing that is finished and intact.

A note per job lies in ``<out>/.finished``, named by the digest of the source files and the options. It counts only while
every store it names still has the manifest it names.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from fairlead import __version__
from fairlead.convert.sources import digest_of
from fairlead.convert.staging import store_manifest
from fairlead.files import manifest_sha256, write_text
from fairlead.records import ConvertReport, Refusal, StoreReport

FOLDER: Final = ".finished"


@dataclass(frozen=True, slots=True)
class Finished:
    """The notes of one output folder; ``options`` are what else the stores depend on."""

    out: Path
    options: tuple[str, ...]

    def note_of(self, name: str, files: Iterable[Path]) -> Path:
        """Return where the note of a job lies: ``name`` tells jobs apart that read the same files."""
        digest = hashlib.sha256("\x1f".join((__version__, name, *self.options)).encode())
        for line in sorted(digest_of(file) for file in set(files)):
            digest.update(line.encode())
        return self.out / FOLDER / f"{digest.hexdigest()[:40]}.json"

    def read(self, note: Path) -> ConvertReport | None:
        """Return what the job made, or None when it did not finish or a store is gone or changed."""
        try:
            report = ConvertReport.model_validate(json.loads(note.read_text(encoding="utf-8")))
        except (OSError, ValueError, ValidationError):
            return None
        return report if all(self._intact(store) for store in report.stores) else None

    def write(self, note: Path, stores: Iterable[StoreReport], refused: Iterable[Refusal]) -> None:
        """Keep what the job made."""
        bare = tuple(Refusal(source=one.source, code=one.code, reason=one.reason) for one in refused)  # no names of files
        report = ConvertReport(stores=tuple(stores), refused=bare, seconds=0.0, peak_rss_mb=0.0)
        write_text(note, json.dumps(report.model_dump(mode="json"), sort_keys=True) + "\n")

    def _intact(self, store: StoreReport) -> bool:
        folder = self.out / store.path
        return folder.is_dir() and manifest_sha256(store_manifest(folder)) == store.manifest_sha256
