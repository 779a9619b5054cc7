"""The admin's long lists at 10,000 rows: a fixed number of queries, none of them a count, a search by index only."""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from django.contrib import admin
from django.db import connection
from django.db.models import Model, QuerySet
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Account, Fill, Order, Position
from alerts.models import Alert
from alerts.raising import raise_alert
from identity.audit import record_audit
from identity.models import AuditEntry
from strategies.models import Decision, Exposure, Pair, Strategy
from tests.admin_office import address_of
from tests.desk_rows import DeskRows, add_fills, add_positions, make_desk
from trading.enums import Severity

MANY = 10_000
SIGN_IN = 2
"""The session and the person."""
GOLDEN = {
    Account: 1,
    Order: 2,
    Fill: 1,
    Position: 1,
    Strategy: 2,
    Pair: 2,
    Exposure: 2,
    Decision: 1,
    Alert: 4,
    AuditEntry: 3,
}
"""Queries of a list beyond signing in: its rows, and what its filters and dates offer. The same at any length."""
LONG = (Order, Fill)


def make_rows(count: int) -> DeskRows:
    now = timezone.now()
    rows = make_desk(now)
    add_fills(rows, now, count, spacing=timedelta(seconds=3))
    add_positions(rows, now)
    Decision.objects.bulk_create(
        Decision(exposure=rows.exposures[n % 5], cause=f"fill:trade-{n}", primary=Decimal(1), hedged=Decimal(0),
                 in_flight=Decimal(0), need=Decimal(-1), at=now)
        for n in range(count // 10)
    )  # fmt: skip
    for n in range(3):
        raise_alert(Severity.WARNING, "unhedged", f"predict-0{n}", "for a test", now=now)
        record_audit("test.done", who="a test", at=now)
    return rows


def count_queries(office: Client, address: str) -> list[str]:
    with CaptureQueriesContext(connection) as queries:
        assert office.get(address).status_code == 200
    return [query["sql"] for query in queries.captured_queries]


@pytest.mark.parametrize("rows", [30, 300])
def test_every_long_list_costs_its_golden_queries(office: Client, rows: int, redis_url: str) -> None:
    make_rows(rows)
    office.get("/admin/")
    found = {model: len(count_queries(office, address_of(model))) - SIGN_IN for model in GOLDEN}
    assert found == GOLDEN


def test_ten_thousand_rows_are_listed_without_a_count(office: Client, redis_url: str) -> None:
    make_rows(MANY)
    for model in LONG:
        for query in ("", "?p=100", "?q=predict-01", "?q=0x" + "0" * 64, "?q=trade-77", "?q=77"):
            asked = count_queries(office, address_of(model, query))
            counted = [sql for sql in asked if "COUNT(" in sql.upper() and "'denied'" not in sql]
            assert not counted, "only the orders denied within a day are counted, for their filter"
            assert len(asked) <= 6, (model, query)


def test_no_column_is_read_that_no_page_shows(office: Client, redis_url: str) -> None:
    make_rows(30)
    [sql] = [
        sql for sql in count_queries(office, address_of(Order)) if 'FROM "accounts_order"' in sql and "LIMIT" in sql
    ]
    assert '"accounts_order"."body"' not in sql
    assert '"accounts_order"."salt"' not in sql


@pytest.mark.parametrize(
    ("model", "term"),
    [(Order, "predict-07"), (Order, "0xbeef" + "0" * 60), (Order, "101"), (Order, str(UUID(int=7))),
     (Fill, "predict-07"), (Fill, "0x" + "0" * 64), (Fill, "trade-77"), (Fill, "101"), (Fill, "nothing of the kind")],
)  # fmt: skip
def test_search_compares_indexed_columns_only(office: Client, redis_url: str, model, term: str) -> None:  # type: ignore[no-untyped-def]
    make_rows(30)
    model_admin = admin.site._registry[model]
    request = RequestFactory().get("/")
    rows: QuerySet = model._default_manager.all()  # type: ignore[type-arg]
    found, may_repeat = model_admin.get_search_results(request, rows, term)
    assert not may_repeat
    where = str(found.query.where)
    assert "Contains" not in where
    indexed = {"id", "account", "market", "order_hash", "exposure_id"}
    compared = {child.lhs.target.name for child in leaves(found.query.where)}
    assert compared <= indexed, compared


def leaves(node):  # type: ignore[no-untyped-def]
    for child in node.children:
        if hasattr(child, "children"):
            yield from leaves(child)
        else:
            yield child


@pytest.mark.django_db(transaction=True)
def test_newest_page_is_read_by_index(office: Client, redis_url: str) -> None:
    make_rows(MANY)
    analyze()
    for model in LONG:
        [plan] = plans_of(office, model, address_of(model))
        assert f"Seq Scan on {model._meta.db_table}" not in plan, plan


@pytest.mark.django_db(transaction=True)
def test_order_is_found_by_its_venues_id_by_index(office: Client, redis_url: str) -> None:
    make_rows(MANY)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_order SET venue_order_id = 'v-' || right(id::text, 12)")
    analyze()
    wanted = Order.objects.all()[MANY // 2]
    for address, rows in (
        (address_of(Order, f"?q={wanted.venue_order_id}"), f'href="{address_of(Order)}'),
        (f"/orders/?part=list&q={wanted.venue_order_id}", 'id="order-'),
    ):
        found = office.get(address, headers={"HX-Request": "true"}).content.decode()
        assert str(wanted.pk) in found
        assert found.count(rows) < 5, "that one and no other"
        plans = plans_of(office, Order, address)
        assert any("order_by_venue_id" in plan for plan in plans), plans
        assert not [plan for plan in plans if "Seq Scan on accounts_order" in plan], plans


def analyze() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE accounts_order, accounts_fill")


def plans_of(office: Client, model: type[Model], address: str) -> list[str]:
    """How PostgreSQL reads the model's rows for this page, query by query."""
    plans = []
    for sql in count_queries(office, address):
        if f'FROM "{model._meta.db_table}"' in sql and "LIMIT" in sql:
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN {sql}")
                plans.append("\n".join(line for (line,) in cursor.fetchall()))
    return plans
