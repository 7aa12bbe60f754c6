"""The steward's view of the audit: how much was asked under which project, how much was snapped, how much refused."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import Engine

from fairlead.federation.audit import entries
from fairlead.records import JsonObject


def summary(engine: Engine) -> list[JsonObject]:
    """Return one row a hub and project; messages that nobody known signed stand under an empty hub."""
    tally: dict[tuple[str, str], Counter[str]] = {}
    for entry in entries(engine):
        proven = entry["kind"] != "refusal" or entry["proven"]
        place = (entry.get("hub", ""), entry.get("project", "")) if proven else ("", "")
        row = tally.setdefault(place, Counter())
        row["answers" if entry["kind"] == "answer" else "refusals"] += 1
        row["snapped"] += entry.get("snapped", 0)
        if entry["kind"] == "refusal":
            row[entry["code"]] += 1
    return [_row(place, row) for place, row in sorted(tally.items())]


def _row(place: tuple[str, str], row: Counter[str]) -> JsonObject:
    codes = {code: number for code, number in sorted(row.items()) if code not in ("answers", "refusals", "snapped")}
    known = {"answers": row["answers"], "snapped": row["snapped"], "refusals": row["refusals"]}
    return {"hub": place[0], "project": place[1], **known, "codes": codes}
