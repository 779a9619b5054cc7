"""Every page of the admin opens, light and dark and on a phone, without an error or a policy violation, and fits.

With `HEDGEROW_PICTURES` set to a folder a picture of each is left there, and every page is come to in all three ways;
otherwise the main ones are, and the rest once.
"""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from identity.models import User
from tests.browser.driver import KINDS, TALLEST, TALLEST_LIST, is_keeping, leave_picture
from tests.browser.full_desk import stop_full_desk
from tests.browser.office_pages import MAIN, REPLAY_ASKED, STOPPED, OfficePage, find_pages

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LogIn = Callable[..., Page]
TOO_WIDE = """[...document.querySelectorAll("#content *")]
    .filter(one => !one.closest(".desk-scroll, .overflow-x-auto"))
    .filter(one => one.getBoundingClientRect().right > 390 || one.matches("li, p, td, th, dd, h2") &&
      one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).overflowX === "visible")
    .slice(0, 5).map(one => `${one.tagName} ${one.className} ${one.textContent.trim().slice(0, 40)}`)"""
PARTS: dict[str, Callable[[], list[OfficePage]]] = {
    "main": lambda: list(MAIN),
    "lists": lambda: [page for page in find_pages() if page.is_list],
    "rows": lambda: [page for page in find_pages() if not page.is_list and not page.is_step],
    "steps": lambda: [page for page in find_pages() if page.is_step],
}


def walk(page: Page, part: str) -> Iterator[OfficePage]:
    """Come to each page of the part."""
    for one in PARTS[part]():
        visit(page, one)
        yield one
    if part == "main":
        page.goto("/admin/dead-letters/")
        page.locator("[name=letter]").nth(1).check()
        page.get_by_role("button", name="Replay the marked…").click()
        expect(page.locator(".desk-rows")).to_contain_text("no account a1")
        yield OfficePage(REPLAY_ASKED, "")


def visit(page: Page, one: OfficePage) -> None:
    """Open it; it is there, strictly guarded, and says what desk it is of."""
    answer = page.goto(one.address)
    assert answer is not None
    assert answer.status == 200, one.name
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    expect(page.locator("body")).to_contain_text("PAPER")


def keep(page: Page, one: OfficePage, kind: str) -> None:
    leave_picture(page, f"admin-{one.name}-{kind}", TALLEST_LIST if one.is_list else TALLEST)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", PARTS)
def test_every_admin_page_opens_without_an_error(
    log_in: LogIn, operator: User, full_desk: None, kind: str, part: str
) -> None:
    if part != "main" and kind != "light" and not is_keeping():
        pytest.skip("these are looked at once, but for pictures")
    scheme, width = KINDS[kind]
    page = log_in("operator", viewport={"width": width, "height": 900}, color_scheme=scheme)
    wrong = {}
    for one in walk(page, part):
        keep(page, one, kind)
        if kind == "phone" and (found := page.evaluate(TOO_WIDE)):
            wrong[one.name] = found
    assert not wrong, "cut off, or scrolls sideways"


@pytest.mark.parametrize("kind", KINDS)
def test_stopped_desk_is_shown_in_the_admin(log_in: LogIn, operator: User, full_desk: None, kind: str) -> None:
    scheme, width = KINDS[kind]
    page = log_in("operator", viewport={"width": width, "height": 900}, color_scheme=scheme)
    stop_full_desk(operator)
    for one in STOPPED:
        visit(page, one)
        expect(page.locator("body")).to_contain_text("the venue's book looks wrong")
        keep(page, one, kind)
