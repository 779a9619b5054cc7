"""What holds for the whole desk, in the admin: the emergency stop with its levels, states of desk and venues, limits.

Each shows what it would touch, then asks for a reason. Lifting a stop and changing limits need an admin.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from django import forms
from django.http import HttpRequest

from accounts.levels import FLATTEN, LEVELS, label_of
from accounts.models import Account, Desk, Order
from accounts.order_lists import IN_FLIGHT_NAMES
from accounts.states import change_desk_state, change_market_limit, change_venue_state
from accounts.stop import lift_stop, pull_stop
from accounts.stop_preview import SENTENCES, preview_levels
from identity.admin_actions import Apply, Given, ReasonedAction, ReasonForm
from identity.back_office import ADMIN_SOURCE, cents, counted, person_of, plain, trimmed
from identity.roles import Role
from markets.fields import choices
from markets.models import Market, MarketLimit, VenueState
from trading.enums import Platform, TradingState

ANY = ("any number of shares", "any price")
LIMITS = ("max_position", "price_band")


class LevelForm(ReasonForm):
    """How hard to stop. Nothing is chosen beforehand."""

    level = forms.ChoiceField(
        label="Level, from the mildest to the strictest",
        choices=[(level, f"{label_of(level)}. {SENTENCES.get(level, '')}".strip()) for level in LEVELS],
        widget=forms.RadioSelect,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].widget.attrs.pop("autofocus", None)


def tell_levels(desk: Desk, given: Given) -> Iterable[str]:
    """What there is at this moment, and what each level would touch of it. What a level means stands at its choice."""
    previews = preview_levels()
    one = previews[0]
    yield (
        f"At the venues, resting or of unknown outcome: {counted(one.resting, 'order')},"
        f" {cents(one.resting_value)} in collateral left of {'it' if one.resting == 1 else 'them'}"
        if one.resting
        else "At the venues, resting or of unknown outcome: no orders"
    )
    for told in previews:
        touched = f"{counted(told.held_back, 'order')} held back"
        if told.is_cancelling:
            touched += f", {counted(told.resting, 'order')} taken off the book"
        if told.level == FLATTEN:
            held = f"{counted(told.holdings, 'holding')} of {plain(told.shares)} shares"
            touched += f", {held} sold" if told.holdings else ", no holdings to sell"
        if told.halted_holders:
            touched += f"; {', '.join(told.halted_holders)} too, though halted"
        if told.unreachable_holders:
            touched += f"; not yet {', '.join(told.unreachable_holders)}, without a key or a connection"
        yield f"{label_of(told.level)}: {touched}"
    yield f"Waits for the word of: {', '.join(one.engines) or 'nobody, no engine is running'}"


def stop(request: HttpRequest, desk: Desk, given: Given) -> str:
    """Pull it. A milder level than the one in force is refused with a ValueError."""
    receipt = pull_stop(given["level"], person_of(request), given["reason"], source=ADMIN_SOURCE)
    confirmed = counted(len(receipt.confirmed), "engine")
    told = f"Stopped, {label_of(receipt.level)}: {confirmed} confirmed after {receipt.waited_ms} ms."
    silent = ", ".join(receipt.expired)
    return f"{told} These gave no word, and their leases have run out: {silent}." if silent else told


def lift(request: HttpRequest, desk: Desk, given: Given) -> str:
    """Trade again."""
    generation = lift_stop(person_of(request), given["reason"], source=ADMIN_SOURCE)
    return f"The stop is lifted: the desk trades again, generation {generation}."


def tell_desk(desk: Desk, given: Given) -> Iterable[str]:
    """How it stands now; of a stop or its lifting also why and by whom, as far as the row says."""
    level = f" ({label_of(desk.level)})" if desk.level else ""
    by = f"by {desk.changed_by}" if desk.changed_by else ""
    why = "" if desk.is_reducing else ", ".join(part for part in (desk.reason, by) if part)
    yield f"{desk.standing.capitalize()}{level}{'; ' if why else ''}{why}"


def change_desk(state: TradingState, sentence: str) -> Apply:
    """An action's step for the desk."""

    def apply(request: HttpRequest, desk: Desk, given: Given) -> str:
        change_desk_state(state, by=person_of(request), reason=given["reason"], source=ADMIN_SOURCE)
        return sentence

    return apply


class VenueForm(ReasonForm):
    """Which venue, and what it may do from now on."""

    platform = forms.ChoiceField(label="Venue", choices=choices(Platform))
    state = forms.ChoiceField(choices=[("", "–"), *choices(TradingState)])


def change_venue(request: HttpRequest, desk: Desk, given: Given) -> str:
    """An action's step for one venue; it may have no row yet."""
    person = person_of(request)
    row = change_venue_state(given["platform"], given["state"], by=person, reason=given["reason"], source=ADMIN_SOURCE)
    return f"{row.platform} is {row.state} from the next order on."


