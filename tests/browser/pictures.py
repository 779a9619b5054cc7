"""All pictures of docs/pictures: light, dark and on a phone. `make pictures` runs this; it needs nothing running.

    make pictures
    make pictures ARGS="--folder /tmp/pictures"
    HEDGEROW_PASSWORD=… make pictures ARGS="--url http://127.0.0.1:8000 --user operator dashboard orders"

A paper desk of its own trades for some minutes, then the pages are gone round on it. Pages of the admin, and those that
only some desks have, are taken by the tests on the desk they plant (`full_desk.py`). With `--url` it only looks at the
system that runs there, and presses nothing but the login.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from embedded.engines import temporary_state
from embedded.system import System
from tests.browser.driver import ARGS, CHROMIUM, KINDS, WINDOW, sign_in, take_picture
from tests.browser.stops import OTHERS, TOUR

SETTLE_S = 1.2
"""For the chart to be drawn and the socket to open."""
TRADES_FOR_S = 150
"""Long enough for a curve and for every rung of the ladder."""
PATIENCE_MS = 60_000
KEPT = ("PATH", "HOME", "SSL_CERT_FILE")
BROWSER_TESTS = ("tests/browser/test_every_page.py", "tests/browser/test_every_admin_page.py")
OF_TESTS = "every_page_is_accessible or goes_wrong or every_admin_page_opens or stopped_desk_is_shown"
AT_ONCE = ("-n", "2", "--dist", "load")


@contextmanager
def running_desk() -> Iterator[tuple[str, str]]:
    """A paper desk as `make run` starts it, that has traded for a while: its address and the operator's password."""
    said: list[str] = []
    given = {name: os.environ[name] for name in KEPT if name in os.environ} | {"HEDGEROW_ENV_FILE": ""}
    with (
        temporary_state("hedgerow-pictures-") as folder,
        System(folder, web_port=0, accounts=10, given=given, say=said.append) as system,
    ):
        [told] = [line for line in said if line.startswith("Operator login:")]
        print(f"a paper desk trades at {system.address} for {TRADES_FOR_S} s", flush=True)
        time.sleep(TRADES_FOR_S)
        yield system.address, told.split()[-1]


def take_tour(chromium: Browser, url: str, user: str, password: str, folder: Path, only: set[str]) -> None:
    """Pictures of the pages every desk has; `only` names some of them."""
    for kind, (scheme, width) in KINDS.items():
        page = log_in(chromium, url, user, password, scheme, width)
        for stop in TOUR:
            if (only and stop.name not in only) or not stop.is_always_there:
                continue
            stop.visit(page)
            time.sleep(SETTLE_S)
            take_picture(page, folder / f"{stop.name}-{kind}.png")
        page.context.close()
    if not only or "desk" in only:
        page = log_in(chromium, url, user, password, "light", OTHERS["desk.png"])
        time.sleep(SETTLE_S)
        take_picture(page, folder / "desk.png")
        page.context.close()


def begin_chat(chromium: Browser, url: str, user: str, password: str) -> Page:
    """A page with a chat that is linked and has been said something in."""
    page = log_in(chromium, url, user, password, "light", OTHERS["telegram.png"], 1035)
    page.set_default_timeout(PATIENCE_MS)
    page.goto("/telegram/")
    page.click("[name=here]")
    page.wait_for_selector("#chat .by-bot")
    say(page, "/status")
    page.wait_for_selector("#chat .by-bot >> nth=1")
    return page


def take_chat(page: Page, folder: Path) -> None:
    """The result in words and as a picture, and what a stop would touch. Nothing is stopped."""
    say(page, "/pnl")
    page.wait_for_selector("#chat img")
    leave_chat(page, folder / "telegram.png")
    say(page, "/stop the book looks wrong")
    page.locator("#chat button:text('Cancel all')").last.click()
    page.wait_for_selector("#chat >> text=Are you sure?")
    leave_chat(page, folder / "telegram-stop.png")
    page.locator("#chat button:text('Keep trading')").last.click()
    time.sleep(SETTLE_S)
    page.context.close()


def say(page: Page, text: str) -> None:
    """Type into the chat."""
    page.fill("#chat-text", text)
    page.keyboard.press("Enter")


def leave_chat(page: Page, file: Path) -> None:
    """The chat at its newest words."""
    time.sleep(SETTLE_S)
    page.evaluate("document.querySelector('#chat').scrollTo(0, 1e6)")
    take_picture(page, file)


def log_in(
    chromium: Browser, url: str, user: str, password: str, scheme: str, width: int, height: int = WINDOW
) -> Page:
    """A page on the desk, in a context of its own."""
    context = chromium.new_context(
        base_url=url,
        color_scheme=scheme,  # type: ignore[arg-type]
        viewport={"width": width, "height": height},
    )
    page = context.new_page()
    sign_in(page, user, password)
    return page


def run_tests(folder: Path) -> int:
    """The tests that leave the other pictures; their exit code."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *AT_ONCE, *BROWSER_TESTS, "-k", OF_TESTS]
    return subprocess.run(
        command, env={**os.environ, "HEDGEROW_PICTURES": str(folder.resolve())}, check=False
    ).returncode


def is_of_before(file: Path, began_at: float) -> bool:
    """Whether a picture is of a page that is no more: it was not taken this time, and is removed."""
    if file.stat().st_mtime >= began_at:
        return False
    file.unlink()
    return True


def main() -> int:
    """Read the arguments, take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="", help="of a system that runs; without it one is started and stopped")
    parser.add_argument("--user", default="operator")
    parser.add_argument("--folder", type=Path, default=Path("docs/pictures"))
    parser.add_argument("only", nargs="*", help="with --url: names of pages; all without any")
    given = parser.parse_args()
    password = os.environ.get("HEDGEROW_PASSWORD", "")
    if bool(given.url) != bool(password) or (given.only and not given.url):
        parser.error("--url goes with the person's password in HEDGEROW_PASSWORD, and names of pages go with --url")
    given.folder.mkdir(parents=True, exist_ok=True)
    began, began_at = time.monotonic(), time.time()
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        if given.url:
            take_tour(chromium, given.url, given.user, password, given.folder, set(given.only))
            return 0
        with running_desk() as (url, first_password):
            chat = begin_chat(chromium, url, "operator", first_password)
            take_tour(chromium, url, "operator", first_password, given.folder, set())
            take_chat(chat, given.folder)
        chromium.close()
    code = run_tests(given.folder)
    kept = [file for file in given.folder.glob("*.png") if code or not is_of_before(file, began_at)]
    size = sum(file.stat().st_size for file in kept) / 1e6
    print(f"{len(kept)} pictures, {size:.1f} MB in {given.folder}, taken in {time.monotonic() - began:.0f} s")
    return code


if __name__ == "__main__":
    sys.exit(main())
