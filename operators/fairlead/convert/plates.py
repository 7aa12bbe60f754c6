"""Put the images of an OME-XML on their plate: rows, columns, wells and fields as NGFF 0.5 names them ("plate", "well")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from fairlead.convert.ome_xml import OmePlate
from fairlead.convert.plan import CollectionPlan, ImagePlan, StorePlan
from fairlead.convert.sources import Source
from fairlead.errors import UnreadableImage
from fairlead.records import JsonObject

OFF_PLATE: Final = "its well and field of the plate: a field has at most five axes"


def in_plate(
    source: Source, stem: str, plate: OmePlate | None, plans: Mapping[str, ImagePlan], *, divided: Mapping[int, str]
) -> Iterator[StorePlan]:
    """Yield the plate with the images that lie in its wells, and every other image by itself.

    ``plans`` are by OME image id. A plate that names images which are not there is one of a set: its images that are there
    are placed, and the store says how many are not. Images of more axes than a field can have (``divided``, by their index)
    are stores by themselves, and say so.

    Raises
    ------
    UnreadableImage : one image in two wells.
    """
    placed: dict[str, ImagePlan] = {}
    wells: dict[tuple[int, int], list[str]] = {}
    used: set[str] = set()
    fields = plate.fields if plate is not None else ()
    for field in fields:
        if (plan := plans.get(field.image)) is None:
            continue
        if field.image in used:
            raise UnreadableImage("The plate has one image in two wells.")
        used.add(field.image)
        names = wells.setdefault((field.row, field.column), [])
        names.append(str(len(names)))
        placed[f"{_well(plate, field.row, field.column)}/{names[-1]}"] = plan
    if plate is not None and placed:
        off = sum(field.image in divided.values() for field in fields)
        absent = len(fields) - len(placed) - off
        yield CollectionPlan(
            name=stem,
            source=source.name,
            kind="HCS",
            groups=_groups(plate, wells),
            images=placed,
            dropped=tuple(
                text
                for count, text in (
                    (absent, f"{absent} fields of the plate are not among the sources"),
                    (off, f"{off} fields of the plate have more than five axes and are images of their own"),
                )
                if count
            ),
        )
    stated = {field.image for field in fields}
    for plan in (plan for image, plan in plans.items() if image not in used):
        lost = (OFF_PLATE,) if divided.get(plan.image_index or 0) in stated else ()
        yield replace(plan, dropped=(*plan.dropped, *lost))


def _groups(plate: OmePlate, wells: Mapping[tuple[int, int], list[str]]) -> dict[str, JsonObject]:
    paths = {place: _well(plate, *place) for place in sorted(wells)}
    root: JsonObject = {
        "rows": [{"name": name} for name in plate.rows],
        "columns": [{"name": name} for name in plate.columns],
        "wells": [{"path": path, "rowIndex": row, "columnIndex": column} for (row, column), path in paths.items()],
        "field_count": max(len(fields) for fields in wells.values()),
    }
    groups: dict[str, JsonObject] = {"": {"plate": root}}
    return groups | {paths[place]: {"well": {"images": [{"path": name} for name in fields]}} for place, fields in wells.items()}


def _well(plate: OmePlate | None, row: int, column: int) -> str:
    return f"{plate.rows[row]}/{plate.columns[column]}" if plate is not None else ""
