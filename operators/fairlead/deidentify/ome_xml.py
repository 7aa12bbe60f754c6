"""OME-XML with the structure of the image and its instrument, and nothing about people, places or names of files.

The OME model has no table like PS3.15 E.1-1, so this is an allow-list: elements and attributes that are not named here are dropped.
The profile's options decide as they do for DICOM: dates, device identity, descriptions.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lxml import etree

from fairlead import __version__, keys
from fairlead.deidentify.identity import Identity
from fairlead.deidentify.ome_modulo import annotate, divided_images
from fairlead.deidentify.ome_values import MANDATORY, is_structure
from fairlead.deidentify.profile import Profile
from fairlead.deidentify.table import EDITION, Option
from fairlead.deidentify.values import REMOVED, shift_date
from fairlead.deidentify.words import clean_words, remove_words, words_of
from fairlead.errors import UnreadableImage, UnsupportedInput

XML_SUFFIXES: Final = (".companion.ome", ".ome.xml", ".ome")
LIMIT_BYTES: Final = 64 * 1024 * 1024
STRUCTURE: Final = frozenset({
    "OME", "Image", "AcquisitionDate", "Pixels", "Channel", "TiffData", "UUID", "Plane", "MetadataOnly", "BinaryOnly", "Instrument",
    "InstrumentRef", "Microscope", "Laser", "Arc", "Filament", "LightEmittingDiode", "GenericExcitationSource", "Pump", "Detector",
    "Objective", "FilterSet", "ExcitationFilterRef", "EmissionFilterRef", "DichroicRef", "Filter", "TransmittanceRange", "Dichroic",
    "ObjectiveSettings", "ImagingEnvironment", "StageLabel", "LightSourceSettings", "DetectorSettings", "FilterSetRef", "LightPath",
    "Plate", "PlateAcquisition", "Well", "WellSample", "WellSampleRef", "ImageRef", "ROI", "ROIRef", "Union", "Label", "Point", "Line",
    "Rectangle", "Ellipse", "Polygon", "Polyline",
})  # fmt: skip
KIND_OF: Final[Mapping[str, str]] = {
    **dict.fromkeys(("Laser", "Arc", "Filament", "LightEmittingDiode", "GenericExcitationSource", "Pump"), "LightSource"),
    **dict.fromkeys(("Label", "Point", "Line", "Rectangle", "Ellipse", "Polygon", "Polyline"), "Shape"),
    **dict.fromkeys(("ExcitationFilter", "EmissionFilter"), "Filter"),
}
"""What identifiers of an element begin with, where it is not the name of the element (schema, LightSourceID, ShapeID, FilterID)."""
REFERENCE: Final = re.compile(r"(Ref|Settings)$")
NAMES: Final = frozenset({"Name", "Text", "Description"})
TERMS: Final[Mapping[str, frozenset[str]]] = {"Channel": frozenset({"Name", "Fluor"}), "Filter": frozenset({"Manufacturer", "Model"})}
"""Names of things that are measured or bought: kept without the words of people and files."""
PRODUCTS: Final = frozenset({"Manufacturer", "Model"})
SERIALS: Final = frozenset({"SerialNumber", "LotNumber"})
REQUIRED: Final[Mapping[str, frozenset[str]]] = {"StageLabel": frozenset({"Name"})}
TIMES: Final = frozenset({"StartTime", "EndTime"})
PERSON: Final = frozenset({"FirstName", "MiddleName", "LastName", "DisplayName", "Email", "UserName", "OMEName"})
SUBJECT_KEYS: Final = frozenset({"patient id", "patientid", "subject id", "subjectid", "subject_id", "donor", "donor id", "individual"})
LABEL_IMAGES: Final = frozenset({"label", "macro", "overview", "thumbnail", "label image", "macro image", "overview image"})
DATE: Final = re.compile(r"((?:18|19|20)\d{2})-?(\d{2})-?(\d{2})")


@dataclass(frozen=True, slots=True)
class CleanedOme:
    """The new document, the file's new name (without suffix), and the identity that was taken out, for the gate."""

    xml: bytes
    name: str
    identity: Identity
    dropped: int


def parse(content: bytes) -> Any:
    """Return the root element; entities, document types and other root elements are refused.

    Raises
    ------
    UnreadableImage : broken XML. UnsupportedInput : no OME document.
    """
    if len(content) > LIMIT_BYTES:
        raise UnsupportedInput("The OME-XML is larger than 64 MB.")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True)
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise UnreadableImage("The OME-XML cannot be parsed.") from error
    if root.getroottree().docinfo.doctype:
        raise UnsupportedInput("The OME-XML has a document type declaration.")
    if _local(root) != "OME":
        raise UnsupportedInput("The XML is no OME document.")
    return root


