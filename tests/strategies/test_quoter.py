"""The quoter's rounds, with real rows and a real paper venue and no engine: it asks for orders, it never sends them."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Desk, Order
from accounts.querysets import load_desk
from strategies.control import Actor, stop_strategy
from strategies.demo import ensure_demo_desk
from strategies.quoter import Quoter, pause_quoter, resume_quoter
from streams.connection import connect_now
from trading.commands import CancelOrder, PlaceOrder, decode_command
from trading.events import ORDER_COMMANDS


@pytest.fixture
def quoter(paper_desk, redis_url):
    ensure_demo_desk(4)
    return Quoter(paper_desk, redis_url)


@pytest.fixture
def bus(redis_url):
    with connect_now(redis_url) as client:
        yield client


def commands(bus):
    return [decode_command(fields[b"event"]) for _, fields in bus.xrange(ORDER_COMMANDS)]


def run(quoter, capture):
    with capture(execute=True):
        quoter.run_once()


def test_each_pair_gets_one_quote(quoter, bus, django_capture_on_commit_callbacks):
    for _ in range(3):
        run(quoter, django_capture_on_commit_callbacks)
    orders = Order.objects.filter(origin="quoter")
    assert orders.count() == 2
    assert {order.account.name for order in orders} == {"demo-01-primary", "demo-02-primary"}
    assert all(order.post_only and order.status == "initialized" for order in orders)
    assert [type(command) for command in commands(bus)] == [PlaceOrder, PlaceOrder]


def test_sides_take_turns(quoter, django_capture_on_commit_callbacks):
    run(quoter, django_capture_on_commit_callbacks)
    Order.objects.update(status="cancelled")
    run(quoter, django_capture_on_commit_callbacks)
    sides = (
        Order.objects.filter(account__name="demo-01-primary").order_by("created_at").values_list("outcome", flat=True)
    )
    assert list(sides) == ["yes", "no"]


def test_quote_filled_in_part_is_cancelled(quoter, bus, django_capture_on_commit_callbacks):
    run(quoter, django_capture_on_commit_callbacks)
    order = Order.objects.first()
    Order.objects.filter(pk=order.pk).update(status="partially_filled", filled=1)
    run(quoter, django_capture_on_commit_callbacks)
    run(quoter, django_capture_on_commit_callbacks)
    cancels = [command for command in commands(bus) if isinstance(command, CancelOrder)]
    assert [cancel.client_order_id for cancel in cancels] == [order.pk]


def test_paused_quoter_takes_its_quotes_off(quoter, bus, django_capture_on_commit_callbacks):
    run(quoter, django_capture_on_commit_callbacks)
    pause_quoter(bus, 30)
    run(quoter, django_capture_on_commit_callbacks)
    assert sum(isinstance(command, CancelOrder) for command in commands(bus)) == 2
    Order.objects.update(status="cancelled")
    run(quoter, django_capture_on_commit_callbacks)
    assert Order.objects.count() == 2
    resume_quoter(bus)
    run(quoter, django_capture_on_commit_callbacks)
    assert Order.objects.count() == 4


def test_stopped_desk_gets_no_quotes(quoter, django_capture_on_commit_callbacks):
    load_desk()
    Desk.objects.update_or_create(id=1, defaults={"stopped": True, "level": "no_new"})
    run(quoter, django_capture_on_commit_callbacks)
    assert not Order.objects.exists()


def test_stopped_strategy_gets_no_quotes(quoter, django_capture_on_commit_callbacks):
    stop_strategy(ensure_demo_desk(4).pk, by=Actor("a person"))
    run(quoter, django_capture_on_commit_callbacks)
    assert not Order.objects.exists()


def test_next_quote_waits_for_the_hedge(quoter, django_capture_on_commit_callbacks):
    run(quoter, django_capture_on_commit_callbacks)
    quote = Order.objects.filter(account__name="demo-01-primary").get()
    Order.objects.filter(pk=quote.pk).update(status="filled", filled=quote.size)
    hedge = Order.objects.create(
        account=quote.account,
        market=quote.market,
        outcome="no",
        action="buy",
        price=quote.price,
        size=quote.size,
        status="accepted",
        exposure_id=quote.pk,
        created_at=timezone.now(),
        updated_at=timezone.now(),
    )
    run(quoter, django_capture_on_commit_callbacks)
    assert Order.objects.filter(account=quote.account, origin="quoter").count() == 1
    Order.objects.filter(pk=hedge.pk).update(created_at=timezone.now() - timedelta(seconds=9))
    run(quoter, django_capture_on_commit_callbacks)
    assert Order.objects.filter(account=quote.account, origin="quoter").count() == 2
