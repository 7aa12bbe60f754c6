"""The last gate: the finished folder is read as a stranger would, and searched for what identifies somebody in its sources.

Searched are names of files, and every text of JSON, Turtle and CSV files; numbers, checksums and IRIs of other places say nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from fairlead.errors import CheckFailed
from fairlead.files import relative_files

EMAIL: Final = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}")
LITERAL: Final = re.compile(r'"""(.*?)"""|"((?:[^"\\\n]|\\.)*)"', re.DOTALL)
ELSEWHERE: Final = re.compile(r"(?:https?|mailto):\S+|[0-9a-f]{64}|[0-9.]+")


def texts_of(folder: Path) -> str:
    """Return the names of all files of a folder and what they say in words, one a line."""
    lines: list[str] = []
    for path in relative_files(folder):
        lines.append(path.as_posix())
        if path.suffix in (".json", ".jsonld"):
            lines += _strings(json.loads((folder / path).read_text(encoding="utf-8")))
        elif path.suffix == ".ttl":
            lines += ["".join(found) for found in LITERAL.findall((folder / path).read_text(encoding="utf-8"))]
        elif path.suffix == ".csv":
            lines += re.split(r"[,\r\n]+", (folder / path).read_text(encoding="utf-8"))
    return "\n".join(dict.fromkeys(line for line in lines if line and not ELSEWHERE.fullmatch(line)))


def require_no_address(text: str, *, ours: Iterable[str]) -> None:
    """Raise when a text holds an e-mail address other than our own contacts.

    Raises
    ------
    CheckFailed : it does.
    """
    known = {address.casefold() for address in ours}
    if any(found.casefold() not in known for found in EMAIL.findall(text)):
        raise residue("an e-mail address")


def residue(kinds: str) -> CheckFailed:
    """Return the error of a folder that may not be published; it repeats nothing that was found."""
    return CheckFailed(
        f"The finished dataset still holds {kinds} of a source; nothing was published.",
        remedy="Look at title and names of the export; correct the profile or leave the member out, and request a new export.",
    )


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            if not key.startswith("@") or key in ("@id", "@value", "@graph"):
                yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
