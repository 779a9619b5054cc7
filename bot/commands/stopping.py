"""The emergency stop, and trading again.

The stop has threads of its own (`hands`), is not throttled, waits for no turn, and asks its questions even when their
figures do not come: what it needs is the desk's row and nothing else.
"""

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.template.defaultfilters import pluralize

from accounts import querysets as ledger
from accounts.levels import CANCELLING, FLATTEN, LEVELS, is_milder, label_of
from accounts.stop import lift_stop, pull_stop
from accounts.stop_preview import SENTENCES, load_progress, preview_stop
from bot.commands.registry import CONFIRM_LIFE, Request, action, ask_twice, command
from bot.hands import Lane
from bot.replies import Button, Reply, age, amount, bold, esc
from identity.models import AuditEntry
from identity.roles import Role
from strategies import querysets as strategies

BOT = AuditEntry.Source.BOT.value
PATIENCE_MS = 1000
"""How long a figure may take before the question is asked without it."""


@command("stop", Role.TRADER, "the emergency stop", usage="/stop [reason]", lane=Lane.STOP)
def stop(request: Request) -> Reply:
    """What a stop would touch, with a button for each level."""
    desk = ledger.load_desk()
    already = (
        f"It is already stopped ({esc(label_of(desk.level))}), by {esc(desk.changed_by)}.\n" if desk.stopped else ""
    )
    levels = [level for level in LEVELS if not (desk.stopped and is_milder(level, desk.level))]
    text = (
        f"{bold('Stop the desk?')} ({settings.MODE.value.upper()})\n{already}{_count_touched(request)}\n"
        + "\n".join(f"{bold(label_of(level))}: {esc(SENTENCES.get(level, ''))}" for level in levels)
    )
    reason = request.rest or "from Telegram"
    buttons = [
        Button(f"{label_of(level)}…", "stop_level", {"level": level, "reason": reason}, True, CONFIRM_LIFE)
        for level in levels
    ]
    rows = [buttons[i : i + 2] for i in range(0, len(buttons), 2)]
    return Reply(text, buttons=[*rows, [Button("Keep trading", "dismiss")]], is_urgent=True)


@action("stop_level", Role.TRADER, lane=Lane.STOP)
def stop_level(request: Request) -> Reply:
    """The second question: exactly what this level would do now."""
    level = request.arguments["level"]
    yes = Button("Yes: stop now", "stop_now", dict(request.arguments), is_once=True, life=CONFIRM_LIFE)
    return Reply(
        f"{bold(label_of(level))}: {esc(SENTENCES.get(level, ''))}\n{_preview(request, level)}\n"
        "So it stays until an admin lifts it.\n"
        f"{bold('Are you sure?')} This question ends in {CONFIRM_LIFE.seconds} s.",
        buttons=[[yes, Button("Keep trading", "dismiss")]],
        is_urgent=True,
    )


@action("stop_now", Role.TRADER, lane=Lane.STOP)
def stop_now(request: Request) -> Reply:
    """Stop, and say who confirmed. When this answers, no further order leaves."""
    level = request.arguments["level"]
    try:
        receipt = pull_stop(level, request.speaker.user, request.arguments["reason"], source=BOT)
    except ValueError as error:
        return Reply(f"Not changed: {esc(error)}", is_urgent=True)
    late = f"\nNo word from {esc(', '.join(receipt.expired))}: their leases have run out." if receipt.expired else ""
    heard = len(receipt.confirmed)
    confirmed = f"{heard} engine{pluralize(heard)} confirmed after {receipt.waited_ms} ms."
    far = [Button("How far it is", "stop_progress")] if level in CANCELLING else []
    return Reply(
        f"🛑 {bold('Stopped.')} {esc(label_of(level))}: {confirmed}{late}",
        buttons=[far, [Button("Status", "status"), Button("Trade again…", "resume")]],
        is_urgent=True,
    )


