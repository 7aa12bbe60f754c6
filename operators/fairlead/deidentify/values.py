"""Replacement values: dummies by value representation, shifted dates, capped ages. No input, no output, no pydicom data sets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

REMOVED: Final = "REMOVED"
DUMMY_DATE: Final = "19000101"
DUMMIES: Final[Mapping[str, str | bytes | int | float]] = {
    "AE": "REMOVED", "AS": "000Y", "AT": 0, "CS": "REMOVED", "DA": DUMMY_DATE, "DS": "0", "DT": DUMMY_DATE + "000000",
    "FD": 0.0, "FL": 0.0, "IS": "0", "LO": REMOVED, "LT": REMOVED, "OB": b"\0\0", "OD": b"\0" * 8, "OF": b"\0" * 4,
    "OL": b"\0" * 4, "OV": b"\0" * 8, "OW": b"\0\0", "PN": "Removed", "SH": REMOVED, "SL": 0, "SS": 0, "ST": REMOVED,
    "SV": 0, "TM": "000000", "UC": REMOVED, "UL": 0, "UN": b"\0\0", "UR": "urn:removed", "US": 0, "UT": REMOVED, "UV": 0,
}  # fmt: skip
"""A value of each VR that says nothing (PS3.5 section 6.2); UI and SQ are made by the engine."""

DATE: Final = re.compile(r"(\d{4})[.\-/]?(\d{2})[.\-/]?(\d{2})")
DATETIME: Final = re.compile(r"(\d{4})(\d{2})?(\d{2})?((?:\d{2}){0,3}(?:\.\d{1,6})?(?:[+-]\d{4})?)")
TIME: Final = re.compile(r"\d{2}(:?\d{2}(:?\d{2}(\.\d{1,6})?)?)?")
ZONE: Final = re.compile(r"[+-]\d{4}")
AGE: Final = re.compile(r"(\d{3})([DWMY])")
DAYS_PER: Final[Mapping[str, float]] = {"D": 1, "W": 7, "M": 30.4375, "Y": 365.25}
MIDDLE: Final = ("07", "01")
"""Month and day that stand in for those a partial DT does not state."""


def _moved(year: str, month: str, day: str, days: int) -> str | None:
    try:
        moved = date(int(year), int(month), int(day)) + timedelta(days=days)
    except (ValueError, OverflowError):
        return None
    return f"{moved.year:04d}{moved.month:02d}{moved.day:02d}"


def shift_date(text: str, days: int) -> str | None:
    """Return a DA value moved by whole days, None when it is no date (PS3.5 section 6.2; the old form with dots is read).

    >>> shift_date("20240228", 2), shift_date("2024.02.28", 1), shift_date("unknown", 1)
    ('20240301', '20240229', None)
    """
    found = DATE.fullmatch(text.strip())
    return _moved(found[1], found[2], found[3], days) if found else None


def shift_datetime(text: str, days: int) -> str | None:
    """Return a DT value moved by whole days, time of day and zone unchanged; a partial one keeps its precision.

    >>> shift_datetime("20231231235959.5+0100", 1), shift_datetime("2023", 365)
    ('20240101235959.5+0100', '2024')
    """
    found = DATETIME.fullmatch(text.strip())
    if found is None:
        return None
    year, month, day, rest = found.groups()
    moved = _moved(year, month or MIDDLE[0], day or MIDDLE[1], days)
    if moved is None:
        return None
    if day is None:
        return moved[: 6 if month else 4] + (rest if rest[:1] in "+-" else "")
    return moved + rest


def shift_time(text: str, days: int) -> str | None:
    """Return a TM value unchanged, None when it is no time: whole days leave the time of day alone.

    >>> shift_time("101500.25", 12), shift_time("after lunch", 12)
    ('101500.25', None)
    """
    return text.strip() if TIME.fullmatch(text.strip()) else None


def shift_zone(text: str, days: int) -> str | None:
    """Return a time zone offset unchanged, None when it is none.

    >>> shift_zone("+0100", 12), shift_zone("Berlin", 12)
    ('+0100', None)
    """
    return text.strip() if ZONE.fullmatch(text.strip()) else None


def cap_age(text: str, oldest: int) -> str | None:
    """Return an AS value, ages above ``oldest`` years as the first year above it; None when it is no age.

    >>> cap_age("093Y", 89), cap_age("089Y", 89), cap_age("006M", 89)
    ('090Y', '089Y', '006M')
    """
    found = AGE.fullmatch(text.strip())
    if found is None:
        return None
    years = int(found[1]) * DAYS_PER[found[2]] / DAYS_PER["Y"]
    return f"{oldest + 1:03d}Y" if years >= oldest + 1 else found[0]
