"""The delta-neutral handler: deterministic, never doubled, never against our own orders, dust kept and told."""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strategies.config import DeltaNeutralConfig, PricePolicy
from strategies.exposure import ExposureState
from strategies.handlers.delta_neutral import DeltaNeutral
from strategies.handlers.plan import AccountView, HedgeState, RestingOrder, Wake
from strategies.handlers.registry import get_handler
from strategies.reasons import TEXTS, Reason
from trading.enums import Action, MarketStatus, Outcome, TradingState
from trading.ids import hedge_order_id
from trading.instruments import Book, Level

D = Decimal
WAKE = Wake(cause="fill:s1:0xabc")


def bought_yes(size="100", price="0.55", **more):
    return msgspec.structs.replace(ExposureState().apply_primary(D(size), D(price)), **more)


def resting(outcome, action, price, remaining="10", **more):
    fields = {
        "client_order_id": UUID(int=9),
        "account_id": "account1",
        "outcome": outcome,
        "action": action,
        "price": D(price),
        "remaining": D(remaining),
    }
    return RestingOrder(**{**fields, **more})


def handle(state):
    return DeltaNeutral().handle(WAKE, state)


def test_mirror_is_the_seeds_own_command(hedge_state):
    config = DeltaNeutralConfig(price_policy=PricePolicy.MIRROR)
    (leg,) = handle(hedge_state(exposure=bought_yes(), config=config)).commands
    sent = msgspec.json.Encoder(decimal_format="number").encode(leg.order)
    assert sent.startswith(
        b'{"type":"place_order","platform":"predict","account_id":"account2","market_id":"123",'
        b'"side":"no","price":0.55,"shares":100,'
    )


def test_same_wake_and_state_give_the_same_orders(hedge_state):
    state = hedge_state(exposure=bought_yes())
    assert handle(state) == handle(state)
    (leg,) = handle(state).commands
    assert leg.order.client_order_id == hedge_order_id(UUID(int=1), UUID(int=2), "123", WAKE.cause, 0, 0)


def test_order_in_flight_is_not_sent_again(hedge_state):
    plan = handle(hedge_state(exposure=bought_yes(in_flight=D(-100))))
    assert (plan.commands, plan.reason) == ((), Reason.HEDGED)


def test_nothing_owed_sends_nothing(hedge_state):
    assert handle(hedge_state(exposure=bought_yes().apply_hedged(D(-100)))).commands == ()


def test_both_legs_of_one_decision_have_their_own_ids(hedge_state):
    exposure = ExposureState().apply_primary(D(-50), D("0.60"))
    plan = handle(hedge_state(exposure=exposure, hedge_positions={Outcome.NO: D(30)}))
    assert [leg.order.action for leg in plan.commands] == [Action.SELL, Action.BUY]
    assert len({leg.order.client_order_id for leg in plan.commands}) == 2
    assert sum(leg.delta for leg in plan.commands) == D(50)


def test_shares_reserved_by_an_open_sale_are_not_sold_twice(hedge_state):
    exposure = ExposureState().apply_primary(D(-50), D("0.60"))
    open_sale = resting(Outcome.NO, Action.SELL, "0.70", "30", account_id="account2")
    plan = handle(hedge_state(exposure=exposure, hedge_positions={Outcome.NO: D(30)}, own_resting=(open_sale,)))
    assert [leg.order.action for leg in plan.commands] == [Action.BUY]


def test_shares_bought_but_not_settled_are_not_sold(hedge_state):
    exposure = ExposureState().apply_primary(D(-50), D("0.60"))
    plan = handle(hedge_state(exposure=exposure, hedge_positions={Outcome.NO: D(80)}, unsettled={Outcome.NO: D(60)}))
    assert [(leg.order.action, leg.order.shares) for leg in plan.commands] == [
        (Action.SELL, D(20)),
        (Action.BUY, D(30)),
    ]


