"""An OME image becomes one record: the catalogue says what to read, REMBI says how to group it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from fairlead.extract.catalogue import FieldCatalogue
from fairlead.extract.consolidate import concept_of, tidy
from fairlead.extract.declarations import FieldDeclaration
from fairlead.extract.findings import finding, verdict_of
from fairlead.extract.identity import Scrubber
from fairlead.extract.readings import READINGS, as_date
from fairlead.extract.vocabulary import vocabulary
from fairlead.keys import patient_key
from fairlead.records import (
    Community,
    Concept,
    Core,
    Geometry,
    ImagingRecord,
    JsonObject,
    OmeMetadata,
    ReceivedFile,
    Source,
    Value,
)

MICROMETRES_PER_MM: Final = 1000.0

RECOMMENDED: Final[Mapping[str, str]] = {
    "organism": "", "imaging_method": "", "acquired_on": "", "licence": "", "pixel_size": "", "z_step": "",
    "instrument": "model", "objective_magnification": "ome.objective_magnification", "objective_na": "ome.objective_na",
    "channel_name": "ome.channel_name", "fluorophore": "ome.fluorophore", "emission": "ome.emission_nm",
    "pixel_type": "ome.pixel_type",
}  # fmt: skip
"""Facts that REMBI (Sarkans et al. 2021) and QUAREP-LiMi recommend and that a file can state -> field that holds it, "" for core facts."""

type Reading = Callable[[FieldDeclaration], Sequence[Any]]


@dataclass(frozen=True, slots=True)
class OmeFacts:
    """What a reader found out about one image; ``read`` answers a declaration from the file."""

    read: Reading
    schema: str
    format: str
    scrubber: Scrubber
    files: int
    size_bytes: int
    subject: str | None = None
    channels: tuple[JsonObject, ...] = ()
    notes: dict[str, int] = field(default_factory=dict)


def build_record(file: ReceivedFile, number: int, facts: OmeFacts, *, catalogue: FieldCatalogue, key: bytes) -> ImagingRecord:
    """Return the record of image ``number`` of a file."""
    declared = [one for one in catalogue.of_project(file.route.project) if one.source.ome or one.source.ngff]
    raw = {one.id: _readings(one, facts) for one in declared}
    by_id = {one.id: one for one in declared}
    attributes = {name: _tidied(by_id[name], values, facts) for name, values in raw.items() if by_id[name].path.startswith("community")}
    attributes |= {"ome.schema": facts.schema, "ome.format": facts.format}
    custom = {name: _tidied(by_id[name], values, facts) for name, values in raw.items() if by_id[name].path.startswith("custom")}
    core = _core(file, number, facts, raw=raw, by_id=by_id, key=key)
    notes = facts.notes if facts.subject else {**facts.notes, "no-patient-id": 0}
    verdict = verdict_of(notes)
    attributes["quality.verdict"] = verdict[0] if len(verdict) == 1 else verdict
    absent = lacking(core, {name for name, value in attributes.items() if value is not None})
    attributes["quality.rembi_percent"] = round(100 * (1 - len(absent) / len(RECOMMENDED)))
    stated = {name: value for name, value in sorted(attributes.items()) if value is not None}
    return ImagingRecord(
        core=core,
        community=Community(ome=OmeMetadata(attributes=stated, rembi=_rembi(core, stated, facts, absent))),
        custom={name: value for name, value in custom.items() if value is not None},
        findings=tuple(finding(code, notes[code]) for code in sorted(notes)),
    )


def _readings(declared: FieldDeclaration, facts: OmeFacts) -> list[Any]:
    values = (READINGS[declared.type](value) for value in facts.read(declared))
    return [value for value in values if value is not None]


def _tidied(declared: FieldDeclaration, values: Sequence[Any], facts: OmeFacts) -> Value | None:
    return tidy(values, declared, facts.scrubber)


def _core(
    file: ReceivedFile, number: int, facts: OmeFacts, *, raw: dict[str, list[Any]], by_id: dict[str, FieldDeclaration], key: bytes
) -> Core:
    route, stem = file.route, f"ome-{file.sha256[:32]}"
    subject = facts.subject

    def concept(name: str) -> Concept | None:
        """Return a field's concept; free text that repeats an identity is dropped."""
        words = by_id[name].vocabulary if name in by_id else None
        found = [concept_of(value, vocabulary(words)) for value in raw.get(name, ())] if words else []
        kept = [one for one in found if one is not None and (one.curie or not facts.scrubber.repeats(one.raw))]
        return next((one for one in kept if one.curie), kept[0] if kept else None)

    return Core(
        id=f"{route.center}:{route.project}:{stem}-{number}",
        kind="ome-image",
        project=route.project,
        center=route.center,
        patient_key=patient_key(key, subject, route.center) if subject else patient_key(key, file.sha256, "file-sha256"),
        patient_basis="stated" if subject else "assumed",
        study_uid=stem,
        series_uid=f"{stem}-{number}",
        generation=file.sha256,
        body_part=concept("body_part"),
        organism=concept("organism"),
        imaging_method=_stated_method(concept("imaging_method")),
        acquired_on=_first_date(raw.get("acquired_on", ())),
        instances=facts.files,
        size_bytes=facts.size_bytes,
        geometry=_geometry(raw),
        licence=next((text for text in raw.get("licence", ()) if not facts.scrubber.repeats(text)), None),
        source=Source(place="file", paths=(file.path,), image_index=number),
    )


