"""Values of a definition as the catalogue spells them: one type, one unit, one CURIE for every way to write them."""

from __future__ import annotations

import calendar
import math
import re
from collections.abc import Mapping
from datetime import date, datetime
from functools import cache
from typing import Any, Final

from fairlead.cohort.units import convert
from fairlead.errors import InvalidDefinition
from fairlead.extract import FieldDeclaration, concept_label, folded, vocabulary
from fairlead.records import Scalar

PERIOD: Final = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")
ACCEPTED: Final = {
    "keyword": "text in quotes",
    "text": "text in quotes",
    "integer": "a number",
    "float": "a number",
    "date": 'a date such as "2024-02-29", a month "2024-02" or a year "2024"',
    "boolean": "true or false",
}


def wrong_type(declaration: FieldDeclaration, given: Any, where: str) -> InvalidDefinition:
    """Return the error for a value of another type, naming the accepted one."""
    return InvalidDefinition(
        f"At {where}: {declaration.id} is of type {declaration.type}, but a {_json_name(given)} is given.",
        remedy=f"Give {ACCEPTED[declaration.type]}.",
    )


def _json_name(given: Any) -> str:
    names = {bool: "boolean", int: "number", float: "number", str: "text", list: "list", dict: "mapping", type(None): "null"}
    return names.get(type(given), type(given).__name__)


def scalar(declaration: FieldDeclaration, given: Any, *, unit: str | None, where: str) -> Scalar:
    """Return one value of a field that is not a date, in the catalogue's type, unit and spelling."""
    match declaration.type:
        case "boolean":
            if not isinstance(given, bool):
                raise wrong_type(declaration, given, where)
            return given
        case "integer" | "float":
            return _number(declaration, given, unit=unit, where=where)
        case _:
            if not isinstance(given, str):
                raise wrong_type(declaration, given, where)
            if not given.strip():
                raise InvalidDefinition(f"At {where}: the text for {declaration.id} is empty.", remedy="Give a text, or use `op: missing`.")
            return spelling(declaration, given, where=where)


def _number(declaration: FieldDeclaration, given: Any, *, unit: str | None, where: str) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise wrong_type(declaration, given, where)
    if not math.isfinite(given) or abs(given) >= 2**53:
        raise InvalidDefinition(f"At {where}: {given!r:.40} is no number for {declaration.id}.", remedy="Give a finite number below 2^53.")
    number = float(given) if unit is None else convert(float(given), unit, declaration.unit, where=where)
    return int(number) if number.is_integer() else number


def spelling(declaration: FieldDeclaration, text: str, *, where: str) -> str:
    """Return the catalogue's spelling of a term: its CURIE or label where the field has a vocabulary that knows it."""
    if declaration.vocabulary is None:
        return text
    known = vocabulary(declaration.vocabulary)
    if text in known.labels:
        return text
    bare = text.removeprefix(f"{known.scheme}:") if known.scheme else text
    found = known.concept(bare)
    if found is None:
        raise InvalidDefinition(
            f"At {where}: {text[:80]!r} is no value of {declaration.id}.", remedy=f"Use one of: {', '.join(sorted(known.labels))}."
        )
    if known.knows(bare):
        return found.curie or found.label or text
    return _labelled(declaration.vocabulary).get(folded(text), text)


def is_term(declaration: FieldDeclaration, value: Scalar) -> bool:
    """Return whether a value in the catalogue's spelling is known, or need not be: only fields with codes have terms."""
    if declaration.vocabulary is None:
        return True
    known = vocabulary(declaration.vocabulary)
    return known.scheme is None or str(value) in known.labels or concept_label(str(value)) is not None


@cache
def _labelled(name: str) -> Mapping[str, str]:
    """Return the values of a vocabulary by their labels: sentences and facets show these, so people write them."""
    return {folded(label): value for value, label in vocabulary(name).labels.items()}


def period(declaration: FieldDeclaration, given: Any, *, where: str) -> tuple[str, str]:
    """Return first and last day (ISO 8601) of a date, a month or a year; YAML's own dates and year numbers are taken too.

    >>> from types import SimpleNamespace
    >>> period(SimpleNamespace(id="study_date", type="date"), "2024-02", where="include")
    ('2024-02-01', '2024-02-29')
    """
    if isinstance(given, datetime):
        raise wrong_type(declaration, given, where)
    if isinstance(given, bool) or not isinstance(given, str | int | date):
        raise wrong_type(declaration, given, where)
    found = PERIOD.fullmatch(str(given))
    if found is None:
        raise _no_date(declaration, given, where)
    year, month, day = (int(part) if part else None for part in found.groups())
    try:
        first = date(year or 0, month or 1, day or 1)
        last = date(first.year, month or 12, day or calendar.monthrange(first.year, month or 12)[1])
    except (ValueError, IndexError) as error:
        raise _no_date(declaration, given, where) from error
    return first.isoformat(), last.isoformat()


def _no_date(declaration: FieldDeclaration, given: Any, where: str) -> InvalidDefinition:
    return InvalidDefinition(
        f"At {where}: {str(given)[:40]!r} is no date of the calendar, which {declaration.id} needs.", remedy=f"Give {ACCEPTED['date']}."
    )
