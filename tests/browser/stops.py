"""Every page of the product, and how to come to it. Tests go round it; `make pictures` takes pictures along it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from playwright.sync_api import Page


@dataclass(frozen=True)
class Stop:
    """One page: its own address, or where the first links that `follow` names lead, one after the other."""

    name: str
    address: str
    follow: tuple[str, ...] = ()
    press: tuple[str, ...] = ()
    """What is clicked there to come to it."""
    shows: str = ""
    """What is seen once it has come, after a click."""
    is_lately: bool = False
    """Whether it is about the last half hour, and its address says so."""
    is_always_there: bool = True
    """False for a page that only some desks have, such as one for an order nobody knows the fate of, or that something
    must be pressed for: only tests go there, on a desk made for them, and leave its pictures."""

    def visit(self, page: Page) -> None:
        """Open it; an AssertionError when this desk has no such page."""
        page.goto(self.address)
        for link in self.follow:
            found = page.locator(link).first
            assert found.count(), f"{self.name}: nothing at {link} on {page.url}"
            page.goto(str(found.get_attribute("href")))
        for button in self.press:
            page.locator(button).first.click()
        if self.shows:
            page.wait_for_selector(self.shows)
        if self.is_lately:
            since = datetime.now(UTC) - timedelta(minutes=30)
            page.goto(f"{page.url}&{urlencode({'since': since.isoformat()})}")


FIRST_ACCOUNT = "#fleet tbody th a"
CLOSED_ACCOUNT = "#fleet tbody th a:text-is('reserve-01')"
FIRST_STRATEGY = "#strategies tbody th a"
CLOSE, EDIT = "a.danger[href*='close']", "a[href$='/edit']"
SYNC = "tour"
"""The token of a reading of the markets that the tests' desk has under way."""
TOUR = (
    Stop("dashboard", "/"),
    Stop("stop", "/", ("#state a.danger",)),
    Stop("trace", "/", ("#fills tbody tr:has(.hedge-leg) a[href$='/trace']",)),
    Stop("accounts", "/accounts/"),
    Stop("account", "/accounts/", (FIRST_ACCOUNT,)),
    Stop("account-add", "/accounts/add"),
    Stop("account-import", "/accounts/import"),
    Stop("account-close", "/accounts/", (FIRST_ACCOUNT, CLOSE)),
    Stop("account-closing", "/accounts/", (CLOSED_ACCOUNT, CLOSE), is_lately=True, is_always_there=False),
    Stop("account-states", "/accounts/", press=("#fleet td.tick input", "text=Go on…"), shows="[name=reason]",
         is_always_there=False),
    Stop("strategies", "/strategies/"),
    Stop("strategy", "/strategies/", (FIRST_STRATEGY,)),
    Stop("strategy-form", "/strategies/", (FIRST_STRATEGY, EDIT)),
    Stop("strategy-trial", "/strategies/", (FIRST_STRATEGY, EDIT), press=("[name=try]",), shows="#trial .figure",
         is_always_there=False),
    Stop("strategy-new", "/strategies/new"),
    Stop("strategy-stop", "/strategies/", (FIRST_STRATEGY, "a[href$='/stop']")),
    Stop("markets", "/markets/"),
    Stop("markets-sync", f"/markets/sync?token={SYNC}", is_always_there=False),
    Stop("market", "/", ("#fills tbody tr:has(.hedge-leg) a[href$='/trace']", "dd a[href^='/markets/']")),
    Stop("orders", "/orders/"),
    Stop("order", "/orders/", ("#orders tbody td a[href^='/orders/']",)),
    Stop("order-resolve", "/orders/", ("#ambiguous a[href$='/resolve']",), is_always_there=False),
    Stop("order-new", "/orders/new"),
    Stop("logs", "/logs/"),
    Stop("logs-trades", "/logs/?what=trades"),
    Stop("telegram", "/telegram/"),
    Stop("faults", "/faults/"),
    Stop("setup", "/setup/"),
)  # fmt: skip
STOPPED = (
    Stop("dashboard-stopped", "/"),
    Stop("stop-harder", "/", ("#state a.danger",)),
    Stop("lift", "/desk/lift"),
)
"""What is shown while a stop holds; only tests pull one."""
REFUSED = {"not-found": ("/nowhere/", 404), "not-allowed": ("/desk/lift", 403), "broken": ("/strategies/", 500)}
"""What a person comes to who goes wrong, by address and answer; the last once the database has lost a table."""
OTHERS = {"desk.png": 1840, "telegram.png": 600, "telegram-stop.png": 600}
"""Pictures that documents show, with their widths; of a running system too."""
