"""Exact numbers from OpenSearch: aggregations with a set of small codes instead of an estimate.

``cardinality`` is HyperLogLog++ and may be some percent off. A scripted metric that sets one bit a patient is exact; the
bits of all shards and slices are joined before they are counted. Measured: docs/performance.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fairlead.errors import UnsupportedInput
from fairlead.extract import FieldDeclaration
from fairlead.index.criteria import Has
from fairlead.index.opensearch_mapping import path_of
from fairlead.index.opensearch_query import CODES, Query, none_of, stated
from fairlead.index.port import FacetValue
from fairlead.index.rows import UNKNOWN_LABEL, label_of
from fairlead.records import Counts, Scalar

MOST_VALUES: Final = 10_000
PAGE: Final = 10_000
JOINED_BITS: Final = """
BitSet all = new BitSet();
for (s in states) { if (s != null) { all.or(BitSet.valueOf(s)) } }
return all.cardinality()
"""


def distinct(group: str) -> Query:
    """Return the aggregation that counts patients or studies exactly."""
    return {
        "scripted_metric": {
            "init_script": "state.seen = new BitSet()",
            "map_script": f"state.seen.set((int) doc['{group}.code'].value)",
            "combine_script": "return state.seen.toLongArray()",
            "reduce_script": JOINED_BITS,
        }
    }


TOTALS: Final[Query] = {
    "patients": distinct("patient"),
    "studies": distinct("study"),
    "images": {"sum": {"field": "images"}},
    "bytes": {"sum": {"field": "bytes"}},
}


def counts_of(answer: Mapping[str, Any]) -> Counts:
    """Return the four grains and bytes; sums are doubles on the wire, exact up to 2^53."""
    found = answer["aggregations"]
    return Counts(
        patients=int(found["patients"]["value"] or 0),
        studies=int(found["studies"]["value"] or 0),
        series=int(answer["hits"]["total"]["value"]),
        images=int(found["images"]["value"]),
        size_bytes=int(found["bytes"]["value"]),
    )


def facet_aggregations(field: FieldDeclaration) -> Query:
    """Return two aggregations: the buckets of a field (dates by year), and who does not state it."""
    patients = {"patients": distinct("patient")}
    by_year = {"date_histogram": {"field": path_of(field.id), "calendar_interval": "year", "format": "yyyy", "min_doc_count": 1}}
    by_value = {"terms": {"field": path_of(field.id), "size": MOST_VALUES}}
    return {
        f"{field.id}|stated": (by_year if field.type == "date" else by_value) | {"aggs": patients},
        f"{field.id}|unknown": {"filter": none_of(stated(field.id)), "aggs": patients},
    }


def facet_of(field: FieldDeclaration, found: Mapping[str, Any]) -> tuple[FacetValue, ...]:
    """Return the buckets, most series first, the unknown ones last.

    Raises
    ------
    UnsupportedInput : more values than one answer holds; a part of them would look like all.
    """
    listed, unknown = found[f"{field.id}|stated"], found[f"{field.id}|unknown"]
    if listed.get("sum_other_doc_count"):
        raise UnsupportedInput(f"The field {field.id} has more than {MOST_VALUES} values here.", remedy="Narrow the definition first.")
    buckets = [
        FacetValue(value, label_of(value, field.vocabulary), int(one["patients"]["value"] or 0), int(one["doc_count"]))
        for one in listed["buckets"]
        for value in [_value(one, field)]
    ]
    buckets.sort(key=lambda bucket: (-bucket.series, bucket.label))
    if not unknown["doc_count"]:
        return tuple(buckets)
    return (*buckets, FacetValue(None, UNKNOWN_LABEL, int(unknown["patients"]["value"] or 0), int(unknown["doc_count"])))


def _value(bucket: Mapping[str, Any], field: FieldDeclaration) -> Scalar:
    match field.type:
        case "boolean":
            return bool(bucket["key"])
        case "date":
            return str(bucket["key_as_string"])
        case "integer":
            return int(bucket["key"])
        case "float":
            return float(bucket["key"])
        case _:
            return str(bucket["key"])


def tally_body(query: Query, node: Has, after: Mapping[str, Any] | None) -> Query:
    """Return one page of the numbers per group that a quantifier needs; a page ends with ``after_key``."""
    group = {"group": {"terms": {"field": CODES[node.same]}}}
    sources = [group, {"study": {"terms": {"field": "study.code"}}}] if node.grain == "study" else [group]
    pages = {"size": PAGE, "sources": sources} | ({"after": after} if after else {})
    images = {"aggs": {"images": {"sum": {"field": "images"}}}} if node.grain == "image" else {}
    return {"size": 0, "query": query, "aggs": {"groups": {"composite": pages} | images}}


def amount_of(bucket: Mapping[str, Any], node: Has) -> int:
    """Return what one bucket of a tally adds to its group: one study, its series, or their images."""
    match node.grain:
        case "study":
            return 1
        case "image":
            return int(bucket["images"]["value"])
        case "series":
            return int(bucket["doc_count"])


def days_body(query: Query, path: str, after: Mapping[str, Any] | None) -> Query:
    """Return one page of the last day of each patient among the matching."""
    pages = {"size": PAGE, "sources": [{"group": {"terms": {"field": "patient.code"}}}]} | ({"after": after} if after else {})
    last = {"last": {"max": {"field": path, "format": "yyyy-MM-dd"}}}
    return {"size": 0, "query": query, "aggs": {"groups": {"composite": pages, "aggs": last}}}


def patients_body(query: Query, pit: Mapping[str, Any], after: Mapping[str, Any] | None) -> Query:
    """Return one page of the keys of patients with a matching record."""
    pages = {"size": PAGE, "sources": [{"key": {"terms": {"field": "patient.key"}}}]} | ({"after": after} if after else {})
    return {"size": 0, "query": query, "pit": dict(pit), "track_total_hits": False, "aggs": {"keys": {"composite": pages}}}
