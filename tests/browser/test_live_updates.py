"""Each page that shows what trades do follows a real event without a reload, and long work shows how far it is."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
import redis
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import ConnectionTest, Fill, Order
from identity.models import User
from markets.models import Market
from markets.tasks import tell, tell_markets
from streams.publisher import publish_now
from tests.desk_rows import DeskRows, make_desk, make_fill
from trading.enums import Outcome, Platform
from trading.events import FILL_EVENTS, Event
from trading.events import Fill as FillTold
from trading.ids import event_id

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LogIn = Callable[..., Page]


@pytest.fixture
def rows(transactional_db: None) -> DeskRows:
    rows = make_desk(timezone.now())
    Market.objects.update(lot=Decimal("0.01"), min_size=Decimal("0.01"))
    record_fill(rows, 1)
    return rows


@pytest.fixture
def bus(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


def record_fill(rows: DeskRows, number: int) -> tuple[Fill, Order]:
    fill, order = make_fill(rows.exposures[0], timezone.now() - timedelta(seconds=3), number)
    order.save()
    fill.save()
    return fill, order


def announce(bus: redis.Redis, fill: Fill, number: int) -> None:
    told = FillTold(
        account_id=str(fill.account_id), account_name="predict-01", market_id="100", side=Outcome.YES,
        price=fill.price, shares=fill.size, order_hash=fill.order_hash, trade_id=fill.trade_id,
    )  # fmt: skip
    event = Event(id=event_id("fill", str(number)), platform=Platform.PREDICT, timestamp=timezone.now(), data=told)
    publish_now(bus, FILL_EVENTS, event)


def test_pages_follow_a_fill_without_a_reload(log_in: LogIn, trader: User, rows: DeskRows, bus: redis.Redis) -> None:
    first, order = Fill.objects.get(), Order.objects.get()
    addresses = {
        "desk": "/",
        "account": f"/accounts/{first.account_id}/",
        "order": f"/orders/{order.pk}/",
        "strategy": f"/strategies/{rows.strategy.pk}/",
        "trace": f"/fills/{first.pk}/trace",
    }
    entry = log_in("trader")
    pages: dict[str, Page] = {"desk": entry}
    for name, address in addresses.items():
        page = pages.setdefault(name, entry.context.new_page())
        page.goto(address)
        expect(page.locator("#link-state")).to_have_text("live")
        page.evaluate("document.body.dataset.mark = 'same page'")
    entry.wait_for_timeout(1_000)
    rows.exposures[0].__class__.objects.filter(pk=rows.exposures[0].pk).update(need=-7, reason="no_price")
    Order.objects.filter(pk=order.pk).update(status="cancelled", reason="taken off by hand")
    Fill.objects.filter(pk=first.pk).update(settlement="settled", settled_at=timezone.now())
    fill, _ = record_fill(rows, 4)
    announce(bus, fill, 4)
    signs = {
        "desk": ("#fills", "50"),
        "account": ("#account", "buy yes 50 @ 0.55"),
        "order": ("#order", "taken off by hand"),
        "strategy": ("#exposures", "No price on the grid"),
        "trace": ("#trace dd", "Settled"),
    }
    for name, (place, text) in signs.items():
        page = pages[name]
        page.bring_to_front()
        expect(page.locator(place, has_text=text).first).to_be_visible(timeout=5_000)
        assert page.evaluate("document.body.dataset.mark") == "same page", name


def test_log_keeps_up_with_a_desk_that_never_rests(
    log_in: LogIn, trader: User, rows: DeskRows, bus: redis.Redis
) -> None:
    """Something happens before the record has what happened before it, again and again."""
    page = log_in("trader")
    page.goto("/logs/")
    expect(page.locator("#link-state")).to_have_text("live")
    fetched: list[str] = []
    page.on("request", lambda asked: fetched.append(asked.url) if "hx-request" in asked.headers else None)
    fill = Fill.objects.get()
    for number in range(40):
        announce(bus, fill, number)
        page.wait_for_timeout(300)
        if len(fetched) > 2:
            break
    assert len(fetched) > 2, "the log was not fetched anew as long as something happened"


def test_what_happens_before_a_page_is_connected_is_shown(log_in: LogIn, trader: User, rows: DeskRows) -> None:
    order = Order.objects.get()
    page = log_in("trader")

    def happen(socket: object) -> None:
        Order.objects.filter(pk=order.pk).update(status="cancelled", reason="taken off meanwhile")

    page.on("websocket", happen)
    page.goto(f"/orders/{order.pk}/")
    expect(page.locator("#order")).to_contain_text("taken off meanwhile")


def test_connection_test_is_followed_to_its_end(log_in: LogIn, trader: User, rows: DeskRows) -> None:
    page = log_in("trader")
    page.goto(f"/accounts/{rows.pairs[0].primary_id}/")
    page.click("text=Test the connection")
    expect(page.locator("#connection-test progress")).to_be_visible()
    ConnectionTest.objects.update(status="passed", finished_at=timezone.now())
    expect(page.locator("#connection-test")).to_contain_text("Passed", timeout=4_000)
    expect(page.locator("#connection-test progress")).to_have_count(0)


def test_reading_of_markets_is_followed(log_in: LogIn, trader: User, rows: DeskRows) -> None:
    page = log_in("trader")
    page.goto("/markets/")
    page.click("text=Read them now")
    expect(page.locator("#sync")).to_contain_text("waiting for a worker")
    token = page.url.partition("token=")[2]
    tell_markets(token, 2, 2, "500 markets read")
    expect(page.locator("#sync")).to_contain_text("1 of 2 venues read; 500 markets read")
    tell(token, 3, 2, "venues read")
    expect(page.locator("#sync")).to_contain_text("Done: 2 of 2")


def test_market_is_picked_by_its_title(log_in: LogIn, trader: User, rows: DeskRows) -> None:
    page = log_in("trader")
    page.goto("/orders/new")
    page.type("[name=market]", "rate be cut")
    expect(page.locator("#market-picks option")).to_have_count(1)
    page.fill("[name=market]", "Will the rate be cut in December?")
    page.select_option("[name=account]", label="predict-01")
    page.fill("[name=shares]", "10")
    page.fill("[name=price]", "0.55")
    page.fill("[name=reason]", "by title")
    page.click("text=Check it")
    expect(page.locator("#preview")).to_contain_text("Will the rate be cut in December?")


def test_unknown_order_is_resolved_in_the_browser(log_in: LogIn, trader: User, rows: DeskRows) -> None:
    before = timezone.now() - timedelta(minutes=9)
    Order.objects.update(status="unknown", filled=0, created_at=before, submitted_at=before)
    page = log_in("trader")
    page.goto("/orders/")
    page.click("text=Resolve…")
    page.check("text=It never arrived")
    page.fill("[name=text]", "no trace of its hash on the venue's own page")
    page.click("text=Close the question")
    expect(page.locator(".notice").first).to_contain_text("The question is closed")
    assert Order.objects.get().status == "cancelled"


def test_viewer_finds_no_dangerous_button(log_in: LogIn, viewer: User, rows: DeskRows) -> None:
    order = Order.objects.get()
    page = log_in("viewer")
    for address in (
        "/", "/accounts/", f"/accounts/{order.account_id}/", "/orders/", f"/orders/{order.pk}/", "/strategies/",
        f"/strategies/{rows.strategy.pk}/", "/markets/", "/setup/",
    ):  # fmt: skip
        page.goto(address)
        expect(page.locator("h1")).to_have_count(1)
        assert page.locator(".danger, main form[method=post]").count() == 0, address
