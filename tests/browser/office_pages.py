"""Every page of the admin, by the admin's own registry: lists, rows, forms, and the confirmations that have an address.

The main ones have names of their own; a page of a model that is new here gets the name of its model.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Group
from django.db import models
from django.urls import reverse

from accounts.models import Account, Desk, Order
from identity.models import AuditEntry, User
from strategies.models import Strategy
from tests.browser.full_office import BLOCKED, REPLAY

OURS = ("identity", "alerts", "markets", "accounts", "strategies", "bot")
LIST, ADD, ROW, PASSWORD = "changelist", "add", "change", "auth_user_password_change"


@dataclass(frozen=True)
class OfficePage:
    """A page by its name; `view` is what the admin calls it, of `model`, or of no model."""

    name: str
    view: str
    model: type[models.Model] | None = None

    @property
    def is_list(self) -> bool:
        return self.view == LIST

    @property
    def is_step(self) -> bool:
        """Whether it is a form or a confirmation."""
        return self.model is None or self.view not in (LIST, ROW)

    @property
    def address(self) -> str:
        """Where it is; for a page of a row, the row of which there is most to see."""
        if self.model is None:
            return reverse(self.view, args=[REPLAY] if self.view == "admin-replay" else None)
        opts = self.model._meta
        args = [] if self.view in (LIST, ADD) else [quote(str(self.row().pk))]
        view = PASSWORD if self.view == PASSWORD else f"{opts.app_label}_{opts.model_name}_{self.view}"
        return reverse(f"admin:{view}", args=args)

    def row(self) -> models.Model:
        """The row it is about."""
        assert self.model is not None
        label = self.model._meta.label_lower
        wanted = CHOSEN.get(f"{label}:{self.view}") or CHOSEN.get(label, {})
        found = self.model._default_manager.filter(**wanted).first()
        assert found is not None, f"no {label} for {self.name}"
        return found


CHOSEN: dict[str, dict[str, object]] = {
    "accounts.account": {"name": "predict-02"},
    "accounts.account:activate_accounts_here": {"name": "predict-03"},
    "accounts.connectiontest": {"status": "failed"},
    "accounts.order": {"status": "unknown"},
    "accounts.order:cancel_orders_here": {"status": "accepted"},
    "accounts.position": {"account__name": "predict-02"},
    "accounts.reconciliation": {"failing_since__isnull": False},
    "alerts.alert": {"resolved_at__isnull": True},
    "bot.telegramchat:unblock_chats_here": {"telegram_id": BLOCKED},
    "identity.apitoken": {"name": "grafana"},
    "identity.auditentry": {"action": "account.state_changed"},
    "identity.user": {"username": "operator"},
    "markets.market": {"market_id": "102"},
    "markets.marketlimit": {"market__market_id": "102"},
    "strategies.decision": {"reason": "max_market_position"},
    "strategies.exposure": {"reason": "max_market_position"},
}
"""Where it matters which row: by the model, or by the model and the view."""

MAIN = (
    OfficePage("index", "admin:index"),
    OfficePage("accounts", LIST, Account),
    OfficePage("account", ROW, Account),
    OfficePage("account-add", ADD, Account),
    OfficePage("account-secrets", "replace_secrets_here", Account),
    OfficePage("account-close", "close_accounts_here", Account),
    OfficePage("orders", LIST, Order),
    OfficePage("order", ROW, Order),
    OfficePage("order-resolve", "resolve_orders_here", Order),
    OfficePage("fills", LIST, apps.get_model("accounts.Fill")),
    OfficePage("positions", LIST, apps.get_model("accounts.Position")),
    OfficePage("strategies", LIST, Strategy),
    OfficePage("strategy", ROW, Strategy),
    OfficePage("exposures", LIST, apps.get_model("strategies.Exposure")),
    OfficePage("alerts", LIST, apps.get_model("alerts.Alert")),
    OfficePage("desk-stop", "stop_desk_here", Desk),
    OfficePage("dead-letters", "admin-dead-letters"),
    OfficePage("replay", "admin-replay"),
    OfficePage("vault", "admin-vault"),
    OfficePage("audit", LIST, AuditEntry),
    OfficePage("person", ROW, User),
)
"""What is looked at daily, in light, in dark and on a phone in every run of the tests."""
REPLAY_ASKED = "dead-letters-replay"
"""The page that marked letters are sent to; it has no address of its own."""
STOPPED = (OfficePage("index-stopped", "admin:index"), OfficePage("desk-lift-stop", "lift_stop_here", Desk))
"""What is shown while a stop holds."""


def find_pages() -> list[OfficePage]:
    """All pages that the registry knows and the main ones are not."""
    known = {(page.model, page.view) for page in (*MAIN, *STOPPED)}
    return [page for page in _every_page() if (page.model, page.view) not in known]


def _every_page() -> Iterator[OfficePage]:
    registered = [model for label in OURS for model in apps.get_app_config(label).get_models()]
    for model in (*registered, Group):
        name, office = model._meta.model_name, admin.site._registry[model]
        yield OfficePage(f"{name}-list", LIST, model)
        yield OfficePage(str(name), ROW, model)
        for view in getattr(office, "menu", []):
            yield OfficePage(f"{name}-{view.removesuffix('_here').replace('_', '-')}", view, model)
    yield OfficePage("strategy-add", ADD, Strategy)
    yield OfficePage("user-add", ADD, User)
    yield OfficePage("user-password", PASSWORD, User)
    yield OfficePage("password-change", "admin:password_change")
