"""The pages of accounts and orders: what they show, to whom, at what cost; nothing typed is lost or shown back."""

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.account_lists import FleetFilter, load_rows
from accounts.models import Account, Order, SealedSecret
from accounts.order_lists import OrderFilter, load_ambiguous, load_order_page
from accounts.vault import ensure_vault
from identity.callers import Caller
from identity.models import User
from identity.roles import Role
from tests.desk_rows import add_fills, add_positions, make_desk

FRAGMENT = {"HX-Request": "true"}
EVERYTHING = Caller(User(), Role.VIEWER, None)
"""A visitor who sees every account."""
HEADER = "name,private_key,proxy_url,tags,max_order\n"
PROXY = "socks5://someone:swordfish-of-the-tests@proxy.invalid:1080"


def key(number: int) -> str:
    """An obviously fake private key."""
    return f"{number:02x}" * 32


@pytest.fixture
def now(db: None) -> datetime:
    return timezone.now()


@pytest.fixture
def sealed() -> None:
    ensure_vault(Path(settings.VAULT_PUBLIC_KEY_FILE).parent)


@pytest.fixture
def trader_client(client: Client, trader: object) -> Client:
    client.force_login(trader)  # type: ignore[arg-type]
    return client


@pytest.fixture
def admin_client(client: Client, operator: object) -> Client:
    client.force_login(operator)  # type: ignore[arg-type]
    return client


def upload(client: Client, text: str, button: str = "check", **fields: str) -> str:
    file = SimpleUploadedFile("accounts.csv", text.encode(), content_type="text/csv")
    answer = client.post("/accounts/import", {"file": file, button: "1", **fields})
    assert answer.status_code == 200
    return answer.content.decode()


def test_empty_fleet_says_what_to_do(admin_client: Client) -> None:
    text = admin_client.get("/accounts/").content.decode()
    assert "Add the first one" in text
    assert "/accounts/import" in text


def test_fleet_costs_the_same_at_any_size(now: datetime) -> None:
    counts = []
    for wanted in (0, 100):
        if wanted:
            add_positions(make_desk(now, pairs=50), now)
        with CaptureQueriesContext(connection) as queries:
            rows = load_rows(FleetFilter(), now, EVERYTHING)
        assert len(rows) == wanted
        counts.append(len(queries))
    assert counts == [5, 5]


def test_fleet_is_filtered_by_state_and_name(trader_client: Client, now: datetime) -> None:
    make_desk(now)
    Account.objects.filter(name="predict-03").update(state="halted")
    halted = trader_client.get("/accounts/?part=list&state=halted", headers=FRAGMENT).content.decode()
    assert halted.count('id="account-') == 1
    assert "<html" not in halted
    assert trader_client.get("/accounts/?q=predict-1").content.count(b'id="account-') == 1
    assert "No account matches" in trader_client.get("/accounts/?q=nobody").content.decode()


def test_bulk_change_is_shown_before_it_is_made(trader_client: Client, now: datetime, redis_url: str) -> None:
    make_desk(now)
    marked = list(Account.objects.values_list("pk", flat=True)[:3])
    first = trader_client.post("/accounts/state", {"account": marked, "state": "halted"})
    assert b"Change 3 accounts" in first.content
    assert not Account.objects.filter(state="halted").exists()
    refused = trader_client.post(
        "/accounts/state", {"account": marked, "state": "halted", "confirm": "1", "reason": ""}
    )
    assert b"required" in refused.content
    assert not Account.objects.filter(state="halted").exists()
    told = {"account": marked, "state": "halted", "confirm": "1", "reason": "venue drill"}
    trader_client.post("/accounts/state", told)
    assert Account.objects.filter(state="halted", state_reason="venue drill").count() == 3
    assert b"venue drill" in trader_client.get(f"/accounts/{marked[0]}/").content


def test_viewer_sees_and_changes_nothing(client: Client, viewer: object, now: datetime) -> None:
    make_desk(now)
    client.force_login(viewer)  # type: ignore[arg-type]
    account = Account.objects.get(name="predict-01")
    for address in ("/accounts/", f"/accounts/{account.pk}/", "/orders/", "/setup/"):
        assert client.get(address).status_code == 200
    assert client.post("/accounts/state", {"account": [account.pk], "state": "halted"}).status_code == 403
    for address in ("/accounts/add", "/accounts/import", "/orders/new"):
        assert client.get(address).status_code == 403
    assert client.post(f"/orders/{uuid4()}/cancel", {"reason": "why not"}).status_code == 403


