"""Lists: every row once over all pages, a fixed number of queries at ten thousand rows, unchanged ones travel once."""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Account, ConnectionTest, Fill, Order, Position
from alerts.models import Alert
from markets.models import Market
from strategies.models import Decision, Strategy
from tests.api.conftest import Program
from tests.desk_rows import DeskRows, add_fills, make_account, make_desk

MANY = 10_000
WHO = 2
"""Queries that find out who asks: the token with its person, the person's groups."""
GOLDEN = {
    "/accounts": WHO + 1,
    "/orders": WHO + 1,
    "/orders?account=predict-01&status=filled": WHO + 2,
    "/unknown-orders": WHO + 1,
    "/fills": WHO + 1,
    "/fills?market_id=100&since=2020-01-01T00:00:00Z": WHO + 1,
    "/accounts/predict-01/connection-tests": WHO + 3,
    "/positions": WHO + 1,
    "/positions/predict-01": WHO + 2,
    "/markets": WHO + 1,
    "/markets?search=launch": WHO + 1,
    "/strategies": WHO + 2,
    "/strategies/{strategy}/exposures": WHO + 3,
    "/strategies/{strategy}/decisions": WHO + 3,
    "/alerts": WHO + 1,
    "/tokens": WHO + 1,
    "/me": WHO,
    "/emergency-stop": WHO + 2,
    "/emergency-stop/preview?level=flatten": WHO + 5,
    "/emergency-stop/progress": WHO + 5,
}


def add_many(desk: DeskRows, now: datetime) -> None:
    add_fills(desk, now, MANY, spacing=timedelta(milliseconds=3))
    Order.objects.filter(pk__in=list(Order.objects.values_list("pk", flat=True)[:500])).update(status="unknown")
    Market.objects.bulk_create(
        [
            Market(id=f"predict:m{n}", platform="predict", market_id=f"m{n}", title=f"Launch {n % 7}")
            for n in range(MANY)
        ]
    )
    Account.objects.bulk_create([make_account(n) for n in range(100, MANY + 100)])
    first = Account.objects.get(name="predict-01")
    Position.objects.bulk_create(
        [
            Position(account=first, market_id=f"predict:m{n}", outcome="yes", size=Decimal(n + 1), updated_at=now)
            for n in range(MANY)
        ]
    )
    ConnectionTest.objects.bulk_create(
        [
            ConnectionTest(account=first, status="failed", asked_by="t", asked_at=now, finished_at=now)
            for _ in range(MANY)
        ]
    )
    Strategy.objects.bulk_create([Strategy(name=f"s{n}") for n in range(MANY)])
    zero = Decimal(0)
    Decision.objects.bulk_create(
        [
            Decision(
                exposure=desk.exposures[0], cause="c", primary=zero, hedged=zero, in_flight=zero, need=zero, at=now
            )
            for _ in range(MANY)
        ]
    )
    Alert.objects.bulk_create(
        [
            Alert(severity="info", kind="k", subject="s", text="t", dedup_key=str(n), raised_at=now, last_seen_at=now)
            for n in range(MANY)
        ]
    )


def test_every_list_costs_the_same_at_any_size(viewer_program: Program, now: datetime) -> None:
    desk = make_desk(now)
    add_many(desk, now)
    counted = {}
    for path in GOLDEN:
        with CaptureQueriesContext(connection) as queries:
            answer = viewer_program.get(path.format(strategy=desk.strategy.pk))
        assert answer.status_code == 200, answer.content
        counted[path] = len(queries)
    assert counted == GOLDEN


@pytest.mark.parametrize(
    ("path", "key", "rows"),
    [
        ("/fills?sort=received_at", "id", 30),
        ("/fills?sort=-received_at", "id", 30),
        ("/orders?", "id", 30),
        ("/accounts?sort=-name", "id", 10),
        ("/markets?", "id", 5),
        ("/markets?sort=-market_id", "id", 5),
    ],
)
def test_pages_hold_every_row_once(path: str, key: str, rows: int, viewer_program: Program, desk: DeskRows) -> None:
    Fill.objects.update(received_at=Fill.objects.order_by("id").values_list("received_at", flat=True)[0])
    Market.objects.update(title="The same title")
    whole = [item[key] for item in viewer_program.get(f"{path}&limit=200").json()["items"]]
    found: list[str] = []
    cursor = ""
    while True:
        page = viewer_program.get(f"{path}&limit=4&cursor={cursor}").json()
        found += [item[key] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert found == whole
    assert len(set(found)) == rows


def test_rows_that_arrive_meanwhile_shift_no_page(viewer_program: Program, desk: DeskRows, now: datetime) -> None:
    first = viewer_program.get("/fills?limit=10").json()
    rest = viewer_program.get(f"/fills?limit=200&cursor={first['next']}").json()["items"]
    newest = Fill.objects.order_by("-received_at").first()
    assert newest is not None
    newest.pk, newest.trade_id, newest.received_at = None, "new", now + timedelta(seconds=5)
    newest.save(force_insert=True)
    assert viewer_program.get(f"/fills?limit=200&cursor={first['next']}").json()["items"] == rest


def test_cursor_of_another_list_is_refused(viewer_program: Program, desk: DeskRows) -> None:
    cursor = viewer_program.get("/fills?limit=1").json()["next"]
    for path in ("/accounts?", "/markets?", "/events?", "/fills?sort=received_at&"):
        answer = viewer_program.get(f"{path}cursor={cursor}")
        assert (answer.status_code, answer.json()["code"]) == (422, "cursor_invalid")


def test_unchanged_list_travels_once(viewer_program: Program, desk: DeskRows) -> None:
    first = viewer_program.get("/accounts")
    again = viewer_program.get("/accounts", **{"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    Account.objects.filter(name="predict-01").update(collateral=1)
    changed = viewer_program.get("/accounts", **{"If-None-Match": first.headers["ETag"]})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != first.headers["ETag"]


def test_amounts_are_answered_digit_for_digit(viewer_program: Program, desk: DeskRows) -> None:
    exact = "12345678901234567890.123456789012345678"
    Position.objects.filter(account__name="predict-01").update(size=Decimal(exact), realized=Decimal("-3.207"))
    position = viewer_program.get("/positions/predict-01").json()["items"][0]
    assert (position["shares"], position["realized"]) == (exact, "-3.207")


def test_totals_add_up_what_accounts_hold(viewer_program: Program, desk: DeskRows) -> None:
    Position.objects.filter(outcome="yes").update(size=Decimal("0.1"))
    totals = viewer_program.get("/positions?flat=true").json()["items"]
    assert {(row["side"], row["shares"], row["accounts"]) for row in totals} == {("yes", "0.5", 5), ("no", "0", 5)}


def test_nothing_is_found_under_an_unknown_id(viewer_program: Program, desk: DeskRows) -> None:
    for path in (f"/orders/{uuid4()}", "/accounts/nobody", "/markets/predict:none", f"/strategies/{uuid4()}"):
        assert viewer_program.get(path).status_code == 404


def test_caller_is_told_what_is_left(program: Callable[..., Program], settings: object) -> None:
    settings.API_REQUESTS_PER_MINUTE = 3  # type: ignore[attr-defined]
    who = program("viewer")
    answers = [who.get("/me") for _ in range(8)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) >= 2
    assert answers[0].headers["RateLimit-Limit"] == "3"
    assert int(refused[-1].headers["Retry-After"]) > 0
    assert who.get("/emergency-stop").status_code == 200, "the stop stays reachable"
