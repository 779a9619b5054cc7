"""The ladder: a rung ends by filling, by its time or by a refusal, and never before its orders are truly over."""

from decimal import Decimal

import msgspec
import pytest

from strategies.handlers.ladder import STUCK_AFTER
from strategies.reasons import Reason
from tests.strategies.ladders import HEDGE, PRIMARY, SPARE, Desk, unhedged
from trading.enums import MarketStatus

D = Decimal
NO_FUNDS = "create_order_insufficient_collateral_balance"


def climbed(until, **config):
    """A desk that bought 100 yes at 0.55 and whose hedges never filled."""
    desk = Desk(**config)
    desk.fill_primary("buy yes 100 @ 0.55")
    desk.run(90, until=until)
    assert desk.kind == until
    return desk


def test_nothing_filling_climbs_every_rung():
    desk = climbed("pause")
    sent = [(held.order.account_id, held.words, held.order.rung) for held in desk.orders]
    assert sent == [
        (HEDGE, "buy no 100 @ 0.45", 0),
        (HEDGE, "buy no 100 @ 0.46", 1),
        (HEDGE, "buy no 100 @ 0.48", 2),
        (SPARE, "buy no 100 @ 0.47", 3),
        (PRIMARY, "sell yes 100 @ 0.50", 4),
    ]
    assert (desk.halts, desk.open, desk.row.reason) == (1, [], Reason.LADDER_PAUSED)
    assert desk.warnings == ["ladder_alternate", "ladder_unwind", "ladder_paused"]


def test_no_ladder_rests_one_order_for_ever():
    desk = Desk(ladder=[])
    desk.fill_primary("buy yes 100 @ 0.55")
    desk.run(100)
    assert [held.words for held in desk.orders] == ["buy no 100 @ 0.45"]
    assert (desk.row.rung, desk.row.rung_since, desk.halts) == (0, None, 0)


def test_filled_hedge_ends_the_ladder():
    desk = climbed("cross")
    desk.fill(desk.open[0])
    assert (desk.row.rung, desk.row.rung_since, desk.row.reason) == (0, None, Reason.HEDGED)
    desk.run(60)
    assert (desk.halts, desk.open) == (0, [])


def test_next_rung_waits_for_the_venues_last_word():
    desk = Desk()
    desk.fill_primary("buy yes 100 @ 0.55")
    desk.wait(5)
    done = desk.look()
    assert [order.client_order_id for order in done.cancels] == [desk.orders[0].order.id]
    for _ in range(20):
        desk.wait(1)
        assert desk.look(swept=True).orders == ()
    desk.end_cancelled()
    assert len(desk.look(swept=True).orders) == 1
    assert desk.kind == "cross"


def test_unknown_order_blocks_every_rung_and_is_told():
    desk = Desk()
    desk.fill_primary("buy yes 100 @ 0.55")
    desk.orders[0].status = "unknown"
    desk.wait(5)
    assert desk.look().cancels == ()
    desk.wait(STUCK_AFTER.total_seconds())
    desk.look(swept=True)
    assert (desk.row.reason, desk.warnings, len(desk.orders)) == (Reason.RUNG_STUCK, ["rung_stuck"], 1)


def test_ended_order_is_swept_before_the_next():
    desk = Desk()
    desk.fill_primary("buy yes 100 @ 0.55")
    desk.wait(5)
    desk.look()
    desk.end_cancelled()
    done = desk.look()
    assert (done.sweep_account, done.orders, desk.row.reason) == (HEDGE, (), Reason.RUNG_ENDING)
    desk.wait(9)
    assert desk.look().orders == ()
    desk.wait(2)
    assert len(desk.look().orders) == 1, "a venue that cannot be asked must not keep the hedge from leaving for ever"


def test_late_fill_lowers_the_next_order():
    desk = Desk()
    desk.fill_primary("buy yes 100 @ 0.55")
    desk.wait(5)
    desk.look()
    desk.end_cancelled()
    desk.fill(desk.orders[0], "30")
    assert desk.open == []
    desk.look(swept=True)
    assert [held.words for held in desk.open] == ["buy no 70 @ 0.46"]


