"""De-identification profiles: a readable YAML file each, checked, and hashed so that every output names what was done to it."""

from __future__ import annotations

import hashlib
import json
import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Final, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydicom.datadict import tag_for_keyword

from fairlead.deidentify.table import BASIC_CODE, EDITION, OPTION_CODES, Option
from fairlead.errors import InvalidConfiguration
from fairlead.records import Name
from fairlead.resources import configs_folder

TAG_PATTERN: Final = re.compile(r"\(([0-9A-Fa-f]{4}),([0-9A-Fa-f]{4})\)")
Creator = Annotated[str, StringConstraints(min_length=1, max_length=64, strip_whitespace=True)]


class Part(BaseModel):
    """Base of every section of a profile: immutable, unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DatePolicy(Part):
    """How dates move under ``retain_modified_dates``: the same whole days for everything of one patient."""

    span_days: Annotated[int, Field(ge=14, le=3650)] = 365
    keep_weekday: bool = False


class PixelPolicy(Part):
    """Which pixel data may leave; every rule that is not allowed sends the file to quarantine.

    ``allow`` names rules of :mod:`fairlead.deidentify.pixels` that a person has judged harmless for this data.
    """

    mask_ultrasound: bool = True
    trust_burned_in_no: bool = True
    allow: frozenset[Literal["secondary-capture", "derived", "modality", "ultrasound"]] = frozenset()


class SafePrivate(Part):
    """Private elements that are known to be harmless, by their creator (PS3.15 section E.3.10), never by their block number."""

    creator: Creator
    group: Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{3}[13579BDFbdf]$")]
    elements: tuple[Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{2}$")], ...]


class Profile(Part):
    """What happens to a data set: the basic profile of PS3.15 Annex E, the options on top of it, and local decisions."""

    name: Name
    title: str
    options: frozenset[Option] = frozenset()
    dates: DatePolicy = DatePolicy()
    oldest_age: Annotated[int, Field(ge=1, le=120)] = 89
    overrides: dict[str, Literal["X", "Z", "D", "U", "K", "C"]] = Field(default_factory=dict)
    terms: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    safe_private: tuple[SafePrivate, ...] = ()
    pixels: PixelPolicy = PixelPolicy()
    dciodvfy: Literal["every", "off"] = "every"

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if {Option.RETAIN_FULL_DATES, Option.RETAIN_MODIFIED_DATES} <= self.options:
            raise ValueError("retain_full_dates and retain_modified_dates exclude each other")
        if Option.CLEAN_VISUAL_FEATURES in self.options:
            raise ValueError("clean_visual_features needs a defacing program, and none is built in")
        for key in (*self.overrides, *self.terms):
            tag_of(key)
        return self

    @cached_property
    def codes(self) -> tuple[str, ...]:
        """The CID 7050 codes that hold for every file; Clean Pixel Data is added where a mask was really applied."""
        stated = (code for option, code in OPTION_CODES.items() if option in self.options and option is not Option.CLEAN_PIXEL_DATA)
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
        """The digest of the effective profile: every default spelled out, and the edition of the table."""
        document = self.model_dump(mode="json") | {
            "table": EDITION,
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
        return Profile.model_validate(yaml.safe_load(file.read_text("utf-8")))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, item['loc'])) or 'profile'}: {item['msg']}" for item in error.errors(include_url=False))
        raise InvalidConfiguration(f"The de-identification profile {file.name} does not hold: {problems}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidConfiguration(f"The de-identification profile {file.name} is not YAML.") from error


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
