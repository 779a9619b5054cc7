"""The order ticket: what a person asks for, checked like the order itself, and what it would come to.

Nothing is ordered by looking. The preview says what the engine will judge; only the engine's word counts.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from django import forms
from django.db.models import QuerySet

from accounts.models import Account, Desk
from accounts.scope import in_scope
from accounts.trade import check_order
from identity.callers import Caller
from markets.fields import choices
from markets.models import Market
from markets.querysets import find_market, load_picks
from trading.commands import PlaceOrder
from trading.enums import Action, FeeKind, OrderType, Outcome, Platform, TradingState
from trading.errors import InvalidValue
from trading.fees import taker_fee
from trading.values import exact

PICKER = {
    "list": "market-picks",
    "hx-get": "/markets/picks",
    "hx-trigger": "input changed delay:150ms",
    "hx-target": "#market-picks",
}
"""A text field that offers markets while somebody types. Without JavaScript it offers the first ones."""


class TicketForm(forms.Form):
    """One order. `client_order_id` is made with the form, so that pressing twice is one order."""

    account = forms.ModelChoiceField(Account.objects.none(), empty_label="Choose an account")
    market = forms.CharField(
        max_length=300, label="Market", help_text="Type a part of its title and choose, or give its key or exact title."
    )
    side = forms.ChoiceField(choices=choices(Outcome), label="Outcome")
    action = forms.ChoiceField(choices=choices(Action))
    price = forms.DecimalField(max_digits=38, decimal_places=18, label="Limit price, USDT per share")
    shares = forms.DecimalField(max_digits=38, decimal_places=18)
    order_type = forms.ChoiceField(choices=choices(OrderType), label="Type", initial=OrderType.LIMIT.value)
    post_only = forms.BooleanField(required=False, label="Only as a maker")
    reason = forms.CharField(min_length=3, max_length=200, label="Why?")
    client_order_id = forms.UUIDField(widget=forms.HiddenInput, initial=uuid4)

    def __init__(self, *args: Any, visitor: Caller, **kwargs: Any) -> None:
        """`visitor` orders on the accounts they may see."""
        super().__init__(*args, **kwargs)
        accounts: QuerySet[Account] = in_scope(Account.objects.defer("notes").order_by("name"), visitor, "")
        self.fields["account"].queryset = accounts  # type: ignore[attr-defined]
        for name in ("price", "shares"):
            self.fields[name].widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})
        for name in ("market", "reason"):
            self.fields[name].widget.attrs["autocomplete"] = "off"
        self.fields["market"].widget.attrs |= PICKER
        self.picks = load_picks("")

    def clean_market(self) -> str:
        """The key of the market that is meant; what names none is left for the trade path to refuse in its words."""
        typed: str = self.cleaned_data["market"]
        found = find_market(typed)
        return found.pk if found else typed

    def clean(self) -> dict[str, Any]:
        """Whatever the trade path would refuse is refused here, in its words."""
        data: dict[str, Any] = super().clean() or {}
        if not self.errors:
            try:
                check_order(self.command(data))
            except InvalidValue as error:
                self.add_error(None, str(error))
        return data

    def command(self, data: dict[str, Any]) -> PlaceOrder:
        """The command it stands for. Raises InvalidValue."""
        platform, _, market_id = data["market"].rpartition(":")
        account: Account = data["account"]
        known = Platform(platform) if platform in set(Platform) else Platform(account.platform)
        order_id: UUID = data["client_order_id"]
        return PlaceOrder(
            platform=known,
            account_id=str(account.pk),
            market_id=market_id if platform in set(Platform) else data["market"],
            side=Outcome(data["side"]),
            action=Action(data["action"]),
            price=data["price"].normalize(),
            shares=data["shares"].normalize(),
            order_type=OrderType(data["order_type"]),
            post_only=data["post_only"],
            reason=data["reason"],
            client_order_id=order_id,
        )


@dataclass(frozen=True)
class Preview:
    """What the order would come to, at its limit price. Amounts in collateral."""

    command: PlaceOrder
    account: Account
    market: Market
    notional: Decimal
    fee: Decimal
    """The most a taker pays, in collateral on a sell, in shares on a buy."""
    fee_is_shares: bool
    wins: Decimal
    """Profit if the outcome comes true (on a buy, fees off)."""
    warnings: list[str] = field(default_factory=list)

    @property
    def is_buy(self) -> bool:
        return self.command.action is Action.BUY


def preview(command: PlaceOrder, account: Account, market: Market, desk: Desk) -> Preview:
    """The preview of a command that `check_order` took. Pure."""
    with exact():
        notional = command.price * command.shares
        fee, kind = taker_fee(command.action, command.price, command.shares, market.fee_rate_bps)
        in_shares = kind is FeeKind.SHARES
        wins = (command.shares - fee if in_shares else command.shares) - notional
    return Preview(
        command=command,
        account=account,
        market=market,
        notional=notional,
        fee=fee,
        fee_is_shares=in_shares,
        wins=wins,
        warnings=find_warnings(command, account, desk, notional),
    )


def find_warnings(command: PlaceOrder, account: Account, desk: Desk, notional: Decimal) -> list[str]:
    """What the engine would deny it for, as far as can be seen from here."""
    found = []
    if desk.stopped:
        found.append(f"The desk is stopped: the engine will deny it. ({desk.reason})")
    if account.state == TradingState.HALTED.value:
        found.append("The account is halted: the engine will deny it.")
    if account.state == TradingState.REDUCING.value:
        found.append("The account only takes orders that reduce its position.")
    if account.connection != Account.Connection.CONNECTED:
        found.append(f"The account is {account.connection}: it may not reach its venue now.")
    if account.max_order is not None and command.shares > account.max_order:
        found.append(f"Its largest order is {account.max_order.normalize():f} shares: the engine will deny it.")
    free = account.collateral - account.reserved
    if command.action is Action.BUY and notional > free:
        found.append(f"It needs {notional:.2f} USDT, and the account has {free:.2f} free as of its last balance.")
    return found