def test_book_policy_takes_the_worst_level_it_needs(hedge_state):
    # Priced in YES: bids at 0.60 and 0.58 are asks of NO at 0.40 and 0.42.
    book = Book(market_id="123", updated_at_ms=0, bids=(Level(D("0.60"), D(50)), Level(D("0.58"), D(80))), asks=())
    config = DeltaNeutralConfig(price_policy=PricePolicy.BOOK)
    for size, price in (("40", "0.40"), ("100", "0.42"), ("200", "0.45")):
        (leg,) = handle(hedge_state(exposure=bought_yes(size), config=config, book=book)).commands
        assert leg.order.price == D(price)


def test_book_policy_never_pays_above_its_bound(hedge_state):
    book = Book(market_id="123", updated_at_ms=0, bids=(Level(D("0.20"), D(500)),), asks=())
    config = DeltaNeutralConfig(price_policy=PricePolicy.BOOK, max_loss=D("0.01"))
    (leg,) = handle(hedge_state(exposure=bought_yes(), config=config, book=book)).commands
    assert leg.order.price == D("0.46")


def test_hedge_moves_off_our_own_order(hedge_state):
    plan = handle(hedge_state(exposure=bought_yes(), own_resting=(resting(Outcome.YES, Action.BUY, "0.56"),)))
    (leg,) = plan.commands
    assert (leg.order.price, leg.denied, plan.reason) == (D("0.43"), None, Reason.REPRICED)


def made_way(hedge_state, *others, state=(), **order):
    """A plan for a hedge of 100 NO that rests whole at 0.43, where it made way for a bid of ours at 0.56."""
    exposure = bought_yes(in_flight=D(-100))
    fields = {"account_id": "account2", "exposure_id": hedge_state().exposure_id, "is_repriced": True} | order
    hedge = resting(Outcome.NO, Action.BUY, "0.43", **{"remaining": "100"} | fields)
    return handle(hedge_state(exposure=exposure, own_resting=(hedge, *others), **dict(state)))


def test_hedge_that_made_way_is_priced_anew_once_it_need_not(hedge_state):
    plan = made_way(hedge_state)
    assert ([order.price for order in plan.cancels], plan.commands) == ([D("0.43")], ())
    assert plan.reason is Reason.PRICED_ANEW
    assert made_way(hedge_state, resting(Outcome.YES, Action.BUY, "0.55")).reason is Reason.PRICED_ANEW


def test_hedge_that_still_has_to_make_way_rests(hedge_state):
    assert made_way(hedge_state, resting(Outcome.YES, Action.BUY, "0.56")).cancels == ()
    assert made_way(hedge_state, resting(Outcome.YES, Action.BUY, "0.58")).cancels == ()


def test_hedge_priced_as_meant_rests(hedge_state):
    assert made_way(hedge_state, is_repriced=False).reason is Reason.HEDGED


def test_hedge_is_not_taken_off_where_it_might_not_be_sent_again(hedge_state):
    for states in (
        {"desk_state": TradingState.HALTED},
        {"venue_state": TradingState.REDUCING},
        {"strategy_state": TradingState.HALTED},
        {"hedge_account": AccountView(id="account2", name="b", state=TradingState.HALTED)},
    ):
        assert made_way(hedge_state, state=states).cancels == (), states
    assert made_way(hedge_state, cancellable=False).cancels == ()
    assert made_way(hedge_state, account_id="account3").cancels == ()
    assert made_way(hedge_state, remaining=D(1)).cancels == ()  # Anew it would be below the venue's minimum.


def test_hedge_that_cannot_avoid_us_is_denied(hedge_state):
    plan = handle(hedge_state(exposure=bought_yes(), own_resting=(resting(Outcome.YES, Action.BUY, "0.99"),)))
    assert [leg.denied for leg in plan.commands] == [Reason.SELF_CROSS]
    assert plan.reason is Reason.SELF_CROSS


def test_opposite_hedge_is_cancelled_before_another_is_sent(hedge_state):
    exposure = ExposureState(primary=D(0), in_flight=D(-100), last_covered=D("0.55"))
    old = resting(Outcome.NO, Action.BUY, "0.45", "100", account_id="account2", exposure_id=UUID(int=3))
    plan = handle(hedge_state(exposure=exposure, own_resting=(old,)))
    assert (plan.commands, plan.cancels, plan.reason) == ((), (old,), Reason.CANCEL_FIRST)


