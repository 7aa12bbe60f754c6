"""Days of a calendar in bytes, as DICOM, ISO 8601 and people in several countries write them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import Final

MONTHS: Final = {
    b"jan": 1, b"feb": 2, b"fev": 2, b"mar": 3, b"mae": 3, b"m\xc3\xa4": 3, b"m\xe4r": 3, b"apr": 4, b"avr": 4, b"may": 5, b"mai": 5,
    b"jun": 6, b"jul": 7, b"aug": 8, b"sep": 9, b"oct": 10, b"okt": 10, b"nov": 11, b"dec": 12, b"dez": 12,
}  # fmt: skip
NAMES: Final = b"(" + b"|".join(sorted(MONTHS, reverse=True)) + rb")[a-z]{0,7}"
MONTH: Final = re.compile(b"|".join(sorted(MONTHS, reverse=True)))
BEFORE, AFTER = 16, 32
"""So far a written day reaches around the name of its month, with a byte to spare for what must not stand beside it."""
YEAR: Final = rb"((?:18|19|20)[0-9]{2}|[0-9]{2})(?![0-9])"
SEPARATED: Final = re.compile(rb"([0-9](?<![0-9.].)[0-9]{0,3})([./\-_ ])([0-9]{1,2})\2([0-9]{1,4})(?![0-9]|\.[0-9])", re.DOTALL)
"""It begins with a digit, and then looks what stands before it: patterns that begin with what they must not follow are slow."""
DAY_MONTH: Final = re.compile(rb"(?<![0-9])([0-9]{1,2})(?:st|nd|rd|th)?[. \-_/]{0,2}" + NAMES + rb"[., \-_/]{0,2}" + YEAR)
MONTH_DAY: Final = re.compile(rb"(?<![a-z])" + NAMES + rb"[. \-_/]{0,2}([0-9]{1,2})(?:st|nd|rd|th)?[, \-_/]{1,2}" + YEAR)
YEAR_MONTH: Final = re.compile(rb"(?<![0-9])((?:18|19|20)[0-9]{2})[. \-_/]{0,2}" + NAMES + rb"[. \-_/]{0,2}([0-9]{1,2})(?![0-9])")


def days_in(text: bytes, wanted: Collection[str]) -> set[str]:
    """Return which days (``YYYYMMDD``) occur in lower-cased bytes.

    >>> sorted(days_in(b"born 12 aug. 1964, seen 3/15/2021 and 20200229101500", {"19640812", "20210315", "20200229", "19990101"}))
    ['19640812', '20200229', '20210315']
    """
    if not wanted:
        return set()
    found = {day for day in wanted if any(form in text and pattern.search(text) for form, pattern in _compact(day))}
    found |= {day for match in SEPARATED.finditer(text) for day in _readings(*(match[group].decode() for group in (1, 2, 3, 4)))}
    for near in _around_months(text):
        found |= {day for match in DAY_MONTH.finditer(near) for day in _days(match[3], MONTHS[match[2]], match[1])}
        found |= {day for match in MONTH_DAY.finditer(near) for day in _days(match[3], MONTHS[match[1]], match[2])}
        found |= {day for match in YEAR_MONTH.finditer(near) for day in _days(match[1], MONTHS[match[2]], match[3])}
    return found & set(wanted)


def _around_months(text: bytes) -> Iterator[bytes]:
    """Yield what stands around the names of months, neighbours together, so that many of them cost no more than the text is long."""
    begin = end = 0
    for month in MONTH.finditer(text):
        if month.start() - BEFORE > end:
            yield text[begin:end]
            begin = month.start() - BEFORE
        end = month.end() + AFTER
    yield text[begin:end]


@lru_cache(maxsize=8192)
def _compact(day: str) -> tuple[tuple[bytes, re.Pattern[bytes]], ...]:
    year, month, date = day[:4], day[4:6], day[6:]
    alone = [f"{date}{month}{year}".encode(), f"{month}{date}{year}".encode()]
    return (
        (day.encode(), re.compile(rb"(?<![0-9])" + day.encode())),  # a time may follow
        *((form, re.compile(rb"(?<![0-9.])" + form + rb"(?![0-9]|\.[0-9])")) for form in alone),
    )


def _days(year: bytes, month: int, day: bytes) -> Iterator[str]:
    for century in ("",) if len(year) == 4 else ("19", "20"):
        yield f"{century}{year.decode()}{month:02d}{int(day):02d}"


def _readings(first: str, separator: str, second: str, third: str) -> Iterator[str]:
    if len(first) == 4 and len(third) <= 2:
        yield f"{first}{second:0>2}{third:0>2}"
    elif len(third) == 4 and len(first) <= 2:
        yield f"{third}{second:0>2}{first:0>2}"
        yield f"{third}{first:0>2}{second:0>2}"
    elif len(first) == len(second) == len(third) == 2 and separator != " ":
        for century in ("19", "20"):
            yield f"{century}{third}{second}{first}"
            yield f"{century}{third}{first}{second}"
            yield f"{century}{first}{second}{third}"
