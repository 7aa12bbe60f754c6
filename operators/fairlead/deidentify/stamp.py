"""What every output says about itself: the method in words and codes, the temporal and pixel facts, and new file meta."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from fairlead import __version__
from fairlead.deidentify.pixels import Decision, Verdict
from fairlead.deidentify.profile import Profile
from fairlead.deidentify.table import CODES, EDITION, OPTION_CODES, Option

IMPLEMENTATION_UID: Final = "2.25.231474301523541377562094316437019832457"
IMPLEMENTATION_NAME: Final = f"FAIRLEAD_{__version__.replace('.', '')}"[:16]
PREAMBLE: Final = b"\0" * 128
PIXELS: Final = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def applied_codes(profile: Profile, verdict: Verdict | None, *, defaced: bool = False) -> tuple[str, ...]:
    """Return the CID 7050 codes of what was really done to one instance, in ascending order."""
    codes = set(profile.codes)
    if verdict is not None and verdict.decision is Decision.MASK:
        codes.add(OPTION_CODES[Option.CLEAN_PIXEL_DATA])
    if defaced:
        codes.add(OPTION_CODES[Option.CLEAN_VISUAL_FEATURES])
    return tuple(sorted(codes))


@dataclass(frozen=True, slots=True)
class PixelFacts:
    """What is known of the pixels: the verdict (None: nobody judged them), whether they show a face, whether it was removed."""

    verdict: Verdict | None = None
    face: bool = False
    defaced: bool = False


def stamp(dataset: Dataset, profile: Profile, *, pseudonym: str, facts: PixelFacts) -> None:
    """Write PatientIdentityRemoved and what goes with it (PS3.15 section E.1.1, PS3.3 C.7.1.1 and C.12.1.1.9) into the copy.

    What an earlier de-identification wrote there is replaced: its words may hold anything.
    """
    codes = applied_codes(profile, facts.verdict, defaced=facts.defaced)
    method = [f"Fairlead {__version__}", profile.sha256, f"PS3.15 {EDITION}", f"profile {profile.name}"[:60]]
    for element in (
        DataElement(0x00100010, "PN", pseudonym),
        DataElement(0x00100020, "LO", pseudonym),
        DataElement(0x00120062, "CS", "YES"),  # Patient Identity Removed
        DataElement(0x00120063, "LO", method),
        DataElement(0x00120064, "SQ", [_code(code) for code in codes]),
        DataElement(0x00280303, "CS", _temporal(profile)),
    ):
        dataset[element.tag] = element
    if any(name in dataset for name in PIXELS):
        if facts.verdict is not None and facts.verdict.decision is not Decision.QUARANTINE:
            dataset.BurnedInAnnotation = "NO"
        if facts.face or facts.defaced:
            dataset.RecognizableVisualFeatures = "NO" if facts.defaced else "YES"


def _code(value: str) -> Dataset:
    elements = (DataElement(0x00080100, "SH", value), DataElement(0x00080102, "SH", "DCM"), DataElement(0x00080104, "LO", CODES[value]))
    return Dataset({element.tag: element for element in elements})


def _temporal(profile: Profile) -> str:
    if Option.RETAIN_FULL_DATES in profile.options:
        return "UNMODIFIED"
    return "MODIFIED" if Option.RETAIN_MODIFIED_DATES in profile.options else "REMOVED"
