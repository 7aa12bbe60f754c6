"""The strict mapping that the field catalogue generates, and the document of one row.

Every field of the catalogue is one explicit property below ``values`` (texts below ``words``, as whole words); ``stated``
lists the ids of the fields that a record states, so that absence is a fact and never a guess. Everything else of the
headers is one ``flat_object`` (``other``): it can be searched by path, not counted. ``document`` is the record itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from fairlead.errors import InvalidConfiguration
from fairlead.extract import FieldCatalogue, FieldDeclaration
from fairlead.index.columns import WORD
from fairlead.index.rows import SOURCE_FIELD, Row
from fairlead.index.tail import long_tail
from fairlead.records import Scalar

LAYOUT: Final = 3
"""Number of this module's document; another one is a new generation, as another catalogue is."""

BETWEEN_VALUES: Final = 100_000
"""Words between two values of one field, so that a search for several words finds them in one value."""

TYPES: Final[Mapping[str, Mapping[str, Any]]] = {
    "keyword": {"type": "keyword"},
    "integer": {"type": "long"},
    "float": {"type": "double"},
    "boolean": {"type": "boolean"},
    "date": {"type": "date", "format": "strict_date"},
}
KEPT: Final = {"type": "keyword", "index": False, "doc_values": False}
KEY: Final = {"properties": {"key": {"type": "keyword"}, "code": {"type": "integer"}}}


def path_of(field: str) -> str:
    """Return where the values of a field lie in a document."""
    return "source" if field == SOURCE_FIELD else f"values.{field}"


def mapping_of(catalogue: FieldCatalogue) -> dict[str, Any]:
    """Return the mapping; its ``_meta`` names the catalogue and the layout.

    Raises
    ------
    InvalidConfiguration : a field's id is the beginning of another's (``lung`` and ``lung.side``): one property cannot be both.
    """
    values: dict[str, Any] = {}
    words: dict[str, Any] = {}
    for field in catalogue.fields.values():
        if field.type == "text":
            _place(words, field.id, {"type": "text", "analyzer": "whitespace", "position_increment_gap": BETWEEN_VALUES, "norms": False})
        else:
            _place(values, field.id, {**TYPES[field.type], **({"eager_global_ordinals": True} if _counted(field) else {})})
    numbers = {"ord": {"type": "integer"}, "images": {"type": "long"}, "bytes": {"type": "long"}}
    texts = {name: {"type": "keyword"} for name in ("id", "source", "stated")}
    frame = {"properties": {"code": {"type": "integer"}}}
    objects = {"patient": KEY, "study": KEY, "frame": frame, "values": {"properties": values}, "words": {"properties": words}}
    properties = {
        **texts,
        **numbers,
        **objects,
        "revision": {"type": "keyword", "index": False, "doc_values": True},
        "draw": {"type": "long", "index": False, "doc_values": True},
        "other": {"type": "flat_object"},
        "document": KEPT,
    }
    return {"dynamic": "strict", "_meta": {"catalogue": catalogue.sha256, "layout": LAYOUT}, "properties": properties}


def _counted(field: FieldDeclaration) -> bool:
    return field.type == "keyword" and field.facetable


def _place(tree: dict[str, Any], field: str, what: Mapping[str, Any]) -> None:
    *parents, last = field.split(".")
    for parent in parents:
        tree = tree.setdefault(parent, {"properties": {}}).setdefault("properties", None)
        if tree is None:
            raise _both(field)
    if last in tree:
        raise _both(field)
    tree[last] = dict(what)


def _both(field: str) -> InvalidConfiguration:
    return InvalidConfiguration(f"The field {field!r} is both a value and a group of values for OpenSearch.", remedy="Give it another id.")


class GroupCodes(NamedTuple):
    """The small numbers of the groups that a record belongs to; ``frame`` is None where it states no frame of reference."""

    patient: int
    study: int
    frame: int | None


def document_of(row: Row, catalogue: FieldCatalogue, *, ordinal: int, codes: GroupCodes) -> dict[str, Any]:
    """Return the document of a row under its ordinal and the codes of its groups."""
    fields = {name: found for name, found in row.values.items() if name != SOURCE_FIELD}
    texts = {name for name in fields if catalogue.fields[name].type == "text"}
    return {
        "id": row.id,
        "ord": ordinal,
        "draw": row.draw,
        "revision": row.revision,
        "patient": {"key": row.patient, "code": codes.patient},
        "study": {"key": row.study, "code": codes.study},
        "frame": {} if codes.frame is None else {"code": codes.frame},
        "images": row.images,
        "bytes": row.size_bytes,
        "source": list(row.values.get(SOURCE_FIELD, ())),
        "stated": sorted(row.values),
        "values": _nested({name: list(found) for name, found in fields.items() if name not in texts}),
        "words": _nested({name: [in_words(str(value)) for value in fields[name]] for name in texts}),
        "other": {} if row.record is None else long_tail(row.record),
        "document": row.document,
    }


def in_words(text: str) -> str:
    """Return the whole words of a text, letter case folded, as the server splits them again.

    >>> in_words("Chest CT, B30f")
    'chest ct b30f'
    """
    return " ".join(WORD.findall(text.casefold()))


def _nested(flat: Mapping[str, list[Any]]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for field, found in flat.items():
        *parents, last = field.split(".")
        here = tree
        for parent in parents:
            here = here.setdefault(parent, {})
        here[last] = found
    return tree


def fitting(values: Iterable[Scalar], field: FieldDeclaration) -> list[Scalar]:
    """Return the values that the field's type can hold: a word never equals a number, and the server would refuse the question."""
    match field.type:
        case "integer" | "float":
            return [value for value in values if isinstance(value, int | float)]
        case "boolean":
            return [value for value in values if isinstance(value, bool)]
        case _:
            return [value for value in values if isinstance(value, str)]
