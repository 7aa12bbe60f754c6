"""The image viewer in Chromium: neuroglancer opens our stores, shows the right picture, and knows its size in millimetres."""

from __future__ import annotations

import io
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from convert.builders import a_series, axial_positions, save
from fairlead.convert import VIEWER_PAGE, ConvertOptions, convert, viewer_folder
from needs import missing, program

pytestmark = pytest.mark.browser

SOFTWARE_GL = ("--no-sandbox", "--disable-dev-shm-usage", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
WIDTH, HEIGHT = 640, 480
READY = "() => new Promise((done) => { const look = () => (window.viewer?.isReady() ? done() : requestAnimationFrame(look)); look(); })"
BACKGROUND = 128
"""Grey value of neuroglancer around an image."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return Chromium with WebGL in software."""
    chromium = os.environ.get("CHROMIUM") or program("chromium", "chromium-browser", "google-chrome")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=list(SOFTWARE_GL))
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a volume of 0.5 × 0.75 mm whose left half is bright, as 0.5 and as 0.6."""
    folder = tmp_path_factory.mktemp("viewer")
    halves = np.where(np.arange(80) < 40, 2000, 500) * np.ones((80, 1))
    series = a_series(axial_positions(4), Rows=80, Columns=80, PixelData=halves.astype("<u2").tobytes())
    source = save(folder / "in", series)
    for version in ("0.5", "0.6"):
        (store,) = convert(source, folder / version, options=ConvertOptions(ngff=version)).stores
        (folder / version / store.path).rename(folder / version / "a.ome.zarr")
    return folder


@pytest.fixture(scope="module")
def address(stores: Path) -> Iterator[str]:
    """Return where a server gives out the viewer and the stores, and nothing else."""
    viewer = viewer_folder()
    if viewer is None:
        missing("the image viewer", "run: make setup")
    app = Starlette(routes=[Mount("/stores", StaticFiles(directory=stores)), Mount("/viewer", StaticFiles(directory=viewer))])
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(timeout=20)
    listener.close()


@pytest.fixture
def open_viewer(browser: Browser, address: str) -> Iterator[Callable[[str], Page]]:
    """Return what opens the viewer on a store; requests to other hosts and errors of the page fail the test."""
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
    context.set_default_timeout(30_000)
    page, said = context.new_page(), []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith((address, "blob:", "data:")) else said.append(request.url))

    def opened(query: str) -> Page:
        page.goto(f"{address}/viewer/{VIEWER_PAGE}{query}")
        return page

    yield opened
    context.close()
    assert said == []


def picture(page: Page) -> np.ndarray[Any, Any]:
    """Return the grey values of the panel, once everything that is visible has been loaded and drawn."""
    page.evaluate(READY)
    page.evaluate("viewer.display.draw()")
    shot = page.locator(".neuroglancer-rendered-data-panel").screenshot()
    return np.asarray(Image.open(io.BytesIO(shot)).convert("L"))


def longest(hits: np.ndarray[Any, Any]) -> int:
    """Return the length of the longest run of True.

    >>> longest(np.array([True, False, True, True]))
    2
    """
    runs = np.split(hits, np.flatnonzero(np.diff(hits)) + 1)
    return max((len(run) for run in runs if run[0]), default=0)


def test_neuroglancer_shows_our_store_in_its_true_size(open_viewer: Callable[[str], Page]) -> None:
    page = open_viewer("?source=/stores/0.5/a.ome.zarr")
    grey = picture(page)
    scales = page.evaluate("[...viewer.coordinateSpace.value.scales]")
    assert [*page.evaluate("viewer.coordinateSpace.value.names")] == ["x", "y", "z"]
    assert scales == pytest.approx([0.00075, 0.0005, 0.00125])
    assert page.evaluate("viewer.coordinateSpace.value.units") == ["m", "m", "m"]
    row = grey[grey.shape[0] // 2]
    across = longest(row != BACKGROUND)
    column = grey[:, (grey.shape[1] - across // 2) // 2]
    down = longest(column != BACKGROUND)
    # 80 columns of 0.75 mm are half again as wide as 80 rows of 0.5 mm are high.
    assert across / down == pytest.approx(1.5, rel=0.03)
    # the size of a pixel that neuroglancer states, times the pixels that we count, is the size of the patient
    step_mm = page.evaluate("viewer.navigationState.zoomFactor.value") * 0.5
    assert across * step_mm == pytest.approx(60.0, rel=0.03)


def test_the_window_of_the_store_is_the_window_on_the_screen(open_viewer: Callable[[str], Page]) -> None:
    grey = picture(open_viewer("?source=/stores/0.5/a.ome.zarr"))
    row = grey[grey.shape[0] // 2]
    inside = np.flatnonzero(row != BACKGROUND)
    left, right = row[inside[len(inside) // 4]], row[inside[3 * len(inside) // 4]]
    assert (int(left), int(right)) == (255, 0)  # 976 and -524 HU under a window of -160 to 240


def test_an_embedding_page_that_knows_of_no_labels_asks_for_none(open_viewer: Callable[[str], Page]) -> None:
    page = open_viewer("?source=/stores/0.5/a.ome.zarr&labels=no&layout=4panel")
    page.evaluate(READY)
    asked = page.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert not any("labels" in name for name in asked)
    assert page.locator(".neuroglancer-rendered-data-panel").count() == 4


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "No image was named."),
        ("?source=/stores/nowhere.ome.zarr", "The image cannot be reached."),
        ("?source=javascript:alert(1)", "An image has an address that begins with http: or https:."),
        ("?source=/stores/0.6/a.ome.zarr", "This viewer shows OME-Zarr 0.5; the image is version 0.6."),
        ("?source=/stores/0.5/a.ome.zarr/0", "There is no single image at this address."),
    ],
)
def test_what_cannot_be_shown_is_said(open_viewer: Callable[[str], Page], query: str, message: str) -> None:
    expect(open_viewer(query).locator("#message")).to_have_text(message)
