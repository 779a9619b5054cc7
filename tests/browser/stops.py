"""Every page of the product, and how to come to it. Tests go round it; `make pictures` takes pictures along it."""

from dataclasses import dataclass

from playwright.sync_api import Page


@dataclass(frozen=True)
class Stop:
    """One page: its own address, or where the first links that `follow` names lead, one after the other."""

    name: str
    address: str
    follow: tuple[str, ...] = ()
    is_always_there: bool = True
    """False for a page that only some desks have, such as one for an order nobody knows the fate of."""

    def visit(self, page: Page) -> bool:
        """Open it. False when this desk has no such page; an AssertionError when every desk should."""
        page.goto(self.address)
        for link in self.follow:
            found = page.locator(link).first
            if not found.count():
                assert not self.is_always_there, f"{self.name}: nothing at {link} on {page.url}"
                return False
            page.goto(str(found.get_attribute("href")))
        return True


FIRST_ACCOUNT = "#fleet tbody th a"
FIRST_STRATEGY = "#strategies tbody th a"
TOUR = (
    Stop("dashboard", "/"),
    Stop("stop", "/", ("#state a.danger",)),
    Stop("trace", "/", ("#fills tbody tr:has(.hedge-leg) a[href$='/trace']",)),
    Stop("accounts", "/accounts/"),
    Stop("account", "/accounts/", (FIRST_ACCOUNT,)),
    Stop("account-add", "/accounts/add"),
    Stop("account-import", "/accounts/import"),
    Stop("account-close", "/accounts/", (FIRST_ACCOUNT, "a.danger[href*='close']")),
    Stop("strategies", "/strategies/"),
    Stop("strategy", "/strategies/", (FIRST_STRATEGY,)),
    Stop("strategy-form", "/strategies/", (FIRST_STRATEGY, "a[href$='/edit']")),
    Stop("strategy-new", "/strategies/new"),
    Stop("strategy-stop", "/strategies/", (FIRST_STRATEGY, "a[href$='/stop']")),
    Stop("markets", "/markets/"),
    Stop("market", "/", ("#fills tbody tr:has(.hedge-leg) a[href$='/trace']", "dd a[href^='/markets/']")),
    Stop("orders", "/orders/"),
    Stop("order", "/orders/", ("#orders tbody td a[href^='/orders/']",)),
    Stop("order-resolve", "/orders/", ("#ambiguous a[href$='/resolve']",), is_always_there=False),
    Stop("order-new", "/orders/new"),
    Stop("logs", "/logs/"),
    Stop("logs-trades", "/logs/?what=trades"),
    Stop("telegram", "/telegram/"),
    Stop("setup", "/setup/"),
)
