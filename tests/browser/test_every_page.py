"""What holds on every page: no serious accessibility fault, nothing cut off, whole without JavaScript, by keyboard, and
three pictures in docs/.

With `HEDGEROW_PICTURES` set to a folder the first two tests leave those of pages that only some desks have there.
"""

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.conf import settings
from django.db import connection
from playwright.sync_api import Page, expect

from identity.models import User
from tests.browser.conftest import PASSWORD
from tests.browser.driver import KINDS, leave_picture, load_width, sign_in
from tests.browser.full_desk import stop_full_desk
from tests.browser.office_pages import MAIN, REPLAY_ASKED, find_pages
from tests.browser.office_pages import STOPPED as STOPPED_OFFICE
from tests.browser.stops import OTHERS, REFUSED, STOPPED, TOUR, Stop

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LogIn = Callable[..., Page]
RULES_OF_LOOKS = ["color-contrast", "scrollable-region-focusable", "link-in-text-block", "meta-viewport"]
"""What another colour scheme or width can break. Everything else is looked at once."""
FAULTS = """async (rules) => {
  const found = await axe.run(document, {resultTypes: ["violations"], ...(rules ? {runOnly: rules} : {})});
  return found.violations.filter((fault) => ["serious", "critical"].includes(fault.impact))
    .map((fault) => [fault.id, fault.impact, fault.nodes.slice(0, 4).map((node) => node.html.slice(0, 160) + " " +
      (node.any[0] ? node.any[0].message : ""))]);
}"""


def find_faults(page: Page, rules: list[str] | None = None) -> list[Any]:
    """What axe-core calls serious or critical here. The driver runs it beside the page: the policy stays as it is."""
    page.evaluate(AXE_SCRIPT)
    found: list[Any] = page.evaluate(FAULTS, rules)
    return found


def test_a_fault_would_be_found(log_in: LogIn, viewer: User) -> None:
    page = log_in("viewer")
    page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    page.evaluate("document.querySelector('nav a').style.setProperty('color', '#ddd')")
    assert {name for name, *_ in find_faults(page)} == {"button-name", "color-contrast"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_page_is_accessible_and_fits(open_page: LogIn, operator: User, full_desk: None, kind: str) -> None:
    scheme, width = KINDS[kind]
    page = open_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    rules = None if kind == "light" else RULES_OF_LOOKS
    wrong: dict[str, object] = {}
    titles = set()
    page.goto("/login/")
    if faults := find_faults(page, rules):
        wrong["login"] = faults
    leave_picture(page, f"login-{kind}")
    sign_in(page, "operator", PASSWORD)

    def look(stop: Stop) -> None:
        stop.visit(page)
        if stop in STOPPED or not stop.is_always_there:
            leave_picture(page, f"{stop.name}-{kind}")
        if (headings := page.locator("h1").count()) != 1:
            wrong[f"{stop.name} has no single h1"] = headings
        if faults := find_faults(page, rules):
            wrong[stop.name] = faults
        if page.evaluate("document.documentElement.scrollWidth") > width:
            wrong[f"{stop.name} scrolls sideways"] = page.evaluate("document.documentElement.scrollWidth")

    for stop in TOUR:
        look(stop)
        if not stop.press:
            titles.add(page.title())
    stop_full_desk(operator)
    for stop in STOPPED:
        look(stop)
    assert not wrong
    assert len(titles) == sum(not stop.press for stop in TOUR), "every page has a title of its own"


@pytest.mark.parametrize("kind", KINDS)
def test_who_goes_wrong_is_told_so_in_our_own_words(
    open_page: LogIn, viewer: User, full_desk: None, expected: list[str], kind: str
) -> None:
    scheme, width = KINDS[kind]
    page = open_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    sign_in(page, "viewer", PASSWORD)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE strategies_strategy RENAME TO strategies_lost")
    try:
        for name, (address, status) in REFUSED.items():
            expected += [address, f"status of {status}"]
            answer = page.goto(address)
            assert answer is not None
            assert answer.status == status
            expect(page.locator("h1")).to_have_count(1)
            expect(page.get_by_role("link", name="Back to the desk")).to_be_visible()
            leave_picture(page, f"{name}-{kind}")
            assert not find_faults(page)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE strategies_lost RENAME TO strategies_strategy")


def test_every_page_is_whole_without_javascript(log_in: LogIn, operator: User, full_desk: None) -> None:
    page = log_in("operator", java_script_enabled=False)
    for stop in TOUR:
        stop.visit(page)
        expect(page.locator("h1")).to_have_count(1)
        expect(page.locator("main .panel").first).to_be_visible()
        assert len(page.locator("main").inner_text()) > 60, f"{stop.name} is empty"


def test_every_page_has_its_pictures_and_none_is_of_before() -> None:
    office = [*(page.name for page in (*MAIN, *find_pages(), *STOPPED_OFFICE)), REPLAY_ASKED]
    names = ["login", *(stop.name for stop in (*TOUR, *STOPPED)), *REFUSED, *(f"admin-{name}" for name in office)]
    wanted = {f"{name}-{kind}.png": width for name in names for kind, (_, width) in KINDS.items()} | OTHERS
    kept = {file.name: load_width(file) for file in (settings.BASE_DIR / "docs" / "pictures").glob("*.png")}
    assert len(set(names)) == len(names)
    wrong = {name: (kept.get(name), wanted.get(name)) for name in kept | wanted if kept.get(name) != wanted.get(name)}
    assert not wrong, "(width kept, width wanted): take them anew with `make pictures`"


def test_keyboard_reaches_everything_and_shows_where(log_in: LogIn, operator: User, full_desk: None) -> None:
    page = log_in("operator")
    for address in ("/", "/orders/", "/strategies/new"):
        page.goto(address)
        page.keyboard.press("Tab")
        expect(page.locator(".skip")).to_be_focused()
        expect(page.locator(".skip")).to_be_in_viewport()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.querySelector('main').contains(document.activeElement)"), (
            "skipped to the content"
        )
        page.goto(address)
        reached = page.evaluate("document.querySelectorAll('a[href], button, input:not([type=hidden]), select').length")
        seen: list[str] = []
        for _ in range(min(reached, 40)):
            page.keyboard.press("Tab")
            seen.append(page.evaluate(PLACE))
        assert all(seen), f"{address}: something focused shows no outline, or lies off the page: {seen}"


PLACE = """() => {
  const at = document.activeElement;
  if (!at || at === document.body) return "";
  const style = getComputedStyle(at), box = at.getBoundingClientRect();
  const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  return outlined && box.width > 0 && box.height > 0 ? at.tagName : "";
}"""
