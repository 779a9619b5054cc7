"""Real fills on a whole running desk: a taker at the paper venue takes a primary's quote, the engine hedges it, and
every page shows it without a reload and without asking by the clock.
"""

import re
from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from embedded.engines import temporary_state
from streams.names import dead_letter_stream
from tests.browser.conftest import watched
from tests.browser.live_desk import HEDGE, PATIENCE_MS, PRIMARY, LiveDesk
from tests.faults.house import until
from trading.events import FILL_EVENTS

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Text = str | re.Pattern[str]
FIRST, SECOND = "71", "83"
"""Shares of the two quotes."""
BOUGHT, ANSWERED = f"buy yes {FIRST} @", f"buy no {FIRST} @"
NET_OF_FEE, DUST = re.compile(r"^\s*(69|70)\.\d"), re.compile(r"^\s*−?[1-4]\.\d")
"""The hedge pays a taker's fee in shares, by its price; what that leaves open is too small for another hedge."""
OWED = re.compile(r"^\s*−?8[3-7]\.\d")
"""The second quote's shares and that."""
JUST_NOW = re.compile(r"^\s*0\.\d+ \d+ s")
POSITIONS, ORDERS, FILLS = (f"[aria-labelledby={name}-title]" for name in ("positions", "orders", "fills"))
"""Parts of an account's page and an order's."""


@pytest.fixture(scope="module")
def desk() -> Iterator[LiveDesk]:
    with temporary_state("hedgerow-live-") as folder, closing(LiveDesk(folder)) as running:
        yield running


@pytest.fixture
def page(browser: Browser, desk: LiveDesk) -> Iterator[Page]:
    with watched(browser, desk.address, []) as open_one:
        page = open_one()
        desk.log_in(page)
        yield page


def open_tab(page: Page, address: str) -> Page:
    """One more page of the same person, connected and marked: a reload would lose the mark."""
    tab = page.context.new_page()
    tab.goto(address)
    expect(tab.locator("#link-state")).to_have_text("live", timeout=PATIENCE_MS)
    tab.evaluate("document.body.dataset.mark = 'same page'")
    return tab


def link(page: Page, address: str, text: str) -> str:
    """Where the first link of this text leads, on the page of that address."""
    page.goto(address)
    found = page.locator(f"main a:text-is('{text}')").first.get_attribute("href")
    assert found
    return found


def row(tab: Page, part: str, *having: Text) -> Locator:
    """The first row of a part's tables that has all these texts, and a cell for each pattern."""
    found = tab.locator(f"{part} tbody tr")
    for text in having:
        if isinstance(text, str):
            found = found.filter(has_text=text)
        else:
            found = found.filter(has=tab.locator("td").filter(has_text=text))
    return found.first


def see(tab: Page, *shown: tuple[Text, ...]) -> None:
    """Rows, each by its part and texts, come to be shown on a page that was never loaded anew."""
    tab.bring_to_front()
    for part, *having in shown:
        expect(row(tab, str(part), *having)).to_be_visible(timeout=PATIENCE_MS)
    assert tab.evaluate("document.body.dataset.mark") == "same page", tab.url


def test_fill_and_its_hedge_reach_every_page(page: Page, desk: LiveDesk) -> None:
    primary, hedge = (link(page, "/accounts/", name) for name in (PRIMARY, HEDGE))
    strategy = link(page, "/strategies/", "demo")
    desk.place_quote(page, FIRST)
    addresses = {
        "desk": "/", "accounts": "/accounts/", "primary": primary, "hedge": hedge, "orders": "/orders/",
        "order": page.url, "strategies": "/strategies/", "strategy": strategy, "markets": "/markets/",
        "market": f"/markets/{desk.market_key}/", "events": "/logs/", "trades": "/logs/?what=trades",
    }  # fmt: skip
    tabs = {name: open_tab(page, address) for name, address in addresses.items()}
    level = tabs["market"].locator(f"#book td:text-is('{FIRST}.00')")
    expect(level).to_have_count(1)
    expect(tabs["desk"].locator("#fills tbody")).to_have_count(0)
    expect(row(tabs["markets"], "#markets", desk.market_key, JUST_NOW)).to_have_count(0)

    desk.take(page)
    see(tabs["desk"], ("#fills", PRIMARY, "buy yes", ANSWERED, "Filled"), ("#exposures", PRIMARY, f"+{FIRST}"),
        ("#fleet", PRIMARY, DUST))  # fmt: skip
    expect(tabs["desk"].locator("#summary .tile", has_text="Fills today")).to_contain_text("2")
    see(tabs["accounts"], ("#fleet", PRIMARY, FIRST), ("#fleet", HEDGE, NET_OF_FEE))
    see(tabs["primary"], (POSITIONS, "yes", FIRST), (ORDERS, BOUGHT, "Filled"), (FILLS, BOUGHT, "settled"))
    see(tabs["hedge"], (POSITIONS, "no", NET_OF_FEE), (ORDERS, ANSWERED, "Filled"), (FILLS, ANSWERED, "settled"))
    see(tabs["orders"], ("#orders", PRIMARY, "user", "Filled"), ("#orders", HEDGE, "strategy", "Filled"))
    see(tabs["order"], (FILLS, FIRST, "settled"))
    expect(tabs["order"].locator("dt:text-is('Filled') + dd")).to_have_text(f"{FIRST} of {FIRST}")
    see(tabs["strategies"], ("#strategies", "demo", DUST))
    see(tabs["strategy"], ("#exposures", PRIMARY, DUST), ("#decisions", PRIMARY, f"−{FIRST}", "ordered whole"))
    see(tabs["markets"], ("#markets", desk.market_key, JUST_NOW))
    see(tabs["market"], ("#book",))
    expect(level).to_have_count(0, timeout=PATIENCE_MS)
    see(tabs["events"], ("#rows", "fill settled", HEDGE), ("#rows", "exposure changed"))
    see(tabs["trades"], ("#rows", PRIMARY, "fill", "buy yes", FIRST), ("#rows", HEDGE, "fill settled", "buy no", FIRST))


