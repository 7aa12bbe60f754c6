"""What identifies somebody in sources, looked for in texts that were made of them: the last gate before something is published."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from pydicom import dcmread
from pydicom.config import disable_value_validation

from fairlead.deidentify.engine import Person, Walk
from fairlead.deidentify.identity import Identity, is_harmless
from fairlead.deidentify.ome import identity_of_ome
from fairlead.deidentify.part10 import DAMAGE
from fairlead.deidentify.profile import Profile
from fairlead.deidentify.search import Haystack, probes_of
from fairlead.errors import FairleadError, UnreadableImage

MOST_HEADERS: Final = 16
SHORTEST_STEM: Final = 6
ISO_DATE: Final = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}")
SUFFIXES: Final = re.compile(r"(\.(ome|companion|tiff?|tf[28]|btf|zarr|xml|dcm))+$", re.IGNORECASE)
COMMON: Final = re.compile(
    r"(images?|cells?|plates?|series|samples?|channels?|stack|volume|slides?|tissue|fluorescence|microscopy)[ _-]?\d{0,3}"
)
NOBODY: Final = Person(key="", pseudonym="", days=0)


class Traces:
    """Identities of the sources of any number of records."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._identity = Identity()

    def add_series(self, paths: Sequence[Path]) -> None:
        """Remember what the headers of a DICOM series say of people and places; of a long series, some headers spread over it.

        Raises
        ------
        UnreadableImage : one of them cannot be read.
        """
        step = max(1, len(paths) // MOST_HEADERS)
        try:
            with warnings.catch_warnings(), disable_value_validation():
                warnings.simplefilter("ignore")
                for path in paths[::step]:
                    dataset = dcmread(path, stop_before_pixels=True)
                    walk = Walk(self._profile, b"", person=NOBODY, sop_class=str(dataset.get("SOPClassUID", "")))
                    walk.remember(dataset)
                    self._add(walk.identity)
        except (*DAMAGE, OSError) as error:
            raise UnreadableImage("A source of the export cannot be read again.") from error

    def add_file(self, path: Path) -> None:
        """Remember the name of an OME file or folder, and the people its OME-XML names."""
        stem = SUFFIXES.sub("", path.name)
        if len(stem) >= SHORTEST_STEM and not is_harmless(stem) and not COMMON.fullmatch(stem.casefold()):
            self._identity.texts.add(stem)
        if path.is_file():
            try:
                self._add(identity_of_ome(path, self._profile))
            except FairleadError:
                return  # what has no readable OME-XML was refused by the de-identification

    def _add(self, other: Identity) -> None:
        ours = self._identity
        ours.texts |= other.texts
        ours.raw |= other.raw
        ours.uids |= other.uids
        ours.dates |= other.dates

    def found_in(self, text: str, *, dates: Iterable[str] = ()) -> frozenset[str]:
        """Return the kinds of identity that occur in a text; ``dates`` (ISO 8601) are its own and do not count."""
        lower = text.lower().encode()
        known = {date.replace("-", "") for date in dates}
        kinds = {
            "identifier" for uid in self._identity.uids if uid.encode() in lower and re.search(rf"(?<![\d.]){re.escape(uid)}(?![\d])", text)
        }
        kinds |= {"name or number" for word in self._identity.texts if _occurs(word, lower)}
        kinds |= {"name or number" for value in self._identity.raw if value.lower() in lower}
        kinds |= {"date" for day in self._identity.dates - known if _has_date(day, text)}
        return frozenset(kinds)


def _occurs(word: str, lower: bytes) -> bool:
    if word.isascii() and word.isdigit() and word.encode() not in lower:
        return False  # a cohort has many numbers, and few of them occur
    where = ISO_DATE.sub(b"", lower) if word.isdigit() else lower  # a patient number may look like a year
    return any(probe.within(Haystack.of(where)) for probe in probes_of(word))


def _has_date(day: str, text: str) -> bool:
    iso = f"{day[:4]}-{day[4:6]}-{day[6:]}"
    return (day in text and re.search(rf"(?<![0-9a-fA-F]){day}(?![0-9a-fA-F])", text) is not None) or iso in text