def test_late_fill_reopens_the_arithmetic_not_the_ladder():
    desk = climbed("wider")
    desk.fill(desk.orders[0], "30")
    assert (desk.kind, desk.row.hedged, desk.row.need) == ("wider", D(-30), D(30))
    desk.end_cancelled()
    assert desk.open == [], "the order that now pulls the wrong way is taken off first"


def test_late_fill_in_excess_is_sold_back():
    desk = Desk()
    desk.fill_primary("buy yes 100 @ 0.55")
    desk.run(5, until="cross")
    desk.fill(desk.open[0])
    desk.fill(desk.orders[0])
    assert unhedged(desk) == -100
    assert [held.words for held in desk.open] == ["sell no 100 @ 0.45"]


@pytest.mark.parametrize(
    "slug",
    [
        NO_FUNDS,
        "create_order_insufficient_collateral_allowance",
        "create_order_insufficient_shares_balance",
        "create_order_insufficient_shares_allowance",
    ],
)
def test_no_funds_skips_to_the_other_account(slug):
    desk = Desk()
    desk.fill_primary("buy yes 100 @ 0.55")
    desk.end(desk.orders[0])
    done = desk.look(rejected=slug)
    assert (done.look_again, done.orders, desk.warnings) == (True, (), ["hedge_rejected"])
    desk.look(swept=True)
    assert [(held.order.account_id, held.words) for held in desk.open] == [(SPARE, "buy no 100 @ 0.47")]


def test_no_funds_on_the_other_account_unwinds():
    desk = climbed("alternate")
    desk.end(desk.orders[-1])
    desk.look(rejected=NO_FUNDS)
    desk.look(swept=True)
    assert [held.words for held in desk.open] == ["sell yes 100 @ 0.50"]


def test_closed_market_skips_to_the_pause():
    desk = Desk()
    desk.fill_primary("buy yes 100 @ 0.55")
    desk.end(desk.orders[0])
    desk.look(rejected="create_order_market_not_trading")
    desk.look(swept=True)
    assert (desk.kind, desk.halts) == ("pause", 1)


def test_mendable_refusal_stays_on_its_rung():
    desk = Desk()
    desk.fill_primary("buy yes 100 @ 0.55")
    desk.end(desk.orders[0])
    assert not desk.look(rejected="create_order_fee_rate_too_low").look_again
    desk.look()
    assert (desk.kind, len(desk.open), desk.warnings) == ("join", 1, ["hedge_rejected"])


@pytest.mark.parametrize("ratio", ["1", "0.5", "2"])
def test_unwinding_lowers_primary_and_is_never_hedged(ratio):
    desk = climbed("unwind", ratio=ratio)
    (unwinding,) = desk.open
    assert (unwinding.order.account_id, unwinding.words) == (PRIMARY, "sell yes 100 @ 0.50")
    assert desk.row.need == 0
    desk.fill(unwinding, "40")
    assert (desk.row.primary, desk.row.hedged, desk.row.need) == (D(60), D(0), D(0))
    desk.fill(unwinding)
    assert (desk.row.primary, desk.row.hedged, desk.row.need, desk.row.rung) == (D(0), D(0), D(0), 0)
    assert len(desk.orders) == 5


def test_unwinding_takes_only_what_is_not_hedged():
    desk = Desk()
    desk.fill_primary("buy yes 100 @ 0.55")
    desk.fill(desk.open[0], "80")
    desk.run(60, until="unwind")
    assert [held.words for held in desk.open] == ["sell yes 20 @ 0.50"]
    desk.fill(desk.open[0])
    assert (desk.row.primary, desk.row.hedged, desk.row.need) == (D(80), D(-80), D(0))


