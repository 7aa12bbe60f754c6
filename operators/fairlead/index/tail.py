"""The long tail: what no field of the catalogue holds, by path. It can be searched by exact value, not counted.

A path joins the parts of the record: DICOM tags (``dicom/00081140/00081155``; items of a sequence share a path), REMBI groups
(``rembi/…``), blocks of vendors (``vendor/…``). Values are compared as text, yes and no as ``true`` and ``false``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from fairlead.errors import UnsupportedInput
from fairlead.records import ImagingRecord, Scalar

LONGEST: Final = 4_000
"""Characters of a value that can be searched; longer ones stay in the record only."""


def long_tail(record: ImagingRecord) -> dict[str, list[str]]:
    """Return the searchable values of a record by path."""
    dicom, ome = record.community.dicom, record.community.ome
    return _tail(dicom.other if dicom else {}, ome.rembi if ome else {}, record.vendor)


def long_tail_of(document: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the same for a record as its JSON document."""
    community = document.get("community", {})
    dicom, ome = community.get("dicom") or {}, community.get("ome") or {}
    return _tail(dicom.get("other", {}), ome.get("rembi", {}), document.get("vendor", {}))


def checked_path(path: str) -> str:
    """Return the path; raise UnsupportedInput when it could mean several."""
    if path and "*" not in path:
        return path
    raise UnsupportedInput("A path of the long tail is exact.", remedy="Example: dicom/00081140/00081155.")


def _tail(dicom: Any, rembi: Any, vendor: Any) -> dict[str, list[str]]:
    tail: dict[str, list[str]] = {}
    for path, value in _leaves({"dicom": dicom, "rembi": rembi, "vendor": vendor}, ()):
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if text and len(text) <= LONGEST:
            tail.setdefault("/".join(path), []).append(text)
    return tail


def _leaves(node: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Scalar]]:
    match node:
        case Mapping() if "vr" in node:  # DICOM JSON, PS3.18 F.2.2: the attribute's values are one level down
            yield from _leaves(node.get("Value", ()), path)
        case Mapping():
            for name, child in node.items():
                yield from _leaves(child, (*path, str(name)))
        case list() | tuple():
            for child in node:
                yield from _leaves(child, path)
        case None:
            return
        case _:
            yield path, node
