"""What holds on every page: no serious accessibility fault, nothing cut off, whole without JavaScript, by keyboard."""

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, expect

from identity.models import User
from tests.browser.full_desk import make_full_desk
from tests.browser.stops import TOUR

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


@pytest.fixture
def full_desk(transactional_db: None) -> None:
    make_full_desk()


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


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 390)])
def test_every_page_is_accessible_and_fits(
    log_in: LogIn, operator: User, full_desk: None, scheme: str, width: int
) -> None:
    page = log_in("operator", viewport={"width": width, "height": 860}, color_scheme=scheme)
    rules = None if (scheme, width) == ("light", 1280) else RULES_OF_LOOKS
    wrong: dict[str, object] = {}
    titles = set()
    for stop in TOUR:
        assert stop.visit(page)
        if (headings := page.locator("h1").count()) != 1:
            wrong[f"{stop.name} has no single h1"] = headings
        titles.add(page.title())
        if faults := find_faults(page, rules):
            wrong[stop.name] = faults
        if page.evaluate("document.documentElement.scrollWidth") > width:
            wrong[f"{stop.name} scrolls sideways"] = page.evaluate("document.documentElement.scrollWidth")
    assert not wrong
    assert len(titles) == len(TOUR), "every page has a title of its own"


def test_every_page_is_whole_without_javascript(log_in: LogIn, operator: User, full_desk: None) -> None:
    page = log_in("operator", java_script_enabled=False)
    for stop in TOUR:
        assert stop.visit(page)
        expect(page.locator("h1")).to_have_count(1)
        expect(page.locator("main .panel").first).to_be_visible()
        assert len(page.locator("main").inner_text()) > 60, f"{stop.name} is empty"


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
