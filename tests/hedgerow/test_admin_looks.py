"""How the admin's pages read: what matters first and marked, money with its unit, rows by their own names."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
import redis
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Group
from django.db.models import DecimalField, IntegerField
from django.test import Client, RequestFactory
from django.utils import timezone

from accounts.admin_columns import expires, fee_plain, latency_plain
from accounts.models import Account, Desk, EquityPoint, Fill, Order, Position, SealedSecret
from alerts.models import Alert
from alerts.raising import raise_alert
from identity.back_office import cents, plain, yes_no
from identity.models import ApiToken, AuditEntry, User
from strategies.models import Exposure, Strategy
from streams.names import FIELD, dead_letter_stream
from tests.admin_office import address_of
from tests.desk_rows import add_fills, add_positions, make_desk
from trading.enums import Severity
from trading.events import FILL_EVENTS

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk(redis_url: str) -> None:
    """A halted account, an order nobody knows the fate of, a grave alert, a loss."""
    now = timezone.now()
    rows = make_desk(now, pairs=2)
    add_fills(rows, now, 8, spacing=timedelta(seconds=1))
    add_positions(rows, now)
    Account.objects.filter(name="predict-01").update(state="halted", state_reason="venue drill")
    newest = Order.objects.order_by("-created_at").values_list("pk", flat=True)[0]
    Order.objects.filter(pk=newest).update(status="unknown", reason="no answer within 3 s", latency_us=1_737)
    Position.objects.update(realized=Decimal("-3.207"), cost=Decimal("12.5"))
    raise_alert(Severity.CRITICAL, "order_unknown", "predict-01", "nobody knows what became of it", now=now)


def page_of(office: Client, address: str) -> str:
    answer = office.get(address)
    assert answer.status_code == 200, address
    return " ".join(answer.content.decode().split())


def title_of(page: str) -> str:
    """The words of the page's one heading."""
    [found] = re.findall(r"<h1\b.*?</h1>", page)
    return " ".join(re.sub(r"<span class=\"material.*?</span>|<[^>]+>", " ", found).split())


def test_lists_show_first_what_a_person_acts_on() -> None:
    for model, first, later in (
        (Account, "state_reason", "connection_at"),
        (Order, "reason", "latency_plain"),
        (Alert, "text", "count"),
        (Exposure, "need_plain", "primary_plain"),
        (Exposure, "reason", "updated_at"),
    ):
        shown = [getattr(one, "__name__", one) for one in admin.site._registry[model].list_display]
        assert shown.index(first) < shown.index(later), model


def test_what_is_wrong_is_marked_in_lists_and_panels(office: Client, desk: None) -> None:
    assert '<span class="desk-mark bad">Halted</span>' in page_of(office, address_of(Account))
    assert '<span class="desk-mark warn">Unknown</span>' in page_of(office, address_of(Order))
    alerts = page_of(office, address_of(Alert))
    assert '<span class="desk-mark bad">Critical</span>' in alerts
    assert "Order of unknown outcome" in alerts
    assert not re.findall(r">\s*order_unknown\s*<", alerts)
    assert '<span class="desk-mark good">Active</span>' in page_of(office, address_of(Strategy))
    for name, words in (("predict-01", "bad>Halted"), ("predict-01", "bad>Critical"), ("predict-02", "good>Filled")):
        account = Account.objects.get(name=name)
        assert words in page_of(office, address_of(Account, f"{account.pk}/change/")).replace('"', ""), words


def test_every_number_is_in_a_column_of_figures(office: Client, desk: None) -> None:
    request = RequestFactory().get("/")
    request.user = User.objects.get(username="operator")
    for model, model_admin in admin.site._registry.items():
        for one in model_admin.get_list_display(request):
            if isinstance(one, str) and one in {field.name for field in model._meta.fields}:
                field = model._meta.get_field(one)
                number = isinstance(field, IntegerField | DecimalField) and not field.primary_key
                assert not number, f"{model._meta.label}.{one} is left-aligned"
    assert "column-count_plain" in page_of(office, address_of(Alert))
    assert office.get(address_of(Alert, "?o=6")).context["cl"].get_ordering_field_columns() == {6: "asc"}
    account = Account.objects.get(name="predict-01")
    below = page_of(office, address_of(Account, f"{account.pk}/change/")).partition(">Recent orders<")[2]
    assert re.search(r'<th scope="col" class="number">Size</th>', below)
    assert re.search(r'<td class="number">[0-9.,]+</td>', below)
    assert '<th scope="col">Market</th>' in below


