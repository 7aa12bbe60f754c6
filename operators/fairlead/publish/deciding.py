"""Who may ask for an export, and who may decide on it."""

from __future__ import annotations

from fairlead.errors import NotPermitted
from fairlead.records import Approval
from fairlead.settings import ExportSettings


def is_somebody(name: str) -> bool:
    """Return whether a name names anybody: Airflow gives none for runs that no signed-in user has triggered.

    >>> is_somebody("clara"), is_somebody(" Unknown ")
    (True, False)
    """
    return name.strip().casefold() not in ("", "unknown")


def require_steward(decision: Approval, rules: ExportSettings) -> None:
    """Raise NotPermitted unless the decision is somebody's who may decide; whoever asked may always take the request back."""
    who, asked = decision.decided_by.strip().casefold(), decision.requested_by.strip().casefold()
    if not is_somebody(who):
        raise NotPermitted(
            "Nobody is named as the one who decides (four eyes).", remedy="Answer as a signed-in user, or fill --approved-by."
        )
    if not decision.approved and who == asked:
        return
    if rules.stewards and who not in {name.strip().casefold() for name in rules.stewards}:
        raise NotPermitted("Only a data steward may decide on an export.", remedy="Ask one of those named in export.stewards.")
    if decision.approved and rules.four_eyes and who == asked:
        raise NotPermitted(
            "An export is approved by somebody else than who requested it (four eyes).",
            remedy="Let another steward decide, or set export.four_eyes to false if your governance allows it.",
        )
