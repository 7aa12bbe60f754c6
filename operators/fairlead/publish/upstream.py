"""The rooms to the left, as the export needs them: a port, so that the export's own promises can be tried without pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from fairlead.errors import NotFound
from fairlead.publish.parameters import ExportParameters
from fairlead.records import CohortVersion, ConvertReport, DeidentifyReport, ImagingRecord

if TYPE_CHECKING:  # pydicom: not for a look at the list
    from fairlead.deidentify import Traces


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

    def threshold(self) -> int:
        """Return the number of patients below which a record that is not public says no number; raise InvalidConfiguration."""
        ...

    def is_unchanged(self, record: ImagingRecord) -> bool:
        """Return whether a file that is read in place still has the content that was indexed."""
        ...

    def in_place(self, record: ImagingRecord) -> bool:
        """Return whether the converter reads the source where it is: OME-Zarr folders, whose metadata it takes over by an allow-list.

        Raise UnsupportedInput when the source shows the label of a slide.
        """
        ...

    def deidentify(self, cohort: CohortVersion, record: ImagingRecord, out: Path, *, profile: str) -> DeidentifyReport:
        """Write the de-identified instances of one DICOM series, or files of one OME set, under ``out``."""
        ...

    def convert(self, record: ImagingRecord, sources: Sequence[Path], *, out: Path, parameters: ExportParameters) -> ConvertReport:
        """Write the stores of one series, or every image of one OME file, under ``out``; ``sources`` are safe files, or the file."""
        ...

    def clean(self, text: str) -> str:
        """Return only those words of a free text that cannot identify anybody; empty when none is left."""
        ...

    def validate(self, store: Path) -> str:
        """Return what is wrong with a store, empty when it is valid."""
        ...

    def sentence(self, version: CohortVersion) -> str:
        """Return what the cohort selects in words that may be published: no names that people gave, no free text."""
        ...

    def identity(self, records: Iterable[ImagingRecord], *, profile: str) -> Traces:
        """Return what identifies somebody in the sources of records, to be looked for in what was made of them."""
        ...

    def preview(self, store: Path, png: Path) -> None:
        """Render the picture of a store."""
        ...

    def pseudonyms(self, version: CohortVersion, record: ImagingRecord) -> tuple[str, str]:
        """Return the published pseudonyms of the image and of its subject."""
        ...


def records_of(upstream: Upstream, identifiers: Iterable[str]) -> dict[str, ImagingRecord]:
    """Return the records that are in the index; what is gone since the cohort was frozen the de-identify step lists as refused."""
    found: dict[str, ImagingRecord] = {}
    for identifier in identifiers:
        with suppress(NotFound):
            found[identifier] = upstream.record(identifier)
    return found
