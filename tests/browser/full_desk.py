"""A desk on which no page is empty: it has traded for hours, and not everything went well. What one page says of it, no
other contradicts."""

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from accounts.models import Account, EngineLease, Order, SealedSecret
from accounts.stop import pull_stop
from accounts.vault import Sealer, ensure_vault
from identity.models import User
from markets.models import Market
from strategies.config import DeltaNeutralConfig, config_json
from strategies.demo import LADDER
from strategies.models import Strategy
from tests.browser.full_office import make_office
from tests.browser.full_trades import FEE_BPS, HALTED_FOR, MARK, plant_trades
from tests.desk_rows import make_account, make_desk

RESERVE = "reserve-01"
"""The account that is being closed; it is in no pair."""
FAKE_KEY = b"11" * 32
"""An obviously fake private key."""


def make_full_desk(redis_url: str) -> None:
    """A desk that has traded for hours, with all that happened around it; the person `operator` is there already."""
    now = timezone.now()
    rows = make_desk(now)
    for market in rows.markets:
        market.lot = market.min_size = Decimal("0.01")
        market.fee_rate_bps = FEE_BPS
        market.yes_token, market.no_token = f"{market.market_id}1", f"{market.market_id}2"
        market.question = f"{market.title} As the venue's own source tells."
        market.category, market.mark, market.marked_at = "A category of the tests", MARK, now
        market.ends_at = now + timedelta(days=90)
    Market.objects.bulk_update(
        rows.markets,
        ("lot", "min_size", "fee_rate_bps", "yes_token", "no_token", "question", "category", "mark", "marked_at",
         "ends_at"),
    )  # fmt: skip
    reserve = make_account(90, connection_at=now, balance_at=now - timedelta(seconds=20))
    reserve.name, reserve.state, reserve.state_reason = RESERVE, "reducing", "the month ends"
    reserve.save()
    plant_trades(rows, now, reserve)
    Strategy.objects.update(
        started_at=now - timedelta(hours=3),
        config=config_json(DeltaNeutralConfig(max_loss=Decimal("0.06"), ladder=LADDER)),
    )
    seal_keys()
    Account.objects.update(
        created_at=now - timedelta(days=3),
        connection_at=now - timedelta(hours=3),
        reconciled_at=now - timedelta(seconds=14),
    )
    Account.objects.filter(name="predict-02").update(proxy_label="proxy.invalid:1080", tags=["maker", "north"])
    Account.objects.filter(name="predict-03").update(tags=["maker"])
    Account.objects.filter(name="predict-04").update(connection="unavailable", connection_at=now - HALTED_FOR)
    EngineLease.objects.update(started_at=now - timedelta(hours=3), generation_seen=1_000_000)
    keep_engine_heard(now)
    make_office(redis_url)


def seal_keys() -> None:
    """A key of each account, sealed by the vault; one has a proxy too."""
    ensure_vault(Path(settings.VAULT_PUBLIC_KEY_FILE).parent)
    sealer = Sealer(settings.VAULT_PUBLIC_KEY_FILE)
    kinds = SealedSecret.Kind
    wanted = [(account, kinds.PRIVATE_KEY) for account in Account.objects.all()]
    wanted.append((Account.objects.get(name="predict-02"), kinds.PROXY_URL))
    SealedSecret.objects.bulk_create(
        SealedSecret(account=account, kind=kind, sealed=sealer.seal(FAKE_KEY), vault_key=sealer.fingerprint)
        for account, kind in wanted
    )


def stop_full_desk(by: User) -> None:
    """Pull the stop; the engine has asked for every cancel, and the venue has answered the first."""
    pull_stop("cancel_all", by, "the venue's book looks wrong", source="page")
    now = timezone.now()
    resting = Order.objects.filter(status__in=("accepted", "partially_filled")).exclude(origin="closing")
    resting.update(cancel_requested_at=now)
    gone = resting.order_by("account__name")[0]
    Account.objects.filter(pk=gone.account_id).update(reserved=0)
    Order.objects.filter(pk=gone.pk).update(
        status="cancelled", announced="cancelled", reason="the desk was stopped", closed_at=now, updated_at=now
    )


def keep_engine_heard(now: datetime) -> None:
    """The engine's lease stays fresh for as long as a tour lasts."""
    EngineLease.objects.update(renewed_at=now + timedelta(minutes=10))
