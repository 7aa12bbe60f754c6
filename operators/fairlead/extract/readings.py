"""From header text to values: numbers, dates and ages, where a malformed text is no value and never an error.

Dates of care stay local calendar dates as written: an offset is understood and dropped, never applied, so no time zone and no
clock change can move a date.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final

from fairlead.records import Scalar

YEAR_DAYS: Final = 365.25
AGE_UNIT_DAYS: Final[Mapping[str, float]] = {"D": 1.0, "W": 7.0, "M": YEAR_DAYS / 12, "Y": YEAR_DAYS}
MAX_AGE_YEARS: Final = 150.0
MAX_TEXT: Final = 512

_AGE: Final = re.compile(r"\s*(\d{1,3})\s*([DWMY])\s*", re.IGNORECASE)
_DATE: Final = re.compile(r"\s*(\d{4})([-./:]?)(\d{2})\2(\d{2})")


def as_text(value: Any) -> str | None:
    r"""Return printable text without padding, at most 512 characters; None when nothing is left.

    >>> as_text("  CHEST \x00"), as_text(" ")
    ('CHEST', None)
    """
    text = "".join(character for character in str(value) if character.isprintable()).strip()[:MAX_TEXT].strip()
    return text or None


def as_float(value: Any) -> float | None:
    """Return a finite number, or None.

    >>> as_float("1.5"), as_float("1A"), as_float("nan")
    (1.5, None, None)
    """
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def as_number(value: Any) -> int | float | None:
    """Return a finite number as JSON has it: whole ones without a point.

    >>> as_number("12.50"), as_number("3.0"), as_number("NaN")
    (12.5, 3, None)
    """
    number = as_float(value)
    return int(number) if number is not None and number.is_integer() and abs(number) < 2**53 else number


def as_integer(value: Any) -> int | None:
    """Return a whole number that fits 64 bits, or None."""
    number = as_float(value)
    return int(number) if number is not None and number.is_integer() and abs(number) < 2**63 else None


def as_date(value: Any) -> date | None:
    """Return the calendar date at the beginning of a DA, DT or ISO 8601 text, as written; None when there is no valid one.

    >>> as_date("20200229233000+0500"), as_date("2020-03-29T02:30:00Z"), as_date("20201301"), as_date("2020.02.01")
    (datetime.date(2020, 2, 29), datetime.date(2020, 3, 29), None, datetime.date(2020, 2, 1))
    """
    match = _DATE.match(str(value))
    if match is None:
        return None
    try:
        return date(int(match[1]), int(match[3]), int(match[4]))
    except ValueError:
        return None


def as_age_years(value: Any) -> float | None:
    """Return an age string (PS3.5 VR AS) in years, rounded to 3 decimals; None for ``000Y`` and for anything else that is no age.

    ``000Y`` is what de-identification writes over an age (10,622 series of the public IDC table), not a newborn; ``000D`` is one.

    >>> as_age_years("052W"), as_age_years("018M"), as_age_years("000Y"), as_age_years("N-A")
    (0.997, 1.5, None, None)
    """
    match = _AGE.fullmatch(str(value))
    if match is None:
        return None
    count, unit = int(match.group(1)), match.group(2).upper()
    if count == 0 and unit == "Y":
        return None
    years = round(count * AGE_UNIT_DAYS[unit] / YEAR_DAYS, 3)
    return years if years <= MAX_AGE_YEARS else None


def age_between(born: date | None, examined: date | None) -> float | None:
    """Return the age in years, rounded to one decimal so that it does not give the birth date away; None when it makes no sense."""
    if born is None or examined is None:
        return None
    years = (examined - born).days / YEAR_DAYS
    return round(years, 1) if 0 <= years <= MAX_AGE_YEARS else None


def as_boolean(value: Any) -> bool | None:
    """Return YES/NO, true/false, 1/0 as a boolean; None for anything else."""
    return {"yes": True, "true": True, "1": True, "y": True, "no": False, "false": False, "0": False, "n": False}.get(
        str(value).strip().casefold()
    )


def _iso_date(value: Any) -> str | None:
    found = as_date(value)
    return found.isoformat() if found else None


READINGS: Final[Mapping[str, Callable[[Any], Scalar | None]]] = {
    "keyword": as_text,
    "text": as_text,
    "integer": as_integer,
    "float": as_float,
    "date": _iso_date,
    "boolean": as_boolean,
}
"""The reading of each catalogue type."""
