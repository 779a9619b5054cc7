"""The admin as a whole: every model is there, ledger rows are only read, secrets stay in, every page has its label."""

import re
from datetime import timedelta

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.html import escape

from accounts.models import Account, ConnectionTest, Fill, Order, Position, Reconciliation, SealedSecret
from alerts.models import Alert
from alerts.raising import raise_alert
from bot.models import OutboxMessage, TelegramChat
from identity.audit import record_audit
from identity.back_office import ReadOnlyAdmin, counted, plain
from identity.models import ApiToken, AuditEntry, User
from identity.roles import Role, record_role_permissions
from identity.tokens import issue_token
from markets.models import Market, MarketLimit
from strategies.models import Exposure, Strategy
from tests.admin_office import API_KEY, PROXY, SECRETS, add_account, address_of
from tests.desk_rows import add_fills, add_positions, make_desk
from trading.enums import Mode, Severity

OURS = ("identity", "alerts", "markets", "accounts", "strategies", "bot")
WRITTEN = {"accounts.Account", "strategies.Strategy", "identity.User"}
"""What a person adds or changes here, by a form. Everything else is only read; nothing is ever deleted."""


def tables() -> list[type[models.Model]]:
    return [model for label in OURS for model in apps.get_app_config(label).get_models()]


READ_ONLY = [*sorted(model._meta.label for model in tables() if model._meta.label not in WRITTEN), "auth.Group"]


@pytest.fixture
def full_desk(redis_url: str) -> None:
    """Rows in most tables, as the product leaves them."""
    now = timezone.now()
    rows = make_desk(now)
    add_fills(rows, now, 60, spacing=timedelta(seconds=1))
    add_positions(rows, now)
    raise_alert(Severity.WARNING, "unhedged", "predict-01", "for a test", now=now)


def test_every_model_of_every_app_is_registered() -> None:
    assert set(tables()) <= admin.site._registry.keys()


def test_search_is_offered_where_there_is_much_to_search() -> None:
    small = {"accounts.Desk", "accounts.EquityPoint", "markets.VenueState"}
    lacking = {model._meta.label for model in tables() if not admin.site._registry[model].search_fields}
    assert lacking <= small


@pytest.mark.parametrize("label", READ_ONLY)
def test_ledger_rows_are_read_only_for_everybody(office: Client, full_desk: None, label: str) -> None:
    model = apps.get_model(label)
    assert isinstance(admin.site._registry[model], ReadOnlyAdmin)
    assert office.get(address_of(model)).status_code == 200
    before = list(model._default_manager.order_by("pk").values())
    row = before[0][model._meta.pk.attname] if before else "1"
    here = quote(str(row))
    every = {field.attname: "7" for field in model._meta.fields} | {"_save": "Save", "post": "yes"}
    for tail in ("add/", f"{here}/change/", f"{here}/delete/"):
        assert office.post(address_of(model, tail), every).status_code in (403, 404) or not before
    assert office.get(address_of(model, "add/")).status_code == 403
    assert office.get(address_of(model, f"{here}/delete/")).status_code in (403, 404, 302)
    office.post(address_of(model), {"action": "delete_selected", "_selected_action": [str(row)], "post": "yes"})
    assert list(model._default_manager.order_by("pk").values()) == before


@pytest.mark.parametrize("role", ["trader", "viewer"])
def test_ledger_rows_are_refused_to_every_role(
    client: Client, db: None, full_desk: None, role: str, request: pytest.FixtureRequest
) -> None:
    record_role_permissions()
    person: User = request.getfixturevalue(role)
    person.is_staff = True
    person.save()
    client.force_login(person)
    for model in (Order, Fill, Position, Reconciliation, SealedSecret, AuditEntry):
        before = list(model._default_manager.order_by("pk").values())
        row = before[0][model._meta.pk.attname] if before else "1"
        every = {field.attname: "7" for field in model._meta.fields} | {"_save": "Save", "post": "yes"}
        assert client.get(address_of(model)).status_code == 200, model
        for tail in ("add/", f"{quote(str(row))}/change/", f"{quote(str(row))}/delete/"):
            status = client.post(address_of(model, tail), every).status_code
            assert status == 403 or (status in (302, 404) and not before), f"{role} {model} {tail}"
        client.post(address_of(model), {"action": "delete_selected", "_selected_action": [str(row)], "post": "yes"})
        assert list(model._default_manager.order_by("pk").values()) == before


