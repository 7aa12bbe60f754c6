"""What every output says about itself: the method in words and codes, the temporal and pixel facts, and new file meta."""

from __future__ import annotations

from typing import Final

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from fairlead import __version__
from fairlead.deidentify.pixels import Decision, Verdict
from fairlead.deidentify.profile import Profile
from fairlead.deidentify.table import CODES, EDITION, OPTION_CODES, Option

IMPLEMENTATION_UID: Final = "2.25.231474301523541377562094316437019832457"
IMPLEMENTATION_NAME: Final = f"FAIRLEAD_{__version__.replace('.', '')}"[:16]
PREAMBLE: Final = b"\0" * 128
FACES: Final = frozenset({"HEAD", "BRAIN", "SKULL", "FACE", "ORBIT", "SINUS", "SINUSES", "HEADNECK", "JAW", "NECK", "CSPINE"})
"""Body parts whose volumes show a face; see Recognizable Visual Features (PS3.3 C.7.6.1)."""
VOLUMES: Final = frozenset({"CT", "MR", "PT"})
PIXELS: Final = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def applied_codes(profile: Profile, verdict: Verdict | None) -> tuple[str, ...]:
    """Return the CID 7050 codes of what was really done to one instance, in ascending order."""
    return tuple(
        sorted(
            {
                *profile.codes,
                *([OPTION_CODES[Option.CLEAN_PIXEL_DATA]] if verdict is not None and verdict.decision is Decision.MASK else []),
            }
        )
    )


def stamp(dataset: Dataset, profile: Profile, *, pseudonym: str, verdict: Verdict | None) -> None:
    """Write PatientIdentityRemoved and what goes with it (PS3.15 section E.1.1, PS3.3 C.7.1.1 and C.12.1.1.9) into the copy.

    What an earlier de-identification wrote there is replaced: its words may hold anything.
    """
    dataset.PatientID = pseudonym
    dataset.PatientName = pseudonym
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = [f"Fairlead {__version__}", profile.sha256, f"PS3.15 {EDITION}", f"profile {profile.name}"[:60]]
    dataset.DeidentificationMethodCodeSequence = Sequence([_code(code) for code in applied_codes(profile, verdict)])
    dataset.LongitudinalTemporalInformationModified = _temporal(profile)
    if any(name in dataset for name in PIXELS):
        if verdict is not None and verdict.decision is not Decision.QUARANTINE:
            dataset.BurnedInAnnotation = "NO"
        if _shows_face(dataset):
            dataset.RecognizableVisualFeatures = "YES"


def _code(value: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", CODES[value]
    return item


def _temporal(profile: Profile) -> str:
    if Option.RETAIN_FULL_DATES in profile.options:
        return "UNMODIFIED"
    return "MODIFIED" if Option.RETAIN_MODIFIED_DATES in profile.options else "REMOVED"


def _shows_face(dataset: Dataset) -> bool:
    part = str(dataset.get("BodyPartExamined") or "").strip().upper()
    return str(dataset.get("Modality") or "") in VOLUMES and part in FACES


def new_meta(dataset: Dataset, *, transfer_syntax: str) -> FileMetaDataset:
    """Return file meta of our own: no source AE title, no private information, the new instance UID (PS3.10 section 7.1)."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = UID(transfer_syntax)
    meta.ImplementationClassUID = UID(IMPLEMENTATION_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_NAME
    return meta
