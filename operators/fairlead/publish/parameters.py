"""What an export is asked for, checked before anything is done."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints, ValidationError

from fairlead.errors import InvalidInput
from fairlead.publish.vocabulary import LICENCES, AccessRights, is_iri
from fairlead.records import JsonObject, Record

REFERENCE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,126}@[1-9][0-9]{0,8}")
DEFAULT_VIEWS: Final = ("fdp", "dcat-ap", "health-ri", "healthdcat-ap", "imaging")


def _reference(text: str) -> str:
    if REFERENCE.fullmatch(text) is None:
        raise ValueError("a cohort version is written ID@N")
    return text


def _licence(text: str | None) -> str | None:
    if text is None:
        return None
    iri = LICENCES.get(text, text)
    if not is_iri(iri):
        raise ValueError(f"a licence is an http(s) IRI or one of {', '.join(LICENCES)}")
    return iri


def _iri(text: str | None) -> str | None:
    if text is not None and not is_iri(text):
        raise ValueError("a series is an http(s) IRI")
    return text


def _views(names: tuple[str, ...]) -> tuple[str, ...]:
    unknown = sorted(set(names) - set(DEFAULT_VIEWS))
    if unknown or not names:
        raise ValueError(f"profiles are among {', '.join(DEFAULT_VIEWS)}")
    return tuple(name for name in DEFAULT_VIEWS if name in {*names, "fdp"})


class ExportParameters(Record):
    """An export as requested. ``profile`` is the de-identification profile, ``views`` are the FAIR profiles of the record.

    ``license`` is an IRI or one of the SPDX names in :data:`LICENCES`; None takes the catalogue's own. The ``fdp`` view is
    always among the views: the catalogue serves it. ``series`` is the IRI of a dataset series across centres that this is a part of.
    """

    cohort: Annotated[str, AfterValidator(_reference)]
    profile: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,126}$")] = "basic"
    access_rights: AccessRights = AccessRights.PUBLIC
    license: Annotated[str | None, AfterValidator(_licence)] = None
    title: Annotated[str | None, StringConstraints(strip_whitespace=True, max_length=300, pattern=r"^[^\x00-\x1f\x7f]*$")] = None
    geometry: Literal["strict", "split", "annotate"] = "strict"
    ngff: Literal["0.5", "0.6"] = "0.5"
    series: Annotated[str | None, StringConstraints(max_length=1000), AfterValidator(_iri)] = None
    views: Annotated[tuple[str, ...], AfterValidator(_views)] = Field(default=DEFAULT_VIEWS)


def read_parameters(document: JsonObject) -> ExportParameters:
    """Return checked parameters; empty strings of a form count as not given.

    Raises
    ------
    InvalidInput : the message names every parameter that does not hold, and what it may be.
    """
    given = {key: value for key, value in document.items() if value not in ("", None)}
    try:
        return ExportParameters.model_validate(given)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg'].removeprefix('Value error, ')}" for item in error.errors())
        raise InvalidInput(
            f"The export's parameters do not hold: {problems}.", remedy="See docs/catalog.md for what may be given."
        ) from error
