"""docs/hedging.md, run: every row of its tables is what the code does."""

import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from accounts.holdings import Booked, common, difference
from strategies.config import DeltaNeutralConfig, parse_config
from strategies.exposure import ExposureState, yes_price_of
from strategies.handlers.crossing import clear_price
from strategies.handlers.delta_neutral import DeltaNeutral
from strategies.handlers.plan import RestingOrder, Wake
from strategies.rungs import RungKind
from strategies.watching import watch
from tests.strategies.ladders import BEGIN, HEDGE, PRIMARY, SPARE, Desk
from trading.enums import Action, Outcome
from trading.fees import fee_per_share
from trading.positions import delta
from trading.values import text

D = Decimal
PAGE = (Path(__file__).parents[2] / "docs" / "hedging.md").read_text()


def tables(header):
    """Every table on the page with that header, as lists of cells."""
    found, rows = [], None
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")] if line.startswith("|") else None
        if cells is None:
            rows = None
        elif rows is None:
            rows = []
            if cells[: len(header)] == header:
                found.append(rows)
        elif not line.startswith("| ---"):
            rows.append([cell.strip(" |") for cell in cells] + [""] * (len(header) - len(cells)))
    return found


def order(words):
    action, outcome, size, _, price = words.split()
    return Action(action), Outcome(outcome), D(size), D(price)


def settings(cell, policy):
    field, value = cell.split()
    known = {"true": True, "false": False}
    return parse_config("delta_neutral", {"price_policy": policy, field: known.get(value, value)})


FILLS = ["primary fills", "hedge account holds", "policy", "settings", "hedge", "pair cost"]
free, taking = tables(FILLS)
rows = [(0, *row) for row in free] + [(200, *row) for row in taking]


@pytest.mark.parametrize(("fee", "fills", "holds", "policy", "setting", "hedge", "cost"), rows)
def test_worked_row_is_what_happens(fee, fills, holds, policy, setting, hedge, cost, hedge_state, market):
    exposure = ExposureState()
    for words in fills.split(", "):
        action, outcome, size, price = order(words)
        exposure = exposure.apply_primary(delta(outcome, action, size), yes_price_of(outcome, price))
    held = {} if holds == "nothing" else {Outcome(holds.split()[0]): D(holds.split()[1])}
    config = settings(setting, policy)
    state = hedge_state(
        exposure=exposure, config=config, hedge_positions=held, market=msgspec.structs.replace(market, fee_rate_bps=fee)
    )
    plan = DeltaNeutral().handle(Wake(cause="fill:1"), state)
    legs = [(leg.order.action, leg.order.side, leg.order.shares, leg.order.price) for leg in plan.commands]
    if hedge in ("dust", "no price"):
        assert (legs, plan.reason.value) == ([], hedge.replace(" ", "_"))
        return
    assert legs == [order(words) for words in hedge.split(", ")]
    for action, outcome, _, price in legs:
        own_fee = fee_per_share(price, fee)
        paid = price + own_fee if action is Action.BUY else 1 - (price - own_fee)
        wanted = outcome if action is Action.BUY else outcome.opposite
        open_price = exposure.unhedged_vwap(config.ratio)
        other = 1 - open_price if wanted is Outcome.YES else open_price
        assert text(paid + other) == text(D(cost))
        if policy != "mirror":
            assert paid + other <= 1 + config.max_loss


@pytest.mark.parametrize("row", tables(["primary", "hedged", "in flight", "ratio", "need"])[0])
def test_need_is_what_the_table_says(row):
    primary, hedged, in_flight, ratio, need = (D(cell) for cell in row)
    assert ExposureState(primary=primary, hedged=hedged, in_flight=in_flight).need(ratio) == need


@pytest.mark.parametrize(("wanted", "ours", "sent"), tables(["hedge wanted", "our order resting", "hedge sent"])[0])
def test_self_cross_row_is_what_happens(wanted, ours, sent):
    action, outcome, _, price = order(wanted)
    own_action, own_outcome, own_size, own_price = order(ours)
    resting = RestingOrder(
        client_order_id=UUID(int=1),
        account_id="other",
        outcome=own_outcome,
        action=own_action,
        price=own_price,
        remaining=own_size,
    )
    clear = clear_price(outcome, action, price, D("0.01"), [resting])
    assert clear == (None if sent == "denied" else order(sent)[3])


def test_documented_defaults_are_the_defaults():
    documented = {row[0].strip("`"): row[1].strip("`") for row in tables(["field", "default", "meaning"])[0]}
    actual = {
        name: msgspec.json.encode(value).decode() for name, value in msgspec.to_builtins(DeltaNeutralConfig()).items()
    }
    assert documented == actual


LADDER = json.loads(PAGE.split("```json")[1].split("```")[0])
ACCOUNTS = {PRIMARY: "primary", HEDGE: "hedge", SPARE: "spare"}


def happen(desk, words):
    """What the row says, and then what the engine and the venue make of it within the second."""
    if words.startswith("the primary "):
        desk.fill_primary(words.removeprefix("the primary ").replace("buys", "buy"))
    elif words.startswith("refused: "):
        desk.end(desk.open[0])
        desk.look(rejected=words.removeprefix("refused: "))
        desk.look(swept=True)
    elif words.endswith(" fill"):
        desk.fill(desk.open[0], words.split()[0])
    else:
        desk.look()
        desk.end_cancelled()
        if words.endswith(" late"):
            desk.fill(desk.orders[1], words.split()[-3])
        desk.look(swept=True)


@pytest.mark.parametrize("steps", tables(["second", "what happens", "rung", "resting after it", "on account"]))
def test_ladder_climbs_as_the_table_says(steps):
    desk = Desk(ladder=LADDER)
    for second, words, rung, resting, account in steps:
        desk.now = BEGIN + timedelta(seconds=int(second))
        happen(desk, words)
        out = [f"{held.words.rsplit(' ', 3)[0]} {text(held.remaining)} @ {held.order.price:.2f}" for held in desk.open]
        assert (desk.kind, ", ".join(out) or "nothing") == (rung, resting), second
        assert {ACCOUNTS[held.order.account_id] for held in desk.open} == {account} - {""}


def test_every_kind_of_rung_is_on_the_page():
    assert [row[0].strip("`") for row in tables(["kind", "what it does", "fields"])[0]] == list(RungKind)


@pytest.mark.parametrize(
    ("shares", "unhedged", "risk"), tables(["open shares", "unhedged shares", "dollars at risk"])[0]
)
def test_shares_at_risk_are_what_the_table_says(shares, unhedged, risk):
    exposure = ExposureState()
    for words in shares.split(", "):
        _, outcome, size, price = order(f"buy {words}")
        exposure = exposure.apply_primary(delta(outcome, Action.BUY, size), yes_price_of(outcome, price))
    figures = watch(exposure, D(1), BEGIN)
    assert (figures.unhedged_shares, figures.dollars_at_risk) == (D(unhedged), D(risk))


@pytest.mark.parametrize("row", tables(["first read", "second read", "ledger", "bought, not settled", "believed"])[0])
def test_difference_is_believed_as_the_table_says(row):
    first, second, size, coming, believed = (D(cell) for cell in row)
    booked = Booked(size=size, coming=coming)
    assert common(difference(first, booked), difference(second, booked)) == believed


def test_every_table_on_the_page_was_read():
    assert len([line for line in PAGE.splitlines() if line.startswith("| ---")]) == 12
