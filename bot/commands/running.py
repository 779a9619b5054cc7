"""Strategies: seeing them, starting and stopping them."""

from uuid import UUID

from django.db.models import Count, Q

from bot.commands.registry import Request, action, ask_twice, command, refuse_words
from bot.hands import Lane
from bot.replies import Button, Reply, age, bold, esc
from identity.models import AuditEntry
from identity.roles import Role
from strategies.config import ConfigError
from strategies.control import Actor, ControlError, start_strategy, stop_strategy
from strategies.models import Exposure, Strategy
from strategies.querysets import OPEN
from trading.enums import TradingState

HALTED = TradingState.HALTED.value


@command("strategies", Role.VIEWER, "all strategies", topic="Strategies")
def strategies(request: Request) -> Reply:
    """Each strategy with its state and what it owes; traders get buttons."""
    pairs = Count("pairs", filter=Q(pairs__enabled=True))
    rows = list(Strategy.objects.annotate(pair_count=pairs).order_by("name"))
    if not rows:
        return Reply("There are no strategies yet.")
    owing = dict(Exposure.objects.filter(OPEN).order_by().values_list("strategy_id").annotate(n=Count("id")))
    lines = [
        f"{'⏸' if row.state == HALTED else '▶️'} {bold(row.name)} · {esc(row.state)} · {row.pair_count} pairs · "
        f"{owing.get(row.pk, 0)} exposures open · changed {age(row.updated_at, request.now)} ago"
        + (f"\n   {esc(row.state_reason)}" if row.state_reason else "")
        for row in rows
    ]
    buttons = []
    if request.speaker.may(Role.TRADER):
        for row in rows[:10]:
            if row.state == HALTED:
                buttons.append([Button(f"Start {row.name}…", "strategy_start", {"strategy": str(row.pk)})])
            else:
                buttons.append([Button(f"Stop {row.name}…", "strategy_stop", {"strategy": str(row.pk)})])
    return Reply(f"{bold('Strategies')} ({len(rows)})\n" + "\n".join(lines), buttons=buttons)


@command(
    "strategy_start", Role.TRADER, "start one", usage="/strategy_start <name>", topic="Strategies", lane=Lane.URGENT
)
def ask_start(request: Request) -> Reply:
    """Say what starts, and ask."""
    found = find_strategy(request)
    if found is None:
        return refuse_words(request, "strategy_start", "There is no such strategy.")
    owed = Exposure.objects.filter(OPEN, strategy=found).count()
    text = f"{bold(f'Start {found.name}?')}\nFrom the next event on it hedges; {owed} exposures are open now."
    return ask_twice(text, "Start", "strategy_start_now", {"strategy": str(found.pk)}, is_urgent=True)


@action("strategy_start_now", Role.TRADER, lane=Lane.URGENT)
def start_now(request: Request) -> Reply:
    """Start it, or say why not."""
    try:
        found = start_strategy(UUID(request.arguments["strategy"]), by=_actor(request), reason="from Telegram")
    except (ControlError, ConfigError) as error:
        return Reply(f"Not started: {esc(error)}", is_urgent=True)
    return Reply(f"▶️ {bold(found.name)} is {esc(found.state)}.", is_urgent=True)


@command("strategy_stop", Role.TRADER, "stop one", usage="/strategy_stop <name>", topic="Strategies", lane=Lane.URGENT)
def ask_stop(request: Request) -> Reply:
    """Say what stops, and ask; with a choice to let it only reduce."""
    found = find_strategy(request)
    if found is None:
        return refuse_words(request, "strategy_stop", "There is no such strategy.")
    owed = Exposure.objects.filter(OPEN, strategy=found).count()
    text = (
        f"{bold(f'Stop {found.name}?')}\nFrom the next event on it orders nothing; {owed} open exposures stay "
        "unhedged. Its resting orders stay out and can still fill."
    )
    return ask_twice(text, "Stop", "strategy_stop_now", {"strategy": str(found.pk)}, is_urgent=True)


@action("strategy_stop_now", Role.TRADER, lane=Lane.URGENT)
def stop_now(request: Request) -> Reply:
    """Stop it."""
    try:
        found = stop_strategy(UUID(request.arguments["strategy"]), by=_actor(request), reason="from Telegram")
    except ControlError as error:
        return Reply(f"Not stopped: {esc(error)}", is_urgent=True)
    return Reply(f"⏸ {bold(found.name)} is {esc(found.state)}.", is_urgent=True)


def find_strategy(request: Request) -> Strategy | None:
    """The one named by the button or typed; the only one there is needs no name."""
    if "strategy" in request.arguments:
        return Strategy.objects.filter(pk=request.arguments["strategy"]).first()
    rows = Strategy.objects.filter(name__iexact=request.rest) if request.rest else Strategy.objects.all()
    found = list(rows[:2])
    return found[0] if len(found) == 1 else None


def _actor(request: Request) -> Actor:
    return Actor(request.speaker.user, AuditEntry.Source.BOT.value)