def test_trader_adds_no_accounts(trader_client: Client) -> None:
    assert trader_client.get("/accounts/add").status_code == 403
    assert trader_client.get("/accounts/import").status_code == 403


def test_strangers_are_sent_to_the_login(client: Client, db: None) -> None:
    for address in ("/accounts/", "/orders/", "/setup/", "/accounts/add"):
        assert client.get(address).headers["Location"].startswith("/login/")


def test_account_page_shows_no_bytes(trader_client: Client, now: datetime) -> None:
    rows = make_desk(now)
    add_fills(rows, now, 20)
    add_positions(rows, now)
    text = trader_client.get(f"/accounts/{rows.pairs[0].hedge_id}/").content.decode()
    assert "buy no" in text
    assert "SIGNED-BYTES" not in text
    assert trader_client.get(f"/accounts/{uuid4()}/").status_code == 404


def test_wizard_makes_an_account_in_three_steps(admin_client: Client, sealed: None, redis_url: str) -> None:
    who = {"name": "first", "platform": "predict", "signer_kind": "eoa", "tags": "maker, eu"}
    assert b"max_order" in admin_client.post("/accounts/add", {"step": "0", **who}).content
    limits = {**who, "max_order": "50"}
    keys = admin_client.post("/accounts/add", {"step": "1", **limits})
    assert b"private_key" in keys.content
    wrong = admin_client.post("/accounts/add", {"step": "2", **limits, "private_key": "12ab" * 8, "proxy_url": PROXY})
    assert b"64 hex digits" in wrong.content
    assert b"12ab12ab" not in wrong.content
    assert b"swordfish" not in wrong.content
    assert not Account.objects.exists()
    done = admin_client.post("/accounts/add", {"step": "2", **limits, "private_key": key(1), "proxy_url": PROXY})
    account = Account.objects.get()
    assert done.headers["Location"] == f"/accounts/{account.pk}/"
    assert (account.max_order, account.tags) == (50, ["maker", "eu"])
    page = admin_client.get(f"/accounts/{account.pk}/").content.decode()
    assert "proxy.invalid:1080" in page
    assert "swordfish" not in page
    assert key(1) not in page


def test_wallets_are_named_for_people(admin_client: Client) -> None:
    assert "The key&#x27;s own wallet (EOA)" in admin_client.get("/accounts/add").content.decode()
    who = {"step": "0", "name": "one", "platform": "predict", "signer_kind": "poly_safe"}
    assert "This venue has: The key&#x27;s own wallet (EOA), Predict smart account." in (
        admin_client.post("/accounts/add", who).content.decode()
    )


def test_wizard_goes_back_with_what_was_given(admin_client: Client) -> None:
    given = {"name": "first", "platform": "predict", "signer_kind": "eoa", "max_order": "50"}
    page = admin_client.post("/accounts/add", {"step": "1", "back": "1", **given}).content.decode()
    assert 'value="first"' in page
    assert 'name="max_order" value="50"' in page


def test_dry_run_names_every_fault_and_makes_nothing(admin_client: Client, sealed: None, redis_url: str) -> None:
    text = upload(
        admin_client,
        HEADER
        + f"one,{key(1)},,maker,50\n"
        + "two,not-a-key-swordfish,,,\n"
        + f"one,{key(2)},,,\n"
        + f"four,{key(4)},ftp://someone:swordfish@proxy.invalid:1,,\n"
        + f"five,{key(5)},,,many\n"
        + f"six,{key(1)},,,\n",
    )
    assert "5 of 6 lines" in text
    for fault in (
        "64 hex digits",
        "named one already",
        "the proxy must be",
        "max_order must be a number",
        "is an account for",
    ):
        assert fault in text
    assert "swordfish" not in text
    assert key(1) not in text
    assert not Account.objects.exists()


def test_import_with_a_fault_makes_nothing(admin_client: Client, sealed: None, redis_url: str) -> None:
    text = upload(admin_client, HEADER + f"one,{key(1)},,,\ntwo,,,,\n", "import")
    assert "Nothing was made: 1 of 2" in text
    assert not Account.objects.exists()
    assert not SealedSecret.objects.exists()


