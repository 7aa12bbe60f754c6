"""Reading other FAIR Data Points into this catalogue's view: not built yet, and refused in so many words."""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.errors import UnsupportedInput
from fairlead.records import Record, Refusal
from fairlead.settings import Settings


class HarvestReport(Record):
    """What a harvest did; ``seen = stored + unchanged`` and the errors beside it. A source that fails deletes nothing."""

    seen: int = 0
    stored: int = 0
    unchanged: int = 0
    deleted: int = 0
    errors: tuple[Refusal, ...] = ()


def harvest(settings: Settings, urls: Sequence[str]) -> HarvestReport:
    """Harvest FAIR Data Points; with nothing to harvest the report is empty.

    Raises
    ------
    UnsupportedInput : an address was given; harvesting is not built yet.
    """
    if not urls:
        return HarvestReport()
    raise UnsupportedInput(
        "Harvesting other FAIR Data Points is not built yet; this catalogue serves what was published here.",
        remedy="Let the other side harvest this one: its root, containers and records follow FDP 1.2.",
    )
