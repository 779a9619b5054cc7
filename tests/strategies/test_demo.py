"""The demo desk against a real paper venue: made once, funded once, left alone when a person changed it."""

from decimal import Decimal

import pytest

from accounts.models import Account, SealedSecret
from markets.models import Market
from strategies.control import Actor, stop_strategy
from strategies.demo import OPENING, NotPaper, demo_key, ensure_demo_desk, load_demo_pairs
from strategies.models import Pair, Strategy
from strategies.paper_venue import PaperVenue, PaperVenueDown, PaperVenueRefused
from trading.enums import Mode

NOWHERE = "http://127.0.0.1:9"


def cash_of(venue, account):
    return int(venue.load_snapshot(account.address.lower())["accounts"][0]["usdt"])


def test_desk_is_made_funded_and_active(paper_desk):
    ensure_demo_desk(4)
    pairs = load_demo_pairs()
    assert [(p.primary.name, p.hedge.name) for p in pairs] == [
        ("demo-01-primary", "demo-01-hedge"),
        ("demo-02-primary", "demo-02-hedge"),
    ]
    assert len({pair.market_id for pair in pairs}) == 2
    assert all(cash_of(paper_desk, a) == int(OPENING) * 10**18 for p in pairs for a in (p.primary, p.hedge))
    assert Strategy.objects.get().state == "active"
    assert Market.objects.filter(synced_at__isnull=False).count() >= 2
    assert set(Account.objects.values_list("mode", flat=True)) == {"paper"}


def test_second_setup_changes_nothing(paper_desk):
    ensure_demo_desk(4)
    before = list(Strategy.objects.values()), list(Account.objects.order_by("name").values())
    ensure_demo_desk(4)
    assert (list(Strategy.objects.values()), list(Account.objects.order_by("name").values())) == before
    assert all(cash_of(paper_desk, account) == int(OPENING) * 10**18 for account in Account.objects.all())


def test_stopped_desk_stays_stopped(paper_desk):
    strategy = ensure_demo_desk(2)
    stop_strategy(strategy.pk, by=Actor("a person"))
    ensure_demo_desk(2)
    strategy.refresh_from_db()
    assert strategy.state == "halted"


def test_desk_larger_than_the_venue_gets_more_markets(paper_desk):
    ensure_demo_desk(2)
    ensure_demo_desk(20)
    pairs = load_demo_pairs()
    assert len({pair.market_id for pair in pairs}) == len(pairs) == 10


def test_desk_waits_for_a_venue_that_is_down(paper_desk, settings):
    url, settings.PREDICT_API_URL = settings.PREDICT_API_URL, NOWHERE
    strategy = ensure_demo_desk(2)
    strategy.refresh_from_db()
    assert (Pair.objects.count(), strategy.state, load_demo_pairs()) == (1, "halted", [])
    settings.PREDICT_API_URL = url
    ensure_demo_desk(2)
    strategy.refresh_from_db()
    assert (strategy.state, len(load_demo_pairs())) == ("active", 1)


def test_live_mode_has_no_demo_desk(paper_desk, settings):
    settings.MODE = Mode.LIVE
    with pytest.raises(NotPaper):
        ensure_demo_desk(2)
    assert not Account.objects.exists()


def test_fake_keys_are_sealed_and_follow_from_the_seed(paper_desk, settings):
    ensure_demo_desk(2)
    seed = bytes.fromhex((settings.STATE_DIR / "demo" / "seed").read_text())
    sealed = SealedSecret.objects.filter(kind="private_key")
    assert sealed.count() == 2
    assert not any(demo_key(seed, 0) in bytes(secret.sealed) for secret in sealed)
    assert demo_key(seed, 0) != demo_key(seed, 1)


def test_odd_number_of_accounts_is_refused(db):
    with pytest.raises(ValueError, match="even"):
        ensure_demo_desk(3)


def test_control_plane_is_only_for_this_machine():
    with pytest.raises(PaperVenueRefused):
        PaperVenue("https://api.predict.fun")
    with pytest.raises(PaperVenueDown):
        PaperVenue(NOWHERE).fund("0x" + "11" * 20, Decimal(1), "x")