def test_right_file_is_checked_then_imported(admin_client: Client, sealed: None, redis_url: str) -> None:
    file = HEADER + "".join(f"a{n},{key(n)},{PROXY},maker,50\n" for n in range(1, 21))
    assert "All 20 lines are right" in upload(admin_client, file)
    assert not Account.objects.exists()
    token = "ab" * 16
    assert "20 accounts are made" in upload(admin_client, file, "import", token=token)
    assert Account.objects.filter(tags=["maker"], max_order=50).count() == 20
    assert SealedSecret.objects.count() == 40
    progress = admin_client.get(f"/accounts/import/progress?token={token}").content.decode()
    assert "20 of 20 made" in progress


def test_file_of_one_line_is_told_as_one(admin_client: Client, sealed: None, redis_url: str) -> None:
    file = HEADER + f"one,{key(1)},,,\n"
    assert "The one line is right" in upload(admin_client, file)
    assert "1 account is made" in upload(admin_client, file, "import")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("name,tags\nx,y\n", "missing: private_key"),
        ("name,private_key,secret\nx,y,z\n", "column 3"),
        ("name,private_key\n", "no account"),
        ("name,private_key\na,b,c\n", "line 2 has 3 values"),
        ("name,name,private_key\na,b,c\n", "twice"),
        ("name,private_key\na\x00,b\n", "zero byte"),
    ],
)
def test_unreadable_file_is_explained(admin_client: Client, sealed: None, text: str, said: str) -> None:
    assert said in upload(admin_client, text) or not text


def test_orders_are_listed_by_page(trader_client: Client, now: datetime) -> None:
    add_fills(make_desk(now), now, 120)
    first, following = load_order_page(OrderFilter(), EVERYTHING)
    assert following is not None
    second, _ = load_order_page(OrderFilter(), EVERYTHING, following)
    assert len(first) == len(second) == 50
    assert not {order.pk for order in first} & {order.pk for order in second}
    assert trader_client.get("/orders/?cursor=nonsense").content.count(b'id="order-') == 50


def test_order_list_costs_few_queries(trader_client: Client, now: datetime) -> None:
    add_fills(make_desk(now), now, 200)
    with CaptureQueriesContext(connection) as queries:
        trader_client.get("/orders/?part=list", headers=FRAGMENT)
    assert len(queries) <= 5, "session, person, role, orders"


def test_orders_are_filtered(trader_client: Client, now: datetime) -> None:
    rows = make_desk(now)
    add_fills(rows, now, 20)
    order = Order.objects.first()
    assert order is not None
    for query in (f"q={order.pk}", f"q={order.order_hash}"):
        assert trader_client.get(f"/orders/?{query}").content.count(b'id="order-') == 1
    assert "No order matches" in trader_client.get("/orders/?status=open").content.decode()
    assert trader_client.get(f"/orders/?account={rows.pairs[0].hedge.name}").content.count(b'id="order-') == 4


def test_denied_orders_are_counted_by_reason(trader_client: Client, admin_client: Client, now: datetime) -> None:
    """With their number, on the page and in the admin; each reason leads to its orders."""
    rows = make_desk(now)
    add_fills(rows, now, 12)
    orders = list(Order.objects.all())
    for order, reason in zip(
        orders, ["max_order: 9 is too many"] * 3 + ["self_cross"] + ["max_order_x: other"], strict=False
    ):
        order.status, order.reason = "denied", reason
        order.save()
    Order.objects.filter(pk=orders[11].pk).update(
        status="denied", reason="max_order: of last week", created_at=now - timedelta(days=7)
    )
    page = trader_client.get("/orders/").content.decode()
    assert 'status=denied&amp;reason=max_order">max_order</a> 3' in page
    assert 'reason=self_cross">self_cross</a> 1' in page
    chosen = trader_client.get("/orders/?status=denied&reason=max_order").content
    assert chosen.count(b'id="order-') == 4
    listed = admin_client.get("/admin/accounts/order/?denied=self_cross").content.decode()
    assert "max_order (3)" in listed
    assert listed.count("field-created_at") == 1


def test_unknown_orders_show_age_and_evidence(trader_client: Client, now: datetime) -> None:
    add_fills(make_desk(now), now, 3)
    order = Order.objects.first()
    assert order is not None
    Order.objects.filter(pk=order.pk).update(status="unknown", reason="no answer within 3 s")
    assert [found.pk for found in load_ambiguous(timezone.now(), EVERYTHING)] == [order.pk]
    text = trader_client.get("/orders/?part=ambiguous", headers=FRAGMENT).content.decode()
    assert "Orders of unknown outcome" in text
    assert "bytes left" in text
    assert "no answer within 3 s" in text
    page = trader_client.get(f"/orders/{order.pk}/").content.decode()
    assert "Nobody knows yet" in page
    assert "Take it off the book" in page
    assert "SIGNED-BYTES" not in page


