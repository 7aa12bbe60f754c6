"""The report as one HTML page: counts, reasons, and pictures of what was masked. No value of any header is in it.

Quarantined files appear by reason and number; their names are the caller's own and stay in the JSON report.
"""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from fairlead import __version__
from fairlead.deidentify.table import CODES, EDITION
from fairlead.files import write_text
from fairlead.records import DeidentifyReport

MOST_PICTURES: Final = 24


@dataclass(frozen=True, slots=True)
class Picture:
    """A masked instance under its new name: PNG before (a mosaic in which nothing can be read) and after."""

    name: str
    rule: str
    before: bytes
    after: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """What the page shows."""

    report: DeidentifyReport
    profile: str
    pictures: tuple[Picture, ...] = ()

    def write(self, file: Path) -> None:
        """Write the page in one step."""
        write_text(file, self.render())

    def render(self) -> str:
        """Return the page as HTML that needs no network."""
        reasons = Counter(entry.reason for entry in self.report.quarantined)
        return (
            _environment()
            .get_template("report.html")
            .render(
                report=self.report,
                profile=self.profile,
                version=__version__,
                edition=EDITION,
                codes=[(code, CODES[code]) for code in self.report.profile_codes],
                reasons=sorted(reasons.items(), key=lambda item: (-item[1], item[0])),
                pictures=[(picture.rule, _address(picture.before), _address(picture.after)) for picture in self.pictures[:MOST_PICTURES]],
                more=max(len(self.pictures) - MOST_PICTURES, 0),
            )
        )


def _address(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _environment() -> Environment:
    return Environment(loader=PackageLoader("fairlead.deidentify", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
