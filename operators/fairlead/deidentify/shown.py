"""Names of files as reports show them: what could be a person's name, number or date is left out, and a number leads to the file."""

from __future__ import annotations

import re
from typing import Final

from fairlead.deidentify.words import PERSONAL_NUMBERS, known_terms

SUFFIX: Final = re.compile(
    r"(\.(?:dcm|dicom|ima|img|hdr|nii|gz|zip|tar|tiff?|ome|xml|json|zarr|companion|txt|csv|tsv|md|html?|pdf|jpe?g|png|bmp|gif|mp4|avi|"
    r"svs|ndpi|czi|lif|nd2|zattrs|zgroup|zarray|docx?|xlsx?|bak|tmp|db|log|ini))+$",
    re.IGNORECASE,
)
WORDS: Final = frozenset({
    "im", "img", "image", "images", "i", "file", "files", "scan", "scans", "slice", "slices", "series", "study", "studies", "dicom",
    "dicomdir", "dcm", "ct", "mr", "pt", "us", "sr", "seg", "rt", "dose", "plan", "struct", "deep", "sub", "folder", "data", "input",
    "in", "zarr", "ome", "labels", "label", "tables", "table", "readme", "notes", "note", "report", "thumbs", "store", "copy", "same",
    "uid", "cut", "empty", "noise", "test", "sample", "example", "old", "new", "raw", "tiff", "tif", "level", "plate", "well", "c",
    "broken", "part", "metadata", "version", "truncated", "set", "companion", "macro", "overview", "thumbnail", "link",
})  # fmt: skip
"""Words of file names that say what a file is, besides the packaged terms."""
_TERMS: Final = (
    "AR ASMT AU BDUS BI BMD CD CFM CR CT CTPROTOCOL DF DG DM DMS DOC DS DX EC ECG EEG EMG EOG EPS ES FA FID FS GM HC HD IO IOL IVOCT "
    "IVUS KER KO LEN LP LS M3D MA MG MR MS NM OAM OCT OP OPM OPR OPT OPTBSV OPTENF OPV OSS OT PA PLAN POS PR PT PX REG RESP RF RG "
    "RTDOSE RTIMAGE RTINTENT RTPLAN RTRAD RTRECORD RTSEGANN RTSTRUCT RWV SEG SM SMR SR SRF ST STAIN TEXTUREMAP TG US VA VF XA "
    "XAPROTOCOL XC"
)
MODALITIES: Final = frozenset(_TERMS.split())
"""Defined and retired terms of Modality (PS3.3 C.7.3.1.1.1); another value could be anything."""
MODALITY: Final = re.compile(r"(?<=^pixels \(modality\): images )[A-Z]+(?= may)")
NUMBERED: Final = re.compile(r"([a-z]*)\d{1,5}")
SHORT: Final = 3
MOST_DIGITS: Final = 7
"""More digits in one path could be a date or a number of somebody."""


def shown_name(name: str, number: int) -> str:
    """Return a path for a report: parts that are not plain become ``*``, and then the place in the sorted list of files leads it.

    >>> shown_name("series2/im0004.dcm", 9), shown_name("Mustermann_Erika_19640812.dcm", 12), shown_name("1964/08/12/a", 3)
    ('series2/im0004.dcm', '#12 *.dcm', '#3 */*/*/a')
    """
    numbers_stay = not PERSONAL_NUMBERS.search(name) and sum(character.isdigit() for character in name) <= MOST_DIGITS
    shown = "/".join(_part(part, numbers_stay=numbers_stay) for part in name.split("/"))
    return name if shown == name else f"#{number} {shown}"


def shown_reason(reason: str) -> str:
    """Return a reason for a report, without a modality that DICOM does not define.

    >>> shown_reason("pixels (modality): images MUELLER may show text")
    'pixels (modality): images without a known modality may show text'
    """
    return MODALITY.sub(lambda found: found.group() if found.group() in MODALITIES else "without a known modality", reason)


def _part(part: str, *, numbers_stay: bool) -> str:
    suffix = found.group() if (found := SUFFIX.search(part)) else ""
    stem = part.removesuffix(suffix)
    words = [word for word in re.split(r"[\W_]+", stem.casefold()) if word]
    return part if all(_is_plain(word, numbers_stay=numbers_stay) for word in words) and stem.isprintable() else f"*{suffix}"


def _is_plain(word: str, *, numbers_stay: bool) -> bool:
    if any(character.isdigit() for character in word):
        found = NUMBERED.fullmatch(word)
        return numbers_stay and found is not None and (len(found[1]) <= SHORT or found[1] in WORDS)
    return (len(word) == 1 and word.isascii()) or word in WORDS or word in known_terms()
