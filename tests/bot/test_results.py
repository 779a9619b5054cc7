"""What the desk has earned: one figure, on the dashboard and in the chat, and a picture of it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import BytesIO

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from accounts.equity import measure, measure_markets, record_equity
from accounts.models import EquityPoint, Fill, Position
from bot.access import Speaker
from bot.commands.money import pnl, status
from bot.commands.registry import Request
from bot.models import TelegramChat
from bot.picture import GROUND, HEIGHT, WIDTH, draw_result
from bot.replies import signed
from bot.results import load_result, money
from bot.watch import draw_summary
from hedgerow.desk import load_part
from identity.models import User
from tests.desk_rows import DeskRows, make_desk, make_fill

POINTS = st.lists(st.none() | st.decimals(min_value=-(10**9), max_value=10**9, places=6), max_size=12)


@pytest.fixture
def rows(db: None) -> DeskRows:
    """Shares held in two priced markets and a realized gain in one of them."""
    rows = make_desk(timezone.now(), pairs=2)
    for n, (size, cost, realized) in enumerate((("100", "51", "3.25"), ("40", "30", "0"))):
        fill, order = make_fill(rows.exposures[n], timezone.now(), n + 1)
        order.save()
        fill.save()
        for account, outcome in ((rows.pairs[n].primary, "yes"), (rows.pairs[n].hedge, "no")):
            Position.objects.create(
                account=account, market=rows.markets[n], outcome=outcome, size=Decimal(size), cost=Decimal(cost),
                realized=Decimal(realized), fees=Decimal("0.5"), updated_at=timezone.now(),
            )  # fmt: skip
    return rows


def ask(user: User) -> Request:
    return Request(Speaker(user, TelegramChat(user=user, telegram_id=5)), timezone.now())


def test_chat_says_the_dashboards_own_figures(rows: DeskRows, viewer: User, client: Client) -> None:
    now = timezone.now()
    record_equity(now - timedelta(seconds=40))
    Position.objects.filter(outcome="yes").update(realized=Decimal("7.5"))
    record_equity(now - timedelta(seconds=10))
    Fill.objects.update(price=Decimal("0.01"))  # after the point: neither may show it yet
    desk = load_part("equity", now)
    result = load_result(now)
    assert (result.point.profit, result.point.equity) == (desk["latest"].profit, desk["latest"].equity)
    assert result.today == desk["today"]
    client.force_login(viewer)
    page = client.get("/", {"part": "equity"}, headers={"HX-Request": "true"}).content.decode()
    for figure in (result.point.profit, result.today):
        assert figure is not None
        assert f"{abs(figure):.2f}" in page
    for said in (pnl(ask(viewer)).text, status(ask(viewer)).text, draw_summary(now).text):
        assert f"Result in all: <b>{money(desk['latest'].profit)}</b> USDT" in said
    assert f"Today {money(desk['today'])}" in pnl(ask(viewer)).text


def test_markets_add_up_to_the_result(rows: DeskRows) -> None:
    by_market = measure_markets()
    assert len(by_market) == 2
    assert sum(value for value in by_market.values() if value is not None) == measure(timezone.now()).profit


def test_desk_nobody_measures_is_measured_when_asked(rows: DeskRows) -> None:
    now = timezone.now()
    EquityPoint.objects.create(
        at=now - timedelta(hours=25), collateral=1, value=0, cost=0, realized=Decimal(-4), accounts=4
    )
    assert load_result(now).point.profit == measure(now).profit
    assert load_result(now).day == load_result(now).today == (measure(now).profit or 0) + 4


def test_desk_never_measured_has_no_day_to_tell(rows: DeskRows) -> None:
    result = load_result(timezone.now())
    assert result.point.profit is not None
    assert (result.today, result.day) == (None, None)


def test_share_without_a_price_leaves_the_result_unknown(rows: DeskRows, viewer: User) -> None:
    Fill.objects.filter(market=rows.markets[1]).delete()
    told = pnl(ask(viewer))
    assert "Result in all: <b>unknown</b> USDT" in told.text
    assert "2 holdings have no price yet" in told.text
    assert "unknown · Will the rate be cut in December?" in told.text
    assert told.picture is not None


@settings(max_examples=20)
@given(POINTS)
def test_picture_is_drawn_of_any_curve(values: list[Decimal | None]) -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    points = [(start + timedelta(minutes=5 * n), value) for n, value in enumerate(values)]
    picture = Image.open(BytesIO(draw_result("Result", points, [("predict-01", Decimal(5)), ("b", Decimal(-2))])))
    assert (picture.format, picture.size) == ("PNG", (WIDTH, HEIGHT))
    assert picture.convert("RGB").getpixel((2, 2)) == tuple(bytes.fromhex(GROUND[1:]))


def test_unknown_stretch_leaves_a_gap_in_the_curve() -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    ten = [Decimal(10)] * 10
    whole = [(start + timedelta(minutes=n), value) for n, value in enumerate([*ten, *ten, *ten])]
    broken = [(at, None if 10 <= n < 20 else value) for n, (at, value) in enumerate(whole)]

    def ink(points: list[tuple[datetime, Decimal | None]]) -> int:
        picture = Image.open(BytesIO(draw_result("Result", points, []))).convert("RGB")
        return sum(picture.getpixel((x, y)) == (0x6F, 0xD0, 0x8C) for x in range(80, 780, 3) for y in range(90, 96))

    assert 0 < ink(broken) < ink([*whole]) * 0.8


def test_figures_are_signed_and_nothing_is_not_unknown() -> None:
    assert [money(value) for value in (Decimal("3.456"), Decimal(-2), Decimal(0), None)] == [
        "+3.46", "-2.00", "0", "unknown",
    ]  # fmt: skip
    assert signed(Decimal("0.001")) == "0"
