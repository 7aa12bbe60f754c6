"""A Kaapana index (``project_…`` on OpenSearch 2.19) as a source, read only: its series can be searched and counted beside ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import batched
from typing import Any, Final

from fairlead.errors import InvalidInput
from fairlead.extract import FieldCatalogue, read_kaapana
from fairlead.index.opensearch_client import connect, scan
from fairlead.index.port import Index, PutReport
from fairlead.records import ImagingRecord, Refusal, Route
from fairlead.settings import IndexSettings

PAGE: Final = 500
SERIES: Final = "0020000E SeriesInstanceUID_keyword"


def load_kaapana(index: Index, source: IndexSettings, *, route: Route, catalogue: FieldCatalogue, key: bytes) -> PutReport:
    """Put every series of the Kaapana index that we do not hold ourselves; reading again changes what has changed there.

    Raises
    ------
    ServiceUnreachable : one of the two servers failed; what was put stays and is unchanged the next time.
    """
    added = changed = unchanged = 0
    refused: list[Refusal] = []
    for page in batched(_records(source, route=route, catalogue=catalogue, key=key), PAGE):
        refused += [one for one in page if isinstance(one, Refusal)]
        records = {one.id: one for one in page if isinstance(one, ImagingRecord)}
        ours = {record.id for record in index.read(records) if record.core.source.paths}  # the bytes say more than Kaapana's view of them
        done = index.put(record for record in records.values() if record.id not in ours)
        added, changed, unchanged = added + done.added, changed + done.changed, unchanged + done.unchanged
        refused += done.refused
    return PutReport(added=added, changed=changed, unchanged=unchanged, refused=tuple(refused))


def _records(source: IndexSettings, *, route: Route, catalogue: FieldCatalogue, key: bytes) -> Iterator[ImagingRecord | Refusal]:
    everything: Mapping[str, Any] = {"query": {"match_all": {}}}
    for hit in scan(connect(source), source.name, everything, page=PAGE, order=f"{SERIES}.keyword"):
        try:
            yield read_kaapana(hit["_source"], route=route, catalogue=catalogue, key=key)
        except InvalidInput as error:
            yield Refusal(source=f"document {hit['_id']}", code=error.code, reason=error.message)
