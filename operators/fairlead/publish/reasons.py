"""Why a member stayed behind: the reason in full for the house, and one fixed text a code for everybody else.

Reasons of readers and converters quote names of files, and people name files after patients. So nothing that is published is
made of them: the public sentence depends on the code alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from fairlead.records import Refusal

PUBLIC: Final[Mapping[str, str]] = {
    "not-found": "The record is no longer in the index.",
    "changed": "The file is gone or has changed since it was indexed.",
    "quarantined": "Instances stayed behind, because they could not be de-identified safely.",
    "residual-identity": "Instances stayed behind, because de-identified output still held identity.",
    "check-failed": "The converted voxels or metadata did not pass a check.",
    "geometry": "The geometry of the series is irregular.",
    "invalid-input": "The source cannot be read.",
    "unreadable-image": "The source cannot be read.",
    "not-dicom": "The source cannot be read.",
    "unsupported-input": "The kind of image is not supported.",
    "no-preview": "The image is published without a picture.",
}
OTHER: Final = "The image could not be published."
LONGEST: Final = 8000


def public(refused: Iterable[Refusal]) -> tuple[Refusal, ...]:
    """Return the refusals as everybody may read them, each once: pseudonym, code, and the fixed text of the code.

    >>> public([Refusal(source="i1", code="geometry", reason="DOE_JANE.dcm is irregular")])[0].reason
    'The geometry of the series is irregular.'
    """
    known = dict.fromkeys((item.source, item.code) for item in refused)
    return tuple(Refusal(source=source, code=code, reason=PUBLIC.get(code, OTHER)) for source, code in known)


def in_house(refused: Iterable[Refusal]) -> str:
    """Return the full reasons for the row of the work list, one a line."""
    return "\n".join(f"{item.source}: {item.code}: {item.reason}" for item in refused)[:LONGEST]
