"""The browser of the tests and the pictures: how it starts, how somebody signs in, how a page is kept as a picture."""

import os
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

CHROMIUM = "/usr/bin/chromium"
ARGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
KINDS = {"light": ("light", 1360), "dark": ("dark", 1360), "phone": ("light", 390)}
"""The three pictures of a page: the colour scheme and the width of each."""
WINDOW = 900
"""Pixels of a window's height, and of a picture's at least."""
TALLEST = 9_000
"""Pixels of a page that are shown at most: no page of ours is taller, but for lists."""
TALLEST_LIST = 2_400
"""Of a list, whose rows go on below."""
COLOURS = 256
ROUNDS = 5
"""A page grows with the window where it is measured by it; so often it is looked at."""
WHOLE_HEIGHT = "() => { scrollTo(0, 0); return document.documentElement.scrollHeight; }"
DRAWN = "() => [...document.querySelectorAll('.chart[data-source]')].every((chart) => chart.childElementCount)"
SETTLED = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def sign_in(page: Page, name: str, password: str) -> None:
    """From a fresh context to the desk."""
    page.goto("/login/")
    page.fill("[name=username]", name)
    page.fill("[name=password]", password)
    page.click("main button")
    page.wait_for_selector("#fills")


def take_picture(page: Page, file: Path, tallest: int = TALLEST) -> None:
    """One picture of the page, whole, down to `tallest`.

    The window is made as tall as the page first, so that what sticks to its edges covers nothing.
    """
    page.wait_for_function(DRAWN)
    window = page.viewport_size
    assert window is not None
    height = window["height"]
    for _ in range(ROUNDS):
        wanted = min(page.evaluate(WHOLE_HEIGHT), tallest)
        if wanted <= height:
            break
        height = wanted
        page.set_viewport_size({"width": window["width"], "height": height})
        page.evaluate(SETTLED)
    file.write_bytes(shrunk(page.screenshot()))
    page.set_viewport_size(window)


def shrunk(png: bytes) -> bytes:
    """The picture in the 256 colours it has most of, a third of its size; what is rare is shown in the nearest."""
    picture = Image.open(BytesIO(png)).convert("RGB")
    counted = sorted(picture.getcolors(picture.width * picture.height), reverse=True)
    chosen: list[int] = []
    taken: set[tuple[int, ...]] = set()
    for _, colour in counted:
        # Pillow finds the nearest by the upper bits alone: of two that are close, only the more frequent is offered.
        cells = {(shift, *(part + shift >> 3 for part in colour)) for shift in (0, 4)}
        if not cells & taken:
            taken |= cells
            chosen += colour
    palette = Image.new("P", (1, 1))
    palette.putpalette(chosen[: 3 * COLOURS])
    small = BytesIO()
    picture.quantize(palette=palette, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return small.getvalue()


def leave_picture(page: Page, name: str, tallest: int = TALLEST) -> None:
    """Keep a page a test has come to, where HEDGEROW_PICTURES says; nothing without it."""
    if folder := is_keeping():
        take_picture(page, Path(folder) / f"{name}.png", tallest)


def is_keeping() -> str:
    """The folder pictures are kept in; empty when none are."""
    return os.environ.get("HEDGEROW_PICTURES", "")


def load_width(file: Path) -> int:
    """The width of a PNG, by its header."""
    return int.from_bytes(file.read_bytes()[16:20], "big")
