"""Which counts of a dataset may be shown: numbers of people whom nobody may look at follow the centre's governance policy.

The pictures of a public dataset are counted by whoever reads its table of subjects. Of other datasets the record is all that is
public, and a record of three people says more than the policy's threshold allows: how many people and examinations, is left out.
"""

from __future__ import annotations

from typing import Final

from fairlead.publish.vocabulary import AccessRights
from fairlead.records import Counts, DatasetRecord

OF_PEOPLE: Final = ("patients", "studies")
UNITS: Final = (*OF_PEOPLE, "series", "images")


def hidden_below(counts: Counts, *, rights: AccessRights, threshold: int) -> int:
    """Return the threshold when the numbers of people have to be left out, else 0.

    >>> few = Counts(patients=3, studies=4, series=5, images=6, size_bytes=7)
    >>> hidden_below(few, rights=AccessRights.RESTRICTED, threshold=10), hidden_below(few, rights=AccessRights.PUBLIC, threshold=10)
    (10, 0)
    """
    return threshold if rights != AccessRights.PUBLIC and counts.patients < threshold else 0


def shown_counts(record: DatasetRecord) -> dict[str, int]:
    """Return the numbers that views may state, by unit."""
    return {unit: getattr(record.counts, unit) for unit in UNITS if not (record.counts_below and unit in OF_PEOPLE)}


def left_behind(record: DatasetRecord) -> int:
    """Return of how many members of the cohort nothing is published; notes on the others are about single instances or pictures."""
    made = {item.store.source for item in record.distributions if item.store is not None}
    return len({item.source for item in record.refused} - made)


def how_many(number: int, below: int = 0) -> str:
    """Return a number in words, or that it is below the threshold.

    >>> how_many(12), how_many(3, 10)
    ('12', 'fewer than 10')
    """
    return f"fewer than {below}" if below else str(number)
