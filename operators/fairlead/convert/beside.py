"""What lies beside the pixels of a described store: a minimal RO-Crate and the manifest of every other file.

Sources: RO-Crate 1.2 (https://w3id.org/ro/crate/1.2), sections "Root Data Entity" and "Data Entities"; RFC 8493 section 2.1.3.

A crate must have a date and a licence. A store that nobody published has the day of its conversion, and without a licence says that
rights were not evaluated. The day stays when nothing else changes, so that a second run writes the same bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from fairlead.convert.documents import read_json
from fairlead.convert.plan import ImagePlan, StorePlan
from fairlead.convert.staging import MANIFEST, Digests, store_manifest
from fairlead.errors import UnsupportedInput
from fairlead.files import relative_files, sha256_file, write_text
from fairlead.records import JsonObject

CRATE: Final = "ro-crate-metadata.json"
CONTEXT: Final = "https://w3id.org/ro/crate/1.2/context"
PROFILE: Final = "https://w3id.org/ro/crate/1.2"
NGFF: Final = "https://ngff.openmicroscopy.org/{version}/"
SPDX: Final = "https://spdx.org/licenses/"
NOT_EVALUATED: Final = "http://rightsstatements.org/vocab/CNE/1.0/"
"""RightsStatements.org, "Copyright Not Evaluated": neither a licence nor a prohibition."""
LICENSE: Final = re.compile(r"https?://[^\s\"<>\\^`{|}]{4,300}|[A-Za-z0-9][A-Za-z0-9.+-]{1,63}")
DCM: Final = "http://dicom.nema.org/resources/ontology/DCM/"
METHODS: Final = frozenset({"CT", "MR", "PT", "NM", "US", "XA", "RF", "CR", "DX", "MG", "SM", "SEG", "IO", "PX", "XC", "OT"})
"""Modalities of PS3.16 CID 29 that images here have; the crate names no other word of a header."""
MEDIA: Final = {".json": "application/json", ".csv": "text/csv", ".xml": "application/xml", ".icc": "application/vnd.iccprofile"}
ROOT: Final = "zarr.json"
ABOUT: Final[Mapping[str, tuple[str, str]]] = {
    ROOT: ("OME-Zarr metadata", "Axes, levels, sampling and windows of the image."),
    "dicom/metadata.json": ("DICOM header", "The de-identified header of the first instance in the DICOM JSON model (PS3.18 Annex F)."),
    "dicom/planes.csv": ("Table of planes", "Instance, place, value scale and sha256 of the voxels of every plane."),
    "OME/METADATA.ome.xml": ("OME-XML", "The de-identified OME-XML of the source."),
}
PROFILE_OF_COLOUR: Final = ("Colour profile", "The ICC profile of an optical path, without words and dates.")


def today() -> date:
    """Return the day in UTC."""
    return datetime.now(UTC).date()


def describe(folder: Path, plan: StorePlan, digests: Digests, *, ngff: str, clock: Callable[[], date] = today) -> None:
    """Write crate and manifest, the last files of a store that will lie beside its staging ``folder`` under the plan's name.

    The day is that of the store which lies there already, when it is otherwise the same.
    """
    crate = store_crate(folder, plan, ngff=ngff)
    target = folder.parent / f"{plan.name}.ome.zarr"
    kept = day_of(_crate_of(target))
    _write(folder, crate, kept or clock(), digests)
    if kept is not None and not _same_manifest(folder, target):
        _write(folder, crate, clock(), digests)


def redate(store: Path, day: date) -> str:
    """Give a described store another day, and return the sha256 of its new manifest."""
    document = read_json(store / CRATE)
    (store / CRATE).unlink()
    lines = [line for line in (store / MANIFEST).read_text(encoding="utf-8").splitlines() if not line.endswith(f"  {CRATE}")]
    _write(store, document, day, {store / line[66:]: line[:64] for line in lines})
    return sha256_file(store / MANIFEST)


def day_of(crate: Any) -> date | None:
    """Return the day of a crate of ours, None when it has none."""
    graph = crate.get("@graph") if isinstance(crate, dict) else None
    roots = [entity for entity in graph if isinstance(entity, dict) and entity.get("@id") == "./"] if isinstance(graph, list) else []
    try:
        return date.fromisoformat(str(roots[0]["datePublished"]))
    except (LookupError, ValueError):
        return None


def license_iri(stated: str) -> str:
    """Return the address of a licence: itself, or that of an SPDX identifier.

    Raises
    ------
    UnsupportedInput : neither an address nor an identifier.

    >>> license_iri("CC-BY-4.0")
    'https://spdx.org/licenses/CC-BY-4.0'
    """
    if not LICENSE.fullmatch(stated):
        raise UnsupportedInput("The licence is no address and no SPDX identifier.", remedy="Give one such as CC-BY-4.0 or https://…")
    return stated if "://" in stated else SPDX + stated


def store_crate(folder: Path, plan: StorePlan, *, ngff: str) -> JsonObject:
    """Return the crate of one store without a day: what it is, which series it is from, the documents in it; no name or free text."""
    version = NGFF.format(version=ngff)
    files = [_file(folder, path) for path in relative_files(folder) if path.suffix in MEDIA and (path.name != ROOT or len(path.parts) == 1)]
    for entity in files:
        if entity["@id"] == ROOT:
            entity["conformsTo"] = {"@id": version}
    licence = _licence(plan.license)
    root: JsonObject = {
        "@id": "./",
        "@type": "Dataset",
        "name": "OME-Zarr image" if plan.kind in {"OME", "HCS"} else plan.name,
        "description": f"One image as OME-Zarr {ngff}, voxels compared with their source. Not published; dated by its conversion.",
        "license": {"@id": licence["@id"]},
        "hasPart": _one_or_more([{"@id": entity["@id"]} for entity in files]),
    }
    others: list[JsonObject] = [licence, {"@id": version, "@type": "CreativeWork", "name": f"OME-NGFF {ngff}"}]
    if plan.source.startswith("urn:oid:"):
        root["isBasedOn"] = {"@id": plan.source}
        others.append({"@id": plan.source, "@type": "CreativeWork", "name": "DICOM series"})
    if isinstance(plan, ImagePlan) and plan.kind in METHODS:
        root["about"] = {"@id": f"{DCM}{plan.kind}"}
        others.append({"@id": f"{DCM}{plan.kind}", "@type": "DefinedTerm", "name": plan.kind, "termCode": plan.kind})
    said = {"name": "RO-Crate metadata", "description": "What this folder holds."}
    descriptor = {"@id": CRATE, "@type": "CreativeWork", "conformsTo": {"@id": PROFILE}, "about": {"@id": "./"}} | said
    return {"@context": CONTEXT, "@graph": [descriptor, root, *others, *files]}


def _write(folder: Path, crate: JsonObject, day: date, digests: Digests) -> None:
    dated = [entity | ({"datePublished": day.isoformat()} if entity["@id"] == "./" else {}) for entity in crate["@graph"]]
    (folder / MANIFEST).unlink(missing_ok=True)
    write_text(folder / CRATE, json.dumps(crate | {"@graph": dated}, indent=2, sort_keys=True) + "\n")
    write_text(folder / MANIFEST, "\n".join(store_manifest(folder, digests)))  # its own sha256 is the report's manifest_sha256


def _crate_of(store: Path) -> Any:
    try:
        return read_json(store / CRATE)
    except (OSError, ValueError):
        return None


def _same_manifest(one: Path, two: Path) -> bool:
    try:
        return (one / MANIFEST).read_bytes() == (two / MANIFEST).read_bytes()
    except OSError:
        return False


def _licence(stated: str) -> JsonObject:
    if not stated:
        said = "No licence was stated when this store was made; ask who has the rights before you use or pass on what is in it."
        return {"@id": NOT_EVALUATED, "@type": "CreativeWork", "name": "Copyright Not Evaluated", "description": said}
    said = "The licence of this store, as it was stated when it was made."
    return {"@id": license_iri(stated), "@type": "CreativeWork", "name": stated, "description": said}


def _one_or_more(values: list[JsonObject]) -> JsonObject | list[JsonObject]:
    """Return a single value as itself (RO-Crate 1.2, "JSON-LD")."""
    return values[0] if len(values) == 1 else values


def _file(folder: Path, path: Path) -> JsonObject:
    name, said = ABOUT.get(path.as_posix(), PROFILE_OF_COLOUR if path.suffix == ".icc" else (path.name, "A document of the store."))
    size = str((folder / path).stat().st_size)
    entity: JsonObject = {"@id": path.as_posix(), "@type": "File", "name": name, "description": said}
    return entity | {"encodingFormat": MEDIA[path.suffix], "contentSize": size}
