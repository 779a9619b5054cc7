"""What a person may do to accounts and orders from the admin. Each step is the product's own function, never a write.

The previews order nothing: closing shows the plan of this moment, and plans anew when it is confirmed.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from asgiref.sync import async_to_sync
from django import forms
from django.http import HttpRequest
from redis import RedisError
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts.closing import carry_out, key_of, load_closing, load_prices
from accounts.models import Account, Order, Position
from accounts.order_lists import IN_FLIGHT_NAMES
from accounts.registration import change_account_state
from accounts.trade import cancel_order
from accounts.unknowns import LEAST_TEXT, Evidence, Found, load_unknown, resolve_unknown
from identity.admin_actions import Apply, Given, ReasonedAction, ReasonForm
from identity.back_office import ADMIN_SOURCE, cents, counted, person_of, plain
from markets.querysets import load_titles
from trading.enums import TradingState
from trading.values import ZERO

WORDS = {
    Found.NEVER_ARRIVED: "It never arrived at the venue",
    Found.REFUSED: "The venue refused it",
    Found.RESTING: "It rests on the venue's book",
    Found.ENDED: "It was there and is over: cancelled, expired or invalidated",
}


def change_state(state: TradingState, sentence: str) -> Apply:
    """An action's step for one account."""

    def apply(request: HttpRequest, account: Account, given: Given) -> str:
        change_account_state(account.pk, state, by=person_of(request), reason=given["reason"], source=ADMIN_SOURCE)
        return f"{account.name} {sentence}"

    return apply


def tell_standing(account: Account, given: Given) -> Iterable[str]:
    """What the account has open, for whoever is about to change its state."""
    resting = Order.objects.filter(account=account, status__in=IN_FLIGHT_NAMES).count()
    held = Position.objects.filter(account=account, size__gt=0).count()
    flying = f"{counted(resting, 'order')} in flight, {counted(held, 'holding')}"
    yield f"{account.state} now, {account.connection}; {flying}"


class ClosingForm(ReasonForm):
    """How far below the best bid a holding may be sold."""

    looks_again = True

    max_slippage = forms.DecimalField(
        label="Sell at most this far below the best bid",
        min_value=Decimal(0),
        max_value=Decimal("0.5"),
        initial=Decimal("0.05"),
        decimal_places=4,
        max_digits=6,
        widget=UnfoldAdminDecimalFieldWidget,
        help_text="Per share, in collateral. Look again to see what another figure comes to.",
    )


def plan_closing(account: Account, given: Given) -> Iterator[str]:
    """The dry run: every order it would ask for, what that would bring, and what it would leave."""
    closing = async_to_sync(load_closing)(account, given["max_slippage"], "dry run")
    if account.state == TradingState.HALTED:
        yield "Halted: nothing of it is sold while it is. Let it only reduce first."
    if cancels := len(closing.cancels):
        yield f"{counted(cancels, 'order')} {'is' if cancels == 1 else 'are'} taken off the book"
    priced = load_prices(closing.sales)
    for one in priced:
        sale = one.sale
        yield f"sell {plain(sale.shares)} {sale.side} at {plain(sale.price)} or better in {one.title}"
    for position, why in closing.left:
        yield f"stays: {plain(position.size)} {position.outcome} in {position.market}: {why}"
    if priced:
        least = sum((one.brings for one in priced), ZERO)
        yield f"Sold in full, this brings at least {cents(least)} in collateral, the venue's fees taken off."
    elif not closing.left:
        yield "It holds nothing." if cancels else "It has no orders and holds nothing: there is nothing to close."


def close_account(request: HttpRequest, account: Account, given: Given) -> str:
    """Plan anew from the books of this moment, and order it."""
    closing = async_to_sync(load_closing)(account, given["max_slippage"], given["reason"])
    sold = carry_out(closing, person_of(request), given["reason"], source=ADMIN_SOURCE)
    titles = load_titles({key_of(done.sale) for done in sold if done.refusal})
    refused = [
        f"{titles.get(key_of(done.sale)) or done.sale.market_id}: {done.refusal}" for done in sold if done.refusal
    ]
    wishes = f"{counted(len(closing.cancels), 'cancel')} and {counted(len(sold) - len(refused), 'sale')}"
    asked = f"{account.name}: {wishes} asked for"
    left = f"; {counted(len(closing.left), 'holding')} left as before" if closing.left else ""
    return f"{asked}{left}{'; refused: ' + '; '.join(refused) if refused else ''}."


