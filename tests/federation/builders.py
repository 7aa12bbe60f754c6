"""Centres of a few hundred seeded patients, their governance files, hubs that may ask them, and gateways as processes of their own."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fairlead.database import utc_now
from fairlead.extract import load_catalogue
from fairlead.federation.leaks import Target, of_patient
from fairlead.federation.messages import SIGNATURE, Question, new_nonce, sign_question
from fairlead.federation.signing import Identity, load_identity
from fairlead.index.embedded import EmbeddedIndex
from fairlead.records import ImagingRecord
from fairlead.settings import GatewaySettings, Settings
from index.builders import a_series
from migrated import migrated_engine

MAKERS = 12
FACETS = ["modality", "model", "manufacturer", "patient.sex", "study_date", "patient.age_years"]
SMALL = (1, 1, 2, 3, 1, 4, 6, 1, 8, 5, 2, 9)
"""Patients of the rare model at each maker: the commonest size is 1, a third of them."""

EVERYBODY = {"schemaVersion": "1", "title": "All", "unit": "patient", "include": {"field": "kind", "op": "exists"}}


def definition(include: Any) -> dict[str, Any]:
    """Return a definition that counts patients."""
    return {"schemaVersion": "1", "title": "Some", "unit": "patient", "include": include}


def patients_of(center: str, *, seed: int = 0, each: int = 40) -> Iterator[ImagingRecord]:
    """Yield one or two series of ``each`` patients at every maker, the rare models among them."""
    chance = random.Random(f"{center}{seed}")  # noqa: S311
    for maker in range(MAKERS):
        for number in range(each):
            model = "Rare" if number < SMALL[maker] else "Alpha" if number % 2 else "Beta"
            name = f"{center}{maker}x{number}"
            shared = {
                "center": center,
                "patient": name,
                "manufacturer": f"Maker {maker}",
                "model": model,
                "patient__sex": chance.choice("FM"),
                "patient__age_years": float(chance.randint(18, 90)),
                "study_date": f"{chance.randint(2001, 2009)}-{chance.randint(1, 12):02d}-{chance.randint(1, 28):02d}",
            }
            yield a_series(f"{maker}.{number}.1", modality=chance.choice(("CT", "MR")), study=f"{maker}{number}", **shared)
            if chance.random() < 0.3:
                yield a_series(f"{maker}.{number}.2", modality="SEG", study=f"{maker}{number}", **shared)


def small_cells() -> list[Target]:
    """Return the rare cells, one a maker; the other makers are the large groups around them."""

    def of_maker(number: int) -> dict[str, Any]:
        return of_patient({"field": "manufacturer", "op": "=", "value": f"Maker {number}"})

    groups = [of_maker(number) for number in range(MAKERS)]
    return [
        Target(
            groups[at], "model", ("Rare",), ("Alpha", "Beta"), tuple(one for other, one in enumerate(groups) if other != at)[:6], SMALL[at]
        )
        for at in range(MAKERS)
    ]


def a_hub() -> Identity:
    """Return a hub's identity."""
    return Identity(Ed25519PrivateKey.generate())


def governance(hubs: Mapping[str, Identity], **disclosure: Any) -> dict[str, Any]:
    """Return a policy under which every hub may ask for the project ``lung``, with a large budget unless another is given."""
    rules = {"budget": {"questions": 100_000, "per_minute": 100_000, "project_questions": 1_000_000}} | disclosure
    return {
        "version": "test-1",
        "disclosure": rules,
        "fields": {
            "facets": ["modality", "model", "manufacturer", "patient.sex", "study_date", "patient.age_years"],
            "bins": {"patient.age_years": 20},
        },
        "hubs": [{"name": name, "public_key": hub.public_key} for name, hub in hubs.items()],
        "projects": [{"name": "lung", "hubs": list(hubs), "purposes": ["feasibility"], "approved_by": "steward"}],
    }


