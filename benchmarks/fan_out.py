"""P18: five centres as processes of their own on this machine, counts streamed: the first answer, all answers, a dead and a deaf centre.

    python benchmarks/fan_out.py [--homes FOLDER …] [--rounds 5] [--json]

A home is a FAIRLEAD_HOME with an index.sqlite (`fairlead index load-idc`); without any, five small seeded centres are made.

Budget: first answer at most 300 ms; a dead centre never blocks; disclosure control at most 5 ms (benchmarks/disclosure.py).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml

from fairlead.database import open_database
from fairlead.extract import load_catalogue
from fairlead.federation import Center, Hub
from fairlead.federation.signing import GATEWAY_KEY, Identity, fingerprint, load_identity
from fairlead.index.embedded import EmbeddedIndex
from fairlead.resources import configs_folder
from fairlead.settings import FederationSettings, Settings

ROOT = Path(__file__).parents[1]
WAIT_S = 5.0
"""A deaf centre holds a round this long; nothing else waits for it."""
QUESTIONS: list[Any] = [
    {"field": "modality", "op": "=", "value": "CT"},
    {"all": [{"field": "modality", "op": "in", "value": ["CT", "MR"]}, {"field": "patient.sex", "op": "=", "value": "F"}]},
    {"all": [{"field": "modality", "op": "=", "value": "MR"}, {"field": "study_date", "op": ">=", "value": "2005"}]},
    {"not": {"has": "series", "where": {"field": "modality", "op": "=", "value": "SEG"}}},
    {"any": [{"field": "body_part", "op": "=", "value": "CHEST"}, {"field": "body_part", "op": "=", "value": "BREAST"}]},
]


def seeded(folder: Path) -> list[Path]:
    """Return the homes of five small centres."""
    sys.path.insert(0, str(ROOT / "tests"))
    from federation.builders import patients_of

    catalogue = load_catalogue(configs_folder() / "fields.yaml")
    homes = [folder / f"center-{number}" for number in range(5)]
    for home in homes:
        EmbeddedIndex(home / "index.sqlite", catalogue).put(patients_of(home.name, each=100))
    return homes


def start(home: Path, name: str, hub: Identity) -> subprocess.Popen[str]:
    """Start a gateway that this hub may ask."""
    budget = {"questions": 100_000, "per_minute": 100_000, "project_questions": 1_000_000}
    policy = {
        "version": "bench",
        "disclosure": {"budget": budget},
        "fields": {"facets": ["modality", "body_part", "patient.sex", "study_date"]},
        "hubs": [{"name": "bench", "public_key": hub.public_key}],
        "projects": [{"name": "bench", "hubs": ["bench"], "purposes": ["bench"], "approved_by": "bench"}],
    }
    (home / "governance.yaml").write_text(yaml.safe_dump(policy))
    variables = os.environ | {"FAIRLEAD_HOME": str(home), "FAIRLEAD_CENTER": name}
    variables |= {"FAIRLEAD_GATEWAY__GOVERNANCE": str(home / "governance.yaml")}
    command = [sys.executable, "-m", "fairlead.cli", "gateway", "--port", "0"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=variables)


async def ask(hub: Hub, include: Any) -> tuple[float, float, dict[str, str]]:
    """Return seconds to the first answer and to the last of those that answered, and the state of each centre."""
    began, times, states = time.perf_counter(), [], {}
    document = {"schemaVersion": "1", "title": "Bench", "unit": "patient", "include": include}
    async for answer in hub.ask(document, asking=hub.asking(person="bench", wait_s=WAIT_S)):
        states[answer.center] = answer.state
        if answer.state == "answered":
            times.append(time.perf_counter() - began)
    return min(times, default=WAIT_S), max(times, default=WAIT_S), states


def run(homes: list[Path], rounds: int) -> dict[str, Any]:
    """Return the figures."""
    settings = Settings(
        home=Path(tempfile.mkdtemp(prefix="fairlead-bench-")),
        federation=FederationSettings(hub="bench", project="bench", purpose="bench", private=True),
    )
    hub = Hub.open(settings, open_database(settings))
    with ExitStack() as stack:
        names = [f"center-{number}" for number in range(len(homes))]
        running = [stack.enter_context(start(home, name, hub.identity)) for home, name in zip(homes, names, strict=True)]
        stack.callback(lambda: [process.kill() for process in running])
        deaf = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        addresses = {name: process.stdout.readline().split()[1] for name, process in zip(names, running, strict=True) if process.stdout}
        keys = {name: load_identity(home / "secrets", GATEWAY_KEY).public_key for name, home in zip(names, homes, strict=True)}
        addresses |= {"deaf": f"http://127.0.0.1:{deaf.getsockname()[1]}", "dead": "http://127.0.0.1:9"}
        keys |= {"deaf": keys[names[0]], "dead": keys[names[0]]}
        for name, address in addresses.items():
            hub.centers.found(Center(name, address, keys[name]))
            hub.centers.accept(name, fingerprint(keys[name]), by="bench")
        measured = [asyncio.run(ask(hub, include)) for _ in range(rounds) for include in QUESTIONS]
    fresh, repeated = measured[: len(QUESTIONS)], measured[len(QUESTIONS) :]
    found = {"new": fresh, "asked before": repeated}
    figures = {
        what: {
            "first_ms": round(1000 * statistics.median(one[0] for one in rows), 1),
            "all_ms": round(1000 * statistics.median(one[1] for one in rows), 1),
            "worst_first_ms": round(1000 * max(one[0] for one in rows), 1),
        }
        for what, rows in found.items()
        if rows
    }
    return {"centers": len(homes), "states": measured[0][2], **figures, "load": os.getloadavg()[0]}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--homes", type=Path, nargs="*")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    homes = given.homes or seeded(Path(tempfile.mkdtemp(prefix="fairlead-bench-")))
    figures = run(homes, given.rounds)
    print(json.dumps(figures) if given.json else "\n".join(f"{name}: {value}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
