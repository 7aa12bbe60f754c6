"""Seeded builders of imaging records, and a small catalogue to read them with."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from fairlead.errors import UnknownField
from fairlead.records import (
    Community,
    Concept,
    Core,
    DicomMetadata,
    Geometry,
    ImagingRecord,
    JsonObject,
    OmeMetadata,
    Scalar,
    Source,
    Value,
)

BODY_PARTS = {"CHEST": "SCT:816094009", "HEAD": "SCT:69536005"}


@dataclass(frozen=True)
class Declaration:
    """The part of a field declaration that searching needs."""

    id: str
    title: str
    type: str
    unit: str | None = None
    grain: str = "series"
    facetable: bool = True
    aliases: tuple[str, ...] = ()
    vocabulary: str | None = None


@dataclass(frozen=True)
class SmallCatalogue:
    """A field catalogue of a dozen fields that reads attributes by their id."""

    fields: Mapping[str, Declaration]
    sha256: str = "c" * 64
    renamed: Mapping[str, str] = field(default_factory=dict)

    def get(self, name: str) -> Declaration:
        for declaration in self.fields.values():
            if name == declaration.id or name in declaration.aliases:
                return declaration
        raise UnknownField(f"Field {name!r} is not in the catalogue.")

    def values_of(self, document: JsonObject, project: str) -> dict[str, tuple[Scalar, ...]]:
        core, community = document["core"], document["community"]
        found = {name: core.get(name) for name in ("kind", "licence")} | {"project": project, "center": core["center"]}
        found |= {"study_date": core.get("acquired_on"), "series.instances": core["instances"]}
        for name in ("modality", "body_part", "organism", "imaging_method"):
            found[name] = core[name]["raw"] if name in core else None
        found |= (community.get("dicom") or community.get("ome") or {}).get("attributes", {})
        return {
            name: tuple(value) if isinstance(value, list) else (value,)
            for name, value in found.items()
            if value is not None and name in self.fields
        }


def small_catalogue() -> SmallCatalogue:
    """Return a catalogue with one field of each type and grain."""
    declared = (
        Declaration("project", "Project", "keyword"),
        Declaration("center", "Centre", "keyword"),
        Declaration("kind", "Kind", "keyword"),
        Declaration("modality", "Modality", "keyword"),
        Declaration("body_part", "Body part", "keyword", aliases=("bodyPart",)),
        Declaration("organism", "Organism", "keyword"),
        Declaration("imaging_method", "Imaging method", "keyword"),
        Declaration("licence", "Licence", "keyword"),
        Declaration("study_date", "Study date", "date", grain="study"),
        Declaration("patient.sex", "Sex", "keyword", grain="patient"),
        Declaration("patient.age_years", "Age", "float", unit="a", grain="patient"),
        Declaration("series.description", "Series description", "text", facetable=False),
        Declaration("series.slice_thickness_mm", "Slice thickness", "float", unit="mm"),
        Declaration("series.instances", "Instances", "integer"),
        Declaration("series.frame_of_reference", "Frame of reference", "keyword"),
        Declaration("series.regular", "Regular geometry", "boolean"),
        Declaration("ome.channel_name", "Channel", "keyword"),
    )
    return SmallCatalogue({declaration.id: declaration for declaration in declared})


def a_series(
    series: str = "1",
    *,
    patient: str = "p1",
    study: str | None = None,
    modality: str | None = "CT",
    center: str = "local",
    project: str = "default",
    instances: int = 10,
    size_x: int | None = None,
    tail: Mapping[str, Any] | None = None,
    **attributes: Value | None,
) -> ImagingRecord:
    """Return a DICOM series record; attributes are given by field id with ``__`` for the dot, ``body_part`` and ``study_date`` included."""
    named = {name.replace("__", "."): value for name, value in attributes.items() if value is not None}
    body_part, day = named.pop("body_part", None), named.get("study_date")
    uid = f"1.2.{series}"
    return ImagingRecord(
        core=Core(
            id=f"{center}:{project}:{uid}",
            kind="dicom-series",
            project=project,
            center=center,
            patient_key=patient,
            patient_basis="stated",
            study_uid=f"1.1.{study or patient.strip('p') or '0'}",
            series_uid=uid,
            generation=hashlib.sha256(uid.encode()).hexdigest(),
            modality=Concept(raw=modality, curie=f"DCM:{modality}", label=modality) if modality else None,
            body_part=Concept(raw=str(body_part), curie=BODY_PARTS.get(str(body_part))) if body_part else None,
            acquired_on=date.fromisoformat(str(day)) if day else None,
            instances=instances,
            size_bytes=instances * 1000,
            geometry=Geometry(size_x=size_x),
            source=Source(place="archive", paths=(f"objects/{series}.dcm",)),
        ),
        community=Community(dicom=DicomMetadata(attributes=named, other=tail or {})),
    )


def an_image(name: str = "a", *, patient: str = "m1", organism: str | None = "Mus musculus", **attributes: Value | None) -> ImagingRecord:
    """Return an OME image record."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    return ImagingRecord(
        core=Core(
            id=f"local:default:ome-{digest[:32]}-0",
            kind="ome-image",
            project="default",
            center="local",
            patient_key=patient,
            patient_basis="assumed",
            study_uid=f"2.25.{int(digest[:8], 16)}",
            series_uid=f"2.25.{int(digest[8:16], 16)}",
            generation=digest,
            organism=Concept(raw=organism, curie="NCBITaxon:10090", label=organism) if organism else None,
            instances=1,
            size_bytes=500,
            geometry=Geometry(),
            source=Source(place="file", paths=(f"/watched/{name}.ome.tiff",)),
        ),
        community=Community(
            ome=OmeMetadata(attributes={key.replace("__", "."): value for key, value in attributes.items() if value is not None})
        ),
    )
