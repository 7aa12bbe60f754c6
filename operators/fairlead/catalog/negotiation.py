"""Which representation a request gets: ``?format=`` beats ``Accept``, Turtle is the default, what is not there is 406.

Source: RFC 9110 section 12.5.1 (quality values), FDP 1.2 (Turtle is the default serialisation).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

TURTLE: Final = "text/turtle"
HTML: Final = "text/html"
OFFERED: Final = (TURTLE, "application/ld+json", "application/rdf+xml", "application/n-triples", HTML)
"""In the order of our preference."""

FORMATS: Final[Mapping[str, str]] = {
    "ttl": TURTLE,
    "turtle": TURTLE,
    "jsonld": "application/ld+json",
    "rdf": "application/rdf+xml",
    "xml": "application/rdf+xml",
    "nt": "application/n-triples",
    "html": HTML,
}
MAX_ACCEPT: Final = 4096
"""Longer Accept headers are cut: nobody needs them, and parsing is linear in them."""


@dataclass(frozen=True, slots=True)
class Range:
    """One media range of an Accept header."""

    kind: str
    subtype: str
    quality: float

    def match(self, media_type: str) -> int:
        """Return how specifically the range matches: 0 not at all, 1 ``*/*``, 2 ``text/*``, 3 exactly."""
        kind, subtype = media_type.split("/")
        if (self.kind, self.subtype) == ("*", "*"):
            return 1
        if self.kind != kind:
            return 0
        return 2 if self.subtype == "*" else 3 * (self.subtype == subtype)


def parse_accept(header: str) -> tuple[Range, ...]:
    """Return the media ranges of a header; parts that cannot be read are skipped.

    >>> parse_accept("text/turtle;q=0.5, */*;q=0.1")[0]
    Range(kind='text', subtype='turtle', quality=0.5)
    """
    found = []
    for part in header[:MAX_ACCEPT].split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        kind, slash, subtype = name.lower().partition("/")
        if slash and kind and subtype:
            found.append(Range(kind, subtype, _quality(parameters)))
    return tuple(found)


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0


def choose(accept: str | None, wanted: str | None = None, *, offered: tuple[str, ...] = OFFERED) -> str | None:
    """Return the media type to answer with, None when nothing acceptable is offered (406).

    Of types that are wanted equally, one that is named comes before one that only ``*/*`` admits.

    >>> choose("text/html, */*"), choose("*/*"), choose(None, "jsonld"), choose("image/png")
    ('text/html', 'text/turtle', 'application/ld+json', None)
    """
    if wanted is not None:
        named = FORMATS.get(wanted.lower())
        return named if named in offered else None
    ranges = parse_accept(accept or "*/*")
    best, best_fit = None, (0.0, 0)
    for media_type in offered:
        specific, quality = max(((item.match(media_type), item.quality) for item in ranges if item.match(media_type)), default=(0, 0.0))
        if quality > 0 and (quality, specific) > best_fit:
            best, best_fit = media_type, (quality, specific)
    return best


def is_fresh(if_none_match: str | None, etag: str) -> bool:
    """Return whether the client's copy is the present one (RFC 9110 section 13.1.2, weak comparison).

    >>> is_fresh('W/"a", "b"', '"b"'), is_fresh("*", '"b"'), is_fresh('"c"', '"b"')
    (True, True, False)
    """
    if if_none_match is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in tags or etag.removeprefix("W/") in tags