def test_alerts_are_filtered_by_what_is_left_to_do(office: Client, db: None) -> None:
    now = timezone.now()
    for name in ("still-open", "known-of", "all-over"):
        raise_alert(Severity.WARNING, "unhedged", name, "for a test", now=now)
    Alert.objects.filter(subject="known-of").update(acknowledged_at=now)
    Alert.objects.filter(subject="all-over").update(resolved_at=now)
    shown = {
        standing: {
            row.subject for row in office.get(address_of(Alert, f"?standing={standing}")).context["cl"].result_list
        }
        for standing in ("open", "acknowledged", "resolved", "")
    }
    everything = {"still-open", "known-of", "all-over"}
    assert shown == {"open": {"still-open"}, "acknowledged": {"known-of"}, "resolved": {"all-over"}, "": everything}
    listed = admin.site._registry[Alert].get_list_display(office.get(address_of(Alert)).wsgi_request)
    assert "resolved_at" in listed


@pytest.mark.parametrize("label", sorted(WRITTEN))
def test_nobody_is_deleted(office: Client, full_desk: None, label: str) -> None:
    model = apps.get_model(label)
    row = model._default_manager.first()
    assert row is not None
    assert office.post(address_of(model, f"{row.pk}/delete/"), {"post": "yes"}).status_code == 403
    office.post(address_of(model), {"action": "delete_selected", "_selected_action": [str(row.pk)], "post": "yes"})
    assert model._default_manager.filter(pk=row.pk).exists()


def every_page() -> list[str]:
    """Each list, a search, the first row's page with its history, the forms and the pages of the admin itself."""
    pages = ["/admin/", "/admin/dead-letters/", "/admin/vault/", "/admin/password_change/", "/admin/search/?s=predict"]
    for model, model_admin in admin.site._registry.items():
        pages += [address_of(model), address_of(model, "?q=predict")]
        row = model._default_manager.first()
        if row is None:
            continue
        here = quote(str(row.pk))
        pages += [address_of(model, f"{here}/change/"), address_of(model, f"{here}/history/")]
        pages += [address_of(model, f"{here}/{one.path}/") for one in model_admin._get_base_actions_detail()]
    writable = (Account, Strategy, User)
    return [*pages, *(address_of(model, "add/") for model in writable), f"{address_of(Account)}?_popup=1"]


@pytest.mark.django_db(transaction=True)
def test_no_page_shows_a_secret_and_every_page_its_mode(office: Client, full_desk: None, vault: None) -> None:
    add_account(office, api_key=API_KEY, proxy_url=PROXY)
    operator = User.objects.get(username="operator")
    now = timezone.now()
    until = now + timedelta(days=1)
    _, token = issue_token(operator, "planted", role=Role.VIEWER, by=operator, now=now, expires_at=until)
    sealed = [bytes(row.sealed).hex() for row in SealedSecret.objects.all()]
    hashes = list(ApiToken.objects.values_list("token_hash", flat=True))
    password = operator.password.split("$")
    never = [*SECRETS, token, *sealed, *hashes, password[2], password[3][:6], "SIGNED-BYTES", settings.SECRET_KEY]
    looked_at = every_page()
    account = Account.objects.get(name="first")
    looked_at += [address_of(Account, f"{account.pk}/change/"), address_of(Account, f"{account.pk}/replace-secrets/")]
    looked_at += [address_of(SealedSecret, f"{row.pk}/change/") for row in SealedSecret.objects.all()]
    assert len(looked_at) > 60
    for address in looked_at:
        answer = office.get(address, follow=True)
        assert answer.status_code == 200, address
        text = answer.content.decode()
        assert not [secret[:6] for secret in never if secret in text], address
        if "/search/" not in address:
            assert "PAPER" in text, f"{address} does not say that this is paper"
            assert "Content-Security-Policy" in answer.headers


def test_live_desk_says_so_on_every_page(office: Client, redis_url: str, settings) -> None:  # type: ignore[no-untyped-def]
    """The label follows the mode the process runs in, not the rows."""
    settings.MODE, settings.LIVE = Mode.LIVE, True
    make_desk(timezone.now(), pairs=1)
    account = Account.objects.first()
    assert account is not None
    pages = [address_of(model) for model in admin.site._registry]
    pages += [
        "/admin/",
        "/admin/dead-letters/",
        "/admin/vault/",
        "/admin/password_change/",
        address_of(Account, "add/"),
    ]
    pages += [address_of(Account, f"{account.pk}/{tail}/") for tail in ("change", "history", "halt-accounts")]
    for address in pages:
        text = office.get(address).content.decode()
        assert re.search(r">\s*LIVE\s*<", text), f"{address} does not say that this is live"
        assert "LIVE" in text.partition("</title>")[0], f"{address} does not say so in its title"
        assert "PAPER" not in text, address
    office.logout()
    assert b"LIVE" in office.get("/admin/login/").content