def test_money_has_cents_a_unit_and_a_true_minus(office: Client, desk: None) -> None:
    assert [cents(Decimal(one)) for one in ("12.5", "-3.207", "1013", "-0.001")] == [
        "12.50", "−3.21", "1,013.00", "0.00",
    ]  # fmt: skip
    assert (cents(None), plain(Decimal("-3.207000")), plain(Decimal("-0.5"))) == ("–", "−3.207", "−0.5")
    positions = page_of(office, address_of(Position, "?held=every"))
    for words in ("Cost, collateral", "Realized, collateral", ">12.50<", ">−3.21<"):
        assert words in positions, words
    index = page_of(office, "/admin/")
    assert "Equity, in collateral" in index
    assert "Result today, in collateral" in index
    account = Account.objects.get(name="predict-01")
    assert "orders, in collateral." in page_of(office, address_of(Account, f"{account.pk}/change/"))


def test_columns_say_their_unit() -> None:
    assert fee_plain(Fill(fee=Decimal("0.020"), fee_kind="shares")) == "0.02 shares"
    assert fee_plain(Fill(fee=None, fee_kind=None)) == "–"
    assert latency_plain(Order(latency_us=1_737)) == "1.73 ms"
    assert latency_plain(Order(latency_us=None)) == "–"
    assert expires(Order(expires_at_s=1_795_852_484)) == "2026-11-28 07:54:44"
    post_only = yes_no("post_only")
    assert (expires(Order()), post_only(Order(post_only=True)), post_only(Order())) == ("never", "yes", "no")


def test_row_pages_say_the_unit_of_amounts(office: Client, desk: None) -> None:
    point = EquityPoint.objects.create(
        at=timezone.now(), collateral=1013, value=20, cost=12, realized=-3, accounts=2, unmarked=0
    )
    page = page_of(office, address_of(EquityPoint, f"{quote(point.pk)}/change/"))
    for words in ("Value, in collateral", "Cost, in collateral", "Realized, in collateral"):
        assert words in page, words
    exposure, fill = Exposure.objects.all()[0], Fill.objects.all()[0]
    assert "At risk, in collateral" in page_of(office, address_of(Exposure, f"{exposure.pk}/change/"))
    Fill.objects.filter(pk=fill.pk).update(fee=Decimal("0.020"), fee_kind="shares")
    assert ">0.02 shares<" in page_of(office, address_of(Fill, f"{fill.pk}/change/"))


def test_role_page_says_who_has_it(office: Client, viewer: User) -> None:
    role = Group.objects.get(name="viewer")
    page = page_of(office, address_of(Group, f"{role.pk}/change/")).partition('id="content-main"')[2]
    assert f">{viewer.username}<" in page
    assert not re.search(r">\s*ID\s*<", page)


def test_every_page_says_its_times_are_utc(office: Client, desk: None) -> None:
    for address in ("/admin/", address_of(Account), "/admin/vault/", address_of(Desk, "1/stop-desk/")):
        assert "All times in UTC" in page_of(office, address), address


def test_titles_keep_names_and_say_the_step(office: Client, desk: None) -> None:
    account, strategy = Account.objects.get(name="predict-02"), Strategy.objects.get()
    titles = {
        address_of(Account, f"{account.pk}/change/"): "Accounts Accounts predict-02",
        address_of(Account, f"{account.pk}/halt-accounts/"): "Accounts Accounts predict-02 Disable (halt)",
        address_of(Account, "add/"): "Accounts Accounts Add account",
        address_of(Account): "Accounts Accounts",
        address_of(Strategy, f"{strategy.pk}/change/"): "Strategies Strategies delta neutral",
        address_of(Strategy, "add/"): "Strategies Strategies New strategy",
        address_of(AuditEntry): "People Audit log",
        "/admin/": "Overview",
    }
    assert {address: title_of(page_of(office, address)) for address in titles} == titles
    both = {
        "action": "halt_accounts",
        "_selected_action": [str(pk) for pk in Account.objects.values_list("pk", flat=True)],
    }
    listed = " ".join(office.post(address_of(Account), both).content.decode().split())
    assert title_of(listed) == "Accounts Accounts Disable (halt)"