def tell_venues(desk: Desk, given: Given) -> Iterable[str]:
    """How each stands now."""
    states = dict(VenueState.objects.values_list("platform", "state"))
    for platform in Platform:
        accounts = Account.objects.filter(platform=platform.value).count()
        flying = Order.objects.filter(account__platform=platform.value, status__in=IN_FLIGHT_NAMES).count()
        state = states.get(platform.value, TradingState.ACTIVE.value)
        yield f"{platform.value}: {state} now; {counted(accounts, 'account')}, {counted(flying, 'order')} in flight"


class MarketLimitForm(ReasonForm):
    """What all accounts together may do in a market. Empty: what holds for every market."""

    max_position = forms.DecimalField(
        label="Most shares of one outcome", required=False, min_value=Decimal(0), max_digits=38, decimal_places=18
    )
    price_band = forms.DecimalField(
        label="Furthest a price may lie from the mark", required=False, min_value=Decimal(0), max_value=Decimal(1),
        max_digits=20, decimal_places=18,
    )  # fmt: skip


def limit_market(request: HttpRequest, market: Market, given: Given) -> str:
    """An action's step for one market."""
    person = person_of(request)
    limits = {name: given[name] for name in LIMITS}
    row = change_market_limit(market.pk, **limits, by=person, reason=given["reason"], source=ADMIN_SOURCE)
    return f"{market}: {tell_row(row)}."


def limit_every_market(request: HttpRequest, desk: Desk, given: Given) -> str:
    """The row without a market: what holds wherever a market has no figure of its own."""
    person = person_of(request)
    limits = {name: given[name] for name in LIMITS}
    row = change_market_limit(None, **limits, by=person, reason=given["reason"], source=ADMIN_SOURCE)
    return f"Every market: {tell_row(row)}."


def tell_limit(market: Market, given: Given) -> Iterable[str]:
    """What holds there now."""
    yield f"now: {tell_row(load_limit(market))}; the mark is {plain(market.mark)}"


def tell_every_limit(desk: Desk, given: Given) -> Iterable[str]:
    """What holds in every market now."""
    yield f"now: {tell_row(load_limit(None) or MarketLimit())}"


def load_limit(market: Market | None) -> MarketLimit | None:
    """The market's own row; for None that of every market."""
    return MarketLimit.objects.filter(market=market).first()


def tell_row(row: MarketLimit | None) -> str:
    """A limit in words. What a market's own row leaves empty is that of every market, there it is no limit."""
    if row is None:
        return "no limit of its own"
    own = row.market_id is not None
    shares, price = ("shares as in every market", "price as in every market") if own else ANY
    shares = shares if row.max_position is None else f"at most {plain(row.max_position)} shares"
    return f"{shares}, {price if row.price_band is None else f'at most {plain(row.price_band)} from the mark'}"


def begin_limit(market: Market) -> Given:
    """The market's present figures."""
    return figures_of(load_limit(market))


def begin_every_limit(desk: Desk) -> Given:
    """The present figures of every market."""
    return figures_of(load_limit(None))


def figures_of(row: MarketLimit | None) -> Given:
    """What a form begins with; empty where there is no limit."""
    return {name: trimmed(getattr(row, name, None)) for name in LIMITS}


DESK_ACTIONS = (
    ReasonedAction(
        "stop_desk", "Emergency stop", stop, form=LevelForm, preview=tell_levels, is_grave=True,
        warning="Once this page answers, no process sends anything the level forbids. The stop outlives restarts;"
        " only an admin lifts it.",
    ),
    ReasonedAction(
        "lift_stop", "Lift the stop", lift, role=Role.ADMIN, preview=tell_desk,
        warning="Orders leave again at once, and what is owed is hedged.",
    ),
    ReasonedAction(
        "reduce_desk", "Only reduce", change_desk(TradingState.REDUCING, "Every account only lowers exposure now."),
        preview=tell_desk,
        warning="Only orders that lower a holding leave, on every account. A hedge that would open or raise one stays"
        " owed.",
    ),
    ReasonedAction(
        "activate_desk", "Activate", change_desk(TradingState.ACTIVE, "The desk is active, unless a stop holds it."),
        preview=tell_desk,
        warning="Every active account sends orders again from the next event on, unless a stop holds the desk.",
    ),
    ReasonedAction(
        "change_venue", "Change a venue's state", change_venue, form=VenueForm, preview=tell_venues,
        warning="Holds for every account at that venue, from the next order on.",
    ),
    ReasonedAction(
        "limit_every_market", "Limit every market", limit_every_market, role=Role.ADMIN, form=MarketLimitForm,
        preview=tell_every_limit, begin=begin_every_limit,
        warning="Holds for all accounts together wherever a market has no figure of its own. Empty: no limit.",
    ),
)  # fmt: skip
MARKET_ACTIONS = (
    ReasonedAction(
        "limit_markets", "Limit", limit_market, role=Role.ADMIN, form=MarketLimitForm, preview=tell_limit,
        begin=begin_limit,
        warning="Holds for all accounts together, from the next order on. A figure left empty is that of every market.",
    ),
)  # fmt: skip