def test_admin_login_says_paper(client: Client, db: None) -> None:
    assert b"PAPER" in client.get("/admin/login/").content


def test_index_shows_the_desk_by_its_own_functions(office: Client, full_desk: None) -> None:
    first = Position.objects.order_by("pk")[0]
    Position.objects.filter(pk=first.pk).update(size=3)
    with CaptureQueriesContext(connection) as queries:
        page = office.get("/admin/").content.decode()
    assert "1 active position<" in page
    for words in ("Trading", "Open exposure", "Orders in flight", "1 warning", "Engines", "1 running", "Result today",
                  "10 of 10"):  # fmt: skip
        assert words in page, words
    assert len(queries) <= 30


def test_account_shows_what_belongs_to_it(office: Client, full_desk: None) -> None:
    account = Account.objects.get(name="predict-01")
    page = office.get(address_of(Account, f"{account.pk}/change/")).content.decode()
    for title in ("Recent orders", "Recent fills", "Positions", "Alerts", "Reconciliation", "Pairs", "Exposures"):
        assert f">{title}<" in page, title
    assert "for a test" in page
    assert "predict-02" in page


def test_account_shows_alerts_of_its_orders_and_what_it_hedges(office: Client, full_desk: None) -> None:
    raise_alert(Severity.CRITICAL, "order_unknown", "predict-02: buy no 5 @ 0.4", "nobody knows its fate")
    raise_alert(Severity.CRITICAL, "order_unknown", "predict-020: buy no 5 @ 0.4", "of another account")
    exposure = Exposure.objects.filter(hedge_account__name="predict-02").first()
    assert exposure is not None
    assert not Exposure.objects.filter(primary_account=exposure.hedge_account).exists()
    page = office.get(address_of(Account, f"{exposure.hedge_account_id}/change/")).content.decode()
    assert "nobody knows its fate" in page
    assert "of another account" not in page
    below = page.partition(">Exposures<")[2]
    assert address_of(Exposure, f"{exposure.pk}/change/") in below
    assert str(exposure.primary_account) in below


def test_order_shows_its_decision_and_fills(office: Client, full_desk: None) -> None:
    order = apps.get_model("accounts.Order").objects.filter(exposure_id__isnull=False).first()
    apps.get_model("strategies.Decision").objects.create(
        exposure_id=order.exposure_id, cause=order.cause, primary=1, hedged=0, in_flight=0, need=-1,
        orders=[str(order.pk)], reason="told by the decision", at=timezone.now(),
    )  # fmt: skip
    page = office.get(address_of(type(order), f"{order.pk}/change/")).content.decode()
    assert ">Fills<" in page
    assert "told by the decision" in page


def test_person_is_changed_without_the_hash_and_audited(office: Client, viewer: User) -> None:
    page = address_of(User, f"{viewer.pk}/change/")
    assert viewer.password.split("$")[2] not in office.get(page).content.decode()
    typed = {"username": "viewer", "is_active": "on", "is_staff": "on", "account_tags": "maker, eu"}
    assert office.post(page, typed).status_code == 200, "without a reason nothing changes"
    assert not User.objects.get(pk=viewer.pk).is_staff
    answer = office.post(page, typed | {"reason": "joins the office"})
    assert answer.status_code == 302, answer.context["errors"]
    before, viewer = viewer.password, User.objects.get(pk=viewer.pk)
    assert (viewer.is_staff, viewer.password, viewer.account_tags) == (True, before, ["maker", "eu"])
    entry = AuditEntry.objects.get(action="person.changed")
    assert (entry.source, entry.reason) == ("admin", "joins the office")
    assert (entry.before["is_staff"], entry.before["roles"]) == (False, ["viewer"])
    assert (entry.after["is_staff"], entry.after["roles"]) == (True, [])


