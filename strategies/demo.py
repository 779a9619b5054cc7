"""The demo desk of paper mode: accounts in delta-neutral pairs, each pair with a market of its own.

`manage.py setup` makes it; the quoter and the rehearsal trade with it.

Its keys are fakes by construction: SHA-256 of a public sentence, a seed in the state folder and a number. They move
nothing but paper money, and every account made of them is tagged `demo` and in paper mode. Nothing here runs live.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import structlog
from django.conf import settings
from django.utils import timezone

from accounts.models import Account
from accounts.registration import register_account
from identity.models import AuditEntry
from markets.endpoints import load_endpoints
from markets.models import Market, market_key
from markets.sync import sync_markets
from strategies.config import DeltaNeutralConfig, config_json, parse_config
from strategies.control import Actor, create_strategy, reconfigure_strategy, replace_pairs, start_strategy
from strategies.models import Pair, Strategy
from strategies.paper_venue import PaperVenue, PaperVenueDown
from strategies.rungs import Rung, RungKind
from trading.enums import Mode, Platform
from trading.errors import VenueError

STRATEGY = "demo"
SENTENCE = b"hedgerow demo account: paper money only, never a real key"
OPENING = Decimal(1_000_000)
GRANT = "hedgerow demo desk"
MAX_LOSS = Decimal("0.06")
"""Wide enough to cross the simulated makers' book from either side with the taker's fee inside."""
LADDER = (
    Rung(kind=RungKind.JOIN, seconds=10),
    Rung(kind=RungKind.WIDER, seconds=10, max_loss=Decimal("0.12")),
    Rung(kind=RungKind.WIDER, max_loss=Decimal("0.30")),
)
"""A book that moved away while a hedge was on its way is followed: nothing stays unhedged on a paper desk."""
_ACTOR = Actor("demo desk", AuditEntry.Source.COMMAND)

log = structlog.get_logger()


class NotPaper(Exception):
    """Asked for in live mode."""


@dataclass(frozen=True)
class DemoPair:
    """One pair of the desk and the market it trades in (the venue's id)."""

    pair: Pair
    primary: Account
    hedge: Account
    market_id: str


def ensure_demo_desk(accounts: int = 10) -> Strategy:
    """The desk with at least this many accounts (an even number). Makes what is missing and changes nothing else:
    a strategy that a person stopped or reconfigured stays as it is. Raises NotPaper in live mode.

    A paper venue that is not up yet is no error: the quoter comes back to `settle_demo_desk` when it is.
    """
    _check_paper()
    if accounts < 2 or accounts % 2:
        raise ValueError(f"{accounts} accounts do not make pairs: give an even number, at least 2")
    strategy = _ensure_strategy(_ensure_pairs(accounts // 2))
    try:
        settle_demo_desk(PaperVenue(settings.PREDICT_API_URL))
    except PaperVenueDown:
        log.info("demo_desk_waits_for_its_venue")
    return strategy


def settle_demo_desk(venue: PaperVenue) -> None:
    """Fund the accounts, and give each pair a market of its own, at a venue that is up. Idempotent."""
    _check_paper()
    strategy = Strategy.objects.get(name=STRATEGY)
    pairs = _load_pairs(strategy)
    for pair in pairs:
        for account in (pair.primary, pair.hedge):
            venue.fund(account.address, OPENING, GRANT)
    config = parse_config(strategy.kind, strategy.config)
    if not config.markets and not _is_fresh(strategy):
        return
    missing = len(pairs) - len(config.markets)
    if missing > 0:
        free = [market_id for market_id in venue.load_markets() if market_id not in config.markets]
        free += [venue.open_market(f"Paper market {number + 1}") for number in range(len(free), missing)]
        markets = [*config.markets, *free[:missing]]
        changed = {**config_json(config), "markets": markets}
        reconfigure_strategy(strategy.pk, changed, by=_ACTOR, reason="a market for each pair")
    _sync_markets(load_demo_pairs())
    if _is_fresh(strategy):
        start_strategy(strategy.pk, by=_ACTOR, reason="the demo desk trades from the start")


def load_demo_pairs() -> list[DemoPair]:
    """The desk's pairs in order, with their markets; empty before it is settled."""
    strategy = Strategy.objects.filter(name=STRATEGY).first()
    if strategy is None:
        return []
    markets = parse_config(strategy.kind, strategy.config).markets
    return [
        DemoPair(pair, pair.primary, pair.hedge, market_id)
        for pair, market_id in zip(_load_pairs(strategy), markets, strict=False)
    ]


def demo_key(seed: bytes, number: int) -> bytes:
    """The fake private key of demo account `number`."""
    return sha256(SENTENCE + seed + number.to_bytes(4, "big")).digest()


def _ensure_pairs(count: int) -> list[tuple[Account, Account]]:
    known = {account.name: account for account in Account.objects.filter(name__startswith="demo-")}
    seed = _load_seed()
    found: list[Account] = []
    for number in range(2 * count):
        name = f"demo-{number // 2 + 1:02d}-{'hedge' if number % 2 else 'primary'}"
        account = known.get(name)
        if account is None:
            key = demo_key(seed, number)
            account = register_account(
                name=name,
                platform=Platform.PREDICT,
                private_key="0x" + key.hex(),
                tags=["demo"],
                notes="A paper account of the demo desk. Its key is a fake.",
                by=str(_ACTOR.who),
                source=_ACTOR.source,
            )
        found.append(account)
    return list(zip(found[::2], found[1::2], strict=True))


def _ensure_strategy(pairs: list[tuple[Account, Account]]) -> Strategy:
    strategy = Strategy.objects.filter(name=STRATEGY).first()
    if strategy is None:
        config = config_json(DeltaNeutralConfig(max_loss=MAX_LOSS, ladder=LADDER))
        return create_strategy(STRATEGY, by=_ACTOR, config=config, pairs=pairs)
    known = _load_pairs(strategy)
    if len(known) < len(pairs) and {pair.primary.pk for pair in known} <= {primary.pk for primary, _ in pairs}:
        replace_pairs(strategy.pk, pairs, by=_ACTOR, reason="the demo desk grew")
    return strategy


def _sync_markets(pairs: Sequence[DemoPair]) -> None:
    """Learn the desk's markets now instead of at the next regular sync: the first quote waits for them."""
    keys = {market_key(Platform.PREDICT, pair.market_id) for pair in pairs}
    if Market.objects.filter(pk__in=keys, synced_at__isnull=False).count() == len(keys):
        return
    try:
        sync_markets(Platform.PREDICT, load_endpoints()[Platform.PREDICT], timezone.now())
    except VenueError as error:
        log.warning("demo_markets_unsynced", reason=error.slug)


def _load_pairs(strategy: Strategy) -> list[Pair]:
    pairs = Pair.objects.filter(strategy=strategy, enabled=True).select_related("primary", "hedge")
    return list(pairs.order_by("primary__name"))


def _is_fresh(strategy: Strategy) -> bool:
    """True while nobody has ever started it."""
    return not Strategy.objects.filter(pk=strategy.pk, started_at__isnull=False).exists()


def _load_seed() -> bytes:
    """The seed of this state folder's fake keys, made once."""
    path = Path(settings.STATE_DIR) / "demo" / "seed"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="ascii") as file:
            file.write(secrets.token_hex(16))
    except FileExistsError:
        pass
    return bytes.fromhex(path.read_text(encoding="ascii").strip())


def _check_paper() -> None:
    if settings.MODE is not Mode.PAPER:
        raise NotPaper("the demo desk exists in paper mode only")
