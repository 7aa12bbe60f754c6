"""What to look at before a version is exported: each point says whether it is well, in words that stand without a colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fairlead.records import CohortSummary, Counts, JsonObject
from fairlead.workbench.access import unscoped
from fairlead.workbench.services import User, Workbench

FEW_PATIENTS: Final = 10
"""Below this many somebody may be singled out; the same as the threshold that `configs/governance.yaml` comes with."""


@dataclass(frozen=True, slots=True)
class Check:
    """One point of the list."""

    well: bool
    words: str


def checklist(version: CohortSummary, withdrawn: int, workbench: Workbench, user: User) -> tuple[Check, ...]:
    """Return the points; none of them stops an export, for which a steward's approval is there."""
    purpose = Check(bool(version.purpose), "The purpose is stated." if version.purpose else "No purpose is stated: the steward will ask.")
    found = [purpose, _size(version.counts), _consent(withdrawn)]
    definition = unscoped(version.definition, user)
    if user.projects is None or "scope" not in definition:
        found.append(_drift(version.counts, workbench.data.count(_submitted(definition))))
    return tuple(found)


def _size(counts: Counts) -> Check:
    if counts.patients >= FEW_PATIENTS:
        return Check(True, f"{counts.patients} patients.")
    return Check(False, f"Fewer than {FEW_PATIENTS} patients: somebody may be singled out.")


def _consent(withdrawn: int) -> Check:
    if not withdrawn:
        return Check(True, "Nobody was withdrawn.")
    return Check(False, f"{withdrawn} {'member was' if withdrawn == 1 else 'members were'} withdrawn and will be left out.")


def _drift(frozen: Counts, now: Counts) -> Check:
    series, patients = now.series - frozen.series, now.patients - frozen.patients
    if (now.images, now.size_bytes, series, patients) == (frozen.images, frozen.size_bytes, 0, 0):
        return Check(True, "As much data as when it was frozen.")
    return Check(False, f"Since it was frozen: {series:+d} series, {patients:+d} patients. Freeze again to take that in.".replace("-", "−"))


def _submitted(definition: JsonObject) -> JsonObject:
    """Return a frozen definition without the numbers that freezing gave."""
    return {name: part for name, part in definition.items() if name not in {"version", "parent"}}
