"""Alerts: what is open, what a chat wants to hear, quiet hours, muting; and acting on one."""

import re
from collections.abc import Callable
from datetime import datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

from accounts.models import Account
from accounts.registration import change_account_state
from alerts.models import Alert
from alerts.querysets import load_open
from alerts.raising import acknowledge
from bot.access import Speaker
from bot.commands.money import find_account
from bot.commands.registry import Request, action, ask_twice, command, refuse_words
from bot.models import Kind, TelegramChat
from bot.notices import quiet_end
from bot.outbox import release_held
from bot.replies import ROWS_PER_PAGE, Button, Reply, age, amount, bold, clip, esc, pager
from identity.audit import record_audit
from identity.models import AuditEntry
from identity.roles import Role
from trading.enums import TradingState
from trading.errors import InvalidValue
from trading.values import decimal_from

BOT = AuditEntry.Source.BOT.value
SETTINGS_USAGE = "/alerts [fills 50 | imbalance 100 | unhedged 60 | quiet 22:00-07:00 | accounts a,b | summary 7]"
_QUIET = re.compile(r"^(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})$")
_SPAN = re.compile(r"^(\d{1,4})([mhd])$")


@command(
    "alerts",
    Role.VIEWER,
    "open alerts, and what you hear of",
    usage=SETTINGS_USAGE,
    topic="Alerts",
    keeps_scope=True,
)
def alerts(request: Request) -> Reply:
    """Open alerts; with words, a change of this chat's wishes."""
    if request.words:
        return change_wishes(request)
    if request.speaker.caller.is_scoped:  # alerts are about every account
        return settings_menu(request)
    rows = load_open()
    total = rows.count()
    shown = list(rows[request.page * ROWS_PER_PAGE :][:ROWS_PER_PAGE])
    lines = [
        f"{bold(alert.severity)} {esc(alert.subject)}: {esc(clip(alert.text, 120))}"
        f" · {age(alert.last_seen_at, request.now)}"
        f"{f' · ×{alert.count}' if alert.count > 1 else ''}"
        for alert in shown
    ]
    buttons = [pager("alerts", request.page, total)]
    if request.speaker.may(Role.TRADER):
        buttons += [[Button(f"Acknowledge: {clip(a.subject, 30)}", "acknowledge", {"alert": str(a.pk)})] for a in shown]
    text = f"{bold('Open alerts')} ({total})\n" + "\n".join(lines) if total else "✅ No alert is open."
    return Reply(text, buttons=[*buttons, [Button("What I hear of", "settings")]])


@action("acknowledge", Role.TRADER)
def take_note(request: Request) -> Reply:
    """Close the alert in this person's name."""
    alert = Alert.objects.filter(pk=UUID(request.arguments["alert"])).first()
    if alert is None:
        return Reply("There is no such alert.")
    if acknowledge(alert.pk, request.speaker.user, request.now):
        record_audit("alert.acknowledged", user=request.speaker.user, subject=alert, source=BOT)
        return Reply(f"Acknowledged by you: {bold(alert.subject)}.", toast="Acknowledged")
    alert.refresh_from_db()
    return Reply(f"{bold(alert.subject)} was acknowledged before, by {esc(alert.acknowledged_by)}.")


