"""What one Image of an OME-XML document says, by the paths of the catalogue (``Element@attribute``, ``Map:<key>``)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from fairlead.extract.identity import name_spellings
from fairlead.extract.ome_xml import OmeDocument, below, children, stated
from fairlead.extract.readings import as_float
from fairlead.records import JsonObject

LENGTH_IN_MM: Final[Mapping[str, float]] = {
    "pm": 1e-9, "Å": 1e-7, "nm": 1e-6, "µm": 1e-3, "μm": 1e-3, "um": 1e-3, "mm": 1.0, "cm": 10.0, "dm": 100.0,
    "m": 1000.0, "in": 25.4, "li": 25.4 / 12,
}  # fmt: skip
TIME_IN_S: Final[Mapping[str, float]] = {"ns": 1e-9, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
TARGETS: Final[Mapping[str, tuple[Mapping[str, float], float, str]]] = {
    "mm": (LENGTH_IN_MM, 1.0, "µm"),
    "nm": (LENGTH_IN_MM, 1e-6, "nm"),
    "s": (TIME_IN_S, 1.0, "s"),
}
"""Unit of a catalogue field -> (known units, its own size, the schema's default unit)."""

CHANNEL: Final[Mapping[str, tuple[str, str | None]]] = {
    "name": ("Name", None),
    "fluorophore": ("Fluor", None),
    "excitation_nm": ("ExcitationWavelength", "nm"),
    "emission_nm": ("EmissionWavelength", "nm"),
    "acquisition_mode": ("AcquisitionMode", None),
    "contrast_method": ("ContrastMethod", None),
    "colour": ("Color", None),
}
"""REMBI name of a channel's fact -> OME attribute and unit."""

SUBJECT_KEYS: Final = ("Patient ID", "PatientID", "Subject ID", "SubjectID", "subject_id", "Donor", "Donor ID", "Individual")
IDENTITY_KEY: Final = re.compile(
    r"\b(patient|donor|subject[ _]?(id|name)|birth|dob|mrn|medical record|surname|(first|last|family|given)[ _]?name)", re.IGNORECASE
)
"""Keys of map annotations whose values name or number a person; such a value is looked for everywhere, and never recorded."""

PERSON_ATTRIBUTES: Final = ("FirstName", "MiddleName", "LastName", "DisplayName", "Email", "UserName", "OMEName")


class OmeImage:
    """One Image with everything it is linked to: channels, objective, microscope, plate and well, map annotations."""

    def __init__(self, document: OmeDocument, image: Any, pixels: Any) -> None:
        root = document.root
        self.image, self.pixels, self.schema = image, pixels, document.schema
        self.instrument = _linked(root, "Instrument", _references(image, "InstrumentRef"))
        self.plate, self.well = _screen(root, stated(image, "ID"))
        self.notes = dict(_annotations(root, [image, *(one for one in (self.plate, self.well) if one is not None)]))
        self._elements: dict[str, list[Any]] = {
            "Image": [image],
            "Pixels": [pixels],
            "Channel": [*children(pixels, "Channel")] or [*children(image, "LogicalChannel", "ChannelInfo")],
            "Objective": _objective(self.instrument, image),
            "Microscope": [*children(self.instrument, "Microscope")] if self.instrument is not None else [],
            "Detector": [*children(self.instrument, "Detector")] if self.instrument is not None else [],
            "Plate": [self.plate] if self.plate is not None else [],
        }

    def values(self, path: str, unit: str | None = None) -> list[str | float]:
        """Return what a catalogue path leads to, converted into ``unit`` where OME states units."""
        kind, _, key = path.partition(":")
        if kind == "Map":
            return [text for name, text in self.notes.items() if name.casefold() == key.casefold()]
        name, _, attribute = path.partition("@")
        if name == "Well":
            return [found] if (found := self._well_name()) else []
        found_values = (_converted(element, attribute, unit) for element in self._elements.get(name, ()))
        return [value for value in found_values if value is not None]

    def channels(self) -> Iterator[JsonObject]:
        """Yield what is stated about each channel, wavelengths in nm."""
        for channel in self._elements["Channel"]:
            found = {name: _converted(channel, attribute, unit) for name, (attribute, unit) in CHANNEL.items()}
            yield {name: value for name, value in found.items() if value is not None}

    def files(self) -> list[str]:
        """Return the names of the files that TiffData names as holders of the pixels, in order."""
        named = (stated(uuid, "FileName") for data in children(self.pixels, "TiffData") for uuid in children(data, "UUID"))
        return list(dict.fromkeys(name for name in named if name))

    @property
    def is_metadata_only(self) -> bool:
        """Whether the document holds no pixels of the image and names no place for them."""
        return next(children(self.pixels, "TiffData", "BinData"), None) is None

    @property
    def subject(self) -> str | None:
        """The subject's identifier where a map annotation states one; never recorded, only keyed."""
        return next((self.notes[key] for key in SUBJECT_KEYS if self.notes.get(key)), None)

    def _well_name(self) -> str | None:
        if self.well is None:
            return None
        row, column = (as_float(stated(self.well, name)) for name in ("Row", "Column"))
        if row is None or column is None or not 0 <= row < 26 * 27 or column < 0:
            return None
        high, low = divmod(int(row), 26)
        return f"{chr(64 + high) if high else ''}{chr(65 + low)}{int(column) + 1}"


def people(document: OmeDocument) -> set[str]:
    """Return the spellings of everybody the document names, experimenters and subjects, to keep them out of the record."""
    found: set[str] = set()
    for person in (*below(document.root, "Experimenter"), *below(document.root, "Person")):
        names = [stated(person, name) or "" for name in PERSON_ATTRIBUTES]
        for name in (*names, f"{names[2]}^{names[0]}"):
            found |= name_spellings(name)
    for pair in below(document.root, "M"):
        if IDENTITY_KEY.search(pair.get("K") or "") and pair.text:
            found |= name_spellings(pair.text)
    return found


def _converted(element: Any, attribute: str, unit: str | None) -> str | float | None:
    text = stated(element, attribute)
    if text is None or unit is None or unit not in TARGETS:
        return text
    sizes, own, default = TARGETS[unit]
    number, size = as_float(text), sizes.get(stated(element, f"{attribute}Unit") or default)
    if number is None or size is None or number <= 0:
        return None
    return float(f"{number * size / own:.12g}")


def _references(element: Any, *names: str) -> list[str]:
    return [identifier for reference in children(element, *names) if (identifier := stated(reference, "ID"))]


def _linked(root: Any, name: str, identifiers: Iterable[str]) -> Any | None:
    """Return the element that is referred to; the only one of the document when the image refers to none."""
    candidates = list(children(root, name))
    wanted = set(identifiers)
    if wanted:
        return next((one for one in candidates if stated(one, "ID") in wanted), None)
    return candidates[0] if len(candidates) == 1 else None


def _objective(instrument: Any | None, image: Any) -> list[Any]:
    if instrument is None:
        return []
    wanted = set(_references(image, "ObjectiveSettings", "ObjectiveRef"))
    objectives = list(children(instrument, "Objective"))
    if wanted:
        return [one for one in objectives if stated(one, "ID") in wanted]
    return objectives if len(objectives) == 1 else []


def _screen(root: Any, image_id: str | None) -> tuple[Any | None, Any | None]:
    for plate in below(root, "Plate"):
        for well in children(plate, "Well"):
            for sample in children(well, "WellSample"):
                if image_id and image_id in _references(sample, "ImageRef"):
                    return plate, well
    return None, None


def _annotations(root: Any, owners: Iterable[Any]) -> Iterator[tuple[str, str]]:
    wanted = {identifier for owner in owners for identifier in _references(owner, "AnnotationRef")}
    if not wanted:
        return
    for annotation in below(root, "MapAnnotation"):
        if stated(annotation, "ID") in wanted:
            for pair in below(annotation, "M"):
                if (key := pair.get("K")) and pair.text:
                    yield key.strip(), pair.text.strip()
