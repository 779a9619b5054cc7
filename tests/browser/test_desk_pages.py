"""Chart, strategies, logs and trace in a real browser: drawn, live, typed, and whole without JavaScript."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
import redis
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import EquityPoint
from identity.models import User
from markets.models import Market
from strategies.config import parse_config
from strategies.models import Decision, Strategy
from streams.publisher import publish_now
from tests.desk_rows import add_fills, make_desk, make_fill
from trading.events import STRATEGY_EVENTS, Event, StrategyChanged
from trading.ids import event_id

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LogIn = Callable[..., Page]


def add_points(count: int = 40) -> None:
    now = timezone.now()
    EquityPoint.objects.bulk_create(
        EquityPoint(
            at=now - n * timedelta(minutes=10), collateral=10_000, cost=0, realized=Decimal(200 - n * n % 60),
            value=None if n == 20 else Decimal(0), accounts=2,
        )
        for n in range(count)
    )  # fmt: skip


def test_chart_is_drawn_under_the_strict_policy(log_in: LogIn, viewer: User) -> None:
    make_desk(timezone.now())
    add_points()
    page = log_in("viewer")
    expect(page.locator("#equity-chart canvas")).to_be_visible()
    expect(page.locator("#equity")).to_contain_text("10,000.00")
    page.click("nav[aria-label='Range of the chart'] >> text=week")
    expect(page.locator("#equity-chart canvas")).to_be_visible()
    expect(page.locator("[aria-current=true]")).to_have_text("week")


def test_times_below_the_chart_of_a_young_desk_stand_apart(log_in: LogIn, viewer: User) -> None:
    make_desk(timezone.now())
    newest = (timezone.now() - timedelta(minutes=1)).replace(second=10, microsecond=0)
    EquityPoint.objects.bulk_create(
        EquityPoint(
            at=newest - n * timedelta(seconds=25), collateral=10_000, value=0, cost=0, realized=100 - 40 * n, accounts=2
        )
        for n in range(9)
    )
    page = log_in("viewer")
    page.add_init_script(DRAWN_WORDS)
    page.reload()
    expect(page.locator("#equity-chart canvas")).to_be_visible()
    legend = page.locator("#equity-chart .u-legend")
    # The last point, until somebody points at another.
    expect(legend).to_contain_text(f"{newest:%Y-%m-%d %H:%M:%S}")
    expect(legend).to_contain_text("10,000.00")
    words = page.evaluate("window.drawnWords")
    assert any(word[0].startswith(":") for word in words)
    assert "−200" in [word[0] for word in words], "a minus sign, as on the tiles"
    covered = [
        (one[0], other[0])
        for n, one in enumerate(words)
        for other in words[n + 1 :]
        if one[0] != other[0] and one[2] == other[2] and abs(one[1] - other[1]) < (one[3] + other[3]) / 2
    ]
    assert not covered, "no label is printed over another"


DRAWN_WORDS = """window.drawnWords = [];
const fillText = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
  window.drawnWords.push([text, x, y, this.measureText(text).width]);
  return fillText.apply(this, arguments);
};"""
"""Notes every word a canvas shows, with the middle of its place and its width."""


def test_curve_is_there_without_javascript(log_in: LogIn, viewer: User) -> None:
    make_desk(timezone.now())
    add_points()
    page = log_in("viewer", java_script_enabled=False)
    expect(page.locator("svg.curve polyline")).to_have_count(2)


@pytest.mark.parametrize("script", [True, False])
def test_strategy_is_tried_changed_and_stopped(log_in: LogIn, trader: User, script: bool) -> None:
    now = timezone.now()
    rows = make_desk(now, pairs=2)
    add_fills(rows, now, 6)
    Market.objects.update(lot=Decimal("0.00001"), yes_token="1", no_token="2")
    page = log_in("trader", java_script_enabled=script)
    page.click("text=Strategies")
    page.click("text=delta neutral")
    page.click("text=Change or try")
    page.fill("[name=config-max_loss]", "0.05")
    page.select_option("[name=ladder-0-kind]", "join")
    page.fill("[name=ladder-0-seconds]", "20")
    page.select_option("[name=ladder-1-kind]", "pause")
    page.fill("[name=reason]", "browser drill")
    page.click("text=Try against recorded fills")
    expect(page.locator("#trial .figure").first).to_have_text("6")
    assert Strategy.objects.get().version == 1, "trying saves nothing"
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".notice")).to_contain_text("is changed")
    strategy = Strategy.objects.get()
    config = parse_config(strategy.kind, strategy.config)
    assert (config.max_loss, [rung.kind.value for rung in config.ladder]) == (Decimal("0.05"), ["join", "pause"])
    page.click("#head >> text=Stop…")
    page.fill("[name=reason]", "enough")
    page.click("text=Stop it")
    expect(page.locator("#head")).to_contain_text("Halted")


def test_decision_appears_without_a_reload(log_in: LogIn, viewer: User, redis_url: str) -> None:
    now = timezone.now()
    rows = make_desk(now, pairs=1)
    page = log_in("viewer")
    page.goto(f"/strategies/{rows.strategy.pk}/")
    expect(page.locator("#link-state")).to_have_text("live")
    page.wait_for_timeout(1_000)
    Decision.objects.create(
        exposure=rows.exposures[0], cause="fill:new", primary=7, hedged=0, in_flight=0, need=-7, reason="no_price",
        at=now,
    )  # fmt: skip
    told = StrategyChanged(strategy_id=str(rows.strategy.pk), strategy_name="x", what="started", value="active")
    event = Event(id=event_id("strategy", "x"), timestamp=timezone.now(), data=told)
    with redis.Redis.from_url(redis_url) as client:
        publish_now(client, STRATEGY_EVENTS, event)
    expect(page.locator("#decisions")).to_contain_text("No price on the grid", timeout=4_000)


def test_fill_leads_to_its_waterfall(log_in: LogIn, viewer: User) -> None:
    fill, order = make_fill(make_desk(timezone.now()).exposures[0], timezone.now(), 3)
    order.save()
    fill.save()
    page = log_in("viewer")
    page.click(f"#fill-{fill.pk} a")
    expect(page.locator(".waterfall tbody tr")).to_have_count(5)
    expect(page.locator("#trace")).to_contain_text("2.14")