def test_index_names_tables_as_the_menu_does(office: Client, desk: None) -> None:
    below = page_of(office, "/admin/").partition("desk-apps")[2]
    for words in ("People", "API tokens", "Audit log", "Roles", "Desk and stops", "Messages"):
        assert re.search(rf">\s*{words}\s*</a>", below), words
    for words in ("Users", "Groups", "Api tokens", "Audit entries", "Authentication", "Outbox messages"):
        assert not re.search(rf">\s*{words}", below), words


def test_index_says_what_is_wrong(office: Client, desk: None, redis_url: str, settings) -> None:  # type: ignore[no-untyped-def]
    settings.REDIS_URL = redis_url
    with redis.Redis.from_url(redis_url) as bus:
        bus.xadd(dead_letter_stream(FILL_EVENTS), {FIELD: b"{}", b"group": b"strategies", b"reason": b"no account"})
    index = page_of(office, "/admin/")
    assert re.search(r"Bus: answers \(1 dead letters?\)<", index)
    assert "generation" not in index
    assert re.search(r'class="small bad"><a class="desk-link" [^>]+>1 unknown</a>', index)
    Order.objects.update(status="filled")
    assert "none unknown" in page_of(office, "/admin/")
    Desk.objects.update(stopped=True, level="cancel_all", reason="venue is odd", changed_at=timezone.now())
    assert "Cancel all: venue is odd" in page_of(office, "/admin/")
    assert ">Stopped (Cancel all); venue is odd<" in page_of(office, address_of(Desk, "1/lift-stop/"))
    Desk.objects.update(stopped=False, level="", state="reducing")
    assert 'warn">Only reducing</dd>' in page_of(office, "/admin/")
    listed = page_of(office, address_of(Desk)).partition('id="result_list"')[2]
    assert ">the desk, only reducing<" in listed
    Desk.objects.update(stopped=True, level="cancel_all")
    listed = page_of(office, address_of(Desk)).partition('id="result_list"')[2]
    assert "Cancel all" in listed
    assert ">cancel_all<" not in listed


def test_desk_that_nobody_changed_names_nobody(office: Client, desk: None) -> None:
    page = page_of(office, address_of(Desk, "1/reduce-desk/"))
    assert "<li>Trading</li>" in page
    assert "nobody" not in page.partition('class="desk-form')[2]
    Desk.objects.update(changed_by="operator", reason="it is over")
    assert "<li>Trading; it is over, by operator</li>" in page_of(office, address_of(Desk, "1/reduce-desk/"))
    Desk.objects.update(state="reducing")
    assert "<li>Only reducing</li>" in page_of(office, address_of(Desk, "1/activate-desk/"))


def test_page_beside_the_tables_is_marked_in_the_menu(office: Client, redis_url: str) -> None:
    for address in ("/admin/dead-letters/", "/admin/vault/"):
        [classes] = re.findall(rf'<a href="{address}" class="([^"]*)"', page_of(office, address))
        assert classes.split()[-1] == "active", address
        [classes] = re.findall(r'<a href="/" class="(flex [^"]*)"', page_of(office, address))
        assert "active" not in classes.split()


def test_empty_list_offers_only_what_may_be_done(office: Client, redis_url: str) -> None:
    none = page_of(office, address_of(SealedSecret))
    assert "There are none yet." in none
    for words in ("Create a new item", "Reset filters", "Show everything"):
        assert words not in none, words
    nothing = page_of(office, address_of(ApiToken, "?q=nobody-of-this-name"))
    assert "Nothing matches." in nothing
    assert "Show everything" in nothing
    assert "Add account" in page_of(office, address_of(Account))