@action("settings", Role.VIEWER, keeps_scope=True)
def settings_menu(request: Request) -> Reply:
    """What this chat hears of, each kind a button that turns it."""
    chat = request.speaker.chat
    names = list(Account.objects.filter(pk__in=chat.accounts).values_list("name", flat=True)) if chat.accounts else []
    quiet = f"{chat.quiet_from:%H:%M}–{chat.quiet_to:%H:%M} UTC" if chat.quiet_from and chat.quiet_to else "none"
    muted = chat.muted_until is not None and chat.muted_until > request.now
    text = (
        f"{bold('What this chat hears of')}\n"
        f"Accounts: {esc(', '.join(names)) or 'all'}\n"
        f"Fills of at least {amount(chat.fill_least)} shares\n"
        f"Imbalance of at least {amount(chat.imbalance_least)} shares\n"
        f"Unhedged for {chat.unhedged_after_s} s\n"
        f"Quiet hours: {quiet} (critical alerts come at any hour)\n"
        f"Daily summary at {chat.summary_hour:02d}:00 UTC"
        + (f"\nMuted until {chat.muted_until:%F %H:%M} UTC" if muted else "")
        + f"\nChange figures so: <code>{esc(SETTINGS_USAGE)}</code>"
    )
    kinds = [
        Button(f"{'✅' if kind in chat.kinds else '⬜'} {kind.label}", "turn_kind", {"kind": kind.value})
        for kind in Kind
    ]
    rows = [kinds[i : i + 2] for i in range(0, len(kinds), 2)]
    mute = Button("Unmute", "mute_for", {"minutes": 0}) if muted else Button("Mute 1 h", "mute_for", {"minutes": 60})
    return Reply(text, buttons=[*rows, [mute, Button("Open alerts", "alerts")]])


@action("turn_kind", Role.VIEWER, keeps_scope=True)
def turn_kind(request: Request) -> Reply:
    """Turn one kind on or off."""
    chat, kind = request.speaker.chat, Kind(request.arguments["kind"])
    before = list(chat.kinds)
    chat.kinds = [k for k in before if k != kind] if kind in before else [*before, kind.value]
    _keep(request, {"kinds": before}, "kinds")
    return settings_menu(request)


@command(
    "mute",
    Role.VIEWER,
    "hold back all but critical alerts",
    usage="/mute <30m|8h|1d|off>",
    topic="Alerts",
    keeps_scope=True,
)
def mute(request: Request) -> Reply:
    """What is held back comes afterwards, in one message a kind."""
    if request.rest in ("off", "0"):
        return mute_for(Request(request.speaker, request.now, arguments={"minutes": 0}))
    span = _SPAN.match(request.rest or "1h")
    if span is None:
        return refuse_words(request, "mute", "Say for how long.")
    minutes = int(span[1]) * {"m": 1, "h": 60, "d": 1440}[span[2]]
    return mute_for(Request(request.speaker, request.now, arguments={"minutes": min(minutes, 7 * 1440)}))


@action("mute_for", Role.VIEWER, keeps_scope=True)
def mute_for(request: Request) -> Reply:
    """Mute for so many minutes; 0 ends it."""
    chat, minutes = request.speaker.chat, int(request.arguments["minutes"])
    before = chat.muted_until
    chat.muted_until = request.now + timedelta(minutes=minutes) if minutes else None
    _keep(request, {"muted_until": before}, "muted_until")
    if chat.muted_until is None:
        is_quiet = quiet_end(chat, request.now) is not None
        return Reply(f"Not muted. What was held back comes {'after the quiet hours' if is_quiet else 'now'}.")
    return Reply(f"Muted until {chat.muted_until:%F %H:%M} UTC. Critical alerts still come; the rest comes afterwards.")


def change_wishes(request: Request) -> Reply:
    """`/alerts quiet 22:00-07:00` and its like."""
    what, given = request.words[0].lower(), " ".join(request.words[1:])
    setter = SETTERS.get(what)
    if setter is None or not given:
        return refuse_words(request, "alerts", "There is no such setting.")
    try:
        fields = setter(request.speaker.chat, given)
    except (InvalidValue, ValueError) as error:
        return refuse_words(request, "alerts", str(error))
    _keep(request, {}, *fields)
    return settings_menu(request)


def _set_amount(field: str) -> Callable[[TelegramChat, str], list[str]]:
    def setter(chat: TelegramChat, given: str) -> list[str]:
        value: Decimal = decimal_from(given)
        if value < 0 or value >= Decimal(10) ** 12:
            raise InvalidValue("it must be zero or more")
        setattr(chat, field, value)
        return [field]

    return setter


