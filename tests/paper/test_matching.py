"""The engine: price, then time; complementary, mint and merge; maker prices; what settlement moves."""

from paper import entries
from paper.conservation import check_conservation
from tests.paper.engine import CENT, WEI, Desk


def test_best_price_then_oldest_first() -> None:
    desk = Desk()
    for name in "abcx":
        desk.fund(name)
    late_best = desk.place("c", "buy", "yes", 47, 10)
    older = desk.place("a", "buy", "yes", 46, 10)
    younger = desk.place("b", "buy", "yes", 46, 10)
    desk.place("x", "buy", "no", 54, 25)
    legs = desk.matches()[0].makers
    assert [(leg.order_id, leg.size // WEI) for leg in legs] == [
        (late_best.id, 10),
        (older.id, 10),
        (younger.id, 5),
    ]
    assert desk.exchange.books[1].bids.tiers() == [(46 * CENT, 5 * WEI)]


def test_one_taker_meets_sell_and_mints() -> None:
    """The venue's own sample: BUY Down@0.13 against SELL Down@0.13 and two BUY Up@0.87."""
    desk = Desk()
    desk.fund("seller", sets=10 * WEI)
    for name in ("b", "c", "taker"):
        desk.fund(name)
    desk.place("seller", "sell", "no", 13, 5)
    desk.place("b", "buy", "yes", 87, 7)
    desk.place("c", "buy", "yes", 87, 8)
    desk.place("taker", "buy", "no", 13, 20)
    match = desk.matches()[0]
    assert (match.size, match.price, match.minted) == (20 * WEI, 13 * CENT, 15 * WEI)
    assert [leg.executed for leg in match.makers] == [13 * CENT, 87 * CENT, 87 * CENT]
    desk.settle_all()
    state = desk.state
    assert state.accounts["taker"].shares["no-token"] == 20 * WEI * 98 // 100
    assert state.accounts["b"].shares["yes-token"] == 7 * WEI
    assert state.accounts["seller"].cash == 1000 * WEI + 65 * CENT
    assert state.markets[1].collateral == 25 * WEI
    assert check_conservation(state) == []


def test_two_sellers_merge_a_set() -> None:
    desk = Desk()
    desk.fund("a", sets=10 * WEI)
    desk.fund("b", sets=10 * WEI)
    desk.place("a", "sell", "yes", 40, 10)
    desk.place("b", "sell", "no", 55, 10)
    match = desk.matches()[0]
    assert (match.minted, match.price) == (-10 * WEI, 60 * CENT)
    desk.settle_all()
    assert desk.state.accounts["a"].cash == 1000 * WEI + 4 * WEI
    assert desk.state.accounts["b"].cash == 1000 * WEI + 6 * WEI - 2 * 40 * 10 * WEI // 10_000
    assert desk.state.markets[1].collateral == 10 * WEI
    assert check_conservation(desk.state) == []


def test_taker_gets_the_makers_price() -> None:
    desk = Desk()
    desk.fund("a", sets=10 * WEI)
    desk.fund("b")
    desk.place("a", "sell", "yes", 40, 10)
    order = desk.place("b", "buy", "yes", 60, 10)
    assert desk.matches()[0].price == 40 * CENT
    assert order.spent == 4 * WEI
    assert desk.state.accounts["b"].free_cash == 996 * WEI


def test_orders_that_do_not_cross_rest() -> None:
    desk = Desk()
    desk.fund("a")
    desk.fund("b")
    desk.place("a", "buy", "yes", 46, 10)
    desk.place("b", "buy", "no", 53, 10)
    book = desk.exchange.books[1]
    assert book.bids.tiers() == [(46 * CENT, 10 * WEI)]
    assert book.asks.tiers() == [(47 * CENT, 10 * WEI)]
    assert desk.matches() == []


def test_expired_maker_is_passed_over() -> None:
    desk = Desk()
    for name in "abx":
        desk.fund(name)
    stale = desk.place("a", "buy", "yes", 46, 10, expiration=2000)
    desk.place("b", "buy", "yes", 45, 10)
    desk.now = 2_000_000
    desk.place("x", "buy", "no", 55, 10)
    assert stale.status == "EXPIRED"
    assert [leg.address for leg in desk.matches()[0].makers] == ["b"]


def test_expiry_timer_takes_order_off() -> None:
    desk = Desk()
    desk.fund("a")
    order = desk.place("a", "buy", "yes", 46, 10)
    desk.do(entries.Expire(desk.now, order.id))
    assert (order.status, desk.kinds()) == ("EXPIRED", ["orderExpired"])
    assert desk.exchange.books[1].bids.tiers() == []
    assert desk.state.accounts["a"].reserved_cash == 0


def test_events_come_in_the_venues_order() -> None:
    desk = Desk()
    desk.fund("a")
    desk.fund("b")
    desk.place("a", "buy", "yes", 46, 10)
    assert desk.kinds() == ["orderAccepted"]
    desk.place("b", "buy", "no", 54, 10, strategy="MARKET")
    assert desk.kinds() == [
        "orderAccepted",
        "orderMarketMatchPlan",
        "orderTransactionSubmitted",
        "orderTransactionSubmitted",
    ]
    desk.settle_all()
    assert desk.kinds() == ["orderTransactionSuccess", "orderTransactionSuccess"]


def test_failed_settlement_moves_nothing() -> None:
    desk = Desk()
    desk.fund("a")
    desk.fund("b")
    maker = desk.place("a", "buy", "yes", 46, 30)
    taker = desk.place("b", "buy", "no", 54, 10)
    desk.settle_all(ok=False)
    assert desk.kinds() == ["orderTransactionFailed", "orderTransactionFailed"]
    assert (maker.status, taker.status) == ("INVALIDATED", "INVALIDATED")
    assert (maker.matched, maker.settled) == (0, 0)
    for name in "ab":
        account = desk.state.accounts[name]
        assert (account.cash, account.free_cash) == (1000 * WEI, 1000 * WEI)
        assert not any(account.shares.values())
    assert check_conservation(desk.state) == []


def test_settling_twice_changes_nothing() -> None:
    desk = Desk()
    desk.fund("a")
    desk.fund("b")
    desk.place("a", "buy", "yes", 46, 10)
    desk.place("b", "buy", "no", 54, 10)
    desk.settle_all()
    before = dict(desk.state.accounts["a"].shares)
    desk.settle_all()
    desk.settle_all(ok=False)
    assert desk.events == []
    assert desk.state.accounts["a"].shares == before


def test_removed_order_keeps_its_pending_fill() -> None:
    desk = Desk()
    desk.fund("a")
    desk.fund("b")
    maker = desk.place("a", "buy", "yes", 46, 30)
    desk.place("b", "buy", "no", 54, 10)
    desk.do(entries.Remove(desk.now, [maker.id]))
    assert (maker.status, maker.settled) == ("CANCELLED", 0)
    desk.settle_all()
    assert (maker.status, maker.settled) == ("CANCELLED", 10 * WEI)


def test_budget_order_spends_its_money() -> None:
    desk = Desk()
    desk.fund("a", sets=100 * WEI)
    desk.fund("b")
    desk.place("a", "sell", "yes", 30, 10)
    desk.place("a", "sell", "yes", 60, 50)
    order = desk.place("b", "buy", "yes", 60, 10, strategy="MARKET", budget=9 * WEI, cap=9 * WEI)
    assert (order.matched, order.spent) == (20 * WEI, 9 * WEI)
    assert desk.state.accounts["b"].free_cash == 991 * WEI


def test_resolution_pays_half_and_half() -> None:
    for payout in (WEI, 0, WEI // 2):
        desk = Desk()
        desk.fund("a")
        desk.fund("b")
        resting = desk.place("a", "buy", "yes", 46, 30)
        desk.place("b", "buy", "no", 54, 10)
        desk.settle_all()
        desk.do(entries.Resolve(desk.now, 1, payout))
        assert desk.kinds() == ["orderCancelled", "tradingStatus", "marketStatus"]
        assert resting.status == "CANCELLED"
        assert check_conservation(desk.state) == []
        for name in "ab":
            desk.do(entries.Redeem(desk.now, name, 1))
        yes_cash = desk.state.accounts["a"].cash - (1000 * WEI - 46 * 10 * CENT)
        assert yes_cash == 10 * payout
        assert check_conservation(desk.state) == []
