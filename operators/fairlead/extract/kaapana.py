"""A document of a Kaapana index (``project_…``) as a record: one series, of which Kaapana has read one file.

Kaapana names a property ``GGGGEEEE Name_type`` and keeps dates and times as ISO texts. What is taken is the tag and the value; the
name is not trusted. What is not taken, and why: private attributes (named without their creator, so another vendor's block may bear
the name), DT (shifted by its time zone rule), everything Kaapana derives itself (group 0000) but the range of instance numbers.
The header is then read as every other one is: identities are left out, ages and vocabularies are ours.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from pydicom import Dataset, Sequence
from pydicom.datadict import dictionary_VR
from pydicom.tag import Tag

from fairlead.errors import InvalidInput
from fairlead.extract.catalogue import FieldCatalogue
from fairlead.extract.dicom_series import build_record
from fairlead.extract.findings import finding
from fairlead.extract.headers import PARSE_ERRORS, Header, quiet_readers
from fairlead.extract.series_reader import SeriesReader
from fairlead.records import Geometry, ImagingRecord, ReceivedSeries, Route, Source

PROPERTY: Final = re.compile(r"([0-9A-F]{8}) ")
NOT_TAKEN: Final = frozenset({"DT", "OB", "OW", "UN", "OF", "OD", "OL", "OV"})
AS_NUMBERS: Final = {"DS": "FD", "IS": "SL"}
"""Kaapana has parsed decimal texts already; the binary types take numbers as they are."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
SYNTAX: Final = "00020010 TransferSyntaxUID_keyword"
FIRST: Final = "00000000 MinInstanceNumber_integer"
LAST: Final = "00000000 MaxInstanceNumber_integer"
ABSENT: Final = "00000000 MissingInstanceNumbers_integer"
FIRST_FILE_ONLY: Final = "first-file-only"


def read_kaapana(document: Mapping[str, Any], *, route: Route, catalogue: FieldCatalogue, key: bytes) -> ImagingRecord:
    """Return the record of one document; its bytes stay in Kaapana, so it can be searched and counted, not exported.

    Raises
    ------
    InvalidInput : the document names no study or no series.
    """
    with quiet_readers():
        header = Header(_dataset(document), str(_first(document.get(SYNTAX)) or ""), 0, pixels_cut=False)
    study, series = header.uid("StudyInstanceUID"), header.uid("SeriesInstanceUID")
    if not study or not series:
        raise InvalidInput("A document of the Kaapana index names no study or no series.", remedy="It was left out; look at it there.")
    reader = SeriesReader(catalogue, project=route.project)
    with quiet_readers():
        reader.observe(header)
        received = ReceivedSeries(
            study_uid=study,
            series_uid=series,
            generation=hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest(),
            instances=(),
            route=route,
            first_received_at=EPOCH,
            last_received_at=EPOCH,
        )
        return _as_it_is(build_record(reader, received, source=Source(place="archive", paths=()), key=key), _instances(document))


def _as_it_is(record: ImagingRecord, instances: int) -> ImagingRecord:
    """Say how many instances there are, and nothing that one file cannot know."""
    seen = record.core.geometry
    core = record.core.model_copy(
        update={"instances": instances, "geometry": Geometry(size_x=seen.size_x, size_y=seen.size_y, verdict="none")}
    )
    return record.model_copy(update={"core": core, "findings": (*record.findings, finding(FIRST_FILE_ONLY))})


def _instances(document: Mapping[str, Any]) -> int:
    first, last = _first(document.get(FIRST)), _first(document.get(LAST))
    absent = document.get(ABSENT)
    if not isinstance(first, int) or not isinstance(last, int) or last < first:
        return 1
    return max(1, last - first + 1 - (len(absent) if isinstance(absent, list) else 0))


def _dataset(document: Mapping[str, Any]) -> Dataset:
    dataset = Dataset()
    for name, value in document.items():
        found = PROPERTY.match(name)
        tag = Tag(int(found[1], 16)) if found else Tag(0)
        if tag.group in (0x0000, 0x0002) or tag.is_private or value is None:
            continue
        try:
            vr = dictionary_VR(tag).partition(" ")[0]
            if vr not in NOT_TAKEN and tag not in dataset:
                dataset.add_new(tag, AS_NUMBERS.get(vr, vr), _value(vr, value))
        except PARSE_ERRORS:  # an attribute nobody knows, or a value that its type cannot hold: no value, as in a damaged file
            continue
    return dataset


def _value(vr: str, value: Any) -> Any:
    match vr:
        case _ if vr != "SQ" and not _is_plain(value):
            raise ValueError
        case "SQ":
            return Sequence([_dataset(item) for item in (value if isinstance(value, list) else [value]) if isinstance(item, dict)])
        case "DA":
            return [str(one).replace("-", "") for one in value] if isinstance(value, list) else str(value).replace("-", "")
        case "TM":
            return [str(one).replace(":", "") for one in value] if isinstance(value, list) else str(value).replace(":", "")
        case _:
            return value


def _is_plain(value: Any) -> bool:
    members = value if isinstance(value, list) else [value]
    return all(isinstance(one, str | int | float) for one in members)


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else value