def test_person_is_added_and_given_a_password_with_a_reason(office: Client) -> None:
    fresh, other = "a-longer-word-of-the-tests", "another-word-of-the-tests"
    typed = {"username": "newcomer", "usable_password": "true", "password1": fresh, "password2": fresh}
    assert office.post(address_of(User, "add/"), typed).status_code == 200
    assert not User.objects.filter(username="newcomer").exists(), "without a reason nobody is added"
    assert office.post(address_of(User, "add/"), typed | {"reason": "night shift"}).status_code == 302
    person = User.objects.get(username="newcomer")
    assert AuditEntry.objects.get(action="person.created").reason == "night shift"
    page = address_of(User, f"{person.pk}/password/")
    assert list(office.get(page).context["form"].fields) == ["password1", "password2", "reason"]
    typed = {"password1": other, "password2": other}
    assert office.post(page, typed).status_code == 200
    assert User.objects.get(pk=person.pk).check_password(fresh), "without a reason the password stays"
    assert office.post(page, typed | {"reason": "it was forgotten"}).status_code == 302
    assert User.objects.get(pk=person.pk).check_password(other)
    entry = AuditEntry.objects.get(action="person.password_set")
    assert (entry.reason, entry.object_name, entry.after) == ("it was forgotten", "newcomer", None)


def test_row_that_is_only_read_leads_back_and_to_the_audit_log(office: Client, full_desk: None) -> None:
    order = Order.objects.first()
    assert order is not None
    record_audit("order.looked_at", subject=order)
    page = office.get(address_of(Order, f"{order.pk}/change/")).content.decode()
    assert "Back to the list" in page
    assert not re.search(r">\s*Close\s*<", page), "under an order it would read as an act"
    assert not re.search(r">\s*History\s*<", page)
    log = f"/admin/identity/auditentry/?object_type__exact=accounts.order&object_id__exact={order.pk}"
    assert f'href="{escape(log)}"' in page
    record_audit("account.looked_at")
    assert [entry.action for entry in office.get(log).context["cl"].result_list] == ["order.looked_at"]


def test_positions_sold_are_listed_when_asked_or_searched_for(office: Client, full_desk: None) -> None:
    held = Position.objects.order_by("pk")[0]
    Position.objects.update(size=0)
    Position.objects.filter(pk=held.pk).update(size=3)
    listed = {
        query: {row.pk for row in office.get(address_of(Position, query)).context["cl"].result_list}
        for query in ("", "?held=every", "?held=none", f"?q={held.account.name}")
    }
    every = set(Position.objects.values_list("pk", flat=True))
    assert (listed[""], listed["?held=every"], listed["?held=none"]) == ({held.pk}, every, every - {held.pk})
    assert listed[f"?q={held.account.name}"] == {row.pk for row in Position.objects.filter(account=held.account)}
    page = office.get(address_of(Account, f"{held.account_id}/change/")).context["panels"]
    [positions] = [panel for panel in page if panel.title == "Positions"]
    assert positions.rows[0][1][2] == ("3", True), "what is held stands first"


def test_names_in_titles_are_no_ids(office: Client, full_desk: None, viewer: User) -> None:
    account = Account.objects.get(name="predict-01")
    market = Market.objects.get(pk="predict:100")
    now = timezone.now()
    issue_token(viewer, "feed", role=Role.VIEWER, by=viewer, now=now, expires_at=now + timedelta(days=1))
    chat = TelegramChat(user=viewer, name="a phone", telegram_id=5)
    exposure = Exposure.objects.select_related("primary_account", "hedge_account", "market").first()
    assert exposure is not None
    assert str(ApiToken.objects.get()) == "feed of viewer"
    assert str(SealedSecret(account=account, kind="private_key")) == "private key of predict-01"
    assert str(ConnectionTest(account=account, status="failed")) == "test of predict-01: failed"
    assert str(OutboxMessage(chat=chat, kind="alert", status="sent")) == "alert to viewer: a phone: sent"
    assert str(MarketLimit(market=market)) == f"limits of {market.title}"
    assert str(MarketLimit()) == "limits of every market"
    assert str(exposure) == f"{exposure.primary_account} → {exposure.hedge_account} in {exposure.market}"


def test_counted_words_fit_their_number() -> None:
    assert [counted(number, "order") for number in (0, 1, 2, 1200)] == [
        "0 orders",
        "1 order",
        "2 orders",
        "1,200 orders",
    ]


def test_staff_viewer_opens_every_list(client: Client, viewer: User, full_desk: None) -> None:
    record_role_permissions()
    viewer.is_staff = True
    viewer.save()
    client.force_login(viewer)
    for model in tables():
        assert client.get(address_of(model)).status_code == 200
        row = model._default_manager.first()
        if row is not None:
            assert client.get(address_of(model, f"{quote(str(row.pk))}/change/")).status_code == 200


def test_amounts_lose_no_digit_that_counts() -> None:
    assert plain(None) == "–"
    assert plain(Account._meta.get_field("collateral").to_python("1250.500000000000000000")) == "1,250.5"
    assert plain(Account._meta.get_field("collateral").to_python("0E-18")) == "0"