def _set_unhedged(chat: TelegramChat, given: str) -> list[str]:
    if not given.isdecimal() or not 1 <= int(given) <= 86_400:
        raise InvalidValue("seconds from 1 to 86400")
    chat.unhedged_after_s = int(given)
    return ["unhedged_after_s"]


def _set_summary(chat: TelegramChat, given: str) -> list[str]:
    if not given.isdecimal() or int(given) > 23:
        raise InvalidValue("an hour from 0 to 23, UTC")
    chat.summary_hour = int(given)
    return ["summary_hour"]


def _set_quiet(chat: TelegramChat, given: str) -> list[str]:
    if given == "off":
        chat.quiet_from = chat.quiet_to = None
        return ["quiet_from", "quiet_to"]
    found = _QUIET.match(given)
    if found is None:
        raise InvalidValue("hours like 22:00-07:00, or off")
    chat.quiet_from, chat.quiet_to = time(int(found[1]), int(found[2])), time(int(found[3]), int(found[4]))
    return ["quiet_from", "quiet_to"]


def _set_accounts(chat: TelegramChat, given: str) -> list[str]:
    if given == "all":
        chat.accounts = []
        return ["accounts"]
    speaker = Speaker(chat.user, chat)
    found = [(name.strip(), find_account(name.strip(), speaker)) for name in given.split(",") if name.strip()]
    missing = [name for name, account in found if account is None]
    if missing:
        raise InvalidValue(f"there is no account {', '.join(missing)}")
    chat.accounts = [account.pk for _, account in found if account is not None]
    return ["accounts"]


SETTERS: dict[str, Callable[[TelegramChat, str], list[str]]] = {
    "fills": _set_amount("fill_least"),
    "imbalance": _set_amount("imbalance_least"),
    "unhedged": _set_unhedged,
    "summary": _set_summary,
    "quiet": _set_quiet,
    "accounts": _set_accounts,
}


@action("halt_account", Role.TRADER, keeps_scope=True)
def ask_halt(request: Request) -> Reply:
    """Ask before halting."""
    found = find_account(request.arguments["account"], request.speaker)
    if found is None:
        return Reply("There is no such account.")
    text = f"{bold(f'Halt {found.name}?')}\nFrom the next order on it sends nothing; what it should hedge stays owed."
    return ask_twice(text, "Halt", "set_account", {"account": str(found.pk), "state": TradingState.HALTED.value})


@action("activate_account", Role.TRADER, keeps_scope=True)
def ask_activate(request: Request) -> Reply:
    """Ask before it trades again."""
    found = find_account(request.arguments["account"], request.speaker)
    if found is None:
        return Reply("There is no such account.")
    text = (
        f"{bold(f'Let {found.name} trade again?')}\nIt was {esc(found.state)}: {esc(found.state_reason or 'no reason')}"
    )
    return ask_twice(text, "Activate", "set_account", {"account": str(found.pk), "state": TradingState.ACTIVE.value})


@action("set_account", Role.TRADER, keeps_scope=True)
def set_account(request: Request) -> Reply:
    """Change the account's state; audited and announced where it is done."""
    found = change_account_state(
        UUID(request.arguments["account"]),
        request.arguments["state"],
        by=request.speaker.user,
        reason="from Telegram",
        source=BOT,
    )
    return Reply(f"{bold(found.name)} is {esc(found.state)}.")


def _keep(request: Request, before: dict[str, object], *fields: str) -> None:
    chat = request.speaker.chat
    chat.save(update_fields=list(fields))
    release_held(chat, request.now)
    after = {field: _plain(getattr(chat, field)) for field in fields}
    record_audit(
        "telegram.wishes_changed",
        user=request.speaker.user,
        subject=chat,
        before={name: _plain(value) for name, value in before.items()},
        after=after,
        source=BOT,
    )


def _plain(value: object) -> object:
    if isinstance(value, datetime | time | Decimal | UUID):
        return str(value)
    return [_plain(item) for item in value] if isinstance(value, list) else value
