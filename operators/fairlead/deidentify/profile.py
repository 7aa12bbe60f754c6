"""De-identification profiles: a readable YAML file each, checked, and hashed so that every output names what was done to it."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, StringConstraints, ValidationError, model_validator
from pydicom.datadict import tag_for_keyword

from fairlead.deidentify.boxes import Box
from fairlead.deidentify.overrides import kept_identity, problem_of
from fairlead.deidentify.table import BASIC_CODE, EDITION, OPTION_CODES, Option, additions_sha256
from fairlead.errors import InvalidConfiguration
from fairlead.records import Name
from fairlead.resources import configs_folder
from fairlead.strict_yaml import NOT_YAML, load_strict, told

logger = logging.getLogger(__name__)
TAG_PATTERN: Final = re.compile(r"\(([0-9A-Fa-f]{4}),([0-9A-Fa-f]{4})\)")
OF_PIXELS: Final = frozenset({Option.CLEAN_PIXEL_DATA, Option.CLEAN_VISUAL_FEATURES})
DEFACE_GROUP: Final = "fairlead.deface"
CORRECT: Final = "Correct the file; docs/deidentification.md explains every key."
Coordinate = Annotated[int, Field(ge=0, le=65535)]
Creator = Annotated[str, StringConstraints(min_length=1, max_length=64, strip_whitespace=True)]


class Part(BaseModel):
    """Base of every section of a profile: immutable, unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DatePolicy(Part):
    """How dates move under ``retain_modified_dates``: the same whole days for everything of one patient."""

    span_days: Annotated[int, Field(ge=14, le=3650)] = 365
    keep_weekday: bool = False


type Corners = tuple[Coordinate, Coordinate, Coordinate, Coordinate]


class ModelMask(Part):
    """Where a device burns text in, by model and image size; rectangles are ``[left, top, right, bottom]``, last excluded.

    ``keep`` blanks everything outside of its rectangles, ``blank`` what is inside; both together do both.
    """

    modality: str | None = None
    manufacturer: str
    model: str
    rows: Annotated[int, Field(ge=1, le=65535)]
    columns: Annotated[int, Field(ge=1, le=65535)]
    keep: tuple[Corners, ...] = ()
    blank: tuple[Corners, ...] = ()

    @model_validator(mode="after")
    def _has_rectangles(self) -> Self:
        if not self.keep and not self.blank:
            raise ValueError("a mask needs rectangles to keep or to blank")
        for left, top, right, bottom in (*self.keep, *self.blank):
            if left >= right or top >= bottom or right > self.columns or bottom > self.rows:
                raise ValueError("a rectangle is [left, top, right, bottom] inside the image, and not empty")
        return self

    def fits(self, device: Mapping[str, str]) -> bool:
        """Return whether an instance comes from this model: equal but for case, the modality only where one is stated."""
        stated = {"Modality": self.modality, "Manufacturer": self.manufacturer, "ManufacturerModelName": self.model}
        return all(want is None or device.get(keyword, "").casefold() == want.casefold() for keyword, want in stated.items())

    @property
    def kept(self) -> tuple[Box, ...]:
        """The rectangles that stay."""
        return tuple(Box(top, bottom, left, right) for left, top, right, bottom in self.keep)

    @property
    def blanked(self) -> tuple[Box, ...]:
        """The rectangles that go."""
        return tuple(Box(top, bottom, left, right) for left, top, right, bottom in self.blank)


class PixelPolicy(Part):
    """Which pixel data may leave; every rule that is not allowed sends the file to quarantine.

    ``allow`` names rules of :mod:`fairlead.deidentify.pixels` that a person has judged harmless for this data. ``search`` says where the
    gate looks for spellings of identity among pixel bytes: beginnings, ends and segments, or everywhere; plain values everywhere always.
    """

    mask_ultrasound: bool = True
    trust_burned_in_no: bool = True
    allow: frozenset[Literal["secondary-capture", "derived", "modality", "ultrasound", "photo", "encapsulated-document"]] = frozenset()
    masks: tuple[ModelMask, ...] = ()
    search: Literal["ends", "all"] = "ends"


