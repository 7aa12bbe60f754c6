"""The public IDC table split into five centres, processes of their own: one slow, one down, one refusing, one with other words."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from fairlead.cli import run
from fairlead.database import open_database
from fairlead.federation import Hub
from fairlead.federation.centers import Center
from fairlead.federation.signing import fingerprint
from fairlead.settings import FederationSettings, Settings
from federation.builders import EVERYBODY, a_center, a_hub, definition, key_of, processes
from federation.idc_split import patients_who, records, split

FEMALE = definition({"field": "patient.sex", "op": "=", "value": "F"})
NAMES = ("near", "slow", "down", "strict", "other")
PARTS = dict(zip(NAMES, split(5), strict=True))


@dataclass(frozen=True)
class Network:
    """A hub that accepted five centres."""

    settings: Settings
    slow: subprocess.Popen[str]

    @contextmanager
    def awake(self) -> Iterator[None]:
        """Let the slow centre go on for a while."""
        self.slow.send_signal(signal.SIGCONT)
        try:
            yield
        finally:
            self.slow.send_signal(signal.SIGSTOP)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """Return the hub; its centres run until the module is done."""
    root = tmp_path_factory.mktemp("network")
    settings = Settings(
        home=root / "hub", federation=FederationSettings(hub="hub-a", project="lung", purpose="feasibility", private=True, wait_s=5)
    )
    hub = Hub.open(settings, open_database(settings))
    words = root / "fields.yaml"
    words.write_text(
        "fields:\n  - {id: kind, title: Kind, help: Kind., type: keyword, grain: series, facetable: true, missing: Never.,"
        " module: core, path: core.kind, source: {derived: kind}}\n"
    )
    ours = {"hub-a": hub.identity}
    told = {"strict": {"hubs": {"hub-z": a_hub()}}, "other": {"fields": words}}
    centers = [a_center(root / name, name, **({"hubs": ours, "records": records(PARTS[name])} | told.get(name, {}))) for name in NAMES]
    (root / "other" / "governance.yaml").write_text(_without_facets(root / "other" / "governance.yaml"))
    with processes(*centers) as started:
        for one, (address, process) in zip(centers, started, strict=True):
            hub.centers.found(Center(one.center, address, key_of(one)))
            hub.centers.accept(one.center, fingerprint(key_of(one)), by="admin")
            if one.center == "down":
                process.kill()
        slow = started[NAMES.index("slow")][1]
        slow.send_signal(signal.SIGSTOP)  # it takes connections and says nothing
        yield Network(settings, slow)
    hub.engine.dispose()


def _without_facets(file: Path) -> str:
    import yaml

    document = yaml.safe_load(file.read_text())
    document["fields"] = {"facets": ["kind"]}
    return yaml.safe_dump(document)


@pytest.fixture
def hub_environment(network, monkeypatch):
    monkeypatch.setenv("FAIRLEAD_HOME", str(network.settings.home))
    for name, value in {"HUB": "hub-a", "PROJECT": "lung", "PURPOSE": "feasibility", "PRIVATE": "true", "WAIT_S": "3"}.items():
        monkeypatch.setenv(f"FAIRLEAD_FEDERATION__{name}", value)


@pytest.mark.usefixtures("hub_environment")
def test_every_centre_shows_its_state_and_the_sum_says_who_is_in_it(tmp_path, capfd):
    file = tmp_path / "female.json"
    file.write_text(json.dumps(FEMALE))
    assert run(["federate", "count", str(file), "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    states = {row["center"]: row["state"] for row in document["centers"]}
    assert states == {"near": "answered", "strict": "refused", "other": "cannot-map", "slow": "pending", "down": "offline"}
    (near,) = (row for row in document["centers"] if row["center"] == "near")
    assert abs(near["patients"] - patients_who(PARTS["near"], "sex", "F")) <= near["plus_minus"]
    assert [row["patients"] for row in document["centers"] if row["center"] != "near"] == [None] * 4
    assert (document["sum"]["patients"], document["sum"]["may_double_count"]) == (near["patients"], True)
    assert document["sum"]["without"] == ["down", "other", "slow", "strict"]
    assert all(set(row) >= {"center", "state", "patients", "plus_minus", "policy"} for row in document["centers"])


@pytest.mark.usefixtures("hub_environment")
def test_a_centre_that_wakes_up_is_in_the_next_sum(network, tmp_path, capfd):
    file = tmp_path / "female.json"
    file.write_text(json.dumps(FEMALE))
    with network.awake():
        assert run(["federate", "count", str(file), "--wait", "30", "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    numbers = {row["center"]: row["patients"] for row in document["centers"] if row["patients"] is not None}
    assert set(numbers) == {"near", "slow"}
    assert document["sum"]["patients"] == sum(numbers.values())


@pytest.mark.usefixtures("hub_environment")
def test_answers_come_in_the_order_of_the_centres_speed(network):
    import asyncio

    hub = Hub.open(network.settings, open_database(network.settings))

    async def ask():
        return [answer async for answer in hub.ask(EVERYBODY, asking=hub.asking(person="u-1", wait_s=2))]

    answers = asyncio.run(ask())
    assert answers[-1].center == "slow"
    assert answers[-1].state == "pending"
    hub.engine.dispose()


@pytest.mark.usefixtures("hub_environment")
def test_an_answer_signed_by_another_key_than_the_accepted_one_counts_for_nothing(network):
    import asyncio

    hub = Hub.open(network.settings, open_database(network.settings))
    known = hub.centers.get("near")
    impostor = Center("near", "http://127.0.0.1:9", a_hub().public_key, source="http://catalogue.invalid")
    told = hub.centers.found(impostor)
    assert (told.state, told.address, told.public_key) == ("accepted", known.address, known.public_key)

    async def ask():
        return {answer.center: answer.state async for answer in hub.ask(EVERYBODY, asking=asking, only=("near", "other"))}

    asking = hub.asking(person="u-1", wait_s=5)
    assert asyncio.run(ask()) == {"near": "answered", "other": "answered"}  # what a catalogue says changes no trust
    hub.centers.found(known)
    assert hub.centers.get("near").proposed is None
    hub.centers.found(Center("near", known.address, impostor.public_key))
    hub.centers.accept("near", fingerprint(impostor.public_key), by="careless")

    async def ask_again():
        return [answer async for answer in hub.ask(EVERYBODY, asking=hub.asking(person="u-1", wait_s=2), only=("near",))]

    (answer,) = asyncio.run(ask_again())
    assert (answer.state, answer.patients) == ("offline", None)
    assert "not signed by the accepted key" in answer.message
    hub.centers.found(known)
    hub.centers.accept("near", known.fingerprint, by="admin")
    hub.engine.dispose()


@pytest.mark.usefixtures("hub_environment")
def test_a_gateway_is_discovered_but_not_asked_before_its_fingerprint_is_accepted(network, tmp_path, monkeypatch, capfd):
    hub = Hub.open(network.settings, open_database(network.settings))
    known = {one.name: one for one in hub.centers.list()}
    hub.engine.dispose()
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "new-hub"))
    assert run(["federate", "discover", known["other"].address + "/v1/service", "--json"]) == 0
    (row,) = json.loads(capfd.readouterr().out)["centers"]
    assert (row["center"], row["state"], row["fingerprint"]) == ("other", "found", known["other"].fingerprint)
    assert run(["federate", "accept", "other", "--fingerprint", "0000-0000"]) == 1
    assert "fingerprint is not that" in capfd.readouterr().err
    assert run(["federate", "accept", "other", "--fingerprint", row["fingerprint"], "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["state"] == "accepted"
