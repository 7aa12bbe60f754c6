"""What lies beside the pixels of a described store: a minimal RO-Crate and the manifest of every other file.

Sources: RO-Crate 1.2 (https://w3id.org/ro/crate/1.2), sections "Root Data Entity" and "Data Entities"; RFC 8493 section 2.1.3. A store that
nobody published has no date of publication and no licence; ``fairlead publish`` writes a crate that has both in its place.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from fairlead.convert.plan import ImagePlan, StorePlan
from fairlead.convert.staging import MANIFEST, Digests, store_manifest
from fairlead.files import relative_files, write_text
from fairlead.records import JsonObject

CRATE: Final = "ro-crate-metadata.json"
CONTEXT: Final = "https://w3id.org/ro/crate/1.2/context"
PROFILE: Final = "https://w3id.org/ro/crate/1.2"
NGFF: Final = "https://ngff.openmicroscopy.org/{version}/"
DCM: Final = "http://dicom.nema.org/resources/ontology/DCM/"
METHODS: Final = frozenset({"CT", "MR", "PT", "NM", "US", "XA", "RF", "CR", "DX", "MG", "SM", "SEG", "IO", "PX", "XC", "OT"})
"""Modalities of PS3.16 CID 29 that images here have; the crate names no other word of a header."""
MEDIA: Final = {".json": "application/json", ".csv": "text/csv", ".xml": "application/xml", ".icc": "application/vnd.iccprofile"}


def describe(folder: Path, plan: StorePlan, digests: Digests, *, ngff: str) -> None:
    """Write crate and manifest, the last files of a store."""
    write_text(folder / CRATE, json.dumps(store_crate(folder, plan, ngff=ngff), indent=2, sort_keys=True) + "\n")
    write_text(folder / MANIFEST, "\n".join(store_manifest(folder, digests)))  # its own sha256 is the report's manifest_sha256


def store_crate(folder: Path, plan: StorePlan, *, ngff: str) -> JsonObject:
    """Return the crate of one store: what it is, which series it is from, and the documents in it; no name, date or free text."""
    version = NGFF.format(version=ngff)
    root: JsonObject = {
        "@id": "./",
        "@type": "Dataset",
        "name": "OME-Zarr image" if plan.kind in {"OME", "HCS"} else plan.name,
        "description": f"One image as OME-Zarr {ngff}, voxels compared with their source.",
        "conformsTo": {"@id": version},
    }
    others: list[JsonObject] = [{"@id": version, "@type": "CreativeWork", "name": f"OME-NGFF {ngff}"}]
    if plan.source.startswith("urn:oid:"):
        root["isBasedOn"] = {"@id": plan.source}
        others.append({"@id": plan.source, "@type": "CreativeWork", "name": "DICOM series"})
    if isinstance(plan, ImagePlan) and plan.kind in METHODS:
        root["about"] = {"@id": f"{DCM}{plan.kind}"}
        others.append({"@id": f"{DCM}{plan.kind}", "@type": "DefinedTerm", "name": plan.kind, "termCode": plan.kind})
    files = [_file(folder, path) for path in relative_files(folder) if path.suffix in MEDIA and path.name != "zarr.json"]
    if files:
        root["hasPart"] = [{"@id": entity["@id"]} for entity in files]
    descriptor = {"@id": CRATE, "@type": "CreativeWork", "conformsTo": {"@id": PROFILE}, "about": {"@id": "./"}}
    return {"@context": CONTEXT, "@graph": [descriptor, root, *others, *files]}


def _file(folder: Path, path: Path) -> JsonObject:
    size = (folder / path).stat().st_size
    return {"@id": path.as_posix(), "@type": "File", "encodingFormat": MEDIA[path.suffix], "contentSize": str(size)}
