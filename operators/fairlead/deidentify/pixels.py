"""May these pixels leave? A verdict per instance, with the rule that decided (the facts are all in the header).

Text that is burned into pixels cannot be found reliably by a program, so nothing is passed on a guess: original CT, MR and PET
slices pass, computed objects pass, ultrasound is masked to its declared regions, known models by the profile, the rest waits for a person.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from fairlead.deidentify.boxes import Box
from fairlead.deidentify.elements import element_of, number_at, text_of
from fairlead.deidentify.profile import Profile

STORAGE: Final = "1.2.840.10008.5.1.4.1.1."
PIXEL_TAGS: Final = (0x7FE00010, 0x7FE00008, 0x7FE00009)
COMPUTED: Final = frozenset({STORAGE + "66.4", STORAGE + "66.7", STORAGE + "30", STORAGE + "481.2", STORAGE + "66.2"})
"""Segmentation, label map, parametric map, RT dose, deformable grid: arrays that a program computed, no screen behind them."""
DOCUMENTS: Final = STORAGE + "104."
AUDIO: Final = STORAGE + "9.4."
"""Basic Voice Audio and General Audio waveforms."""
SECONDARY_CAPTURE: Final = STORAGE + "7"
SLICES: Final = frozenset({"CT", "MR", "PT"})
SLICE_CLASSES: Final = frozenset(STORAGE + kind for kind in ("2", "2.1", "2.2", "4", "4.1", "4.3", "4.4", "128", "128.1", "130"))
"""CT, MR and PET images: original, enhanced and legacy converted (PS3.4 section B.5)."""
ULTRASOUND: Final = frozenset(STORAGE + kind for kind in ("3", "3.1", "6", "6.1", "6.2"))
"""Ultrasound images, whatever the Modality says."""
SELDOM_TEXT: Final = frozenset({"CT", "MR", "PT", "NM", "CR", "DX", "MG", "SM", "XA", "RF", "PX", "IO", "OCT"})
"""Modalities where a header that says "no burned-in annotation" is credible."""
SCREEN: Final = frozenset({"SECONDARY", "SCREEN SAVE", "SCREENSHOT", "SCREENSAVE"})
SLIDE_PHOTOS: Final = frozenset({"LABEL", "OVERVIEW", "LOCALIZER", "THUMBNAIL"})
PHOTOS: Final = frozenset({STORAGE + "77.1.1", STORAGE + "77.1.1.1", STORAGE + "77.1.4", STORAGE + "77.1.4.1"})
"""Endoscopic and photographic VL images and videos: faces, rooms and labels."""
PHOTO_MODALITIES: Final = frozenset({"XC", "ES", "DOC"})
FACES: Final = frozenset({
    "HEAD", "BRAIN", "SKULL", "FACE", "ORBIT", "ORBITS", "SINUS", "SINUSES", "HEADNECK", "JAW", "NECK", "CSPINE", "CRANIUM", "MAXILLA",
    "MANDIBLE", "TEMPORAL", "CEREBRAL", "NEURO", "KOPF", "SCHADEL", "SCHÄDEL", "HIRN", "IAC", "PITUITARY", "MPRAGE",
})  # fmt: skip
"""Body parts, and words of descriptions, whose volumes show a face; see Recognizable Visual Features (PS3.3 C.7.6.1)."""
WHERE_SHOWN: Final = ("BodyPartExamined", "StudyDescription", "SeriesDescription", "ProtocolName", "RequestedProcedureDescription")
OVERLAY_PLACE: Final = (0x0010, 0x0011, 0x0102)
"""Overlay Rows, Overlay Columns and Overlay Bit Position, in each group 60xx."""
OVERLAY_DATA: Final = 0x3000
NATIVE: Final = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"})
MASKABLE: Final = frozenset(
    {"1.2.840.10008.1.2.5"} | {f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70, 80, 81, 90, 91, 201, 202, 203)}
)
"""Compressed syntaxes whose frames are decoded, masked and encoded again without loss: RLE, JPEG, JPEG-LS, JPEG 2000, HTJ2K."""

VIDEO: Final = frozenset(
    {f"1.2.840.10008.1.2.4.{number}" for number in (*range(100, 109), *(f"{number}.1" for number in range(100, 107)))}
    | {f"1.2.840.10008.1.2.7.{number}" for number in (1, 2, 3)}
)
"""MPEG-2, MPEG-4, HEVC and SMPTE ST 2110 (PS3.5 section A.4.5 and following): no frame of them is decoded here."""


class Decision(StrEnum):
    """What happens to the pixels."""

    PASS = "pass"  # noqa: S105 - a verdict, no secret
    MASK = "mask"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision and the rule behind it; ``reason`` is for the person who reads the quarantine list."""

    decision: Decision
    rule: str
    reason: str = ""
    keep: tuple[Box, ...] = ()
    blank: tuple[Box, ...] = ()


