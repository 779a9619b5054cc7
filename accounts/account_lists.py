"""The fleet as the Accounts page asks for it. Each function is one query, at any number of accounts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db.models import Case, F, Q, Sum, When
from django.db.models.functions import Abs

from accounts.models import Account, Position, SealedSecret
from accounts.querysets import load_fill_counts, load_realized
from accounts.scope import in_scope
from identity.callers import Caller
from trading.enums import Outcome, Platform, TradingState
from trading.values import ZERO
from web.requests import read_words

FILTERS = ("q", "platform", "state", "connection", "tag")


@dataclass(frozen=True)
class FleetFilter:
    """Which accounts the page wants; an empty field asks for nothing."""

    q: str = ""
    platform: str = ""
    state: str = ""
    connection: str = ""
    tag: str = ""

    @classmethod
    def read(cls, given: Mapping[str, str]) -> "FleetFilter":
        """The filter of a request's query."""
        return cls(**read_words(given, FILTERS, most=64))

    def where(self) -> Q:
        """The condition on accounts."""
        wanted = Q()
        if self.q:
            wanted &= Q(name__icontains=self.q) | Q(address__icontains=self.q)
        if self.platform in set(Platform):
            wanted &= Q(platform=self.platform)
        if self.state in set(TradingState):
            wanted &= Q(state=self.state)
        if self.connection in Account.Connection.values:
            wanted &= Q(connection=self.connection)
        if self.tag:
            wanted &= Q(tags__contains=[self.tag])
        return wanted


@dataclass(frozen=True)
class AccountRow:
    """One account as the fleet table shows it. `net` is Σ |yes − no| shares over its markets."""

    account: Account
    net: Decimal
    realized: Decimal
    fills_today: int
    sealed: tuple[str, ...]

    @property
    def free(self) -> Decimal:
        free: Decimal = self.account.collateral - self.account.reserved
        return free

    @property
    def has_key(self) -> bool:
        return SealedSecret.Kind.PRIVATE_KEY.value in self.sealed


def load_rows(wanted: FleetFilter, now: datetime, visitor: Caller) -> list[AccountRow]:
    """The accounts it wants and the visitor may see, by name. Five queries."""
    seen = in_scope(Account.objects.filter(wanted.where()), visitor, "")
    accounts = list(seen.defer("notes").order_by("name")[:1_000])
    nets, realized, sealed = load_nets(), load_realized(), load_sealed()
    fills = load_fill_counts(now.replace(hour=0, minute=0, second=0, microsecond=0))
    return [
        AccountRow(
            account,
            nets.get(account.pk, ZERO),
            realized.get(account.pk, ZERO),
            fills.get(account.pk, 0),
            sealed.get(account.pk, ()),
        )
        for account in accounts
    ]


def load_nets() -> dict[UUID, Decimal]:
    """Per account the shares that one side of its markets has more than the other."""
    signed = Case(When(outcome=Outcome.YES.value, then=F("size")), default=-F("size"))
    rows = Position.objects.exclude(size=0).order_by().values("account_id", "market_id").annotate(net=Sum(signed))
    nets: dict[UUID, Decimal] = {}
    for account_id, net in rows.annotate(gross=Abs("net")).values_list("account_id", "gross"):
        nets[account_id] = nets.get(account_id, ZERO) + net
    return nets


def load_sealed() -> dict[UUID, tuple[str, ...]]:
    """Which kinds of secrets each account has sealed; never the secrets."""
    found: dict[UUID, tuple[str, ...]] = {}
    for account_id, kind in SealedSecret.objects.order_by("kind").values_list("account_id", "kind"):
        found[account_id] = (*found.get(account_id, ()), kind)
    return found


def load_tags(visitor: Caller) -> list[str]:
    """Every tag in use on the accounts the visitor may see."""
    tagged = in_scope(Account.objects.exclude(tags=[]), visitor, "")
    return sorted({tag for tags in tagged.values_list("tags", flat=True) for tag in tags})
