"""The rooms to the left, as the export needs them: a port, so that the export's own promises can be tried without pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from fairlead.progress import Progress
from fairlead.publish.parameters import ExportParameters
from fairlead.records import CohortVersion, ConvertReport, DeidentifyReport, ImagingRecord


class Upstream(Protocol):
    """Cohorts, records, de-identification and conversion."""

    def cohort(self, reference: str) -> CohortVersion:
        """Return a frozen version; raise NotFound."""
        ...

    def record(self, record_id: str) -> ImagingRecord:
        """Return an indexed record; raise NotFound."""
        ...

    def check_profile(self, profile: str) -> tuple[str, ...]:
        """Return the method codes of a de-identification profile; raise InvalidConfiguration or NotFound."""
        ...

    def is_unchanged(self, record: ImagingRecord) -> bool:
        """Return whether a file that is read in place still has the content that was indexed."""
        ...

    def deidentify(self, record: ImagingRecord, out: Path, *, profile: str, progress: Progress) -> DeidentifyReport:
        """Write the de-identified instances of one DICOM series under ``out``."""
        ...

    def convert(
        self, record: ImagingRecord, sources: Sequence[Path], *, out: Path, parameters: ExportParameters, progress: Progress
    ) -> ConvertReport:
        """Write the stores of one series, or every image of one OME file, under ``out``; ``sources`` are safe files, or the file."""
        ...

    def clean(self, text: str) -> str:
        """Return only those words of a free text that cannot identify anybody; empty when none is left."""
        ...

    def preview(self, store: Path, png: Path) -> None:
        """Render the picture of a store."""
        ...

    def pseudonyms(self, version: CohortVersion, record: ImagingRecord) -> tuple[str, str]:
        """Return the published pseudonyms of the image and of its subject."""
        ...
