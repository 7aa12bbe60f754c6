"""The card "Other centres" in a real browser: answers come in one by one, and nobody waits for the slow one."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Page, expect

from browser.conftest import Site
from fairlead.database import open_database
from fairlead.federation import Hub
from fairlead.workbench import Workbench
from fairlead.workbench.centers import HubCenters
from federation.test_federate import Network, network
from workbench.fakes import mounted

__all__ = ["network"]
pytestmark = pytest.mark.browser


@contextmanager
def serving(workbench: Workbench) -> Iterator[str]:
    """Run the page on loopback and yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(mounted(workbench), log_level="warning", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=20)


@dataclass
class FiveCenters:
    """Five centres; the slow one answers when the test lets it."""

    asked: list[dict[str, Any]] = field(default_factory=list)
    free: bool = False

    def names(self) -> tuple[str, ...]:
        return ("down", "near", "other", "slow", "strict")

    def project(self) -> str:
        return "lung"

    async def ask(self, definition: dict[str, Any], *, person: str) -> AsyncIterator[dict[str, Any]]:
        self.asked.append(definition)
        empty = {"patients": None, "plus_minus": None, "policy": None, "below": None, "seconds": 0.1}
        yield empty | {"center": "near", "state": "answered", "patients": 120, "plus_minus": 17, "policy": "1 (abc)"}
        yield empty | {"center": "strict", "state": "refused", "message": "No such project is open for this hub."}
        yield empty | {"center": "other", "state": "cannot-map", "message": "This centre has no field 'modality'."}
        yield empty | {"center": "down", "state": "offline", "message": "<b>gone</b>"}
        while not self.free:
            await asyncio.sleep(0.05)
        yield empty | {"center": "slow", "state": "pending", "message": "No answer yet."}
        without = ["down", "other", "slow", "strict"]
        yield {"sum": {"patients": 120, "plus_minus": 17, "may_double_count": True, "of": ["near"], "without": without}}


def test_each_centres_state_is_shown_as_it_comes_and_a_slow_one_holds_up_nobody(site: Site, tab: Page) -> None:
    centers = FiveCenters()
    with serving(replace(site.workbench, centers=centers)) as address:
        tab.goto(f"{address}/cohorts/?in.modality=DCM%3ACT")
        expect(tab.locator("#centers tbody tr")).to_have_count(5)
        assert centers.asked == []  # looking at the page costs no budget
        tab.get_by_role("button", name="Ask the centres").click()
        row = tab.locator("#centers tr[data-center=near]")
        expect(row).to_contain_text("● answered")
        expect(row).to_contain_text("120 ± 17")
        expect(tab.locator("#centers tr[data-center=strict]")).to_contain_text("▲ refused by policy")
        expect(tab.locator("#centers tr[data-center=other]")).to_contain_text("◇ cannot map")
        expect(tab.locator("#centers tr[data-center=down]")).to_contain_text("<b>gone</b>")  # text, not markup
        expect(tab.locator("#centers tr[data-center=slow]")).to_contain_text("◌ asked")
        centers.free = True
        expect(tab.locator("#centers-sum")).to_contain_text("120 ± 17 patients in 1 centres (near); may count patients twice.")
        expect(tab.locator("#centers-sum")).to_contain_text("Without down, other, slow, strict.")
        expect(tab.locator("#centers tr[data-center=slow]")).to_contain_text("◌ no answer yet")
    assert "modality" in str(centers.asked)


def test_gateways_of_real_centres_each_show_their_state_on_the_page(site: Site, tab: Page, network: Network) -> None:
    hub = Hub.open(network.settings, open_database(network.settings))
    with serving(replace(site.workbench, centers=HubCenters(hub))) as address:
        tab.goto(f"{address}/cohorts/?in.modality=DCM%3ACT")
        tab.get_by_role("button", name="Ask the centres").click()
        shown = {"near": "● answered", "strict": "▲ refused by policy", "other": "◇ cannot map", "down": "✕ offline"}
        for name, state in shown.items():
            expect(tab.locator(f"#centers tr[data-center={name}]")).to_contain_text(state)
        assert "asked" in tab.locator("#centers tr[data-center=slow]").inner_text()  # the others did not wait for it
        expect(tab.locator("#centers-sum")).to_contain_text("patients in 1 centres (near); may count patients twice.", timeout=20_000)
        expect(tab.locator("#centers tr[data-center=slow]")).to_contain_text("◌ no answer yet")
    hub.engine.dispose()
