"""One field of the catalogue: what it is called, what it means, where it comes from and where it lies in a record."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from fairlead.records import Grain

FIELD_ID: Final = r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$"
MODULE: Final = r"^(core|community|community:dicom|community:rembi|custom:[a-z0-9][a-z0-9_-]{0,62})$"
NO_UNIT: Final = frozenset({"keyword", "text", "date", "boolean"})

CURIE: Final = r"^[A-Za-z][A-Za-z0-9.]*:[^\s:/]+$"

FieldType = Literal["keyword", "integer", "float", "date", "boolean", "text"]
Derived = Literal[
    "age", "count", "findings", "format", "frames", "kind", "measurements", "mixed", "patient", "plane", "positions", "rembi", "route",
    "schema", "transfer_syntax", "verdict",
]  # fmt: skip
"""What a reader works out itself: the catalogue says that a field is derived, the code says how."""
FieldId = Annotated[str, StringConstraints(pattern=FIELD_ID, max_length=100)]


class FieldSource(BaseModel):
    """Places that may state the value; in each list the first that states one wins."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dicom: tuple[str, ...] = ()
    ome: tuple[str, ...] = ()
    ngff: tuple[str, ...] = ()
    measurement: tuple[Annotated[str, StringConstraints(pattern=CURIE)], ...] = ()
    derived: Derived | None = None


class FieldDeclaration(BaseModel):
    """One declaration of ``configs/fields.yaml``; ``path`` is the dotted place of the value in an ``ImagingRecord``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: FieldId
    title: Annotated[str, StringConstraints(min_length=1, max_length=80)]
    help: str
    type: FieldType
    grain: Grain
    missing: str
    module: Annotated[str, StringConstraints(pattern=MODULE)]
    source: FieldSource
    aliases: tuple[str, ...] = ()
    unit: str | None = None
    facetable: bool = False
    sensitivity: Literal["none", "indirect"] = "none"
    vocabulary: str | None = None
    path: str = Field(default="", pattern=r"^(core|community|custom|findings)\.[A-Za-z0-9_.*]+$|^$")

    @model_validator(mode="after")
    def _complete(self) -> FieldDeclaration:
        if self.unit is not None and self.type in NO_UNIT:
            raise ValueError(f"a {self.type} has no unit")
        if self.source.measurement and (self.type != "float" or self.unit is None):
            raise ValueError("what a report measures is a float with a UCUM unit")
        if not self.path:
            object.__setattr__(self, "path", _default_path(self))  # frozen for everybody else
        return self

    @property
    def project(self) -> str | None:
        """Project whose records alone carry the field, or None for a field of all."""
        return self.module.removeprefix("custom:") if self.module.startswith("custom:") else None


def _default_path(field: FieldDeclaration) -> str:
    if field.module == "core":
        raise ValueError("a core field states its path")
    return f"custom.{field.id}" if field.project else f"community.*.attributes.{field.id}"