def test_no_choice_is_a_raw_value(office: Client, desk: None) -> None:
    form = page_of(office, address_of(Desk, "1/change-venue/")).partition('class="desk-form')[2]
    assert re.findall(r"<option [^>]*>\s*([^<]*?)\s*</option>", form) == [
        "Predict", "Polymarket", "–", "Active", "Reducing", "Halted",
    ]  # fmt: skip
    SealedSecret.objects.create(account=Account.objects.get(name="predict-02"), kind="private_key", sealed=b"-")
    account = Account.objects.get(name="predict-02")
    assert ">private key<" in page_of(office, address_of(Account, f"{account.pk}/change/"))


def test_drop_downs_have_their_arrow(office: Client, desk: None) -> None:
    for address in (address_of(Strategy, "add/"), address_of(Desk, "1/change-venue/")):
        form = page_of(office, address).partition('class="desk-form')[2]
        drop_downs = len(re.findall(r"<select (?![^>]*multiple)", form))
        assert drop_downs > 1
        assert form.count("expand_more") == drop_downs, address


def test_order_page_speaks_in_words_and_leads_on(office: Client, desk: None) -> None:
    order = Order.objects.filter(exposure_id__isnull=False, status="unknown").get()
    exposure = Exposure.objects.get(pk=order.exposure_id)
    Order.objects.update(strategy_id=exposure.strategy_id)
    page = page_of(office, address_of(Order, f"{order.pk}/change/"))
    assert f'href="{address_of(Exposure, f"{exposure.pk}/change/")}">predict-01 → predict-02<' in page
    assert f'href="{address_of(Strategy, f"{exposure.strategy_id}/change/")}">delta neutral<' in page
    assert "1.73 ms" in page
    for words in ("Latency us", "Expires at s", "Announced"):
        assert words not in page, words
    Exposure.objects.all().delete()
    assert str(exposure.pk) in page_of(office, address_of(Order, f"{order.pk}/change/")), "the id, once it is gone"


def test_there_is_one_dash_for_nothing(office: Client, desk: None) -> None:
    order, account = Order.objects.get(status="unknown"), Account.objects.get(name="predict-02")
    for address in (
        address_of(Fill), address_of(Account), address_of(Order, f"{order.pk}/change/"),
        address_of(Account, f"{account.pk}/change/"),
    ):  # fmt: skip
        assert not re.findall(r">\s*-\s*<", page_of(office, address)), address


def test_strategy_form_says_its_kind_and_policy_in_words(office: Client, desk: None) -> None:
    strategy = Strategy.objects.get()
    page = page_of(office, address_of(Strategy, f"{strategy.pk}/change/"))
    assert "Delta neutral, active" in page
    for words in ("delta_neutral", "`mirror`", "1 + max_loss"):
        assert words not in page, words
    listed = page_of(office, address_of(Strategy))
    assert ">Delta neutral<" in listed
    assert not re.findall(r">\s*delta_neutral\s*<", listed)


def test_dead_letters_say_how_many_and_which_stream(office: Client, redis_url: str, settings) -> None:  # type: ignore[no-untyped-def]
    settings.REDIS_URL = redis_url
    told = {FIELD: b'{"n": 1}', b"group": b"strategies", b"reason": b"no account", b"original_id": b"1-1"}
    with redis.Redis.from_url(redis_url) as bus:
        names = [f"{FILL_EVENTS} {bus.xadd(dead_letter_stream(FILL_EVENTS), told).decode()}" for _ in range(2)]
    page = page_of(office, f"/admin/dead-letters/?stream={FILL_EVENTS}")
    assert "All 2, newest first" in page
    assert '<summary title="1-1">Show</summary>' in page
    one = office.post("/admin/dead-letters/", {"letter": names[:1]}).content.decode()
    assert f">{names[0]}<" not in one
    assert f"{FILL_EVENTS}, died 20" in one
    assert "the oldest first" not in one
    assert "the oldest first" in office.post("/admin/dead-letters/", {"letter": names}).content.decode()