def clean_ome(content: bytes, profile: Profile, key: bytes, *, file_name: str, content_id: str) -> CleanedOme:
    """Return the document with people, places, dates and file names removed or replaced by keyed pseudonyms.

    Parameters
    ----------
    file_name : the file's own name; other documents of the set may refer to it.
    content_id : a digest of the file, for files that have neither a UUID nor a name in the set.

    Raises
    ------
    UnsupportedInput : the file holds the picture of a slide's label.
    """
    root = parse(content)
    for image in root.iter("{*}Image"):
        if str(image.get("Name") or "").strip().casefold() in LABEL_IMAGES:
            raise UnsupportedInput("The file holds a label or overview image of a slide, which shows its label.")
    identity = identity_of(root, file_name, profile)
    names = Names(root, key, file_name=file_name, content_id=content_id)
    subject = _subject(root) or names.own
    days = keys.day_shift(key, subject, span_days=profile.dates.span_days, whole_weeks=profile.dates.keep_weekday)
    cleaner = _Cleaner(profile, names, forbidden=identity.words | _words_of_name(file_name), days=days)
    divided = divided_images(root)
    cleaner.element(root)
    annotate(root, divided)
    root.set("Creator", creator_of(profile))
    return CleanedOme(written(root), names.own, identity, cleaner.dropped)


def creator_of(profile: Profile) -> str:
    """Return what a cleaned document says about who made it, and by which profile."""
    return f"Fairlead {__version__}; de-identified; PS3.15 {EDITION}; profile {profile.name} {profile.sha256}"


def written(root: Any) -> bytes:
    """Return a document as bytes, without namespaces that nothing uses."""
    etree.cleanup_namespaces(root)
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))


def places_of(content: bytes, holds: Callable[[str], bool]) -> tuple[str, ...]:
    """Return the elements and attributes of a document, as ``Microscope/@Model``, whose text answers ``holds``; never the text itself."""
    found = dict[str, None]()
    for element in parse(content).iter("{*}*"):
        kind = _local(element)
        stated = {f"{kind}/@{name}": str(value) for name, value in element.attrib.items()} | {kind: str(element.text or "")}
        found |= dict.fromkeys(place for place, text in stated.items() if text and holds(text))
    return tuple(found)


def _local(element: Any) -> str:
    return str(etree.QName(element).localname)


def _words_of_name(file_name: str) -> frozenset[str]:
    return frozenset(word for word in words_of(file_name) if len(word) > 3)


def _subject(root: Any) -> str | None:
    found = (pair.text for pair in root.iter("{*}M") if str(pair.get("K") or "").strip().casefold() in SUBJECT_KEYS)
    return next((text.strip() for text in found if text and text.strip()), None)


def identity_of(root: Any, file_name: str, profile: Profile) -> Identity:
    """Return the identity that a document states: people, subject, names of files, identifiers, dates."""
    identity = Identity()
    for element in root.iter("{*}Experimenter", "{*}Person"):
        for name in PERSON & set(element.keys()):
            identity.add_text(str(element.get(name)), personal=True)
    names = [file_name, *(str(uuid.get("FileName")) for uuid in root.iter("{*}UUID") if uuid.get("FileName"))]
    for name in names:
        identity.add_text(name)
    if subject := _subject(root):
        identity.add_text(subject, personal=True)
    for uuid in [root.get("UUID"), *(uuid.text for uuid in root.iter("{*}UUID"))]:
        if uuid:
            identity.add_text(str(uuid).strip().removeprefix("urn:uuid:"))
    if Option.RETAIN_FULL_DATES not in profile.options:
        for date in root.iter("{*}AcquisitionDate"):
            identity.add_text(str(date.text or "").strip()[:10])
    return identity


def is_document(file_name: str) -> bool:
    """Return whether a file holds OME-XML alone, by its name."""
    return file_name.casefold().endswith(XML_SUFFIXES)