def _words(dataset: Dataset, keyword: str) -> list[str]:
    text = text_of(dataset, keyword)
    return [part.strip().upper() for part in text.split("\\")] if text else []


def has_pixels(dataset: Dataset) -> bool:
    """Return whether the instance holds pixel data of any kind."""
    return any(tag in dataset for tag in PIXEL_TAGS)


def has_embedded_overlay(dataset: Dataset) -> bool:
    """Return whether an overlay hides in unused bits of the pixel data (PS3.5 section 8.1.2, retired)."""
    groups = {tag.group << 16 for tag in dataset.keys() if 0x6000 <= tag.group <= 0x60FE}  # noqa: SIM118 - keys, not elements
    return any(_is_embedded(dataset, group) for group in groups)


def _is_embedded(dataset: Dataset, group: int) -> bool:
    """Return whether the data of an overlay are not its own: those have a bit for every point, and begin at bit 0 (PS3.3 C.9.2)."""
    rows, columns, position = (number_at(dataset, group | element) for element in OVERLAY_PLACE)
    own = element_of(dataset, group | OVERLAY_DATA) if group | OVERLAY_DATA in dataset else None
    size = 0 if own is None else own.length if isinstance(own, RawDataElement) else len(own.value or b"")
    stated = any(group | element in dataset for element in OVERLAY_PLACE)
    return stated and (position > 0 or not size or size * 8 < rows * columns)


def _refuse(rule: str, reason: str) -> Verdict:
    return Verdict(Decision.QUARANTINE, rule, reason)


def judge(dataset: Dataset, profile: Profile, *, transfer_syntax: str) -> Verdict:
    """Return the verdict on one instance; the first rule that knows the case decides."""
    if transfer_syntax in VIDEO:
        return _refuse("video", "a video can show and say anything, and nobody has looked")
    for rule in (_documents, _audio, _nothing, _known_model, _stated, _sources, _photos):
        verdict = rule(dataset, profile)
        if verdict is not None:
            return _possible(verdict, transfer_syntax)
    if text_of(dataset, "Modality") == "US" or text_of(dataset, "SOPClassUID") in ULTRASOUND:
        return _possible(_ultrasound(dataset, profile), transfer_syntax)
    return _by_modality(dataset, profile)


def _possible(verdict: Verdict, transfer_syntax: str) -> Verdict:
    """Refuse a mask that cannot be drawn: video and syntaxes without a decoder."""
    if verdict.decision is Decision.MASK and transfer_syntax not in NATIVE and transfer_syntax not in MASKABLE:
        return _refuse(verdict.rule, "pixel data in this transfer syntax cannot be masked; decompress the file first")
    return verdict


def shows_face(dataset: Dataset) -> bool:
    """Return whether a volume is one of the head or neck, by its body part or its descriptions."""
    if text_of(dataset, "Modality") not in SLICES or not has_pixels(dataset):
        return False
    words = {word for keyword in WHERE_SHOWN for text in _words(dataset, keyword) for word in re.split(r"[\W_]+", text)}
    return bool(words & FACES)


def _known_model(dataset: Dataset, profile: Profile) -> Verdict | None:
    """Mask what the profile's list says of this device and image size."""
    for entry in profile.pixels.masks:
        if entry.fits({keyword: text_of(dataset, keyword) for keyword in ("Modality", "Manufacturer", "ManufacturerModelName")}):
            size = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
            if size == (entry.rows, entry.columns):
                return Verdict(Decision.MASK, "known-model", keep=entry.kept, blank=entry.blanked)
    return None


def _photos(dataset: Dataset, profile: Profile) -> Verdict | None:
    photo = text_of(dataset, "SOPClassUID") in PHOTOS or text_of(dataset, "Modality") in PHOTO_MODALITIES
    if not photo:
        return None
    if "photo" in profile.pixels.allow:
        return Verdict(Decision.PASS, "allowed")
    return _refuse("photo", "photographs and endoscopies may show a face, a room or a label")