def test_fill_that_waits_is_seen_and_its_trace_gets_the_hedge(page: Page, desk: LiveDesk) -> None:
    strategy = link(page, "/strategies/", "demo")
    switch(page, strategy, "stop")
    desk.place_quote(page, SECOND)
    addresses = {"desk": "/", "orders": "/orders/", "strategies": "/strategies/", "strategy": strategy}
    tabs = {name: open_tab(page, address) for name, address in addresses.items()}
    desk.take(page)
    see(tabs["desk"], ("#fills", PRIMARY, SECOND), ("#exposures", PRIMARY, OWED, "The strategy is stopped"))
    see(tabs["orders"], ("#orders", PRIMARY, SECOND, "Filled"))
    see(tabs["strategies"], ("#strategies", "demo", OWED))
    see(tabs["strategy"], ("#exposures", PRIMARY, OWED))
    fill = row(tabs["desk"], "#fills", PRIMARY, SECOND)
    trace = open_tab(page, str(fill.locator("a[href$='/trace']").get_attribute("href")))
    expect(trace.locator("#trace")).to_contain_text("The strategy is stopped")
    expect(row(trace, "#trace", "Order left")).to_have_count(0)

    switch(page, strategy, "start")
    see(trace, ("#trace", "Order left"), ("#trace", "Venue answered"), ("#trace", "Order closed", "Filled"))
    see(tabs["desk"], ("#fills", PRIMARY, SECOND, "Filled"))
    see(tabs["orders"], ("#orders", HEDGE, OWED, "Filled"))
    see(tabs["strategies"], ("#strategies", "demo", "Active", DUST))
    see(tabs["strategy"], ("#decisions", PRIMARY, OWED, "looked at again"))


def switch(page: Page, strategy: str, what: str) -> None:
    """Start or stop the strategy on its page."""
    page.goto(f"{strategy}{what}")
    page.fill("[name=reason]", "a drill of the tests")
    page.locator("main form button").click()
    expect(page.locator(".notice").first).to_contain_text("from the next event on")


def test_replayed_fills_change_nothing(page: Page, desk: LiveDesk) -> None:
    """The desk's own worker puts them back, and every reader sees them once more."""
    fills = [fields for _, fields in desk.bus.xrange(FILL_EVENTS)]
    for fields in fills:
        desk.bus.xadd(dead_letter_stream(FILL_EVENTS), {**fields, b"group": b"strategies", b"reason": b"a drill"})
    before = standings(page)
    page.goto(f"/admin/dead-letters/?stream={FILL_EVENTS}")
    page.get_by_role("button", name=f"Replay all {len(fills)} of {FILL_EVENTS}…").click()
    page.fill("[name=reason]", "a drill of the tests")
    page.get_by_role("button", name="Replay", exact=True).click()
    done = f"Done: {len(fills)} of {len(fills)} put back on {FILL_EVENTS}"
    expect(page.locator("#replay")).to_contain_text(done, timeout=PATIENCE_MS)
    put_back = [fields for _, fields in desk.bus.xrange(FILL_EVENTS)][len(fills) :]
    assert put_back[: len(fills)] == fills, "all of them, in order, behind what was there"
    until(desk.has_read_fills, PATIENCE_MS / 1000, "the engine has read them")
    assert standings(page) == before


def standings(page: Page) -> list[list[str]]:
    """Net shares, result and fills of each account."""
    page.goto("/accounts/")
    return [row.locator("td.number").all_inner_texts()[2:5] for row in page.locator("#fleet tbody tr").all()]