class Names:
    """New names of the files of a set: by UUID where there is one, so that the files find each other after they were renamed one by one."""

    def __init__(self, root: Any, key: bytes, *, file_name: str, content_id: str) -> None:
        self._key = key
        self._ids, self._counts = dict[tuple[str, str], str](), Counter[str]()
        for element in root.iter("{*}*"):  # in the order of the document, those that define before those that refer
            if element.get("ID") and not REFERENCE.search(_local(element)):
                self.id(_local(element), str(element.get("ID")))
        uuids = {str(uuid.get("FileName")): str(uuid.text or "").strip() for uuid in root.iter("{*}UUID") if uuid.get("FileName")}
        self._uuids = {name: uuid for name, uuid in uuids.items() if uuid}
        self._ours = file_name
        if is_document(file_name) and uuids:
            self.own = self._name(f"name\x1f{file_name}")  # those that refer to a companion know its name only
            return
        stated = str(root.get("UUID") or "").strip() or self._uuids.get(file_name, "")
        self.own = self._name(stated or (f"name\x1f{file_name}" if file_name in uuids else f"content\x1f{content_id}"))

    def _name(self, identity: str) -> str:
        return "i" + keys.pseudonym(self._key, "ome-file", identity).hex()[:32]

    def file(self, name: str) -> str:
        """Return the new name of a file, with the suffix that says what it is."""
        suffix = ".companion.ome" if is_document(name) else ".ome.tif"
        return (self.own if name == self._ours else self._name(self._uuids.get(name) or f"name\x1f{name}")) + suffix

    def uuid(self, text: str) -> str:
        """Return the UUID that stands for another."""
        digits = keys.pseudonym(self._key, "ome-uuid", text.strip()).hex()
        return f"urn:uuid:{digits[:8]}-{digits[8:12]}-8{digits[13:16]}-a{digits[17:20]}-{digits[20:32]}"

    def id(self, element: str, text: str) -> str:
        """Return an identifier of our own, ``Image:0``, ``Image:1`` and so on: what stood there could be a number of somebody."""
        stem = REFERENCE.sub("", element)
        kind = KIND_OF.get(stem, stem)
        known = self._ids.get((kind, text))
        if known is None:
            known = self._ids[kind, text] = f"{kind}:{self._counts[kind]}"
            self._counts[kind] += 1
        return known


class _Cleaner:
    """One walk over a document, in place."""

    def __init__(self, profile: Profile, names: Names, *, forbidden: frozenset[str], days: int) -> None:
        self._options, self._names, self._forbidden, self._days = profile.options, names, forbidden, days
        self.dropped = 0

    def element(self, element: Any) -> None:
        """Clean an element that stays: its attributes, its text, its children."""
        kind = _local(element)
        for child in list(element):
            if not self._stays(child):
                element.remove(child)
                self.dropped += 1
            else:
                self.element(child)
        for attribute in list(element.attrib):
            value = self._attribute(
                kind, etree.QName(attribute).localname if attribute.startswith("{") else attribute, element.get(attribute)
            )
            if value is None or attribute.startswith("{"):
                del element.attrib[attribute]
                self.dropped += 1
            else:
                element.set(attribute, value)
        element.tail = None
        element.text = self._text(kind, element.text)

    def _stays(self, child: Any) -> bool:
        if not isinstance(child.tag, str) or _local(child) not in STRUCTURE:
            return False
        return _local(child) != "AcquisitionDate" or self._text("AcquisitionDate", child.text) is not None

    def _text(self, kind: str, text: str | None) -> str | None:
        stated = (text or "").strip()
        if kind == "UUID" and stated:
            return self._names.uuid(stated)
        return self._date(stated) if kind == "AcquisitionDate" else None

    def _date(self, text: str) -> str | None:
        if Option.RETAIN_FULL_DATES in self._options:
            return text if DATE.match(text) else None
        found = DATE.match(text)
        if Option.RETAIN_MODIFIED_DATES not in self._options or found is None:
            return None
        moved = shift_date("".join(found.groups()), self._days)
        rest = text[found.end() :]
        if moved is None or not re.fullmatch(r"(T[\d:.]+(Z|[+-][\d:]+)?)?", rest):
            return None
        return f"{moved[:4]}-{moved[4:6]}-{moved[6:]}{rest}"

    def _attribute(self, kind: str, name: str, value: str) -> str | None:
        special: Mapping[str, Callable[[str], str | None]] = {
            "FileName": self._names.file, "MetadataFile": self._names.file, "UUID": self._names.uuid,
            "ID": lambda text: self._names.id(kind, text),
            "StartTime": self._date, "EndTime": self._date,
        }  # fmt: skip
        if name in special:
            return special[name](value)
        if name in TERMS.get(kind, frozenset()) or name in PRODUCTS:
            return remove_words(value, forbidden=self._forbidden) or None
        if name in SERIALS:
            return value if Option.RETAIN_DEVICE_IDENTITY in self._options else None
        if name in NAMES:
            return self._described(kind, name, value)
        if is_structure(kind, name, value):
            return value
        if name in MANDATORY.get(kind, frozenset()):
            raise UnsupportedInput(f"The OME-XML has a {kind} whose {name} is none of the OME schema.")
        return None

    def _described(self, kind: str, name: str, value: str) -> str | None:
        cleaned = clean_words(value, forbidden=self._forbidden) if Option.CLEAN_DESCRIPTORS in self._options else ""
        return cleaned or (REMOVED if name in REQUIRED.get(kind, frozenset()) else None)
