"""What every record is made of: names, UIDs and hashes as types, and the frozen, closed base class."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, StringConstraints

type Scalar = str | int | float | bool
type Value = Scalar | tuple[Scalar, ...]
type JsonObject = dict[str, Any]

UID_PATTERN: Final = re.compile(r"[0-9]+(\.[0-9]+)*")
NAME_PATTERN: Final = r"^[a-z0-9][a-z0-9_-]{0,62}$"
"""Projects and centres: safe in a path, an index name, an IRI and a Kubernetes label."""

Uid = Annotated[str, StringConstraints(pattern=r"^[0-9.]{1,64}$")]
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


def is_uid(text: str) -> bool:
    """Return whether ``text`` is a UID by PS3.5 section 9.1, leading zeros in a component tolerated.

    >>> is_uid("1.2.840.10008.1.1"), is_uid("../evil"), is_uid("1..2")
    (True, False, False)
    """
    return len(text) <= 64 and UID_PATTERN.fullmatch(text) is not None


class Record(BaseModel):
    """Base of every shape that crosses rooms: immutable, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")
