"""What DICOM knows beside the voxels: the header of a series as DICOM JSON, and a table of its planes.

The header is that of the first instance, de-identified once more by the Basic Profile with UIDs retained (PS3.15 Table E.1-1), so that a
series that was never de-identified tells nobody's name here either; the patient's module, bulk data, private elements, overlays and
texts with a word that is not known to be harmless are left out altogether: who types into them is not asked what Table E.1-1 lists.
Source: PS3.18 Annex F (DICOM JSON model).
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from fairlead.convert.dicom_images import DicomVoxels
from fairlead.convert.facts import fit_words, fits
from fairlead.convert.plan import ImagePlan
from fairlead.convert.words import coded, known_words
from fairlead.deidentify import Deidentifier, load_profile
from fairlead.errors import FairleadError, ResidualIdentity
from fairlead.records import JsonObject

HEADER: Final = "dicom/metadata.json"
PLANES: Final = "dicom/planes.csv"
COLUMNS: Final = ("time", "slice", "sop_instance", "frame", "x_mm", "y_mm", "z_mm", "slope", "intercept", "sha256")
OF_A_PERSON: Final = frozenset({0x0010, 0x0012})
"""Groups of the patient and of the clinical trial; what they say after de-identification is about our profile, not about the image."""
PER_FRAME: Final = 0x52009230
"""PerFrameFunctionalGroupsSequence: the table says where each frame lies."""
OVERLAYS: Final = range(0x6000, 0x6100)
TYPED: Final = frozenset({"AE", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
"""Value representations that hold what somebody typed (PS3.5 section 6.2)."""
CODES: Final = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
BULK: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})


def with_documents(plan: ImagePlan, first: Path) -> ImagePlan:
    """Return the plan with the header of its ``first`` file, and with the table of planes when it is made of such."""
    late: dict[str, Callable[[], bytes]] = {}
    if isinstance(voxels := plan.voxels, DicomVoxels):
        voxels.digests = {}
        late = {PLANES: lambda: planes_table(voxels)}
    try:
        header = header_json(first)
    except FairleadError as error:
        return replace(plan, late=late, dropped=(*plan.dropped, f"header as DICOM JSON ({error.code})"))
    return replace(plan, late=late, files={**plan.files, HEADER: header})


def header_json(path: Path) -> bytes:
    """Return one de-identified header in the DICOM JSON model, an array of one object as PS3.18 retrieves metadata.

    Raises
    ------
    ResidualIdentity : something that was taken out occurs elsewhere in the header.
    FairleadError : it cannot be de-identified.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom comments on odd values, which may quote them
        dataset = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        if PER_FRAME in dataset:
            del dataset[PER_FRAME]
        profile = load_profile("basic").changed(options=frozenset({"retain_uids"}))
        key = hashlib.sha256(f"header\x1f{dataset.get('SeriesInstanceUID', '')}".encode()).digest()
        result = Deidentifier(profile, key).process(dataset)
        _lay_bare(result.dataset)
        document = result.dataset.to_json_dict(suppress_invalid_tags=True)
    text = json.dumps([document], sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    if result.identity.found_in(text.encode(), with_dates=True):
        raise ResidualIdentity("The header would still hold identity.", remedy="De-identify the series first.")
    return text.encode()


def planes_table(voxels: DicomVoxels) -> bytes:
    """Return one CSV line per plane: its instance, its place in LPS, its scale, and the sha256 of its voxels as the store has them.

    Hashed are little-endian values in C order: rows and columns, of colour the three channels one after the other.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for time, point in enumerate(voxels.image.points):
        for place, member in enumerate(point):
            pose, frame = member.frame.pose, member.frame
            where: tuple[Any, ...] = pose.position if pose is not None else ("", "", "")
            instance = f"urn:oid:{member.header.sop_instance_uid}"
            digest = (voxels.digests or {}).get((time, place), "")
            writer.writerow((time, place, instance, frame.index + 1, *where, frame.slope, frame.intercept, digest))
    return text.getvalue().encode()


def _lay_bare(dataset: Dataset) -> None:
    """Leave numbers, codes of standard schemes, terms, identifiers, and texts of known words."""
    code: JsonObject = coded(*(dataset.get(name, "") for name in CODES))
    if "ImageType" in dataset:
        kinds = dataset.ImageType
        dataset.ImageType = fit_words(tuple(str(kind) for kind in (kinds if isinstance(kinds, MultiValue) else [kinds or ""])))
    for element in list(dataset):
        if not (code and element.keyword in CODES) and _must_go(element):
            del dataset[element.tag]
        elif element.VR == "SQ":
            for item in element.value:
                _lay_bare(item)
    if code and "meaning" in code:
        dataset.CodeMeaning = code["meaning"]
    elif code:
        dataset.pop("CodeMeaning", None)


def _must_go(element: DataElement) -> bool:
    tag = element.tag
    return bool(
        element.VR in BULK
        or tag.is_private
        or tag.group in OF_A_PERSON
        or tag.group in OVERLAYS
        or (element.VR in TYPED and not _is_known(element.value))
        or (element.VR == "CS" and element.keyword != "ImageType" and not _fits(element))
    )


def _fits(element: DataElement) -> bool:
    """Return whether a code string holds terms: its form alone does not keep anybody from typing a name."""
    value = element.value
    return fits(element.keyword, [str(part) for part in value] if isinstance(value, MultiValue) else str(value or ""))


def _is_known(value: Any) -> bool:
    """Return whether every word of a typed value is known to be harmless; empty values are."""
    return all(not str(part) or known_words(str(part)) for part in (value if isinstance(value, MultiValue) else [value or ""]))
