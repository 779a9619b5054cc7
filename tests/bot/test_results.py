"""The desk's result: pairs of both outcomes are worth 1, the rest what it cost."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import BytesIO

from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bot.picture import HEIGHT, WIDTH, draw_result
from bot.results import Holding, market_results

MONEY = st.decimals(min_value=0, max_value=1, places=2)
SHARES = st.decimals(min_value=Decimal("0.01"), max_value=10_000, places=2)


def held(outcome: str, size: str, price: str) -> Holding:
    cost = Decimal(size) * Decimal(price)
    return Holding("m", outcome, Decimal(size), cost, -cost)


def test_hedged_pair_has_locked_its_result() -> None:
    assert market_results([held("yes", "100", "0.55"), held("no", "100", "0.44")]) == {"m": Decimal("1.00")}


def test_what_is_left_over_counts_at_cost() -> None:
    assert market_results([held("yes", "150", "0.55"), held("no", "100", "0.44")]) == {"m": Decimal("1.00")}
    assert market_results([held("yes", "150", "0.55")]) == {"m": Decimal(0)}


@given(MONEY, MONEY, SHARES)
def test_pairs_earn_one_less_both_prices(yes: Decimal, no: Decimal, size: Decimal) -> None:
    result = market_results([held("yes", str(size), str(yes)), held("no", str(size), str(no))])["m"]
    assert result == size * (1 - yes - no)


def test_picture_is_a_png_of_its_size() -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    points = [(start + timedelta(minutes=5 * n), Decimal(n * n % 17) - 5) for n in range(100)]
    for drawn in (points, points[:1], []):
        picture = Image.open(BytesIO(draw_result("Result", drawn, [("predict-01", Decimal(5)), ("b", Decimal(-2))])))
        assert (picture.format, picture.size) == ("PNG", (WIDTH, HEIGHT))
