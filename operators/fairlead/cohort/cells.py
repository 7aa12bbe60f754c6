"""Lines of CSV that a spreadsheet shows and never runs: header values and names of rules are other people's text."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from fairlead.records import Scalar

FORMULA: Final = frozenset("=+-@\t\r\n")
"""First characters that make a spreadsheet run a cell."""


class _Echo:
    """What a csv writer writes to: it gives the line back."""

    def write(self, line: str) -> str:
        """Return the line."""
        return line


def csv_lines(rows: Iterable[Collection[Scalar | None]]) -> Iterator[str]:
    """Yield one line a row, without its end; a text that would be a formula is led by an apostrophe.

    >>> list(csv_lines([["=1+1", 2, None]]))
    ["'=1+1,2,"]
    """
    writer, formula = csv.writer(_Echo(), lineterminator=""), FORMULA
    for cells in rows:  # no call a cell: a version has millions
        yield str(writer.writerow([f"'{cell}" if type(cell) is str and cell[:1] in formula else cell for cell in cells]))