def ticket(rows: object, **fields: str) -> dict[str, str]:
    account = Account.objects.get(name="predict-01")
    return {
        "account": str(account.pk), "market": "predict:100", "side": "yes", "action": "buy", "price": "0.55",
        "shares": "10", "order_type": "limit", "reason": "a try", "client_order_id": str(uuid4()), **fields,
    }  # fmt: skip


@pytest.fixture
def grid(now: datetime) -> None:
    rows = make_desk(now)
    for market in rows.markets:
        market.lot = market.min_size = Decimal("0.01")
        market.fee_rate_bps = 200
        market.save()


def test_ticket_previews_before_it_orders(trader_client: Client, grid: None, redis_url: str) -> None:
    given = ticket(None)
    shown = trader_client.post("/orders/new", {**given, "check": "1"})
    assert b"5.50" in shown.content
    assert b"Nothing is ordered yet" in shown.content
    assert not Order.objects.exists()
    unseen = trader_client.post("/orders/new", {**given, "place": "1"})
    assert b"Nothing is ordered yet" in unseen.content
    assert not Order.objects.exists(), "an order nobody saw previewed is previewed first"
    placed = {**given, "place": "1", "seen": shown.context["seen"]}
    answer = trader_client.post("/orders/new", placed)
    order = Order.objects.get()
    assert answer.headers["Location"] == f"/orders/{order.pk}/"
    assert (order.size, order.price, order.origin) == (10, Decimal("0.55"), "user")
    trader_client.post("/orders/new", placed)
    assert Order.objects.count() == 1, "pressed twice is one order"


def test_changed_ticket_is_shown_again(trader_client: Client, grid: None, redis_url: str) -> None:
    given = ticket(None)
    shown = trader_client.post("/orders/new", {**given, "check": "1"})
    trader_client.post("/orders/new", {**given, "shares": "1000", "place": "1", "seen": shown.context["seen"]})
    assert not Order.objects.exists()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"price": "0.555"}, "not on the tick"),
        ({"price": "1.5"}, "price"),
        ({"market": "predict:999"}, "no market"),
        ({"shares": "0.1"}, "worth"),
        ({"market": "polymarket:100"}, "is on predict"),
    ],
)
def test_wrong_ticket_says_what_to_change(trader_client: Client, grid: None, fields: dict[str, str], said: str) -> None:
    text = trader_client.post("/orders/new", {**ticket(None, **fields), "check": "1"}).content.decode()
    assert said in text
    assert "Place this order" not in text


def test_preview_warns_of_a_halted_account(trader_client: Client, grid: None) -> None:
    Account.objects.update(state="halted")
    text = trader_client.post("/orders/new", {**ticket(None), "check": "1"}).content.decode()
    assert "The account is halted" in text


def test_cancel_needs_a_reason(trader_client: Client, now: datetime, redis_url: str) -> None:
    add_fills(make_desk(now), now, 1)
    order = Order.objects.get()
    answer = trader_client.post(f"/orders/{order.pk}/cancel", {"reason": ""}, follow=True)
    assert b"Nothing was cancelled" in answer.content
    answer = trader_client.post(f"/orders/{order.pk}/cancel", {"reason": "drill"}, follow=True)
    assert b"had ended already" in answer.content
    assert trader_client.post(f"/orders/{uuid4()}/cancel", {"reason": "drill"}).status_code == 404


def test_checklist_follows_the_desk(admin_client: Client, now: datetime) -> None:
    assert admin_client.get("/setup/").content.count(b'class="done"') == 0
    add_fills(make_desk(now), now, 2)
    assert admin_client.get("/setup/").content.count(b'class="done"') == 4


def test_every_page_is_in_the_menu(trader_client: Client) -> None:
    text = trader_client.get("/orders/").content.decode()
    for address in ("/", "/accounts/", "/strategies/", "/markets/", "/orders/", "/telegram/", "/setup/"):
        assert f'<a href="{address}"' in text
    assert '<a href="/orders/" aria-current="page"' in text
