"""The real left-hand side: cohorts and index, the archive, the de-identification engine, the converter."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from fairlead.cohort import CohortStore
from fairlead.convert import convert, render_preview
from fairlead.deidentify import clean_words, deidentify_folder, load_profile
from fairlead.extract import load_catalogue
from fairlead.files import manifest_lines, manifest_sha256, sha256_file
from fairlead.index import Index, open_index
from fairlead.keys import load_project_key, pseudonym
from fairlead.progress import Progress, Silent
from fairlead.publish.model import without_keys
from fairlead.publish.parameters import ExportParameters
from fairlead.publish.vocabulary import CHANNEL_TERMS
from fairlead.records import CohortVersion, ConvertReport, DeidentifyReport, ImagingRecord
from fairlead.settings import Settings

CHARACTERS: Final = 16
"""Hexadecimal characters of a published pseudonym: 64 bits, keyed, so nobody can try out identifiers."""


class Rooms:
    """The rooms to the left, behind :class:`fairlead.publish.upstream.Upstream`."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._settings = settings
        self._cohorts = CohortStore(engine)

    @cached_property
    def _index(self) -> Index:
        return open_index(self._settings, load_catalogue(self._settings.fields_file))

    def cohort(self, reference: str) -> CohortVersion:
        """Return a frozen version; raise NotFound."""
        return self._cohorts.get(reference)

    def record(self, record_id: str) -> ImagingRecord:
        """Return an indexed record; raise NotFound."""
        return self._index.get(record_id)

    def check_profile(self, profile: str) -> tuple[str, ...]:
        """Return the profile's PS3.15 method codes; raise when there is no such profile."""
        return tuple(sorted(load_profile(profile).codes))

    def is_unchanged(self, record: ImagingRecord) -> bool:
        """Compare the file, or the folder's manifest, with the content hash that was indexed."""
        path = Path(record.core.source.paths[0])
        if path.is_dir():
            return manifest_sha256(manifest_lines(path)) == record.core.generation
        return path.is_file() and sha256_file(path) == record.core.generation

    def deidentify(self, record: ImagingRecord, out: Path, *, profile: str, progress: Progress) -> DeidentifyReport:
        """De-identify the archived instances of one series under the project's key."""
        del progress  # the caller counts members; one bar is enough
        sources = [self._settings.archive_folder / path for path in record.core.source.paths]
        return deidentify_folder(sources, out, profile=load_profile(profile), key=self._key(record.core.project), progress=Silent())

    def convert(
        self, record: ImagingRecord, sources: Sequence[Path], *, out: Path, parameters: ExportParameters, progress: Progress
    ) -> ConvertReport:
        """Convert one series, or every image of the OME file that the record is from."""
        del record, progress
        return convert(list(sources), out, ngff=parameters.ngff, geometry=parameters.geometry, progress=Silent())

    def clean(self, text: str) -> str:
        """Keep the words that de-identification knows to be harmless, and the names of stains and fluorophores."""
        return clean_words(without_keys(text), forbidden=frozenset(), allowed=CHANNEL_TERMS)

    def preview(self, store: Path, png: Path) -> None:
        """Render the picture of a store."""
        render_preview(store, png)

    def pseudonyms(self, version: CohortVersion, record: ImagingRecord) -> tuple[str, str]:
        """Return keyed pseudonyms of image and subject: stable over the versions of one cohort, not linkable between cohorts."""
        key = self._key(record.core.project)
        image = pseudonym(key, "published-image", f"{version.id}\x1f{record.id}").hex()[:CHARACTERS]
        who = "\x1f".join((version.id, record.core.center, record.core.project, record.core.patient_key))
        return f"i{image}", f"s{pseudonym(key, 'published-subject', who).hex()[:CHARACTERS]}"

    def _key(self, project: str) -> bytes:
        return load_project_key(self._settings.secrets_folder, project)
