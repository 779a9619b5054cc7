"""Pictures of every page of a running system: light, dark and on a phone. `make pictures` runs this.

    HEDGEROW_PASSWORD=… make pictures ARGS="--url http://127.0.0.1:8000 --user operator"

It only looks: nothing is pressed but the login. `desk.png` is the whole dashboard, for the README.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.driver import ARGS, CHROMIUM, sign_in
from tests.browser.stops import TOUR

KINDS = (("light", "light", 1360), ("dark", "dark", 1360), ("phone", "light", 390))
TALLEST = 2_400
"""Pixels of a page that are shown at most: a list goes on below."""
SETTLE_S = 1.2
"""For the chart to be drawn and the socket to open."""


def take_pictures(url: str, user: str, password: str, folder: Path, only: set[str]) -> int:
    """Leave the pictures in `folder`; returns how many."""
    taken = 0
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        for kind, scheme, width in KINDS:
            page = log_in(chromium, url, user, password, scheme, width)
            for stop in TOUR:
                if (only and stop.name not in only) or not stop.visit(page):
                    continue
                take(page, folder / f"{stop.name}-{kind}.png", width)
                taken += 1
        if not only or "desk" in only:
            page = log_in(chromium, url, user, password, "light", 1840)
            take(page, folder / "desk.png", 1840)
            taken += 1
        chromium.close()
    return taken


def log_in(chromium: Browser, url: str, user: str, password: str, scheme: str, width: int) -> Page:
    """A page on the desk, in a context of its own."""
    context = chromium.new_context(
        base_url=url,
        color_scheme=scheme,
        viewport={"width": width, "height": 900},  # type: ignore[arg-type]
    )
    page = context.new_page()
    sign_in(page, user, password)
    return page


def take(page: Page, file: Path, width: int) -> None:
    """One picture of the page, whole, down to TALLEST."""
    time.sleep(SETTLE_S)
    height = min(page.evaluate("document.documentElement.scrollHeight"), TALLEST)
    page.screenshot(path=file, full_page=True, clip={"x": 0, "y": 0, "width": width, "height": height})
    print(file)


def main() -> int:
    """Read the arguments, take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default=f"http://127.0.0.1:{os.environ.get('HEDGEROW_PORT', '8000')}")
    parser.add_argument("--user", default="operator")
    parser.add_argument("--folder", type=Path, default=Path("docs/pictures"))
    parser.add_argument("only", nargs="*", help="names of pages; all without any")
    given = parser.parse_args()
    password = os.environ.get("HEDGEROW_PASSWORD", "")
    if not password:
        print("Give the person's password in HEDGEROW_PASSWORD.", file=sys.stderr)
        return 2
    take_pictures(given.url, given.user, password, given.folder, set(given.only))
    return 0


if __name__ == "__main__":
    sys.exit(main())
