"""People at Airflow's real UI: they sign in at its form, open the page from its navigation and work in its sandboxed frame."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, FrameLocator, Page, expect, sync_playwright

from needs import program

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SLOW_MS = 60_000
PICTURES = os.environ.get("FAIRLEAD_SCREENSHOTS")  # now: a test runs without settings of the shell


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Debian's Chromium; its event loop is gone when the block ends."""
    path = os.environ.get("CHROMIUM") or program("chromium", "chromium-browser", "google-chrome")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield launched
        launched.close()


@contextmanager
def signed_in(browser: Browser, address: str, user: str, password: str) -> Iterator[Page]:
    """Sign in at Airflow's form as a person would."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="dark")
    context.set_default_timeout(SLOW_MS)
    tab = context.new_page()
    tab.goto(address)
    tab.locator("input[name=username]").fill(user)
    tab.locator("input[name=password]").fill(password)
    tab.locator("input[name=password]").press("Enter")
    tab.wait_for_url(lambda url: "/auth/login" not in url)
    yield tab
    context.close()


def open_cohorts(tab: Page) -> FrameLocator:
    """Choose the page in Airflow's navigation and return what is in its frame."""
    tab.get_by_role("link", name="Cohorts").click()
    frame = tab.frame_locator("iframe")
    expect(frame.locator(".patients")).to_be_visible(timeout=SLOW_MS)
    return frame


def patients(frame: FrameLocator) -> int:
    """Return the big number."""
    return int((frame.locator(".patients").text_content() or "0").split()[0].replace("\u202f", ""))


def violations(tab: Page) -> list[str]:
    """Return what axe-core finds in the page's frame."""
    [frame] = [one for one in tab.frames if one.parent_frame is not None]
    frame.locator("#page.htmx-request").wait_for(state="detached")  # old numbers are grey while new ones are asked for
    frame.evaluate(AXE.read_text(encoding="utf-8"))
    found = frame.evaluate(f"axe.run(document, {{runOnly: {RULES}}})")
    return [f"{rule['id']}: {node['html'][:120]}" for rule in found["violations"] for node in rule["nodes"]]


def status_of_post(tab: Page, path: str, body: str, kind: str = "application/json") -> int:
    """Post from within the page, with the session of who is signed in, and return the status."""
    script = "([path, body, kind]) => fetch(path, {method: 'POST', headers: {'Content-Type': kind}, body}).then((answer) => answer.status)"
    return int(tab.evaluate(script, [path, body, kind]))


def picture(tab: Page, name: str) -> None:
    """Keep a picture where $FAIRLEAD_SCREENSHOTS says."""
    if PICTURES:
        tab.screenshot(path=Path(PICTURES) / f"{name}.png")
