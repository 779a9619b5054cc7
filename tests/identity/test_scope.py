"""Who sees only accounts with certain tags: on the pages as in the API, everything else is not there."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Account, Order
from identity.models import User
from tests.conftest import make_user
from tests.desk_rows import DeskRows, add_fills, add_positions, make_desk

OWN = "predict-02"
"""The one account with the tag."""
OTHERS = ("predict-01", "predict-03", "predict-04", "predict-05", "predict-10")
DESK_WIDE = (
    "/equity.json", "/strategies/", "/strategies/new", "/logs/", "/logs.csv", "/faults/", "/setup/",
    "/accounts/import", "/accounts/add", "/admin/", "/admin/accounts/account/", "/admin/identity/auditentry/",
)  # fmt: skip
KEPT_TO_SCOPE = (
    "/accounts/",
    "/orders/",
    "/orders/new",
    "/markets/",
    "/accounts/?q=predict",
    "/orders/?account=predict",
)


@pytest.fixture
def desk(db: None) -> DeskRows:
    now = timezone.now()
    rows = make_desk(now)
    add_fills(rows, now, 30)
    add_positions(rows, now)
    Account.objects.filter(name=OWN).update(tags=["blue"])
    Account.objects.exclude(name=OWN).update(tags=["red"])
    Order.objects.filter(account__name__in=OTHERS).update(status="unknown")
    return rows


@pytest.fixture
def blue(db: None) -> User:
    user = make_user("blue", "admin", staff=True)
    user.account_tags = ["blue"]
    user.save()
    return user


@pytest.fixture
def browser(client: Client, blue: User, redis_url: str) -> Client:
    client.force_login(blue)
    return client


@pytest.mark.parametrize("path", DESK_WIDE)
def test_page_of_the_whole_desk_is_refused(path: str, browser: Client, desk: DeskRows) -> None:
    answer = browser.get(path)
    assert answer.status_code == 403
    assert b"you may see only some" in answer.content
    assert not any(name in answer.content.decode() for name in (*OTHERS, OWN))


@pytest.mark.parametrize("path", KEPT_TO_SCOPE)
def test_page_shows_only_what_is_in_sight(path: str, browser: Client, desk: DeskRows) -> None:
    answer = browser.get(path)
    assert answer.status_code == 200
    shown = answer.content.decode()
    assert not [name for name in OTHERS if name in shown]
    assert ">red<" not in shown, "a tag of others is a name of theirs too"
    if path.startswith(("/accounts", "/orders/new")):
        assert OWN in shown


def test_start_page_gives_way(browser: Client, desk: DeskRows) -> None:
    assert browser.get("/").headers["Location"] == "/accounts/"
    assert browser.get("/", headers={"HX-Request": "true"}).status_code == 403


def test_account_and_order_out_of_sight_are_not_there(browser: Client, desk: DeskRows) -> None:
    hidden = Account.objects.get(name="predict-01")
    order = Order.objects.exclude(account__name=OWN).first()
    assert order is not None
    for path in (f"/accounts/{hidden.pk}/", f"/orders/{order.pk}/", f"/orders/{order.pk}/resolve"):
        assert browser.get(path).status_code == 404
    before = list(Account.objects.order_by("pk").values()), list(Order.objects.order_by("pk").values())
    given: dict[str, Any] = {"account": str(hidden.pk), "state": "halted", "reason": "because", "confirm": "1"}
    assert browser.post("/accounts/state", given).status_code == 302
    assert browser.post(f"/orders/{order.pk}/cancel", {"reason": "because"}).status_code == 404
    assert browser.post(f"/accounts/{hidden.pk}/test").status_code == 404
    assert browser.post("/accounts/close", given).status_code == 302
    placed = {
        "account": str(hidden.pk), "market": "predict:100", "side": "yes", "action": "buy", "price": "0.5",
        "shares": "10", "order_type": "limit", "reason": "because",
    }  # fmt: skip
    assert b"Select a valid choice" in browser.post("/orders/new", placed).content
    assert before == (list(Account.objects.order_by("pk").values()), list(Order.objects.order_by("pk").values()))


def test_stop_stays_reachable(browser: Client, desk: DeskRows) -> None:
    assert browser.get("/desk/stop").status_code == 200


def test_who_sees_everything_is_not_hindered(client: Client, operator: User, desk: DeskRows, redis_url: str) -> None:
    client.force_login(operator)
    for path in ("/", "/strategies/", "/accounts/"):
        assert client.get(path).status_code == 200