def a_center(
    home: Path, name: str, hubs: Mapping[str, Identity], *, records: Any = None, fields: Path | None = None, **disclosure: Any
) -> Settings:
    """Return the settings of a centre with data and a governance file in its home."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "governance.yaml").write_text(yaml.safe_dump(governance(hubs, **disclosure)))
    settings = Settings(home=home, center=name, gateway=GatewaySettings(governance=home / "governance.yaml"))
    if fields is not None:
        settings = settings.model_copy(update={"index": settings.index.model_copy(update={"fields": fields})})
    if not (settings.home_folder / "fairlead.sqlite").exists():  # the same centre again keeps what it knows
        migrated_engine(settings).dispose()
    EmbeddedIndex(settings.index_file, load_catalogue(settings.fields_file)).put(patients_of(name) if records is None else records)
    return settings


@dataclass(frozen=True)
class Asker:
    """A hub's account at one gateway: signs like a hub, sends over any client that posts."""

    client: httpx.Client
    identity: Identity
    hub: str = "hub-a"
    center: str = "north"
    project: str = "lung"
    purpose: str = "feasibility"
    person: str = "u-1"

    def question(self, document: dict[str, Any], fields: tuple[str, ...] = (), **changed: Any) -> Question:
        """Return a question, with some of its parts changed."""
        parts = {"versions": ("1",), "hub": self.hub, "center": self.center, "project": self.project, "purpose": self.purpose}
        parts |= {"person": self.person, "nonce": new_nonce(), "sent_at": utc_now(), "definition": document, "fields": fields}
        return Question(**(parts | changed))

    def send(self, document: dict[str, Any], path: str = "/v1/count", fields: tuple[str, ...] = (), **changed: Any) -> httpx.Response:
        """Return the response to a signed question."""
        body, signature = sign_question(self.question(document, fields, **changed), path, self.identity)
        return self.client.post(path, content=body, headers={SIGNATURE: signature, "Content-Type": "application/json"})

    def answer(self, document: dict[str, Any], path: str = "/v1/count", fields: tuple[str, ...] = (), **changed: Any) -> dict[str, Any]:
        """Return the answer inside the response."""
        found: dict[str, Any] = self.send(document, path, fields, **changed).json()["answer"]
        return found

    def count(self, document: dict[str, Any]) -> int | None:
        """Return the released number."""
        answer = self.answer(document)
        if answer["state"] != "answered":
            raise AssertionError(json.dumps(answer))
        found: int | None = answer["patients"]
        return found


@contextmanager
def running(*centers: Settings) -> Iterator[list[str]]:
    """Run the gateways of centres as processes of their own, all starting at once, and yield their addresses."""
    with processes(*centers) as started:
        yield [address for address, _ in started]


@contextmanager
def processes(*centers: Settings) -> Iterator[list[tuple[str, subprocess.Popen[str]]]]:
    """Run gateways as :func:`running` does, and yield their processes beside the addresses."""
    with ExitStack() as stack:
        started = [stack.enter_context(_process(settings)) for settings in centers]
        yield [(_ready(process), process) for process in started]


@contextmanager
def _process(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    variables = os.environ | {"FAIRLEAD_HOME": str(settings.home), "FAIRLEAD_CENTER": settings.center}
    variables |= {"FAIRLEAD_GATEWAY__GOVERNANCE": str(settings.home / "governance.yaml")}
    if settings.index.fields is not None:
        variables["FAIRLEAD_INDEX__FIELDS"] = str(settings.index.fields)
    for name in ("certificate", "key", "ca_file"):
        if (file := getattr(settings.gateway, name)) is not None:
            variables[f"FAIRLEAD_GATEWAY__{name.upper()}"] = str(file)
    command = [sys.executable, "-m", "fairlead.cli", "gateway", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=variables) as process:
        try:
            yield process
        finally:
            process.kill()


def _ready(process: subprocess.Popen[str]) -> str:
    line = process.stdout.readline() if process.stdout else ""
    if not line.startswith("listening "):
        raise AssertionError(f"the gateway said {line!r}")
    return line.split()[1]


def key_of(settings: Settings) -> str:
    """Return the public key that signs a centre's answers."""
    return load_identity(settings.secrets_folder, "gateway.ed25519").public_key
