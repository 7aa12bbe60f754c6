"""What the steward reads before deciding: who is in it, what will be done, who may use it, how it will be called."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Final

from fairlead.publish.counting import hidden_below
from fairlead.publish.model import Selected, describe, public_text
from fairlead.publish.parameters import ExportParameters
from fairlead.publish.previous import changes_of
from fairlead.publish.vocabulary import AccessRights
from fairlead.publish.worklist import Export
from fairlead.records import CohortVersion, Core, ImagingRecord

MARKUP: Final = re.compile(r"([\\`*_{}\[\]()<>#+!|~-])")
USE: Final[Mapping[AccessRights, str]] = {
    AccessRights.PUBLIC: "anyone may fetch the pixels",
    AccessRights.RESTRICTED: "the record is public, the pixels are not served without a permit",
    AccessRights.NON_PUBLIC: "the record is public, the pixels are not served",
}


def plain(text: str) -> str:
    r"""Return text that Markdown shows as it is, on one line.

    >>> plain("*bold* <b>")
    '\\*bold\\* \\<b\\>'
    """
    return MARKUP.sub(r"\\\1", " ".join(text.split()))


def summarise(
    export: Export,
    cohort: CohortVersion,
    *,
    sentence: str,
    records: Mapping[str, ImagingRecord],
    codes: tuple[str, ...],
    threshold: int = 0,
    before: ExportParameters | None = None,
) -> str:
    """Return the evidence as Markdown; words from headers are escaped, nobody is named.

    Title, description and ``sentence`` are those that will be public; the numbers of the description are those of all members,
    and become smaller when some do not pass.
    """
    shown = codes if any(record.core.source.place == "archive" for record in records.values()) else ()
    counts = cohort.counts
    below = hidden_below(counts, rights=export.parameters.access_rights, threshold=threshold)
    description = describe(export.parameters, Selected(sentence, members=counts.series, below=below), counts=counts, codes=shown)
    modalities = Counter(concept.raw for core in _cores(records) if (concept := core.modality or core.imaging_method))
    places = Counter(f"{core.center} / {core.project}" for core in _cores(records))
    kinds = Counter(str(core.kind) for core in _cores(records))
    lines = [
        f"**{plain(export.title)}**: cohort version `{cohort.ref}`, requested by {plain(export.requested_by)}.",
        "",
        "Public for everybody, as soon as you approve:",
        "",
        f"> Title: {plain(export.title)}",
        ">",
        f"> Description: {plain(description)}",
        ">",
        f"> Selection: {plain(public_text(sentence)) or '(none)'}",
        "",
        f"In house: {plain(cohort.sentence) or '(no sentence)'}",
        "",
        "| | |",
        "|---|---|",
        f"| Patients, studies, series, images | {counts.patients}, {counts.studies}, {counts.series}, {counts.images} |",
        f"| Size of the sources | {counts.size_bytes / 1e6:.1f} MB |",
        f"| Modalities | {_table(modalities)} |",
        f"| Kinds | {_table(kinds)} |",
        f"| Centre / project | {_table(places)} |",
        f"| De-identification | profile `{plain(export.parameters.profile)}`, PS3.15 codes {', '.join(codes)} |",
        f"| Licence | {plain(export.parameters.license or 'the catalogue’s own')} |",
        f"| Access | {export.parameters.access_rights.value}: {USE[export.parameters.access_rights]} |",
        f"| Geometry policy, OME-Zarr | {export.parameters.geometry}, {export.parameters.ngff} |",
        f"| Definition sha256 | `{cohort.definition_sha256}` |",
        f"| Members sha256 | `{cohort.members_sha256}` |",
    ]
    if changed := changes_of(export.parameters, before):
        lines.append(f"| **Changed since the version before** | {plain('; '.join(changed))} |")
    if cohort.purpose:
        lines.append(f"| Purpose | {plain(cohort.purpose)} |")
    missing = len(cohort.members) - len(records)
    if missing:
        lines.append(f"| No longer in the index | {missing} of {len(cohort.members)} |")
    return "\n".join(lines) + "\n"


def _cores(records: Mapping[str, ImagingRecord]) -> list[Core]:
    return [record.core for record in records.values()]


def _table(counted: Counter[str]) -> str:
    return ", ".join(f"{plain(name)} × {number}" for name, number in counted.most_common()) or "not stated"
