"""How much human labour stands between a researcher and a dataset: the access-labour tier A0 to A5, with evidence for each criterion.

The rubric is ``tiers.yaml``. A criterion passes, fails or is unknown; unknown counts as fail for the tier and says what would settle it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from fairlead.catalog.fetching import Fetcher
from fairlead.catalog.tier_bytes import Finding
from fairlead.catalog.tier_case import Case, case_of_path, case_of_url
from fairlead.catalog.tier_checks import CHECKS
from fairlead.database import utc_now
from fairlead.errors import InvalidInput
from fairlead.records import JsonObject
from fairlead.strict_yaml import NOT_YAML, load_strict

TIERS: Final = ("A0", "A1", "A2", "A3", "A4", "A5")
RUBRIC: Final = Path(__file__).with_name("tiers.yaml")
type Result = Literal["pass", "fail", "unknown"]


@dataclass(frozen=True, slots=True)
class Criterion:
    """One line of the rubric."""

    id: str
    gate: str
    method: str
    do: str
    removes: str | None = None


@cache
def rubric() -> Mapping[str, Any]:
    """Return the rubric; read once."""
    document: dict[str, Any] = load_strict(RUBRIC.read_text("utf-8"))
    document["criteria"] = tuple(Criterion(**item) for item in document["criteria"])
    return document


def evaluate(
    target: str, *, attestations: Sequence[Mapping[str, Any]] = (), fetcher: Fetcher | None = None, clock: Callable[[], datetime] = utc_now
) -> JsonObject:
    """Return tier, labour and evidence of a dataset, ours or anyone's, by the address of its page or the path of its record.

    Raises
    ------
    InvalidInput, NotFound, ServiceUnreachable : the target cannot be read at all.
    """
    is_url = target.startswith(("http://", "https://"))
    asking = fetcher or Fetcher(private=True)  # the address was given by the person at the keyboard
    try:
        case = case_of_url(target, asking) if is_url else case_of_path(Path(target))
        findings = {item.id: _find(item, case, attestations, now=clock()) for item in rubric()["criteria"]}
    finally:
        asking.close()
    return _report(case, findings, now=clock())


def _find(item: Criterion, case: Case, attestations: Sequence[Mapping[str, Any]], *, now: datetime) -> Finding:
    if (attested := _attested(item.id, attestations, today=now.astimezone(UTC).date())) is not None:
        return attested
    if item.method in "PD" and not case.online:
        return Finding("unknown", "needs the dataset's address: run it with the URL")
    return CHECKS[item.id](case)


def _attested(identifier: str, attestations: Sequence[Mapping[str, Any]], *, today: date) -> Finding | None:
    """Return what a person attested, unless the attestation is too old."""
    for item in attestations:
        if item.get("criterion") != identifier:
            continue
        try:
            when = date.fromisoformat(str(item["date"]))
        except (KeyError, ValueError) as error:
            raise InvalidInput("An attestation has a criterion, a result and a date.", remedy="See docs/catalog.md.") from error
        if today - when > timedelta(days=rubric()["attestation_days"]):
            return Finding("unknown", f"attested on {when}, which is more than {rubric()['attestation_days']} days ago")
        return Finding("pass" if item.get("result") == "pass" else "fail", f"attested on {when}")
    return None


def tier_of(results: Mapping[str, Result], criteria: Sequence[Criterion]) -> str:
    """Return the highest tier whose gate and all gates below pass.

    >>> line = Criterion("G1.x", "A1", "R", "")
    >>> tier_of({"G1.x": "pass"}, [line]), tier_of({"G1.x": "unknown"}, [line])
    ('A5', 'A0')
    """
    reached = TIERS[0]
    for tier in TIERS[1:]:
        if any(results[item.id] != "pass" for item in criteria if item.gate == tier):
            break
        reached = tier
    return reached


def _report(case: Case, findings: Mapping[str, Finding], *, now: datetime) -> JsonObject:
    criteria: tuple[Criterion, ...] = rubric()["criteria"]
    results: dict[str, Result] = {name: finding.result for name, finding in findings.items()}
    missing = [item for item in criteria if results[item.id] != "pass"]
    steps = {item.removes for item in missing if item.removes}
    labour = rubric()["labour"]
    known = {name: ("pass" if item.method in "PDH" else results[item.id]) for item in criteria for name in (item.id,)}
    return {
        "tier": "withdrawn" if case.withdrawn else tier_of(results, criteria),
        "record_tier": tier_of(known, criteria),  # an upper bound: everything that only a probe can tell is taken for granted
        "minutes": sum(labour[step]["minutes"] for step in steps),
        "waiting_days": sum(labour[step].get("days", 0) for step in steps),
        "automation": round(1 - len(steps) / len(labour), 2),
        "criteria": [
            {"id": item.id, "gate": item.gate, "method": item.method, "result": results[item.id], "evidence": findings[item.id].evidence}
            for item in criteria
        ],
        "next": [
            {"do": item.do, "gains": f"{item.gate}, saves {labour[item.removes]['minutes'] if item.removes else 0} min", "id": item.id}
            for item in sorted(missing, key=lambda item: (item.gate, -(labour[item.removes]["minutes"] if item.removes else 0)))
        ],
        "target": case.target,
        "rubric": rubric()["version"],
        "evaluated_at": now.astimezone(UTC).isoformat(timespec="seconds"),
        "probes": case.probes,
    }


def read_attestations(file: Path) -> list[Mapping[str, Any]]:
    """Return attestations from a YAML or JSON list of ``{criterion, result, date}``; raise InvalidInput."""
    try:
        document = load_strict(file.read_text("utf-8")) if file.suffix != ".json" else json.loads(file.read_text("utf-8"))
    except (OSError, *NOT_YAML) as error:
        raise InvalidInput(f"The attestations in {file.name} cannot be read.", remedy="Give a YAML or JSON list.") from error
    if not isinstance(document, list) or not all(isinstance(item, dict) for item in document):
        raise InvalidInput(f"{file.name} is no list of attestations.", remedy="Give a list of {criterion, result, date}.")
    return document
