"""The catalog's pages in Chromium: accessible in light and dark, readable without JavaScript, with the viewer in a frame."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from catalog.five import Five, five
from fairlead.convert import viewer_folder
from fairlead.publish import Site

pytestmark = pytest.mark.browser
PICTURES = os.environ.get("FAIRLEAD_SCREENSHOTS")
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"], "iframes": False}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Five]:
    """Return five records on a running server."""
    with five(tmp_path_factory.mktemp("five")) as served:
        yield served


def picture(tab: Page, name: str) -> None:
    """Keep a picture of the whole page where $FAIRLEAD_SCREENSHOTS says."""
    if PICTURES:
        tab.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)


@pytest.mark.parametrize("scheme", ["light", "dark"], indirect=True)
def test_every_page_is_accessible(site: Five, tab: Page, scheme: str) -> None:
    image = site.records["ct"].distributions[0].id
    pages = {"root": f"{site.base}/", "catalog": f"{site.base}/catalog/local", "search": f"{site.base}/search?q=cohort"}
    pages |= {name: site.iri(name) for name in ("ct", "mr", "plate")}
    pages["image"] = f"{site.iri('ct').replace('/dataset/', '/distribution/')}.{image}"
    pages["series"] = Site.of(site.settings).series(site.records["ct"])
    pages["datasheet"] = f"{site.iri('ct')}/datasheet"
    pages["narrowed"] = f"{site.base}/search?q=cohort&facet=type:dataset"
    for name, address in pages.items():
        tab.goto(address)
        found = Axe().run(tab, options=RULES).response["violations"]
        assert [f"{name}: {rule['id']}: {node['html'][:120]}" for rule in found for node in rule["nodes"]] == []
        picture(tab, f"catalog-{name}-{scheme}")


def test_a_withdrawn_dataset_says_so_to_people(site: Five, browser: Browser) -> None:
    page = browser.new_page()
    answer = page.goto(site.iri("withdrawn"))
    assert answer is not None
    assert answer.status == 410
    expect(page.get_by_role("heading", level=1)).to_have_text("Withdrawn: The withdrawn cohort")
    page.close()


def test_an_address_that_leads_nowhere_has_a_page_for_people(site: Five, browser: Browser) -> None:
    page = browser.new_page()
    answer = page.goto(f"{site.base}/dataset/none")
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_role("heading", level=1)).to_have_text("Not found")
    assert Axe().run(page, options=RULES).response["violations"] == []
    page.close()


def test_everything_but_the_viewer_works_without_javascript(site: Five, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site.base}/")
    page.get_by_role("link", name="The ct cohort").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The ct cohort")
    expect(page.get_by_text("import zarr")).to_be_visible()
    page.get_by_text("CITATION.cff").click()
    expect(page.get_by_text("cff-version: 1.2.0")).to_be_visible()
    expect(page.get_by_role("img", name="Acquired")).to_be_visible()
    context.close()


def test_the_viewer_opens_an_image_of_this_catalogue(site: Five, browser: Browser) -> None:
    if viewer_folder() is None:
        pytest.skip("the viewer is not built; run: make setup")
    tab, asked = browser.new_page(), list[str]()
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(site.iri("ct"))
    tab.locator("details.viewer summary").click()
    frame = tab.frame_locator("details.viewer iframe")
    expect(frame.locator("canvas").or_(frame.locator("#message:visible")).first).to_be_visible(timeout=20_000)
    expect(frame.locator("#message")).to_be_hidden()
    assert not [url for url in asked if not url.startswith((site.base, "data:", "blob:"))]
    assert any(url.endswith(".ome.zarr/zarr.json") for url in asked)
    picture(tab, "catalog-viewer")
    tab.close()
