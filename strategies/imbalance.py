"""Whether the venue holds what the ledger says: asked of the venue itself, independently of whatever hedges.

The worker's task calls it every 30 s (`strategies.tasks`). One read proves nothing, since a fill may be on its way:
only what two reads apart both show is believed, told above a strategy's threshold, and halts it above its limit.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db import transaction
from django.db.models import Q, Sum

from accounts.holdings import APART, Booked, common, difference
from accounts.models import Account, Fill, Position
from alerts.conditions import key_of, resolve_others
from alerts.kinds import AlertKind
from alerts.raising import raise_alert
from markets.models import Market, market_key
from strategies.config import parse_config
from strategies.halting import stop_by_itself
from strategies.models import Imbalance, Pair, Strategy
from trading.enums import Action, MarketStatus, Settlement, Severity, TradingState
from trading.errors import InvalidValue
from trading.values import ZERO, text
from venues.contract import VenuePosition

Key = tuple[UUID, str, str]
"""Account, market, outcome."""


def check_imbalances(read: Mapping[UUID, Sequence[VenuePosition]], now: datetime) -> list[Imbalance]:
    """Compare a round of readings with the ledger, keep the differences, alert and halt; returns those believed."""
    accounts = {account.pk: account for account in Account.objects.filter(pk__in=list(read))}
    seen = _venue(read, accounts)
    booked = _load_booked(list(accounts))
    resolved = set(
        Market.objects.filter(
            pk__in={key[1] for key in (*seen, *booked)}, status=MarketStatus.RESOLVED.value
        ).values_list("pk", flat=True)
    )
    found = {
        key: gap
        for key in seen.keys() | booked.keys()
        if key[1] not in resolved and (gap := difference(seen.get(key, ZERO), booked.get(key, Booked())))
    }
    with transaction.atomic():
        believed = _record(found, accounts.keys(), seen, booked, now)
    for row in believed:
        _tell(row, accounts[row.account_id], now)
    still = [key_of(AlertKind.IMBALANCE, _key(row)) for row in Imbalance.objects.all()]
    resolve_others(AlertKind.IMBALANCE, still, now)
    return believed


def _key(row: Imbalance) -> str:
    return f"{row.account_id}:{row.market_key}:{row.outcome}"


def _venue(read: Mapping[UUID, Sequence[VenuePosition]], accounts: Mapping[UUID, Account]) -> dict[Key, Decimal]:
    held: dict[Key, Decimal] = {}
    for account_id, account in accounts.items():
        for position in read[account_id]:
            key = (account_id, market_key(account.platform, position.market_id), position.outcome.value)
            held[key] = held.get(key, ZERO) + position.size
    return held


def _load_booked(accounts: Sequence[UUID]) -> dict[Key, Booked]:
    flying = (
        Fill.objects.filter(account_id__in=accounts, settlement=Settlement.MATCHED.value)
        .order_by()
        .values_list("account_id", "market_id", "outcome")
        .annotate(
            coming=Sum("size", filter=Q(action=Action.BUY.value)), going=Sum("size", filter=Q(action=Action.SELL.value))
        )
    )
    moving = {
        (account, market, outcome): (coming or ZERO, going or ZERO)
        for account, market, outcome, coming, going in flying
    }
    rows = Position.objects.filter(account_id__in=accounts).values_list("account_id", "market_id", "outcome", "size")
    sizes: dict[Key, Decimal] = {(account, market, outcome): size for account, market, outcome, size in rows}
    booked: dict[Key, Booked] = {}
    for key in sizes.keys() | moving.keys():
        coming, going = moving.get(key, (ZERO, ZERO))
        booked[key] = Booked(sizes.get(key, ZERO), coming, going)
    return booked


def _record(
    found: Mapping[Key, Decimal],
    accounts: Iterable[UUID],
    seen: Mapping[Key, Decimal],
    booked: Mapping[Key, Booked],
    now: datetime,
) -> list[Imbalance]:
    """The differences as rows; what is gone is removed. Gives those that two reads apart both show."""
    rows = Imbalance.objects.select_for_update().filter(account_id__in=list(accounts))
    known: dict[Key, Imbalance] = {(row.account_id, row.market_key, row.outcome): row for row in rows}
    gone = [row.pk for key, row in known.items() if key not in found]
    Imbalance.objects.filter(pk__in=gone).delete()
    believed: list[Imbalance] = []
    for key, gap in found.items():
        row = known.get(key)
        account_id, market, outcome = key
        if row is None:
            row = Imbalance(account_id=account_id, market_key=market, outcome=outcome, first_seen_at=now, read_at=now)
        elif now - row.read_at < APART:
            continue
        else:
            row.believed, row.read_at, row.reads = common(row.difference, gap), now, row.reads + 1
        row.difference = gap
        row.at_venue, row.in_ledger = seen.get(key, ZERO), booked.get(key, Booked()).size
        row.save()
        if row.believed:
            believed.append(row)
    return believed


def _tell(row: Imbalance, account: Account, now: datetime) -> None:
    """Alert and halt as the strategies that trade on this account ask for."""
    amount = abs(row.believed)
    said = (
        f"The venue holds {text(row.at_venue)} {row.outcome}, the ledger says {text(row.in_ledger)}: "
        f"{text(amount)} shares apart in {row.reads} reads."
    )
    market = Market.objects.filter(pk=row.market_key).first()
    for strategy in _strategies_of(account, row.market_key):
        try:
            config = parse_config(strategy.kind, strategy.config)
        except InvalidValue:
            continue
        halts = config.imbalance_halt is not None and amount >= config.imbalance_halt
        tells = config.imbalance_threshold is not None and amount >= config.imbalance_threshold
        if not (halts or tells):
            continue
        raise_alert(
            Severity.CRITICAL if halts else Severity.WARNING,
            AlertKind.IMBALANCE,
            f"{account.name} in {market or row.market_key}",
            said + (f" {strategy.name} is halted." if halts else ""),
            dedup_key=key_of(AlertKind.IMBALANCE, _key(row)),
            now=now,
        )
        if halts:
            stop_by_itself(strategy.pk, f"{account.name} in {market or row.market_key}: {said}")


def _strategies_of(account: Account, key: str) -> list[Strategy]:
    """Strategies that trade on the account in this market: by a pair, or as an alternate of their ladder."""
    pairs = Pair.objects.filter(enabled=True).filter(Q(primary=account) | Q(hedge=account))
    named = Q(config__ladder__contains=[{"account": account.name}])
    rows = Strategy.objects.filter(Q(pk__in=pairs.values("strategy_id")) | named).exclude(
        state=TradingState.HALTED.value
    )
    market_id = key.partition(":")[2]
    return [row for row in rows if not row.config.get("markets") or market_id in row.config["markets"]]
