"""A whole paper desk for the browser: engines and processes as `make run` starts them, and one pair of accounts.

Nobody quotes on it and the venue's makers and takers rest, so that what moves is what a test does.
"""

import os
from dataclasses import replace
from pathlib import Path

from playwright.sync_api import Page, expect

from embedded.processes import Plan, PlanInputs, product_plan
from embedded.system import System
from strategies.paper_venue import PaperVenue
from streams.connection import connect_now
from streams.lag import load_stream_lag
from streams.names import STRATEGIES
from tests.browser.driver import sign_in
from trading.events import FILL_EVENTS

PATIENCE_MS = 60_000
"""Generous: the machine may be busy."""
KEPT = ("PATH", "HOME", "SSL_CERT_FILE")
LEFT_OUT = ("quoter", "bot", "telegram")
PRIMARY, HEDGE = "demo-01-primary", "demo-01-hedge"
WITHOUT_POLLS = """document.addEventListener("DOMContentLoaded", () => {
  if (document.body.dataset.live !== "yes") return;
  for (const part of document.querySelectorAll("[hx-trigger]")) {
    const named = part.getAttribute("hx-trigger").split(",").filter((one) => !one.trim().startsWith("every "));
    part.setAttribute("hx-trigger", named.join(",") || "never");
  }
});"""
"""Runs before htmx reads a live page: nothing is asked for by the clock, so what changes does so by a signal."""


def calm_plan(inputs: PlanInputs) -> Plan:
    """The product without who quotes and who chats."""
    plan = product_plan(inputs)
    venues = [replace(spec, argv=(*spec.argv, "--taker-every-s", "0")) for spec in plan.venues if spec.name == "paper"]
    processes = [spec for spec in plan.processes if spec.name not in LEFT_OUT]
    return replace(plan, venues=tuple(venues), processes=tuple(processes))


class LiveDesk:
    """One running system. `close` stops all of it."""

    def __init__(self, folder: Path) -> None:
        self._said: list[str] = []
        given = {name: os.environ[name] for name in KEPT if name in os.environ} | {"HEDGEROW_ENV_FILE": ""}
        self._system = System(folder, web_port=0, accounts=2, given=given, make_plan=calm_plan, say=self._said.append)
        self._system.start()
        self.address = self._system.address
        self.bus = connect_now(self._system.environment["REDIS_URL"])
        self._venue = PaperVenue(self._system.environment["PREDICT_API_URL"])
        self._market = self._venue.load_markets()[0]
        self._venue._ask("/paper/traders", {"running": False})  # the makers' quotes stay as they are

    @property
    def market_key(self) -> str:
        """The pair's market, as pages name it."""
        return f"predict:{self._market}"

    def close(self) -> None:
        self.bus.close()
        self._system.stop()

    def log_in(self, page: Page) -> None:
        """As the operator, whose password the first start showed."""
        [told] = [line for line in self._said if line.startswith("Operator login:")]
        page.context.add_init_script(WITHOUT_POLLS)
        sign_in(page, "operator", told.split()[-1])

    def place_quote(self, page: Page, shares: str) -> None:
        """The primary's bid inside the spread, by the ticket; leaves the page of its order once the venue has it."""
        bid, ask = self._venue.load_touches([self._market])[self._market]
        assert bid is not None
        assert ask is not None
        page.goto("/orders/new")
        page.select_option("[name=account]", label=PRIMARY)
        page.fill("[name=market]", self.market_key)
        page.fill("[name=shares]", shares)
        page.fill("[name=price]", str((bid.price + ask.price) / 2))
        page.check("[name=post_only]")
        page.fill("[name=reason]", "a quote of the tests")
        page.click("text=Check it")
        page.click("text=Place this order")
        expect(page.locator("#order header:has(h1)")).to_contain_text("Accepted", timeout=PATIENCE_MS)

    def take(self, page: Page) -> None:
        """A taker at the venue takes the order of this page whole."""
        self._venue.take(page.locator("dt:text-is('Order hash') + dd").inner_text())

    def has_read_fills(self) -> bool:
        """Whether the engine has acknowledged every event of a fill."""
        [group] = [one for one in load_stream_lag(self.bus, FILL_EVENTS) if one.group == STRATEGIES]
        return not group.pending and not group.lag
