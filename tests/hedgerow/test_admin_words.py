"""How the admin words what it shows: a yes or no as a word, figures with their unit, reasons for a person."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone

from accounts.admin_columns import explanations, reason
from accounts.models import Account, Order, Position, Reconciliation
from alerts.querysets import count_open
from alerts.raising import raise_alert
from bot.models import TelegramChat
from identity.models import User
from markets.models import Market, MarketLimit
from strategies.models import Pair, Strategy
from tests.admin_office import address_of
from tests.desk_rows import add_positions, make_desk
from trading.enums import Severity

pytestmark = pytest.mark.django_db(transaction=True)


def page_of(office: Client, address: str) -> str:
    answer = office.get(address)
    assert answer.status_code == 200, address
    return " ".join(answer.content.decode().split())


def field_of(page: str, label: str) -> str:
    """The words of one field of a row's page: label, value and help text."""
    [found] = re.findall(rf"<label[^>]*>{label}</label>.*?(?=<label|</fieldset>)", page)
    return " ".join(re.sub(r"<[^>]+>|<[^>]*$", " ", found).split())


def test_blocked_chat_is_told_in_words(office: Client, viewer: User) -> None:
    now = timezone.now()
    chat = TelegramChat.objects.create(
        user=viewer, name="a phone", telegram_id=5, is_blocked=True, linked_at=now, fill_least=Decimal(10)
    )
    listed = office.get(address_of(TelegramChat)).content.decode()
    cells = re.findall(r'<td class="[^"]*field-is_(?:blocked|deaf)[^"]*"[^>]*>\s*([^<]*?)\s*</td>', listed)
    assert cells == ["yes", "no"]
    assert office.get(address_of(TelegramChat, "?o=4")).context["cl"].get_ordering_field_columns() == {4: "asc"}
    page = page_of(office, address_of(TelegramChat, f"{chat.pk}/change/"))
    assert field_of(page, "Blocked").startswith("Blocked yes")
    assert field_of(page, "Deaf").startswith("Deaf no")
    least = field_of(page, "Fill least")
    assert " 10 " in least
    assert "Fills of fewer shares are not told." in least, "the unit is in the help text"


def test_blocking_says_what_it_does(office: Client, viewer: User) -> None:
    chat = TelegramChat.objects.create(user=viewer, name="a phone", telegram_id=5, linked_at=timezone.now())
    assert "not even a critical alert" in page_of(office, address_of(TelegramChat, f"{chat.pk}/block-chats/"))
    assert "its person&#x27;s rights" in page_of(office, address_of(TelegramChat, f"{chat.pk}/unblock-chats/"))


def test_what_fails_longest_stands_first_and_says_why(office: Client, redis_url: str) -> None:
    now = timezone.now()
    make_desk(now)
    accounts = list(Account.objects.order_by("name")[:4])
    standing = (
        {}, {"unreachable_since": now}, {"failing_since": now - timedelta(hours=1)},
        {"failing_since": now - timedelta(hours=2)},
    )  # fmt: skip
    Reconciliation.objects.all().delete()
    for account, fields in zip(accounts, standing, strict=True):
        Reconciliation.objects.create(account=account, checked_at=now, **fields)
    listed = office.get(address_of(Reconciliation)).context["cl"]
    assert [row.account for row in listed.result_list] == accounts[::-1]
    shown = [getattr(one, "__name__", one) for one in listed.list_display]
    for first in ("failing_since", "unreachable_since", "tries_plain", "positions_apart_plain"):
        assert shown.index(first) < shown.index("checked_at"), first
    books = Reconciliation.objects.get(account=accounts[3])
    books.explanations = ["It holds 0 no.", "An order <b> is foreign."]
    books.save()
    page = page_of(office, address_of(Reconciliation, f"{books.pk}/change/"))
    assert "It holds 0 no.<br>An order &lt;b&gt; is foreign." in page
    assert "a sentence each" in field_of(page, "Explanations")
    assert f"{accounts[3].name}: unreconciled" in page
    assert explanations(Reconciliation()) == "–"


def test_why_an_order_stands_is_in_words() -> None:
    told = {
        "max_market_position: 60 yes shares exceed 50": "max market position: 60 yes shares exceed 50",
        "repriced": "repriced",
        "no answer within 3 s": "no answer within 3 s",
        "": "–",
    }
    assert {text: reason(Order(reason=text)) for text in told} == told


def test_alerts_are_counted_the_worst_first(redis_url: str) -> None:
    for number, severity in enumerate((Severity.WARNING, Severity.INFO, Severity.CRITICAL, Severity.WARNING)):
        raise_alert(severity, "unhedged", f"predict-0{number}", "for a test", now=timezone.now())
    assert list(count_open().items()) == [("critical", 1), ("warning", 2), ("info", 1)]


def test_figures_on_rows_pages_say_their_unit(office: Client, redis_url: str) -> None:
    now = timezone.now()
    add_positions(make_desk(now), now)
    position = Position.objects.all()[0]
    page = page_of(office, address_of(Position, f"{position.pk}/change/"))
    for words in ("Size, shares", "Cost, collateral", "Realized, collateral", "Fees, collateral", "Cash, collateral"):
        assert words in page, words
    page = page_of(office, address_of(Market, "predict:100/change/".replace(":", "_3A")))
    for words in ("Minimum size, shares", "Minimum value, collateral", "Fee rate, basis points"):
        assert words in page, words
    assert field_of(page, "Neg risk").startswith("Neg risk no")
    limit = MarketLimit.objects.create(max_position=Decimal(50), changed_by="a test", changed_at=now)
    assert "Most shares of one outcome" in page_of(office, address_of(MarketLimit, f"{limit.pk}/change/"))


def test_nobody_is_let_in_without_a_password(office: Client) -> None:
    page = page_of(office, address_of(User, "add/"))
    assert "LDAP" not in page
    assert "usable_password" not in page
    typed = {"username": "newcomer", "usable_password": "false", "reason": "night shift"}
    assert office.post(address_of(User, "add/"), typed).status_code == 200
    assert not User.objects.filter(username="newcomer").exists()


def test_pairs_stand_in_the_order_of_their_names(office: Client, redis_url: str) -> None:
    make_desk(timezone.now())
    strategy, accounts = Strategy.objects.get(), list(Account.objects.order_by("name"))
    Pair.objects.create(strategy=strategy, primary=accounts[0], hedge=accounts[-1])
    names = [str(pair) for pair in office.get(address_of(Pair)).context["cl"].result_list]
    assert names == sorted(names)
    assert len(names) > 2
