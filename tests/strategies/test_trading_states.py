"""docs/operations.md's table of trading states, cell by cell: every scope, every state, every kind of order."""

from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from accounts.levels import CLOSING, FLATTEN, HEDGE_ONLY, OTHER
from accounts.limits import ALLOWED, Denied, OwnOrder, Proposal, Standing, check
from strategies import risk
from strategies.handlers.plan import AccountView, PlannedHedge
from trading.commands import PlaceOrder
from trading.enums import Action, Outcome, TradingState
from trading.positions import reducible

D = Decimal
PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
KINDS = {
    "a hedge that raises what its account holds": ("hedge", Action.BUY),
    "a hedge that lowers it": ("hedge", Action.SELL),
    "any other order that raises it": (OTHER, Action.BUY),
    "any other order that lowers it": (OTHER, Action.SELL),
    "an order that closes a holding": (CLOSING, Action.SELL),
}
SCOPES = ("desk", "venue", "strategy", "account")
HELD = {Outcome.NO: D(100)}


def read_table():
    lines = PAGE.splitlines()
    begin = lines.index("| order | ACTIVE | REDUCING | HALTED |") + 2
    cells = []
    for line in lines[begin:]:
        if not line.startswith("|"):
            return cells
        order, *verdicts = [cell.strip() for cell in line.strip("|").split("|")]
        cells += [(order, state, verdict) for state, verdict in zip(TradingState, verdicts, strict=True)]
    raise AssertionError("the table has no end")


CELLS = [cell for cell in read_table() if cell[0] != "a cancel"]


def proposal(kind, action, size="10"):
    return Proposal(
        id=uuid4(), account_id=uuid4(), outcome=Outcome.NO, action=action, price=D("0.40"), size=D(size), kind=kind
    )


def standing(market, **fields):
    values = {"desk_level": "", "account_state": TradingState.ACTIVE, "market": market, "held": HELD}
    return Standing(**{**values, **fields})


def test_table_names_every_kind_and_state():
    assert {order for order, _, _ in CELLS} == KINDS.keys()
    assert len(CELLS) == 15


# A strategy's state concerns its hedges alone.
EVERYWHERE = [
    (*cell, scope) for cell in CELLS for scope in SCOPES if scope != "strategy" or KINDS[cell[0]][0] == "hedge"
]


@pytest.mark.parametrize(("order", "state", "verdict", "scope"), EVERYWHERE)
def test_cell_of_the_table_is_what_happens(order, state, verdict, scope, hedge_state, market):
    kind, action = KINDS[order]
    if kind != "hedge":
        found = check(proposal(kind, action), standing(market, **{f"{scope}_state": state}))
        assert (found is ALLOWED) is (verdict == "leaves")
        if isinstance(found, Denied):
            assert found.code == f"{scope}_{state}"
        return
    changed = {f"{scope}_state": state}
    if scope == "account":
        changed = {"hedge_account": AccountView(id="h", name="h", state=state)}
    placed = PlaceOrder(
        platform=market.platform,
        account_id="h",
        market_id=market.market_id,
        side=Outcome.NO,
        price=D("0.40"),
        shares=D(10),
        action=action,
    )
    found = risk.check(PlannedHedge(order=placed), hedge_state(hedge_positions=HELD, **changed))
    assert isinstance(found, risk.Allow) is (verdict == "leaves")
    if isinstance(found, risk.Deny):
        assert found.reason.value == f"{scope}_{state}"


@pytest.mark.parametrize("scope", ["desk", "venue", "account"])
@pytest.mark.parametrize("state", TradingState)
def test_flatten_is_stronger_than_any_state(scope, state, market):
    fields = {"desk_level": FLATTEN, f"{scope}_state": state}
    assert check(proposal(CLOSING, Action.SELL), standing(market, **fields)) is ALLOWED
    assert check(proposal(OTHER, Action.SELL), standing(market, **fields)).code == "desk_halted"


def test_hedge_only_does_not_loosen_a_halted_venue(market):
    asked = msgspec.structs.replace(proposal("hedge", Action.SELL))
    fields = {"desk_level": HEDGE_ONLY, "venue_state": TradingState.HALTED}
    assert check(asked, standing(market, **fields)).code == "venue_halted"


def own(order, action, size, outcome=Outcome.NO):
    return OwnOrder(
        id=uuid4(), account_id=order.account_id, outcome=outcome, action=action, price=D("0.5"), size=D(size)
    )


def test_both_outcomes_held_can_both_be_closed(market):
    """30 yes and 10 no: net of each other only 20 would seem to be held, and neither could be sold whole."""
    held = {Outcome.YES: D(30), Outcome.NO: D(10)}
    for outcome, size in held.items():
        asked = msgspec.structs.replace(proposal(CLOSING, Action.SELL), outcome=outcome, size=size)
        assert check(asked, standing(market, held=held)) is ALLOWED


@pytest.mark.parametrize(
    ("outcome", "action", "going", "most"),
    [
        (Outcome.NO, Action.SELL, {}, 100),
        (Outcome.NO, Action.SELL, {(Outcome.NO, Action.SELL): D(30)}, 70),
        (Outcome.NO, Action.SELL, {(Outcome.YES, Action.BUY): D(30)}, 70),
        (Outcome.NO, Action.SELL, {(Outcome.NO, Action.BUY): D(30)}, 100),
        (Outcome.YES, Action.BUY, {}, 100),
        (Outcome.YES, Action.BUY, {(Outcome.YES, Action.BUY): D(30)}, 70),
        (Outcome.YES, Action.BUY, {(Outcome.NO, Action.SELL): D(30)}, 70),
        (Outcome.YES, Action.BUY, {(Outcome.NO, Action.SELL): D(130)}, 0),
        (Outcome.NO, Action.BUY, {}, 0),
        (Outcome.YES, Action.SELL, {}, 0),
    ],
)
def test_what_lowers_counts_what_leaves_already(outcome, action, going, most):
    assert reducible(outcome, action, HELD, going) == most
