"""Random order flows: no money or share is made or lost, nobody goes below zero, and a replay gives the same state."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from paper import entries
from paper.conservation import check_conservation
from paper.journal import Journal
from paper.records import State
from tests.paper.engine import WEI, Desk

NAMES = "abc"

orders = st.fixed_dictionaries(
    {
        "name": st.sampled_from(NAMES),
        "action": st.sampled_from(["buy", "sell"]),
        "outcome": st.sampled_from(["yes", "no"]),
        "cents": st.integers(40, 60),
        "size": st.one_of(st.integers(1, 50).map(lambda n: n * WEI), st.integers(10**16, 50 * WEI)),
        "strategy": st.sampled_from(["LIMIT", "LIMIT", "MARKET"]),
        "post_only": st.booleans(),
        "fill_or_kill": st.booleans(),
        "self_trade": st.sampled_from(["CANCEL_MAKER", "CANCEL_TAKER", "CANCEL_BOTH"]),
        "skip_reserved": st.booleans(),
        "by_budget": st.booleans(),
        "delayed": st.booleans(),
    }
)
steps = st.one_of(
    orders,
    orders,
    st.tuples(st.just("settle"), st.integers(0, 5), st.booleans()),
    st.tuples(st.just("remove"), st.integers(0, 20), st.booleans()),
    st.tuples(st.just("run"), st.integers(0, 20), st.booleans()),
    st.tuples(st.just("resolve"), st.sampled_from([0, WEI // 2, WEI]), st.booleans()),
)


def take_step(desk: Desk, step: Any) -> entries.AnyEntry | None:
    """The entry a step stands for now, or None when it makes no sense."""
    state = desk.state
    if isinstance(step, dict):
        given_ = dict(step)
        market = given_["strategy"] == "MARKET"
        skip = given_.pop("skip_reserved") and market
        budget, delayed = given_.pop("by_budget"), given_.pop("delayed")
        kill = given_.pop("fill_or_kill") and market
        post = given_.pop("post_only") and not market
        place = desk.entry(**given_, skip_reserved=skip, fill_or_kill=kill, post_only=post)
        if market and place.is_buy and budget:
            place.budget = place.cap
        if delayed and not post:
            place.run_at = desk.now + 50
        return place if desk.exchange.refusal(place) is None else None
    kind, number, flag = step
    if kind == "settle":
        pending = [m for m in state.matches.values() if m.state == "pending"]
        return entries.Settle(desk.now, pending[number % len(pending)].id, flag) if pending else None
    if kind == "resolve":
        closed = state.markets[1].payout is not None
        return None if closed or not flag else entries.Resolve(desk.now, 1, number)
    ids = list(state.orders)
    if not ids:
        return None
    if kind == "run":
        return entries.Run(desk.now, ids[number % len(ids)], 100)
    return entries.Remove(desk.now, [ids[number % len(ids)]])


@settings(max_examples=150, deadline=None)
@given(flow=st.lists(steps, max_size=40))
def test_random_flow_conserves_money_and_shares(flow: list[Any]) -> None:
    desk = Desk()
    for name in NAMES:
        desk.fund(name, cash=60 * WEI, sets=30 * WEI)
    for step in flow:
        entry = take_step(desk, step)
        if entry is not None:
            desk.do(entry)
            assert check_conservation(desk.state) == []
    for order in desk.state.orders.values():
        assert order.status == "OPEN" or not order.resting
    desk.settle_all()
    assert check_conservation(desk.state) == []
    assert all(a.pending_cash == 0 for a in desk.state.accounts.values())
    book = desk.exchange.books[1]
    best_bid, best_ask = book.bids.best(), book.asks.best()
    assert best_bid is None or best_ask is None or best_bid < best_ask


@settings(max_examples=25, deadline=None)
@given(flow=st.lists(steps, max_size=30), compact_at=st.integers(0, 30))
def test_replayed_journal_gives_the_same_state(flow: list[Any], compact_at: int) -> None:
    with TemporaryDirectory() as folder:
        desk = Desk()
        first = Journal(Path(folder), WEI)
        desk.exchange, desk.state = first.exchange, first.exchange.state

        def do(entry: entries.AnyEntry) -> None:
            first.record(entry)
            desk.do(entry)

        do(entries.OpenMarket(desk.now, 1, "yes-token", "no-token", 10**16, 200, {"outcomes": ["Yes", "No"]}))
        for name in NAMES:
            do(entries.Grant(desk.now, name, "g", 90 * WEI))
            do(entries.Split(desk.now, name, 1, 30 * WEI))
        for number, step in enumerate(flow):
            entry = take_step(desk, step)
            if entry is not None:
                do(entry)
            if number == compact_at:
                first.compact()
        left = image(desk.state, first)
        first.close()
        again = Journal(Path(folder), WEI)
        assert image(again.exchange.state, again) == left
        again.close()


def image(state: State, journal: Journal) -> bytes:
    state.resting = journal.exchange.resting_orders()
    return msgspec.json.encode(state)