def test_surplus_of_the_hedge_is_never_bought_on_the_primary():
    desk = climbed("unwind")
    for held in desk.orders[:2]:
        desk.fill(held)
    desk.run(60, until="unwind")
    assert all(held.order.account_id != PRIMARY for held in desk.open)


def test_shared_primary_is_not_unwound():
    desk = Desk()
    desk.change(is_primary_shared=True)
    desk.fill_primary("buy yes 100 @ 0.55")
    desk.run(90, until="pause")
    assert {held.order.account_id for held in desk.orders} == {HEDGE, SPARE}
    assert desk.kind == "pause"


def test_missing_alternate_is_passed_over():
    ladder = [
        {"kind": "join", "seconds": 5},
        {"kind": "alternate", "seconds": 5, "account": "nobody"},
        {"kind": "cross", "max_loss": "0.02"},
    ]
    desk = Desk(ladder=ladder)
    desk.fill_primary("buy yes 100 @ 0.55")
    desk.run(10)
    desk.look(swept=True)
    assert (desk.kind, [held.words for held in desk.open]) == ("cross", ["buy no 100 @ 0.47"])


def test_dust_never_climbs():
    desk = Desk()
    desk.fill_primary("buy yes 100 @ 0.55")
    desk.fill(desk.open[0], "99.5")
    desk.run(90)
    assert (desk.row.rung, desk.halts, desk.row.reason) == (0, 0, Reason.DUST)
    assert desk.row.dust_since is not None


def test_dust_past_its_deadline_is_told_once():
    desk = Desk(dust_deadline_s=10, dust_max_loss="0")
    desk.fill_primary("buy yes 0.5 @ 0.55")
    desk.run(30)
    assert desk.warnings == ["dust_overdue"]


def test_steady_flow_that_fills_never_climbs():
    desk = Desk()
    for _ in range(30):
        before = desk.open
        desk.fill_primary("buy yes 10 @ 0.55")
        desk.run(2)
        for held in before:
            desk.fill(held)
    assert {held.order.rung for held in desk.orders} == {0}


def test_stopped_desk_stops_the_clock():
    desk = Desk()
    desk.fill_primary("buy yes 100 @ 0.55")
    desk.run(3)
    desk.change(desk_stopped=True)
    desk.run(60)
    assert desk.kind == "join"
    desk.change(desk_stopped=False)
    desk.run(4)
    assert desk.kind == "join"
    desk.run(2)
    assert desk.kind == "cross"


def test_closing_market_stops_the_clock_and_is_told():
    desk = Desk()
    desk.fill_primary("buy yes 100 @ 0.55")
    desk.end(desk.orders[0])
    desk.market = msgspec.structs.replace(desk.market, status=MarketStatus.CLOSED)
    desk.run(90)
    assert (desk.kind, desk.halts, desk.warnings) == ("join", 0, ["market_closed"])


def test_paused_strategy_begins_anew_when_started():
    desk = climbed("pause")
    desk.change(strategy_state="halted")
    desk.wait(60)
    desk.look()
    desk.change(strategy_state="active", strategy_changed_at=desk.now)
    desk.wait(1)
    desk.look()
    assert (desk.kind, [held.words for held in desk.open]) == ("join", ["buy no 100 @ 0.45"])
    assert desk.halts == 1


def test_pause_halts_again_when_nobody_did():
    desk = climbed("pause")
    desk.look()
    desk.look()
    assert desk.halts == 3


def test_changed_strategy_begins_at_the_bottom():
    desk = climbed("wider")
    desk.wait(1)
    desk.change(strategy_changed_at=desk.now)
    desk.wait(1)
    desk.look()
    assert (desk.kind, desk.row.rung_since) == ("join", desk.now)


def test_halted_hedge_account_climbs_to_the_other():
    desk = Desk()
    desk.change(hedge_state="halted")
    desk.fill_primary("buy yes 100 @ 0.55")
    desk.run(60, until="alternate")
    assert [held.order.account_id for held in desk.open] == [SPARE]
