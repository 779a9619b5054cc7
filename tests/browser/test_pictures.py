"""How pictures are taken: a page whole, nothing lying over it, in its own colours."""

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageChops
from playwright.sync_api import Browser

from tests.browser.driver import load_width, shrunk, take_picture

ROWS = 40
ROW = '<div style="height: 50px; background: rgb(200, 0, 0)"></div>'
FOOT = '<div style="height: min(50vh, 300px); background: rgb(0, 200, 0)"></div>'
BAR = '<div style="position: sticky; bottom: 0; height: 50px; background: rgb(0, 0, 200)"></div>'
PAGE = f'<!doctype html><body style="margin: 0">{ROW * ROWS}{FOOT}{BAR}'
"""Its foot is as tall as half the window, and its bar lies over what is below the window's end."""


@pytest.mark.browser
def test_bar_that_sticks_hides_nothing_and_the_end_is_seen(browser: Browser, tmp_path: Path) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 400})
    page.set_content(PAGE)
    page.evaluate("scrollTo(0, 70)")
    take_picture(page, tmp_path / "whole.png")
    with Image.open(tmp_path / "whole.png") as picture:
        assert picture.size == (390, 50 * ROWS + 300 + 50)
        told = {colour: count // 390 for count, colour in picture.convert("RGB").getcolors()}
    assert told == {(200, 0, 0): 50 * ROWS, (0, 200, 0): 300, (0, 0, 200): 50}
    assert page.viewport_size == {"width": 390, "height": 400}
    assert load_width(tmp_path / "whole.png") == 390
    take_picture(page, tmp_path / "cut.png", 1_000)
    with Image.open(tmp_path / "cut.png") as picture:
        assert picture.size == (390, 1_000)
    page.close()


def test_shrunk_picture_keeps_its_main_colours_and_all_others_nearly() -> None:
    shades = Image.linear_gradient("L").resize((256, 64))
    picture = Image.merge("RGB", (shades, shades.rotate(180), shades))
    picture.paste((244, 246, 243), (0, 0, 256, 32))
    written = BytesIO()
    picture.save(written, "PNG")
    small = Image.open(BytesIO(shrunk(written.getvalue()))).convert("RGB")
    assert small.getpixel((5, 5)) == (244, 246, 243)
    furthest = max(high for _, high in ImageChops.difference(picture, small).getextrema())
    assert furthest <= 16