@action("stop_progress", Role.VIEWER, lane=Lane.URGENT)
def stop_progress(request: Request) -> Reply:
    """How far the stop in force has come."""
    far = load_progress()
    if not far.level:
        return Reply("The desk is not stopped.", is_urgent=True)
    lines = [
        f"🛑 {bold(label_of(far.level))}, since {age(far.since, request.now)}",
        f"Orders still at the venues: {far.resting}, of them asked to be cancelled: {far.cancelling}",
    ]
    if far.level == FLATTEN:
        lines.append(f"Holdings: {far.holdings}, closing orders at the venues: {far.closing}")
    lines.append("✅ It is done." if far.is_done else "It is not done yet.")
    buttons = [[Button("Refresh", "stop_progress"), Button("Status", "status")]]
    return Reply("\n".join(lines), buttons=buttons, is_urgent=True)


@command("resume", Role.ADMIN, "lift the stop", usage="/resume [reason]", lane=Lane.URGENT)
def resume(request: Request) -> Reply:
    """Show why the desk is stopped, and ask."""
    desk = ledger.load_desk()
    if not desk.stopped:
        return Reply("The desk is not stopped.", is_urgent=True)
    active = strategies.count_active_strategies()
    text = (
        f"{bold('Trade again?')} ({settings.MODE.value.upper()})\nStopped {age(desk.changed_at, request.now)} ago by "
        f"{esc(desk.changed_by)}: {esc(desk.reason)}\n"
        f"{active} strateg{pluralize(active, 'y,ies')} will hedge what is owed at once."
    )
    return ask_twice(text, "Trade again", "resume_now", {"reason": request.rest or "from Telegram"}, is_urgent=True)


@action("resume_now", Role.ADMIN, lane=Lane.URGENT)
def resume_now(request: Request) -> Reply:
    """Lift the stop."""
    lift_stop(request.speaker.user, request.arguments["reason"], source=BOT)
    return Reply(f"✅ {bold('The desk trades again.')}", buttons=[[Button("Status", "status")]], is_urgent=True)


def _count_touched(request: Request) -> str:
    try:
        with transaction.atomic():
            _hurry()
            leases, flying = ledger.load_fresh_leases(request.now), ledger.count_in_flight()
            return (
                f"Engines that must confirm: {len(leases)}\n"
                f"Active strategies: {strategies.count_active_strategies()}\n"
                f"Active accounts: {ledger.count_active_accounts()}\n"
                f"Orders still at the venues: {sum(flying.values())}, of them unknown: {flying.get('unknown', 0)}"
            )
    except DatabaseError:
        return "⚠️ The figures do not come in time. The stop works without them."


def _preview(request: Request, level: str) -> str:
    try:
        with transaction.atomic():
            _hurry()
            seen = preview_stop(level, request.now)
    except DatabaseError:
        return "⚠️ The figures do not come in time. The stop works without them."
    resting = f"{seen.resting} order{pluralize(seen.resting)} at the venues, worth {seen.resting_value:,.2f} USDT"
    stays = "it stays" if seen.resting == 1 else "they stay"
    lines = [
        f"Orders on their way that will not leave: {seen.held_back}",
        f"{resting}: {'each will be cancelled' if seen.is_cancelling else f'{stays} and may fill'}.",
    ]
    if level == FLATTEN:
        shares = f"{amount(seen.shares)} share{pluralize(seen.shares)}"
        lines.append(f"{seen.holdings} holding{pluralize(seen.holdings)}, {shares}, will be sold.")
        if seen.halted_holders:
            lines.append(f"⚠️ Halted, and sold all the same: {esc(', '.join(seen.halted_holders[:10]))}")
        if seen.unreachable_holders:
            lines.append(f"⚠️ No key or no connection, so not sold yet: {esc(', '.join(seen.unreachable_holders[:10]))}")
    return "\n".join(lines)


def _hurry() -> None:
    """Let no statement of this transaction take long."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL statement_timeout = {PATIENCE_MS}")
