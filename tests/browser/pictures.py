"""Pictures of every page of a running system: light, dark and on a phone. `make pictures` runs this.

    HEDGEROW_PASSWORD=… make pictures ARGS="--url http://127.0.0.1:8000 --user operator"

It only looks: nothing is pressed but the login. `desk.png` is the whole dashboard, for the README. Pages of the admin,
and those that only some desks have, are the tests' to take, with HEDGEROW_PICTURES set to a folder:

    HEDGEROW_PICTURES=docs/pictures make test ARGS="tests/browser/test_admin.py tests/browser/test_every_page.py"
"""

import argparse
import os
import sys
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.driver import ARGS, CHROMIUM, KINDS, sign_in, take_picture
from tests.browser.stops import TOUR

SETTLE_S = 1.2
"""For the chart to be drawn and the socket to open."""


def take_pictures(url: str, user: str, password: str, folder: Path, only: set[str]) -> int:
    """Leave the pictures in `folder`; returns how many."""
    taken = 0
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        for kind, (scheme, width) in KINDS.items():
            page = log_in(chromium, url, user, password, scheme, width)
            for stop in TOUR:
                if (only and stop.name not in only) or not stop.is_always_there:
                    continue
                stop.visit(page)
                time.sleep(SETTLE_S)
                take_picture(page, folder / f"{stop.name}-{kind}.png")
                taken += 1
        if not only or "desk" in only:
            page = log_in(chromium, url, user, password, "light", 1840)
            time.sleep(SETTLE_S)
            take_picture(page, folder / "desk.png")
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