class SafePrivate(Part):
    """Private elements that are known to be harmless, by their creator (PS3.15 section E.3.10), never by their block number."""

    creator: Creator
    group: Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{3}[13579BDFbdf]$")]
    elements: tuple[Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{2}$")], ...]


type ActionLetter = Literal["X", "Z", "D", "U", "K", "C"]


class Condition(Part):
    """Overrides for some instances only: those whose attributes have one of the values, all of them where several are named."""

    where: Annotated[dict[str, tuple[str, ...]], Field(min_length=1)]
    overrides: Annotated[dict[str, ActionLetter], Field(min_length=1)]

    def holds(self, value_of: Callable[[str], str]) -> bool:
        """Return whether an instance is meant; ``value_of`` gives the text of an attribute by keyword."""
        return all(value_of(keyword).strip().casefold() in {want.casefold() for want in wanted} for keyword, wanted in self.where.items())


class Profile(Part):
    """What happens to a data set: the basic profile of PS3.15 Annex E, the options on top of it, and local decisions."""

    name: Name
    title: str
    options: frozenset[Option] = frozenset()
    dates: DatePolicy = DatePolicy()
    oldest_age: Annotated[int, Field(ge=1, le=120)] = 89
    overrides: dict[str, ActionLetter] = Field(default_factory=dict)
    conditions: tuple[Condition, ...] = ()
    terms: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    safe_private: tuple[SafePrivate, ...] = ()
    pixels: PixelPolicy = PixelPolicy()
    dciodvfy: Annotated[Literal["every", "off"], BeforeValidator(lambda given: "off" if given is False else given)] = "every"
    """YAML 1.1 reads a bare ``off`` as false; both are taken."""
    _variants: dict[tuple[int, ...], Profile] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if {Option.RETAIN_FULL_DATES, Option.RETAIN_MODIFIED_DATES} <= self.options:
            raise ValueError("retain_full_dates and retain_modified_dates exclude each other")
        if Option.CLEAN_VISUAL_FEATURES in self.options and not entry_points(group=DEFACE_GROUP):
            raise ValueError(f"clean_visual_features needs a defacing plug-in (entry point {DEFACE_GROUP}), and none is installed")
        for key in self.terms:
            tag_of(key)
        problems = {key: problem_of(tag_of(key), letter, self.options) for key, letter in self._stated}
        if any(problems.values()):
            raise ValueError("; ".join(f"overrides.{key}: {key} {problem}" for key, problem in problems.items() if problem))
        tags = [tag_of(key) for key in self.overrides]
        if len(set(tags)) < len(tags):
            raise ValueError("an attribute has two overrides, one by its keyword and one by its tag")
        for keyword in {name for one in self.conditions for name in one.where}:
            if tag_for_keyword(keyword) is None:
                raise ValueError(f"{keyword!r} is no DICOM keyword")
        return self

    @property
    def _stated(self) -> list[tuple[str, str]]:
        """Every override, those of conditions too."""
        return [*self.overrides.items(), *(pair for one in self.conditions for pair in one.overrides.items())]

    @cached_property
    def keeps(self) -> tuple[str, ...]:
        """The attributes that identify somebody and that overrides keep, by keyword; no option stands for them."""
        return kept_identity([(tag_of(key), letter) for key, letter in self._stated], self.options)

    def effective(self, value_of: Callable[[str], str]) -> Profile:
        """Return the profile for one instance: the overrides of every condition that holds laid over the general ones, later ones last."""
        held = tuple(number for number, one in enumerate(self.conditions) if one.holds(value_of))
        return self._variant(held) if held else self

    def _variant(self, held: tuple[int, ...]) -> Profile:
        if held not in self._variants:
            overrides = dict(self.overrides)
            for number in held:
                new = self.conditions[number].overrides
                tags = {tag_of(key) for key in new}  # an attribute may be called by its keyword here and by its tag there
                overrides = {key: letter for key, letter in overrides.items() if tag_of(key) not in tags} | new
            self._variants[held] = self.changed(overrides=overrides, conditions=())
        return self._variants[held]

    def changed(self, **fields: object) -> Self:
        """Return this profile with other values of some fields, checked as if it had been written so."""
        stated = {name: getattr(self, name) for name in type(self).model_fields}  # dict(self) holds what was cached too
        return type(self).model_validate(stated | fields)

    @cached_property
    def codes(self) -> tuple[str, ...]:
        """The CID 7050 codes that hold for every file; those of pixels are added where something was really cleaned."""
        stated = (code for option, code in OPTION_CODES.items() if option in self.options and option not in OF_PIXELS)
        return (BASIC_CODE, *stated)

    @cached_property
    def overridden(self) -> dict[int, str]:
        """Local actions by tag."""
        return {tag_of(key): action for key, action in self.overrides.items()}

    @cached_property
    def terms_by_tag(self) -> dict[int, frozenset[str]]:
        """Additional allowed words by tag, in lower case."""
        return {tag_of(key): frozenset(word.casefold() for word in words) for key, words in self.terms.items()}

    @cached_property
    def sha256(self) -> str:
        """The digest of the effective profile: every default spelled out, the edition of the table, and our additions to it."""
        document = self.model_dump(mode="json") | {
            "table": EDITION,
            "additions": additions_sha256(),
            "options": sorted(self.options),
        }
        document["pixels"]["allow"] = sorted(self.pixels.allow)
        return hashlib.sha256(json.dumps(document, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def tag_of(text: str) -> int:
    """Return the tag for a DICOM keyword or ``(gggg,eeee)``.

    >>> hex(tag_of("PatientID")), hex(tag_of("(0008,103E)"))
    ('0x100020', '0x8103e')
    """
    if found := TAG_PATTERN.fullmatch(text):
        return int(found[1] + found[2], 16)
    tag = tag_for_keyword(text)
    if tag is None:
        raise ValueError(f"{text!r} is neither a DICOM keyword nor a tag like (0008,103E)")
    return tag


def profile_names() -> tuple[str, ...]:
    """Return the names of the profiles that travel with the package."""
    return tuple(sorted(path.stem for path in (configs_folder() / "deidentify").glob("*.yaml")))


def load_profile(name_or_path: str | Path) -> Profile:
    """Return a profile by its packaged name (``basic``) or from a YAML file.

    Raises
    ------
    InvalidConfiguration : no such profile, broken YAML, or rules that do not hold together; every problem in one message.
    """
    file = _file_of(name_or_path)
    try:
        profile = Profile.model_validate(load_strict(file.read_text("utf-8")))
    except ValidationError as error:
        problems = "; ".join(map(_told, error.errors(include_url=False)))
        raise InvalidConfiguration(f"The de-identification profile {file.name} does not hold: {problems}.", remedy=CORRECT) from error
    except OSError as error:
        raise InvalidConfiguration(f"The de-identification profile {file.name} cannot be read ({error.strerror}).") from error
    except NOT_YAML as error:
        at, what = told(error)
        raise InvalidConfiguration(f"The de-identification profile {file.name}{at} is not YAML: {what}.", remedy=CORRECT) from error
    if profile.keeps:
        logger.warning("The de-identification profile %s keeps what identifies people: %s.", profile.name, ", ".join(profile.keeps))
    return profile


def _told(problem: Mapping[str, Any]) -> str:
    place, what = ".".join(map(str, problem["loc"])), str(problem["msg"]).removeprefix("Value error, ")
    return f"{place}: {what}" if place else what


def _file_of(name_or_path: str | Path) -> Path:
    packaged = configs_folder() / "deidentify" / f"{name_or_path}.yaml"
    given = Path(name_or_path)
    if str(name_or_path) in profile_names():
        return packaged
    if given.is_file():
        return given
    raise InvalidConfiguration(
        f"There is no de-identification profile {given.name!r}.",
        remedy=f"Give a YAML file or one of: {', '.join(profile_names()) or 'none is installed'}.",
    )
