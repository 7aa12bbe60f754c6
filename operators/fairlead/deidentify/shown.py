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
