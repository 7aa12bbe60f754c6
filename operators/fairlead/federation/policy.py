"""``configs/governance.yaml``: who may ask a centre, about what, and how much an answer may tell. Checked, versioned, hashed."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator, model_validator

from fairlead.configuration import read_mapping
from fairlead.errors import InvalidConfiguration
from fairlead.extract import FieldCatalogue
from fairlead.federation.signing import canonical, public_bytes, sha256_text
from fairlead.records import JsonObject, Name

Line = Annotated[str, StringConstraints(min_length=1, max_length=200)]
LOWEST_THRESHOLD: Final = 5


class Part(BaseModel):
    """Base of every part: unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Noise(Part):
    """``largest`` bounds the noise of a set; ``per_patient`` is what each patient's presence shifts every number that holds them."""

    largest: int = Field(default=5, ge=0, le=50)
    per_patient: float = Field(default=0.5, ge=0, le=5)


class Budget(Part):
    """How much one person, and one project, may ask. A table is one question of the person, and of the project's one more than its rows."""

    questions: int = Field(default=200, ge=1)
    hours: float = Field(default=10, gt=0)
    per_minute: int = Field(default=10, ge=1)
    project_questions: int = Field(default=2000, ge=1)


class Disclosure(Part):
    """What is done to every number before it leaves."""

    threshold: int = Field(default=10, ge=LOWEST_THRESHOLD)
    reveal_zero: bool = False
    rounding: int = Field(default=5, ge=1, le=100)
    noise: Noise = Noise()
    dates: Literal["day", "month", "year"] = "month"
    most_parts: int = Field(default=40, ge=1, le=200)
    budget: Budget = Budget()


class OpenFields(Part):
    """``facets`` may be tabulated, numbers in steps of ``bins``; ``closed`` stay closed; ``text`` opens words of descriptions."""

    facets: tuple[str, ...] = ()
    bins: dict[str, Annotated[float, Field(gt=0)]] = {}
    closed: tuple[str, ...] = ()
    text: bool = False
    indirect: bool = False


class Hub(Part):
    """A hub that this centre knows, by the key that its administrator accepted."""

    name: Name
    public_key: str

    @field_validator("public_key")
    @classmethod
    def _a_key(cls, given: str) -> str:
        public_bytes(given)
        return given


class Study(Part):
    """A project that a steward approved: which hubs, which purposes, which of our data, when, and how much of it."""

    name: Name
    hubs: tuple[Name, ...] = Field(min_length=1)
    purposes: tuple[Line, ...] = Field(min_length=1)
    approved_by: Line
    data: tuple[Name, ...] = ()
    facets: bool = True
    freeze: bool = False
    opens_on: date | None = None
    closes_on: date | None = None

    def is_open(self, today: date) -> bool:
        """Return whether questions are taken on this day."""
        return (self.opens_on is None or self.opens_on <= today) and (self.closes_on is None or today <= self.closes_on)


class Bearer(Part):
    """Tokens that every request must carry besides its signature (OpenID Connect); keys come from a file, never from the network."""

    issuer: Line
    audience: Line
    keys_file: Path


class Doors(Part):
    """Under which hub and project the questions of a Beacon network or of a Lens mediator count, whose clients sign nothing themselves.

    ``token_sha256`` is the hash of the bearer token that the network's own gateway shows; without it anybody may ask.
    """

    hub: Name
    project: Name
    purpose: Line
    token_sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None


class Policy(Part):
    """The whole of ``governance.yaml``."""

    version: Line
    disclosure: Disclosure = Disclosure()
    fields: OpenFields = OpenFields()
    hubs: tuple[Hub, ...] = ()
    projects: tuple[Study, ...] = ()
    bearer: Bearer | None = None
    beacon: Doors | None = None
    lens: Doors | None = None
    clock_skew_s: float = Field(default=60, ge=0, le=900)
    message_age_s: float = Field(default=120, gt=0, le=3600)
    mailbox_age_s: float = Field(default=86_400, gt=0)
    largest_message_bytes: int = Field(default=65_536, ge=1024, le=1_048_576)

    @model_validator(mode="after")
    def _holds_together(self) -> Policy:
        for what, names in (("hub", [hub.name for hub in self.hubs]), ("project", [study.name for study in self.projects])):
            if len(set(names)) != len(names):
                raise ValueError(f"a {what} is named twice")
        if len({hub.public_key for hub in self.hubs}) != len(self.hubs):
            raise ValueError("two hubs have the same key")
        known = {hub.name for hub in self.hubs}
        for study in self.projects:
            if strange := [name for name in study.hubs if name not in known]:
                raise ValueError(f"project {study.name} names the hub {strange[0]}, which is not among the hubs")
        return self

    @property
    def sha256(self) -> str:
        """Hash of everything in force, the same for the same policy however its file is laid out."""
        return sha256_text(canonical(self.model_dump(mode="json")))

    def hub(self, name: str) -> Hub | None:
        """Return a hub by name."""
        return next((hub for hub in self.hubs if hub.name == name), None)

    def study(self, name: str, hub: str) -> Study | None:
        """Return a project if this hub may ask for it; a project of others is as unknown as one that does not exist."""
        return next((study for study in self.projects if study.name == name and hub in study.hubs), None)

    def for_hub(self, hub: str) -> JsonObject:
        """Return what one hub may read: the rules for all, its own projects, and nothing of others."""
        studies = [study for study in self.projects if hub in study.hubs]
        return {
            "version": self.version,
            "sha256": self.sha256,
            "disclosure": self.disclosure.model_dump(mode="json"),
            "fields": self.fields.model_dump(mode="json"),
            "projects": [study.model_dump(mode="json", exclude={"hubs", "data", "approved_by"}) for study in studies],
        }


def load_policy(file: Path, catalogue: FieldCatalogue) -> Policy:
    """Return the policy of a file, its fields checked against the centre's catalogue.

    Raises
    ------
    InvalidConfiguration : the file does not hold; UnknownField : it names a field that is not declared.
    """
    try:
        policy = Policy.model_validate(read_mapping(file, "governance file"))
    except ValidationError as error:
        problems = "; ".join(f"{_place(item)}: {item['msg']}" for item in error.errors(include_input=False, include_url=False))
        raise InvalidConfiguration(f"The governance file {file} does not hold: {problems}.") from error
    for name in (*policy.fields.facets, *policy.fields.bins, *policy.fields.closed):
        catalogue.get(name)
    return policy


def _place(item: Any) -> str:
    return ".".join(map(str, item["loc"])) or "the file"
