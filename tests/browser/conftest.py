"""A real Chromium before the real web process, on the test database and Redis.

The web process is uvicorn with `hedgerow.asgi`, once for the run. Every page a test opens must stay without console
errors, script errors and policy violations.
"""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from identity.models import User
from markets.tasks import tell_markets
from tests.browser.driver import ARGS, CHROMIUM, sign_in
from tests.browser.full_desk import make_full_desk
from tests.browser.quiet_venue import QuietVenue
from tests.browser.stops import SYNC

PASSWORD = "a-password-of-the-tests"
START_S = 60
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; a module's own, so that its event loop is gone when other tests run."""
    if not Path(CHROMIUM).exists():
        pytest.fail(
            f"{CHROMIUM} is missing: `make setup` and `make dev` say how to install it, then run the tests again."
        )
    # Playwright's loop runs in this thread; Django would take the tests' own queries for async code.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield chromium
        chromium.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="session")
def venue_port() -> int:
    """Where the web process looks for a venue; there is one for tests that ask for `venue`."""
    return free_port()


@pytest.fixture(scope="module")
def venue(venue_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[QuietVenue]:
    """A paper venue whose makers quote and whose takers rest."""
    with QuietVenue(venue_port, tmp_path_factory.mktemp("venue")) as quiet:
        yield quiet


@pytest.fixture
def full_desk(transactional_db: None, redis_url: str, operator: User, expected: list[str], venue: QuietVenue) -> None:
    """A desk without an empty page, its markets' books at the venue, a reading of the markets under way."""
    make_full_desk(redis_url)
    venue.open_markets()
    tell_markets(SYNC, 2, 2, "500 markets read")


@pytest.fixture(scope="session")
def web(django_db_setup: None, venue_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the web process."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    root = str(settings.BASE_DIR)
    paths = os.pathsep.join((root, f"{root}/platform"))
    environment = {
        **os.environ,
        "DATABASE_URL": settings.DATABASE_URL,
        "HEDGEROW_PUBLIC_URL": address,
        "PREDICT_API_URL": f"http://127.0.0.1:{venue_port}",
        "PYTHONPATH": paths,
    }
    log = tmp_path_factory.mktemp("web") / "log"
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "hedgerow.asgi:application",
        "--port",
        str(port),
        "--timeout-graceful-shutdown",
        "3",
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_until_up(process, address, log)
        yield address
    finally:
        process.terminate()
        process.wait(20)


def is_trouble(said: ConsoleMessage) -> bool:
    """Any error or warning, save that htmx calls a fetch lost when the person leaves the page meanwhile."""
    return said.type in ("error", "warning") and "htmx:sendError" not in said.text


def wait_until_up(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with _direct.open(f"{address}/login/", timeout=2):
                return
        except (OSError, urllib.error.URLError):
            time.sleep(0.1)
    pytest.fail(f"the web process did not start:\n{log.read_text()[-3000:]}")


@pytest.fixture
def expected() -> list[str]:
    """What a test brings about on purpose, word for word as the browser says it: no trouble in that test."""
    return []


@contextmanager
def watched(browser: Browser, address: str, expected: list[str]) -> Iterator[Callable[..., Page]]:
    """Opens pages in contexts of their own. What goes wrong in any of them is told at the end."""
    contexts: list[BrowserContext] = []
    troubles: list[str] = []

    def watch(page: Page) -> None:
        page.set_default_timeout(15_000)
        page.on("console", lambda said: troubles.append(said.text) if is_trouble(said) else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("response", lambda answer: troubles.append(answer.url) if answer.status in (404, 500) else None)

    def open_one(**options: object) -> Page:
        context = browser.new_context(base_url=address, **options)  # type: ignore[arg-type]
        contexts.append(context)
        context.on("page", watch)
        return context.new_page()

    yield open_one
    for context in contexts:
        context.close()
    assert not [trouble for trouble in troubles if not any(words in trouble for words in expected)]


@pytest.fixture
def open_page(
    browser: Browser, web: str, database_url: str, redis_url: str, expected: list[str]
) -> Iterator[Callable[..., Page]]:
    """Open pages in contexts of their own. What goes wrong in any of them fails the test at its end."""
    with watched(browser, web, expected) as open_one:
        yield open_one


@pytest.fixture
def log_in(open_page: Callable[..., Page]) -> Callable[..., Page]:
    """A page with somebody signed in on the desk."""

    def log_in_as(name: str, **options: object) -> Page:
        page = open_page(**options)
        sign_in(page, name, PASSWORD)
        return page

    return log_in_as
