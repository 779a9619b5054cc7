"""Where things stand on a page: what no text tells. Measured in pixels, at the width the pictures have."""

from collections.abc import Callable

import pytest
from django.utils import timezone
from playwright.sync_api import Locator, Page

from identity.models import User
from tests.browser.driver import KINDS
from tests.desk_rows import make_desk

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LogIn = Callable[..., Page]
WIDE = {"width": KINDS["light"][1], "height": 900}
PLACEHOLDER = """(input) => {
  const soft = document.createElement("span");
  soft.className = "soft";
  document.body.append(soft);
  return [getComputedStyle(input, "::placeholder").color, getComputedStyle(soft).color];
}"""


def middle(found: Locator) -> float:
    """The height of its middle on the page."""
    box = found.bounding_box()
    assert box
    return box["y"] + box["height"] / 2


def height(found: Locator) -> float:
    box = found.bounding_box()
    assert box
    return box["height"]


def test_search_stands_beside_the_last_field(log_in: LogIn, viewer: User) -> None:
    page = log_in("viewer", viewport=WIDE)
    page.goto("/logs/")
    assert middle(page.locator("text=Search")) == pytest.approx(middle(page.locator("[name=what]")), abs=4)
    assert middle(page.locator("[name=span]")) == pytest.approx(middle(page.locator("[name=what]")), abs=4)


def test_placeholder_is_as_dark_as_other_soft_words(log_in: LogIn, viewer: User) -> None:
    page = log_in("viewer", color_scheme="dark")
    page.goto("/logs/")
    shown, soft = page.locator("[name=market_id]").evaluate(PLACEHOLDER)
    assert shown == soft


def test_fields_of_a_line_stand_level(log_in: LogIn, trader: User) -> None:
    make_desk(timezone.now())
    page = log_in("trader", viewport=WIDE)
    page.goto("/orders/new")
    kind, maker, shares = (page.locator(f"[name={name}]") for name in ("order_type", "post_only", "shares"))
    assert height(kind) == pytest.approx(height(shares), abs=1)
    assert middle(maker) == pytest.approx(middle(kind), abs=3)