def test_opposite_hedge_of_unknown_fate_is_waited_for(hedge_state):
    exposure = ExposureState(primary=D(0), in_flight=D(-100), last_covered=D("0.55"))
    old = resting(Outcome.NO, Action.BUY, "0.45", "100", exposure_id=UUID(int=3), cancellable=False)
    plan = handle(hedge_state(exposure=exposure, own_resting=(old,)))
    assert (plan.commands, plan.cancels, plan.reason) == ((), (), Reason.CANCEL_FIRST)


def test_dust_waits_then_is_rounded_up(hedge_state):
    def plan_after(seconds, **limits):
        state = hedge_state(config=DeltaNeutralConfig(**limits))
        exposure = bought_yes("0.8", "0.10", dust_since=state.now - timedelta(seconds=seconds))
        return handle(msgspec.structs.replace(state, exposure=exposure))

    waiting = plan_after(299)
    assert (waiting.commands, waiting.reason, waiting.dust) == ((), Reason.DUST, D("-0.8"))
    (leg,) = plan_after(300).commands
    assert (leg.order.shares, leg.order.price) == (D(1), D("0.90"))
    overdue = plan_after(300, dust_max_loss=D("0.17"))
    assert (overdue.commands, overdue.reason) == ((), Reason.DUST_OVERDUE)


def test_dust_is_never_rounded_up_to_more_exposure(hedge_state):
    state = hedge_state()
    exposure = bought_yes("0.5", "0.10", dust_since=state.now - timedelta(days=1))
    assert handle(msgspec.structs.replace(state, exposure=exposure)).reason is Reason.DUST_OVERDUE


def test_closed_unknown_and_uncovered_markets_are_told_apart(hedge_state, market):
    cases = {
        Reason.MARKET_CLOSED: {"market": msgspec.structs.replace(market, status=MarketStatus.PAUSED)},
        Reason.MARKET_UNKNOWN: {"market": msgspec.structs.replace(market, tick=D(0))},
        Reason.MARKET_NOT_COVERED: {"config": DeltaNeutralConfig(markets=("other",))},
    }
    for reason, changed in cases.items():
        plan = handle(hedge_state(exposure=bought_yes(), **changed))
        assert (plan.commands, plan.reason) == ((), reason)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # both fixtures are immutable
@given(
    size=st.integers(1, 10**6).map(lambda units: D(units) / 100),
    cents=st.integers(1, 99),
    sign=st.sampled_from([1, -1]),
    held=st.integers(0, 10**5).map(lambda units: D(units) / 100),
    loss=st.integers(0, 6).map(lambda cents: D(cents) / 100),
    fee=st.sampled_from([0, 100, 200]),
)
def test_no_plan_overshoots_or_breaks_its_bound(hedge_state, market, size, cents, sign, held, loss, fee):
    exposure = ExposureState().apply_primary(sign * size, D(cents) / 100)
    need = exposure.need(D(1))
    state: HedgeState = hedge_state(
        exposure=exposure,
        market=msgspec.structs.replace(market, fee_rate_bps=fee),
        hedge_positions={Outcome.YES: held, Outcome.NO: held},
        config=DeltaNeutralConfig(max_loss=loss),
    )
    plan = handle(state)
    sent = sum((leg.delta for leg in plan.commands), D(0))
    assert sent == 0 or (sent > 0) == (need > 0)
    assert abs(sent) <= abs(need)
    for leg in plan.commands:
        order = leg.order
        assert 0 < order.price < 1
        assert order.price % market.tick == 0
        assert order.shares % market.lot == 0
        assert leg.notional >= market.min_value
        assert order.action is Action.BUY or order.shares <= held
    if plan.dust or not plan.commands:
        assert plan.reason is not None


def test_every_reason_has_its_sentence():
    assert set(TEXTS) == set(Reason)


def test_registry_knows_the_built_in_strategy():
    assert isinstance(get_handler("delta_neutral"), DeltaNeutral)
