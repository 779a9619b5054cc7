"""Wire to kernel: payloads as the live venue sends them (Oct 2026, shortened), and what must not be guessed."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.enums import Action, FeeKind, Liquidity, MarketStatus, OrderStatus, Outcome
from trading.errors import InvalidValue
from venues.contract import WalletEventKind
from venues.predict.parsing import parse_book, parse_market, parse_match, parse_order, parse_wallet_event
from venues.predict.schemas import (
    Data,
    Page,
    WireBook,
    WireCategory,
    WireMarket,
    WireMatch,
    WireOrder,
    WireWalletEvent,
)

PAYLOADS = Path(__file__).parent / "payloads"
HASH = "0x" + "AB" * 32


def load(name: str, shape: Any) -> Any:
    return msgspec.json.decode((PAYLOADS / f"{name}.json").read_bytes(), type=shape).data


def test_live_market_becomes_a_spec() -> None:
    spec = parse_market(load("market", Data[WireMarket]))
    assert spec.market_id == "2880279"
    assert spec.tick == Decimal("0.01")
    assert (spec.lot, spec.min_size, spec.min_value) == (Decimal("0.01"), Decimal("0.01"), Decimal("0.9"))
    assert spec.token(Outcome.YES).startswith("2456")
    assert spec.token(Outcome.NO).startswith("5904")
    assert (spec.status, spec.payout_yes, spec.fee_rate_bps) == (MarketStatus.OPEN, None, 200)


@pytest.mark.parametrize("token", ["", "-1", "0x12", "1.0", str(1 << 256)])
def test_market_without_real_tokens_is_refused(token: str) -> None:
    market = load("market", Data[WireMarket])
    outcomes = [msgspec.structs.replace(market.outcomes[0], on_chain_id=token), market.outcomes[1]]
    with pytest.raises(InvalidValue):
        parse_market(msgspec.structs.replace(market, outcomes=outcomes))


def test_end_and_title_come_from_the_category() -> None:
    category = load("category", Data[WireCategory])
    spec = parse_market(msgspec.json.decode(category.markets[0], type=WireMarket), category)
    assert spec.ends_at_ms == 1_791_136_800_000
    assert spec.category == "Kosovo vs. Austria"
    assert (spec.status, spec.payout_yes) == (MarketStatus.RESOLVED, 0)


@pytest.mark.parametrize(
    ("status", "trading", "expected"),
    [
        ("REGISTERED", "OPEN", MarketStatus.OPEN),
        ("PRICE_PROPOSED", "OPEN", MarketStatus.OPEN),
        ("UNPAUSED", "OPEN", MarketStatus.OPEN),
        ("PAUSED", "OPEN", MarketStatus.PAUSED),
        ("REGISTERED", "CANCEL_ONLY", MarketStatus.PAUSED),
        ("REGISTERED", "MATCHING_NOT_ENABLED", MarketStatus.PAUSED),
        ("PRICE_PROPOSED", "CLOSED", MarketStatus.CLOSED),
        ("REMOVED", "OPEN", MarketStatus.CLOSED),
        ("RESOLVED", "CLOSED", MarketStatus.RESOLVED),
        ("REGISTERED", "SOMETHING_NEW", MarketStatus.PAUSED),
    ],
)
def test_only_an_open_market_takes_orders(status: str, trading: str, expected: MarketStatus) -> None:
    market = msgspec.structs.replace(load("market", Data[WireMarket]), status=status, trading_status=trading)
    assert parse_market(market).status is expected


@pytest.mark.parametrize(
    ("yes", "no", "payout"),
    [
        ("WON", "LOST", 1),
        ("LOST", "WON", 0),
        ("VOIDED", "VOIDED", Decimal("0.5")),
        ("WON", "WON", None),
        ("WON", None, None),
    ],
)
def test_payout_is_told_never_guessed(yes: str, no: str | None, payout: Decimal | None) -> None:
    market = load("market", Data[WireMarket])
    outcomes = [
        msgspec.structs.replace(outcome, status=status)
        for outcome, status in zip(market.outcomes, (yes, no), strict=True)
    ]
    resolved = msgspec.structs.replace(market, status="RESOLVED", outcomes=outcomes)
    assert parse_market(resolved).payout_yes == payout
    assert parse_market(msgspec.structs.replace(resolved, status="PRICE_PROPOSED")).payout_yes is None


def test_book_floats_are_exact_and_on_the_grid() -> None:
    book = parse_book(load("book", Data[WireBook]), 2)
    assert [str(level.price) for level in book.bids] == ["0.86", "0.85", "0.84"]
    assert str(book.asks[1].size) == "3202.2000000000003"
    no = book.view(Outcome.NO)
    assert str(no.asks[0].price) == "0.14"


@given(st.integers(1, 999))
def test_every_price_survives_its_float64(mills: int) -> None:
    wire = {"marketId": 1, "updateTimestampMs": 1, "asks": [[mills / 1000 + 1e-16, 1.5]], "bids": []}
    book = parse_book(msgspec.json.decode(msgspec.json.encode(wire), type=WireBook), 3)
    assert book.asks[0].price == Decimal(mills).scaleb(-3)


def test_live_match_yields_each_accounts_own_legs() -> None:
    (match,) = load("matches", Page[WireMatch])
    (taker,) = parse_match(match, "0x9bce343b13132792989cd0a3a5b948a36a1306e1")
    assert (taker.outcome, taker.action, taker.liquidity) == (Outcome.NO, Action.BUY, Liquidity.TAKER)
    assert (taker.price, taker.size) == (Decimal("0.13"), Decimal("36.846153846153846152"))
    assert (taker.fee, taker.fee_kind) == (Decimal("0.736923076923076923"), FeeKind.SHARES)
    assert taker.executed_at_ms == 1_791_200_584_000
    (minted,) = parse_match(match, "0xF5807F3D8Ca9dC26CF3728047744FF2BA100aE47")
    assert (minted.outcome, minted.action, minted.price) == (Outcome.YES, Action.BUY, Decimal("0.87"))
    assert (minted.size, minted.liquidity, minted.fee) == (Decimal("22.5"), Liquidity.MAKER, 0)
    (sold,) = parse_match(match, "0x3bd1aC004ED5AeC6a0C67DBf7145e57f31D1096c")
    assert (sold.outcome, sold.action, sold.fee_kind) == (Outcome.NO, Action.SELL, FeeKind.COLLATERAL)
    assert len({taker.trade_id, minted.trade_id, sold.trade_id}) == 3
    assert parse_match(match, "0x" + "0" * 40) == []


def test_both_legs_of_a_match_with_oneself_are_fills() -> None:
    (match,) = load("matches", Page[WireMatch])
    mine = msgspec.structs.replace(match.makers[0], signer=match.taker.signer)
    both = msgspec.structs.replace(match, makers=[mine])
    assert [fill.liquidity for fill in parse_match(both, match.taker.signer)] == [Liquidity.TAKER, Liquidity.MAKER]


@pytest.mark.parametrize(
    ("wire", "filled", "status"),
    [
        ("OPEN", "0", OrderStatus.ACCEPTED),
        ("OPEN", "4000000000000000000", OrderStatus.PARTIALLY_FILLED),
        ("FILLED", "10000000000000000000", OrderStatus.FILLED),
        ("CANCELLED", "0", OrderStatus.CANCELLED),
        ("INVALIDATED", "0", OrderStatus.CANCELLED),
        ("EXPIRED", "0", OrderStatus.EXPIRED),
    ],
)
def test_order_states_in_the_kernels_words(wire: str, filled: str, status: OrderStatus) -> None:
    body = {
        "id": "1",
        "marketId": 7,
        "amount": "10000000000000000000",
        "amountFilled": filled,
        "status": wire,
        "order": {"hash": HASH},
    }
    state = parse_order(msgspec.convert(body, WireOrder))
    assert (state.status, state.size, state.order_hash) == (status, 10, HASH.lower())
    with pytest.raises(InvalidValue):
        parse_order(msgspec.convert(body | {"status": "MELTED"}, WireOrder))
    with pytest.raises(InvalidValue):
        parse_order(msgspec.convert(body | {"amountFilled": "1.5"}, WireOrder))


def wallet(kind: str, **changes: Any) -> WireWalletEvent:
    body = {
        "type": kind,
        "orderId": "9",
        "orderHash": HASH,
        "walletAddress": "0x0",
        "timestamp": 1_791_200_866_580,
        "details": {
            "marketId": 5,
            "outcomeIndex": 2,
            "outcomeName": "Down",
            "outcome": "NO",
            "quoteType": "BID",
            "quantity": "1.000",
            "price": "0.010",
        },
        "settlementId": "s-1",
        "fill": {"executedPriceWei": "570000000000000000", "executedSizeWei": "12388586206896551724"},
    }
    return msgspec.convert({**body, **changes}, WireWalletEvent)


def test_stream_and_rest_name_a_trade_alike() -> None:
    event = parse_wallet_event(wallet("orderTransactionSubmitted"), 1)
    assert event is not None
    assert event.kind is WalletEventKind.MATCHED
    assert event.trade_id == f"s-1:{HASH.lower()}"
    assert (event.outcome, event.action) == (Outcome.NO, Action.BUY)
    assert (event.price, event.size) == (Decimal("0.57"), Decimal("12.388586206896551724"))
    assert (event.liquidity, event.fee) == (None, None)


def test_settled_event_brings_liquidity_and_fee() -> None:
    fee = {"amountWei": "736923076923076923", "type": "SHARES"}
    event = parse_wallet_event(wallet("orderTransactionSuccess", isMaker=False, fee=fee), 1)
    assert event is not None
    assert (event.kind, event.liquidity) == (WalletEventKind.SETTLED, Liquidity.TAKER)
    assert (event.fee, event.fee_kind) == (Decimal("0.736923076923076923"), FeeKind.SHARES)


@pytest.mark.parametrize("kind", ["orderMarketMatchPlan", "somethingNew"])
def test_kinds_that_move_nothing_are_passed_over(kind: str) -> None:
    assert parse_wallet_event(wallet(kind), 1) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"fill": None},
        {"details": None},
        {"settlementId": ""},
        {"fill": {"executedPriceWei": "0.57", "executedSizeWei": "1"}},
        {"details": {"marketId": 5, "outcome": "MAYBE", "outcomeIndex": 0, "quoteType": "BID"}},
        {"details": {"marketId": 5, "outcome": "NO", "outcomeIndex": 2, "quoteType": "SWAP"}},
    ],
)
def test_half_told_execution_is_not_guessed(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        parse_wallet_event(wallet("orderTransactionSubmitted", **changes), 1)
