"""Texts that people give: of whole characters that every database, page and terminal can hold, and no longer than their place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from fairlead.errors import InvalidInput

BROKEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
"""Control characters but tab and line ends, which databases refuse or terminals obey; halves of surrogate pairs, which have no UTF-8."""
MAX_NAME: Final = 200
MAX_WORDS: Final = 10_000


def is_broken(document: Any) -> bool:
    """Return whether a text anywhere in a document, however deep, holds what no text may hold."""
    waiting = [document]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            if BROKEN.search(one):
                return True
        elif isinstance(one, Mapping):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple):
            waiting += one
    return False


def checked_text(given: str, what: str, *, maximum: int = MAX_NAME) -> str:
    """Return a text without blanks around it.

    Raises
    ------
    InvalidInput : it is longer, or holds control characters or halves of characters.
    """
    text = given.strip()
    if len(text) > maximum or BROKEN.search(text):
        raise InvalidInput(f"The {what} is no text of up to {maximum} characters without control characters.", remedy="Write it anew.")
    return text


def in_one_line(text: str) -> str:
    r"""Return a text as a terminal may show it: header values are other people's, and a terminal obeys control characters.

    >>> in_one_line("ACME\x1b[2J")
    'ACME�[2J'
    """
    return "".join(one if one.isprintable() else "�" for one in text)