ACCOUNT_ACTIONS = (
    ReasonedAction(
        "halt_accounts", "Disable (halt)", change_state(TradingState.HALTED, "sends nothing from now on."),
        preview=tell_standing,
        warning="These send no orders until enabled again. Orders at the venue stay there.",
    ),
    ReasonedAction(
        "reduce_accounts", "Only reduce", change_state(TradingState.REDUCING, "only lowers exposure from now on."),
        preview=tell_standing,
        warning="Only orders that lower a holding leave. A hedge that would open or raise one stays owed.",
    ),
    ReasonedAction(
        "activate_accounts", "Enable (activate)", change_state(TradingState.ACTIVE, "trades from now on."),
        preview=tell_standing,
        warning="These send orders again from the next event on.",
    ),
    ReasonedAction(
        "close_accounts", "Close all positions", close_account, form=ClosingForm, preview=plan_closing, is_grave=True,
        warning="A dry run of this moment is below; nothing is ordered yet. Confirming plans anew from the books then"
        " and lets these accounts only reduce until a person enables them again.",
    ),
)  # fmt: skip


def ask_cancel(request: HttpRequest, order: Order, given: Given) -> str:
    """An action's step for one order."""
    try:
        asked = cancel_order(order.pk, person_of(request), given["reason"], source=ADMIN_SOURCE)
    except RedisError:
        raise ValueError("the bus is away; the wish is on its row, and the recovery asks within seconds") from None
    if not asked:
        raise ValueError(f"it is {order.status}: there is nothing to cancel")
    return f"{order}: the engine is asked to cancel it. Its status tells when the venue has."


def tell_order(order: Order, given: Given) -> Iterable[str]:
    """Whose it is and how far it is."""
    yield f"{order.account}, {order.market}: {order.status}, {plain(order.filled)} of {plain(order.size)} filled"


class EvidenceForm(ReasonForm):
    """How a person knows what became of an order. The reason says where they looked and what they saw."""

    found = forms.ChoiceField(
        label="What became of it?",
        choices=[("", "–"), *((found.value, words) for found, words in WORDS.items())],
        widget=UnfoldAdminSelectWidget,
        help_text="Nobody can say it filled: fills are facts of their own and come in by the reconcile.",
    )
    reference = forms.CharField(
        label="What can be looked up",
        required=False,
        max_length=80,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
        help_text="The venue's order id, a transaction hash or a ticket. Not needed for what never arrived.",
    )

    reason = forms.CharField(
        label="Where did you look, and what did you see?",
        min_length=LEAST_TEXT,
        max_length=255,
        widget=UnfoldAdminTextInputWidget(attrs={"autofocus": True, "autocomplete": "off"}),
    )

    def clean(self) -> dict[str, Any]:
        """What the resolving would refuse is refused here, where what was typed is kept."""
        data: dict[str, Any] = super().clean() or {}
        found = data.get("found")
        if found and found != Found.NEVER_ARRIVED and not data.get("reference") and "reference" not in self.errors:
            self.add_error(
                "reference", "Give what can be looked up: the venue's order id, a transaction hash or a ticket."
            )
        return data


def tell_question(order: Order, given: Given) -> Iterable[str]:
    """Whose it is and where, and what is known of it."""
    yield f"{order.account} on {order.account.get_platform_display()}, {order.market}"
    found = [question for question in load_unknown() if question.order.pk == order.pk]
    yield from found[0].known if found else [f"It is {order.status}: there is nothing to resolve."]


def resolve(request: HttpRequest, order: Order, given: Given) -> str:
    """An action's step for one order."""
    evidence = Evidence(Found(given["found"]), given["reason"], given["reference"])
    after = resolve_unknown(order.pk, evidence, person_of(request), source=ADMIN_SOURCE)
    return f"{order} is {after.status}. What it was to hedge is decided anew."


ORDER_ACTIONS = (
    ReasonedAction(
        "cancel_orders", "Cancel at the venue", ask_cancel, preview=tell_order,
        warning="The venue is asked to take these off its book. What fills before that stays filled.",
    ),
    ReasonedAction(
        "resolve_orders", "Resolve with evidence", resolve, form=EvidenceForm, preview=tell_question,
        warning="Only for orders nobody knows the fate of, and only once you know: until then they count as in flight.",
    ),
)  # fmt: skip
