"""Pull mode: a centre without an open port fetches signed questions from the hub and posts signed answers back."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from fairlead.database import utc_now
from fairlead.federation import Hub
from fairlead.federation.centers import Center
from fairlead.federation.mailbox import Mailbox
from fairlead.federation.mailroom import create_mailroom, empty_mailbox
from fairlead.settings import FederationSettings, Settings
from federation.builders import EVERYBODY, a_hub
from migrated import migrated_engine


@pytest.fixture
def office(tmp_path: Path, hub, open_center):
    """Return a hub that accepted one centre in pull mode, its mailbox over HTTP, and the centre."""
    gateway, asker = open_center()
    settings = Settings(home=tmp_path / "hub", federation=FederationSettings(hub="hub-a", project="lung", purpose="feasibility"))
    engine = migrated_engine(settings)
    keeper = Hub(settings, engine, hub)
    found = keeper.centers.found(Center("north", "http://nowhere.invalid", gateway.identity.public_key, "pull"))
    keeper.centers.accept("north", found.fingerprint, by="admin")
    yield keeper, TestClient(create_mailroom(Mailbox(engine), keeper.centers), base_url="http://mail.test"), gateway, asker
    engine.dispose()


def test_a_centre_without_an_open_port_answers_through_the_mailbox(office):
    keeper, mail, gateway, asker = office
    done = threading.Event()

    def deliver() -> None:
        while not done.is_set():
            if empty_mailbox(gateway, "http://mail.test", client=mail):
                return

    async def ask():
        return [one async for one in keeper.ask(EVERYBODY, asking=keeper.asking(person="u-1", wait_s=20))]

    postman = threading.Thread(target=deliver)
    postman.start()
    (answer,) = asyncio.run(ask())
    done.set()
    postman.join()
    assert (answer.state, answer.patients) == ("answered", asker.count(EVERYBODY))


def test_a_stranger_sees_no_letters_and_cannot_answer_them(office):
    keeper, mail, gateway, _ = office
    letter = Mailbox(keeper.engine).put("north", "/v1/count", b"{}", "")
    stranger = a_hub()
    sent = utc_now().isoformat()
    for headers in ({}, {"Fairlead-Sent-At": sent, "Fairlead-Signature": stranger.sign("GET", "/v1/mailbox/north", sent, "")}):
        assert mail.get("/v1/mailbox/north", headers=headers).status_code == 401
    assert mail.post(f"/v1/mailbox/north/{letter}", content=b"{}").status_code == 401
    assert Mailbox(keeper.engine).answer_of(letter) is None
    assert empty_mailbox(gateway, "http://mail.test", client=mail) == 1  # a forged question is answered with a signed refusal
    assert '"refused"' in str(Mailbox(keeper.engine).answer_of(letter))
    assert empty_mailbox(gateway, "http://mail.test", client=mail) == 0