def _documents(dataset: Dataset, profile: Profile) -> Verdict | None:
    document = text_of(dataset, "SOPClassUID").startswith(DOCUMENTS) or "EncapsulatedDocument" in dataset
    if document and "encapsulated-document" in profile.pixels.allow:
        return Verdict(Decision.PASS, "allowed")
    if document:
        return _refuse("encapsulated-document", "an encapsulated document can say anything; it is not de-identified")
    return None


def _stated(dataset: Dataset, _profile: Profile) -> Verdict | None:
    if "YES" in _words(dataset, "BurnedInAnnotation"):
        return _refuse("burned-in", "the header says that text is burned into the pixels (0028,0301)")
    return None


def _audio(dataset: Dataset, _profile: Profile) -> Verdict | None:
    if text_of(dataset, "SOPClassUID").startswith(AUDIO) or text_of(dataset, "Modality") == "AU":
        return _refuse("audio", "a recorded voice identifies its speaker")
    return None


def _nothing(dataset: Dataset, _profile: Profile) -> Verdict | None:
    if not has_pixels(dataset):
        return _stated(dataset, _profile) or Verdict(Decision.PASS, "no-pixels")
    if has_embedded_overlay(dataset):
        return _refuse("embedded-overlay", "an overlay may lie in unused bits of the pixel data")
    if text_of(dataset, "SOPClassUID") in COMPUTED:
        return _stated(dataset, _profile) or Verdict(Decision.PASS, "computed")
    return None


def _is_capture(sop_class: str) -> bool:
    return sop_class == SECONDARY_CAPTURE or sop_class.startswith(SECONDARY_CAPTURE + ".")


def _sources(dataset: Dataset, profile: Profile) -> Verdict | None:
    sop_class, kinds = text_of(dataset, "SOPClassUID"), _words(dataset, "ImageType")
    captured = _is_capture(sop_class) or "ConversionType" in dataset
    if captured and "secondary-capture" not in profile.pixels.allow:
        return _refuse("secondary-capture", "a secondary capture may show text, and nobody has looked")
    if text_of(dataset, "Modality") == "SM" and SLIDE_PHOTOS.intersection(kinds):
        return _refuse("slide-photo", "label and overview images of a slide show its label")
    if SCREEN.intersection(kinds) and not captured and "derived" not in profile.pixels.allow:
        return _refuse("derived", "ImageType says SECONDARY or SCREEN SAVE: such images often show text")
    return None


def _ultrasound(dataset: Dataset, profile: Profile) -> Verdict:
    if "ultrasound" in profile.pixels.allow:
        return Verdict(Decision.PASS, "allowed")
    if not profile.pixels.mask_ultrasound:
        return _refuse("ultrasound", "ultrasound images show text, and this profile does not mask them")
    if not dataset.get("SequenceOfUltrasoundRegions"):
        return _refuse("ultrasound", "ultrasound without declared regions (0018,6011) cannot be masked")
    return Verdict(Decision.MASK, "ultrasound-regions")


def _by_modality(dataset: Dataset, profile: Profile) -> Verdict:
    modality, kinds = text_of(dataset, "Modality"), _words(dataset, "ImageType")
    original = kinds[:2] == ["ORIGINAL", "PRIMARY"]
    sop_class = text_of(dataset, "SOPClassUID")
    if modality in SLICES and sop_class not in SLICE_CLASSES:
        if "modality" in profile.pixels.allow or ("secondary-capture" in profile.pixels.allow and _is_capture(sop_class)):
            return Verdict(Decision.PASS, "allowed")
        return _refuse("modality", "the Modality is that of slices, and the SOP class is none of CT, MR or PET")
    if modality in SLICES and original:
        return Verdict(Decision.PASS, "original-slice")
    if profile.pixels.trust_burned_in_no and "NO" in _words(dataset, "BurnedInAnnotation") and modality in SELDOM_TEXT:
        return Verdict(Decision.PASS, "stated-clean")
    if modality in SLICES | {"SM"}:
        if "derived" in profile.pixels.allow or (modality == "SM" and "VOLUME" in kinds):
            return Verdict(Decision.PASS, "allowed" if modality in SLICES else "slide-volume")
        return _refuse("derived", "the image is not ORIGINAL\\PRIMARY, and the header does not say that it is free of text (0028,0301)")
    if "modality" in profile.pixels.allow:
        return Verdict(Decision.PASS, "allowed")
    known = modality if modality.isalpha() and modality.isupper() and len(modality) <= 8 else "without a known modality"
    return _refuse("modality", f"images {known} may show text, and the header does not say that they are free of it (0028,0301)")
