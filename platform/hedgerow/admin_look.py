"""How the admin looks: its name, the PAPER or LIVE label in its header, its colours, its menu. Read by settings."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy


def label_mode(request: HttpRequest) -> list[str]:
    """The header's label and its colour: real money is red."""
    return ["LIVE", "danger"] if settings.LIVE else ["PAPER", "warning"]


def prefix_title(request: HttpRequest) -> str:
    """What the browser's tab starts with."""
    return label_mode(request)[0]


def find_styles(request: HttpRequest) -> str:
    """The admin's own style sheet, after Unfold's fonts."""
    return static("css/admin.css")


def _never_open(request: HttpRequest) -> bool:
    return False


def _menu(title: str, *links: tuple[str, str, str]) -> dict[str, Any]:
    items: list[dict[str, Any]] = [
        {"title": name, "icon": icon, "link": reverse_lazy(view)}
        # Every admin address starts with the desk's, so it would always be marked as open.
        | ({} if view.startswith(("admin:", "admin-")) else {"active": _never_open})
        for name, icon, view in links
    ]
    return {"title": title, "separator": True, "items": items}


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Hedgerow",
    "SITE_HEADER": "Hedgerow",
    "SITE_SUBHEADER": "All times in UTC",
    "SITE_SYMBOL": "potted_plant",
    "SITE_URL": "/",
    "ENVIRONMENT": "hedgerow.admin_look.label_mode",
    "ENVIRONMENT_TITLE_PREFIX": "hedgerow.admin_look.prefix_title",
    "DASHBOARD_CALLBACK": "hedgerow.admin_index.show_tiles",
    "STYLES": [find_styles],
    "SHOW_VIEW_ON_SITE": True,
    "BORDER_RADIUS": "6px",
    "COLORS": {
        "primary": {
            "50": "oklch(97% .02 155)",
            "100": "oklch(94% .04 155)",
            "200": "oklch(89% .07 155)",
            "300": "oklch(82% .1 155)",
            "400": "oklch(72% .13 155)",
            "500": "oklch(66% .13 155)",
            "600": "oklch(50% .12 155)",
            "700": "oklch(43% .1 155)",
            "800": "oklch(37% .08 155)",
            "900": "oklch(31% .06 155)",
            "950": "oklch(22% .05 155)",
        }
    },
    "SIDEBAR": {
        "show_search": True,
        "show_all_applications": False,
        "navigation": [
            _menu("Live", ("Desk", "monitoring", "desk"), ("Emergency stop", "front_hand", "stop")),
            _menu(
                "Accounts",
                ("Accounts", "account_balance_wallet", "admin:accounts_account_changelist"),
                ("Orders", "receipt_long", "admin:accounts_order_changelist"),
                ("Fills", "bolt", "admin:accounts_fill_changelist"),
                ("Positions", "stacks", "admin:accounts_position_changelist"),
                ("Reconciliations", "fact_check", "admin:accounts_reconciliation_changelist"),
                ("Equity points", "show_chart", "admin:accounts_equitypoint_changelist"),
                ("Sealed secrets", "key", "admin:accounts_sealedsecret_changelist"),
                ("The vault's key", "lock_reset", "admin-vault"),
            ),
            _menu(
                "Strategies",
                ("Strategies", "account_tree", "admin:strategies_strategy_changelist"),
                ("Pairs", "link", "admin:strategies_pair_changelist"),
                ("Exposures", "balance", "admin:strategies_exposure_changelist"),
                ("Decisions", "gavel", "admin:strategies_decision_changelist"),
                ("Imbalances", "difference", "admin:strategies_imbalance_changelist"),
            ),
            _menu("Markets", ("Markets", "storefront", "admin:markets_market_changelist")),
            _menu(
                "House",
                ("Alerts", "notifications", "admin:alerts_alert_changelist"),
                ("Dead letters", "mark_email_unread", "admin-dead-letters"),
                ("Telegram chats", "send", "admin:bot_telegramchat_changelist"),
                ("Telegram messages", "outbox", "admin:bot_outboxmessage_changelist"),
                ("Desk and stops", "toggle_on", "admin:accounts_desk_changelist"),
                ("Engine leases", "memory", "admin:accounts_enginelease_changelist"),
                ("People", "person", "admin:identity_user_changelist"),
                ("Roles", "groups", "admin:auth_group_changelist"),
                ("API tokens", "vpn_key", "admin:identity_apitoken_changelist"),
                ("Audit log", "history", "admin:identity_auditentry_changelist"),
            ),
        ],
    },
}
