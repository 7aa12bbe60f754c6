"""Literals that strangers send: characters that every syntax can hold, tags that are language tags, forms that fit their datatype.

Sources: XML 1.0 section 2.2 (``Char``); BCP 47 section 2.1 as Turtle reads it (``LANGTAG``); XSD 1.1 part 2, section 3 (lexical spaces).
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Mapping
from typing import Final

from rdflib import RDF, XSD, Graph, Literal

from fairlead.errors import CheckFailed, InvalidInput

NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML 1.0 document has a way to write, not even as a reference."""
LANGUAGE: Final = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*")
MAX_LITERAL: Final = 200_000
ZONE: Final = r"(Z|[+-](0\d|1[0-3]):[0-5]\d|[+-]14:00)?"
DAY: Final = r"-?([1-9]\d{3,8}|0\d{3})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
"""Year, month and day; nobody needs years of more than nine digits, and the calendar below takes them."""
TIME: Final = r"(([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?|24:00:00(\.0+)?)"
DATE_PART: Final = r"((\d+Y)(\d+M)?(\d+D)?|(\d+M)(\d+D)?|\d+D)"
TIME_PART: Final = r"T((\d+H)(\d+M)?(\d+(\.\d+)?S)?|(\d+M)(\d+(\.\d+)?S)?|\d+(\.\d+)?S)"


class IllFormedLiteral(CheckFailed):
    """A literal that is not of the form that its datatype has."""

    code = "literal-ill-formed"


def clean(text: str) -> str:
    """Return text without the characters that XML 1.0 has no way to write."""
    return NOT_XML.sub(" ", text)


def check_text(literal: Literal) -> None:
    """Refuse what not every syntax of RDF can say.

    Raises
    ------
    InvalidInput : without end, with a character that XML cannot hold, or with a language tag that is none.
    """
    if len(literal) > MAX_LITERAL:
        raise InvalidInput(f"A literal has more than {MAX_LITERAL} characters.", remedy="Link to long texts.")
    if found := NOT_XML.search(literal):
        raise InvalidInput(
            f"A literal has the character U+{ord(found.group()):04X}, which no XML document can hold.", remedy="Leave the character out."
        )
    if literal.language and LANGUAGE.fullmatch(literal.language) is None:
        raise InvalidInput(f"{literal.language[:40]!r} is no language tag.", remedy="Use one like en or de-DE.")


def check_forms(graph: Graph) -> None:
    """Refuse a record with a literal that is not of the form of its datatype; the message names property and literal.

    Records of others that are only read here may have such literals (RDF 1.1 Concepts, section 5.4): nothing here breaks on them.

    Raises
    ------
    IllFormedLiteral : the first that is found.
    """
    for _, predicate, value in graph:
        if isinstance(value, Literal) and value.datatype is not None and not is_well_formed(str(value), str(value.datatype)):
            raise IllFormedLiteral(
                f"{str(value)[:80]!r}, the value of <{predicate}>, is not of the form of <{value.datatype}>.",
                remedy="Write the value as its datatype has it, or as plain text.",
            )


def is_well_formed(lexical: str, datatype: str) -> bool:
    """Return whether a lexical form is one of its datatype; datatypes that are not known here take everything.

    >>> is_well_formed("2026-02-29", str(XSD.date)), is_well_formed("INF", str(XSD.double)), is_well_formed("300", str(XSD.byte))
    (False, True, False)
    """
    check = FORMS.get(datatype)
    return check is None or check(lexical)


def _form(pattern: str) -> Callable[[str], bool]:
    known = re.compile(pattern, re.ASCII)
    return lambda text: known.fullmatch(text) is not None


def _day(pattern: str) -> Callable[[str], bool]:
    """Return a check of a form that begins with a day, which the calendar must have."""
    known = re.compile(pattern, re.ASCII)

    def check(text: str) -> bool:
        """Return whether form and day hold; years repeat after four hundred."""
        found = known.fullmatch(text)
        return found is not None and int(found.group(3)) <= monthrange(int(found.group(1)) % 400 + 400, int(found.group(2)))[1]

    return check