def _stated_method(concept: Concept | None) -> Concept | None:
    """Return the method only when it is one: ``WideField`` or ``Other`` name no FBbi method, and stay in the attributes."""
    return concept if concept is not None and concept.curie else None


def _first_date(values: Sequence[Any]) -> date | None:
    return next((found for value in values if (found := as_date(value))), None)


def _geometry(raw: dict[str, list[Any]]) -> Geometry:
    def first(name: str) -> Any:
        """Return a field's first value."""
        return next(iter(raw.get(name, ())), None)

    slices, step = first("series.size_z"), first("series.spacing_z_mm")
    stacked = bool(slices and slices > 1)
    return Geometry(
        **{f"size_{axis}": first(f"series.size_{axis}") for axis in "xyzct"},
        **{f"spacing_{axis}_mm": first(f"series.spacing_{axis}_mm") for axis in "xyz"},
        regular=True if stacked and step else None,
        missing_slices=0 if stacked and step else None,
        duplicate_positions=0 if stacked and step else None,
        verdict="single" if not stacked else "regular" if step else "none",
    )


def _rembi(core: Core, attributes: dict[str, Value], facts: OmeFacts, absent: Sequence[str]) -> JsonObject:
    """Return the REMBI groups of what the file states (Sarkans et al. 2021), empty ones left out; physical sizes in micrometres."""
    geometry = core.geometry
    spacing = {axis: getattr(geometry, f"spacing_{axis}_mm") for axis in "xyz"}
    groups: JsonObject = {
        "biosample": {"organism": core.organism.model_dump() if core.organism else None},
        "specimen": {"fluorophores": attributes.get("ome.fluorophore")},
        "image_acquisition": {
            "imaging_method": core.imaging_method.model_dump() if core.imaging_method else None,
            "instrument": _chosen(attributes, manufacturer="manufacturer_raw", model="model"),
            "objective": _chosen(attributes, magnification="ome.objective_magnification", na="ome.objective_na", immersion="ome.immersion"),
            "acquisition_mode": attributes.get("ome.acquisition_mode"),
            "contrast_method": attributes.get("ome.contrast_method"),
        },
        "image_data": {
            "format": facts.format,
            "pixel_type": attributes.get("ome.pixel_type"),
            "size": {axis: size for axis in "xyzct" if (size := getattr(geometry, f"size_{axis}")) is not None},
            "physical_size_um": {axis: float(f"{mm * MICROMETRES_PER_MM:.12g}") for axis, mm in spacing.items() if mm is not None},
            "channels": [channel for channel in facts.channels if not any(facts.scrubber.repeats(str(text)) for text in channel.values())],
        },
    }
    full = {name: {key: value for key, value in group.items() if value} for name, group in groups.items()}
    return {name: group for name, group in full.items() if group} | {"completeness": {"lacking": list(absent)}}


def lacking(core: Core, attributes: Set[str]) -> tuple[str, ...]:
    """Return which of the recommended facts a record does not hold, in the order of the recommendation."""
    geometry = core.geometry
    held = {
        "organism": core.organism,
        "imaging_method": core.imaging_method or "ome.acquisition_mode" in attributes,
        "acquired_on": core.acquired_on,
        "licence": core.licence,
        "pixel_size": geometry.spacing_x_mm and geometry.spacing_y_mm,
        "z_step": geometry.spacing_z_mm or geometry.size_z in (None, 1),
    }
    return tuple(name for name, field_id in RECOMMENDED.items() if not (field_id in attributes if field_id else held[name]))


def _chosen(attributes: dict[str, Value], **names: str) -> JsonObject:
    return {key: attributes[name] for key, name in names.items() if name in attributes}
