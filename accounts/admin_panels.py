"""What belongs to an account, shown below it in the admin: newest first, bounded, each with a way to all of it."""

from collections.abc import Iterable

from django.db.models import BooleanField, ExpressionWrapper, Q

from accounts.admin_columns import SETTLEMENT, STATUS, fee_plain
from accounts.admin_held import EVERY, HELD
from accounts.models import Account, Fill, Order, Position, Reconciliation, SealedSecret
from accounts.querysets import without_bytes
from alerts.admin import SEVERITY, kind_title
from alerts.models import Alert
from identity.admin_panels import SHOWN, Panel, audit_panel
from identity.back_office import amount, money

SOLD = ExpressionWrapper(Q(size=0), output_field=BooleanField())
"""Orders what is held before what was."""


def load_alerts_about(account: Account) -> Iterable[Alert]:
    """Alerts name their subject: an account, one in a market, one's order, or a strategy's account in a market."""
    name = account.name
    named = Q(subject=name) | Q(subject__startswith=f"{name} in ") | Q(subject__startswith=f"{name}: ")
    return Alert.objects.filter(named | Q(subject__contains=f": {name} in ")).order_by("-last_seen_at")[:SHOWN]


ACCOUNT_PANELS = (
    Panel(
        "Recent orders",
        Order,
        ("created_at", "market", "action", "outcome", amount("size"), amount("price"), amount("filled"), STATUS,
         "reason", "origin"),
        lambda account: without_bytes(account.orders.select_related("market")).order_by("-created_at")[:SHOWN],
        lambda account: {"account__id__exact": account.pk},
    ),
    Panel(
        "Recent fills",
        Fill,
        ("received_at", "market", "action", "outcome", amount("size"), amount("price"), fee_plain, SETTLEMENT),
        lambda account: account.fills.select_related("market").order_by("-id")[:SHOWN],
        lambda account: {"account__id__exact": account.pk},
    ),
    Panel(
        "Positions",
        Position,
        ("market", "outcome", amount("size"), money("cost"), money("realized"), money("fees"), "updated_at"),
        lambda account: account.positions.select_related("market").order_by(SOLD.asc(), "-updated_at")[:SHOWN],
        lambda account: {"account__id__exact": account.pk, HELD: EVERY},
    ),
    Panel(
        "Alerts",
        Alert,
        ("last_seen_at", SEVERITY, kind_title, "text", "count", "acknowledged_at"),
        load_alerts_about,
        lambda account: {"q": account.name},
    ),
    Panel(
        "Reconciliation",
        Reconciliation,
        ("checked_at", "agreed_at", "failing_since", "unreachable_since", "fills_missing", "positions_apart"),
        lambda account: Reconciliation.objects.filter(account=account),
    ),
    Panel(
        "Sealed secrets",
        SealedSecret,
        ("kind", "vault_key", "created_at"),
        lambda account: account.secrets.defer("sealed").order_by("kind"),
    ),
    audit_panel("accounts.account"),
)  # fmt: skip