def _whole(least: int | None = None, most: int | None = None) -> Callable[[str], bool]:
    """Return a check of an integer within bounds; without them any number of digits will do."""
    known = re.compile(r"[+-]?0*(\d{1,20})" if least is not None and most is not None else r"[+-]?\d+", re.ASCII)

    def check(text: str) -> bool:
        """Return whether it is one; signs say enough where one side is open, so that nobody makes us read a million digits."""
        if known.fullmatch(text) is None:
            return False
        if least is not None and most is not None:
            return least <= int(text) <= most
        is_zero, is_negative = not text.strip("+-0"), text[0] == "-"
        below = least is not None and ((is_negative and not is_zero) or (is_zero and least > 0))
        above = most is not None and ((not is_negative and not is_zero) or (is_zero and most < 0))
        return not below and not above

    return check


def _duration(*, dates: bool = True, times: bool = True) -> Callable[[str], bool]:
    part = DATE_PART if dates and times else r"(\d+Y)?\d+M|\d+Y" if dates else r"\d+D"
    return _form(rf"-?P(({part})({TIME_PART})?|{TIME_PART})" if times else rf"-?P({part})")


NUMBER: Final = r"[+-]?(\d+(\.\d*)?|\.\d+)"
_FLOAT: Final = _form(rf"{NUMBER}([eE][+-]?\d+)?|[+-]?INF|NaN")
FORMS: Final[Mapping[str, Callable[[str], bool]]] = {
    str(name): check
    for name, check in {
        XSD.boolean: _form("true|false|1|0"),
        XSD.decimal: _form(NUMBER),
        XSD.float: _FLOAT,
        XSD.double: _FLOAT,
        XSD.integer: _whole(),
        XSD.nonNegativeInteger: _whole(least=0),
        XSD.positiveInteger: _whole(least=1),
        XSD.nonPositiveInteger: _whole(most=0),
        XSD.negativeInteger: _whole(most=-1),
        XSD.long: _whole(-(2**63), 2**63 - 1),
        XSD.int: _whole(-(2**31), 2**31 - 1),
        XSD.short: _whole(-(2**15), 2**15 - 1),
        XSD.byte: _whole(-(2**7), 2**7 - 1),
        XSD.unsignedLong: _whole(0, 2**64 - 1),
        XSD.unsignedInt: _whole(0, 2**32 - 1),
        XSD.unsignedShort: _whole(0, 2**16 - 1),
        XSD.unsignedByte: _whole(0, 2**8 - 1),
        XSD.date: _day(DAY + ZONE),
        XSD.dateTime: _day(f"{DAY}T{TIME}{ZONE}"),
        XSD.dateTimeStamp: _day(f"{DAY}T{TIME}{ZONE[:-1]}"),
        XSD.time: _form(TIME + ZONE),
        XSD.gYear: _form(rf"-?([1-9]\d{{3,8}}|0\d{{3}}){ZONE}"),
        XSD.gYearMonth: _form(rf"-?([1-9]\d{{3,8}}|0\d{{3}})-(0[1-9]|1[0-2]){ZONE}"),
        XSD.gMonth: _form(rf"--(0[1-9]|1[0-2]){ZONE}"),
        XSD.gDay: _form(rf"---(0[1-9]|[12]\d|3[01]){ZONE}"),
        XSD.gMonthDay: _form(rf"--((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|[12]\d)){ZONE}"),
        XSD.duration: _duration(),
        XSD.yearMonthDuration: _duration(times=False),
        XSD.dayTimeDuration: _duration(dates=False),
        XSD.hexBinary: _form(r"([0-9A-Fa-f]{2})*"),
        XSD.base64Binary: _form(r"(([A-Za-z0-9+/] ?){4})*(([A-Za-z0-9+/] ?){3}=|([A-Za-z0-9+/] ?){2}= ?=)?"),
        XSD.language: _form(LANGUAGE.pattern),
        RDF.langString: lambda text: False,
    }.items()
}
"""The lexical space of every datatype that RDF 1.1 knows (Concepts, section 5.1); a ``langString`` has a language, not a datatype."""
