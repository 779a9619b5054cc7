"""The exposure's arithmetic: what is owed does not depend on the order things arrived in, and lots add up."""

from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from strategies.exposure import ExposureState, Lot, lots_json, parse_lots, yes_price_of
from trading.enums import Outcome

D = Decimal
ONE = D(1)
sizes = st.integers(1, 10**22).map(lambda units: D(units).scaleb(-18))
prices = st.integers(1, 999).map(lambda mills: D(mills) / 1000)
signs = st.sampled_from([1, -1])
steps = st.lists(
    st.tuples(st.sampled_from(["primary", "hedged", "primary fee", "failed"]), signs, sizes, prices), max_size=14
)
ratios = st.sampled_from([D(1), D("0.5"), D("2"), D("0.3"), D("1.1")])


def fold(changes, ratio=ONE):
    state = ExposureState()
    for kind, sign, size, price in changes:
        if kind == "primary":
            state = state.apply_primary(sign * size, price)
        elif kind == "hedged":
            state = state.apply_hedged(sign * size, ratio)
        else:
            state = state.correct_primary(-sign * size, price)
    return state


@given(steps, st.randoms(use_true_random=False), ratios)
def test_any_order_leaves_same_amounts(changes, random, ratio):
    shuffled = list(changes)
    random.shuffle(shuffled)
    first, second = fold(changes, ratio), fold(shuffled, ratio)
    assert (first.primary, first.hedged, first.need(ratio)) == (second.primary, second.hedged, second.need(ratio))


@given(steps, ratios)
def test_lots_add_up_to_what_is_open(changes, ratio):
    state = fold(changes, ratio).realigned(ratio)
    covering = (state.hedged / ratio).quantize(D("1e-18")) if ratio != 1 else state.hedged
    assert sum((lot.delta for lot in state.lots), D(0)) == state.primary + covering
    assert len({lot.delta > 0 for lot in state.lots}) <= 1
    assert all(lot.delta for lot in state.lots)


@given(steps, ratios)
def test_lots_survive_the_row_exactly(changes, ratio):
    state = fold(changes, ratio)
    lots, covered = parse_lots(lots_json(state))
    assert (lots, covered) == (state.lots, state.last_covered)


@given(steps, st.integers(-(10**22), 10**22).map(lambda units: D(units).scaleb(-18)))
def test_vwap_lies_between_known_prices(changes, in_flight):
    state = fold(changes)
    state = ExposureState(lots=state.lots, last_covered=state.last_covered, in_flight=in_flight)
    seen = [lot.yes_price for lot in state.lots] + [state.last_covered or D("0.5")]
    assert min(seen) <= state.unhedged_vwap() <= max(seen)


def test_hedge_covers_the_oldest_first():
    state = ExposureState().apply_primary(D(40), D("0.50")).apply_primary(D(60), D("0.60"))
    hedged = state.apply_hedged(D(-50))
    assert hedged.lots == (Lot(D(50), D("0.60")),)
    assert hedged.last_covered == D("0.60")
    assert hedged.need(D(1)) == D(-50)


def test_in_flight_covers_the_oldest_first():
    state = ExposureState(primary=D(100), in_flight=D(-40), lots=(Lot(D(40), D("0.50")), Lot(D(60), D("0.60"))))
    assert state.need(D(1)) == D(-60)
    assert state.unhedged_vwap() == D("0.60")


def test_share_fee_of_the_hedge_reopens_at_covered_price():
    state = ExposureState().apply_primary(D(100), D("0.55")).apply_hedged(D(-100)).apply_hedged(D(2))
    assert state.need(D(1)) == D(-2)
    assert state.lots == (Lot(D(2), D("0.55")),)


def test_failed_settlement_of_the_primary_calls_the_hedge_back():
    state = ExposureState().apply_primary(D(100), D("0.55")).apply_hedged(D(-100)).correct_primary(D(-100), D("0.55"))
    assert (state.primary, state.need(D(1))) == (D(0), D(100))
    assert state.unhedged_vwap() == D("0.55")


def test_share_fee_comes_off_its_own_lot():
    state = ExposureState().apply_primary(D(10), D("0.40")).apply_primary(D(50), D("0.55"))
    corrected = state.correct_primary(D(-1), D("0.55"))
    assert corrected.lots == (Lot(D(10), D("0.40")), Lot(D(49), D("0.55")))


def test_ratio_of_a_half_leaves_half_open():
    state = ExposureState().apply_primary(D(100), D("0.50"))
    assert state.need(D("0.5")) == D(-50)
    done = state.apply_hedged(D(-50), D("0.5"))
    assert (done.need(D("0.5")), done.lots) == (D(0), ())


def test_changed_ratio_realigns_the_lots():
    state = ExposureState().apply_primary(D(100), D("0.50")).apply_hedged(D(-50), D("0.5"))
    assert state.realigned(D(1)).lots == (Lot(D(50), D("0.50")),)


def test_clocks_start_once_and_stop():
    first, later = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    owing = ExposureState().apply_primary(D(5), D("0.5")).clocked(ratio=D(1), dust=True, now=first)
    still = owing.clocked(ratio=D(1), dust=True, now=later)
    assert (still.unhedged_since, still.dust_since) == (first, first)
    done = still.apply_hedged(D(-5)).clocked(ratio=D(1), dust=False, now=later)
    assert (done.unhedged_since, done.dust_since) == (None, None)


def test_no_price_is_one_minus_yes_price():
    assert yes_price_of(Outcome.NO, D("0.30")) == D("0.70")
