"""The real left-hand side: cohorts and index, the archive, the de-identification engine, the converter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from sqlalchemy import Engine

from fairlead.cohort import CohortStore, parse_definition, public_sentence
from fairlead.convert import ConvertOptions, convert, render_preview, validate_store
from fairlead.deidentify import Traces, clean_words, deidentify_folder, files_of_set, load_profile, require_no_label
from fairlead.errors import CheckFailed
from fairlead.extract import load_catalogue
from fairlead.federation import load_policy
from fairlead.files import manifest_lines, manifest_sha256, sha256_file
from fairlead.index import Index, open_index
from fairlead.keys import load_project_key, pseudonym
from fairlead.progress import Silent
from fairlead.publish.model import without_keys
from fairlead.publish.parameters import ExportParameters
from fairlead.publish.vocabulary import CHANNEL_TERMS
from fairlead.receive import Ledger
from fairlead.records import CohortVersion, ConvertReport, DeidentifyReport, ImagingRecord
from fairlead.settings import Settings

CHARACTERS: Final = 16
"""Hexadecimal characters of a published pseudonym: 64 bits, keyed, so nobody can try out identifiers."""


class Rooms:
    """The rooms to the left, behind :class:`fairlead.publish.upstream.Upstream`."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._settings = settings
        self._cohorts = CohortStore(engine)
        self._ledger = Ledger(engine)

    @cached_property
    def _index(self) -> Index:
        return open_index(self._settings, load_catalogue(self._settings.fields_file))

    def cohort(self, reference: str) -> CohortVersion:
        """Return a frozen version; raise NotFound."""
        return self._cohorts.exportable(reference)

    def record(self, record_id: str) -> ImagingRecord:
        """Return an indexed record; raise NotFound."""
        return self._index.get(record_id)

    def check_profile(self, profile: str) -> tuple[str, ...]:
        """Return the profile's PS3.15 method codes; raise when there is no such profile."""
        return tuple(sorted(load_profile(profile).codes))

    def threshold(self) -> int:
        """Return the threshold of the centre's governance policy."""
        return load_policy(self._settings.governance_file, load_catalogue(self._settings.fields_file)).disclosure.threshold

    def is_unchanged(self, record: ImagingRecord) -> bool:
        """Compare the file, or the folder's manifest, with the content hash that was indexed."""
        path = Path(record.core.source.paths[0])
        if path.is_dir():
            return manifest_sha256(manifest_lines(path)) == record.core.generation
        return path.is_file() and sha256_file(path) == record.core.generation

    def in_place(self, record: ImagingRecord) -> bool:
        """Return whether the source is an OME-Zarr folder; raise UnsupportedInput when it shows the label of a slide."""
        path = Path(record.core.source.paths[0])
        if not path.is_dir():
            return False
        require_no_label(path)
        return True

    def deidentify(self, cohort: CohortVersion, record: ImagingRecord, out: Path, *, profile: str) -> DeidentifyReport:
        """De-identify the archived instances of one series, or an OME file with its set, under a key of this cohort alone.

        So identifiers and shifted dates of one dataset are not those of another one.
        """
        self._require_demanded(record, profile)
        sources = [self._settings.archive_folder / path for path in record.core.source.paths]
        if record.core.source.place == "file":
            sources = list(files_of_set(sources[0]))
        before = [sha256_file(path) for path in sources] if record.core.source.place == "file" else []
        key = pseudonym(self._key(record.core.project), "published-dataset", cohort.id)
        report = deidentify_folder(sources, out, profile=load_profile(profile), key=key, progress=Silent())
        if before and before != [sha256_file(path) for path in sources]:
            raise CheckFailed("A file of the set changed while it was de-identified.")
        return report

    def _require_demanded(self, record: ImagingRecord, profile: str) -> None:
        core = record.core
        demanded = self._ledger.demanded_profile(core.project, core.center, core.series_uid) if core.source.place == "archive" else None
        if demanded not in (None, profile):
            raise CheckFailed(f"The route of this series demands the de-identification profile {demanded}.")

    def convert(self, record: ImagingRecord, sources: Sequence[Path], *, out: Path, parameters: ExportParameters) -> ConvertReport:
        """Convert one series, or every image of the OME file that the record is from; an OME-Zarr is de-identified on the way.

        Raises
        ------
        CheckFailed : the OME-Zarr cannot be de-identified: a chunk holds identity, or its metadata are none that can be cleaned.
        """
        options = ConvertOptions(ngff=parameters.ngff, geometry=parameters.geometry)
        if not any(source.is_dir() for source in sources):
            return convert(list(sources), out, options=options, progress=Silent())
        with TemporaryDirectory(dir=out.parent, prefix=".safe-") as folder:
            return convert(self._safe_stores(record, sources, Path(folder), parameters), out, options=options, progress=Silent())

    def _safe_stores(self, record: ImagingRecord, sources: Sequence[Path], out: Path, parameters: ExportParameters) -> list[Path]:
        """De-identify an OME-Zarr under a key of this cohort alone, as :meth:`deidentify` does for files; what is no part of it stays."""
        key = pseudonym(self._key(record.core.project), "published-dataset", parameters.cohort.partition("@")[0])
        report = deidentify_folder(list(sources), out, profile=load_profile(parameters.profile), key=key, progress=Silent())
        stores = sorted((out / "ome").glob("*.ome.zarr"))
        if report.residue or not stores:
            reasons = sorted({item.reason for item in report.quarantined}) or ["it would still hold identity"]
            raise CheckFailed(f"The OME-Zarr was not de-identified: {'; '.join(reasons)}.")
        return stores

    def validate(self, store: Path) -> str:
        """Return the first error that a validator finds in the store."""
        errors = [finding for finding in validate_store(store).findings if finding.severity == "error"]
        return f"{errors[0].validator} at {errors[0].path or '/'}" if errors else ""

    def sentence(self, version: CohortVersion) -> str:
        """Return what the cohort selects, without a word that somebody wrote freely."""
        catalogue = load_catalogue(self._settings.fields_file)
        return public_sentence(parse_definition(version.definition, catalogue), catalogue)

    def identity(self, records: Iterable[ImagingRecord], *, profile: str) -> Traces:
        """Return what identifies somebody in the sources of records."""
        traces = Traces(load_profile(profile))
        for record in records:
            paths = [self._settings.archive_folder / path for path in record.core.source.paths]
            if record.core.source.place == "file":
                traces.add_file(paths[0])
            else:
                traces.add_series(paths)
        return traces

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
