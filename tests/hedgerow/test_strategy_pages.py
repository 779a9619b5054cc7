"""The strategies' pages: a form made of the configuration's struct, roles, costs in queries, and the dry run."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Order
from markets.models import Market
from strategies.config import KINDS, DeltaNeutralConfig, parse_config
from strategies.config_form import ConfigForm, docs_of, hints
from strategies.dry_run import run_dry
from strategies.models import Decision, Strategy
from strategies.rungs import Rung
from tests.desk_rows import DeskRows, add_fills, make_desk

FRAGMENT = {"HX-Request": "true"}


@pytest.fixture
def now(db: None) -> datetime:
    return timezone.now()


@pytest.fixture
def rows(now: datetime) -> DeskRows:
    return make_desk(now, pairs=2)


@pytest.fixture
def trader_client(client: Client, trader: object) -> Client:
    client.force_login(trader)  # type: ignore[arg-type]
    return client


def typed(strategy: Strategy | None, rows: DeskRows, **changes: Any) -> dict[str, Any]:
    """What a browser posts when nothing but `changes` was touched."""
    config = msgspec.to_builtins(DeltaNeutralConfig())
    given: dict[str, Any] = {
        f"config-{name}": value for name, value in config.items() if value not in (None, False, [], ())
    }
    given |= {"ladder-count": "2", "pair-count": str(len(rows.pairs))}
    for number, pair in enumerate(rows.pairs):
        given |= {f"pair-{number}-primary": str(pair.primary_id), f"pair-{number}-hedge": str(pair.hedge_id)}
    if strategy:
        given |= {"reason": "trying the form", "version": str(strategy.version)}
    return given | changes


def test_emptied_field_is_stored_as_it_is_seen(trader_client: Client, rows: DeskRows) -> None:
    strategy = rows.strategy
    address = f"/strategies/{strategy.pk}/edit"
    assert 'name="config-imbalance_threshold" value="1"' in trader_client.get(address).content.decode()
    answer = trader_client.post(address, typed(strategy, rows, **{"config-imbalance_threshold": ""}))
    assert answer.status_code == 302
    strategy.refresh_from_db()
    assert strategy.config["imbalance_threshold"] is None
    assert parse_config(strategy.kind, strategy.config).imbalance_threshold is None
    shown = trader_client.get(address).content.decode()
    assert 'name="config-imbalance_threshold" value=' not in shown
    assert "Empty: nobody is told." in shown


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_the_struct_is_asked_for(kind: str) -> None:
    form = ConfigForm(kind)
    assert {*form.fields, *form.lists} == set(KINDS[kind].__struct_fields__)
    assert form.lists["ladder"].forms[0].fields.keys() == hints(Rung).keys()


def test_configuration_is_told_in_words(trader_client: Client, rows: DeskRows) -> None:
    market = rows.markets[0]
    ladder = [{"kind": "join", "seconds": 10}, {"kind": "wider", "max_loss": "0.30"}]
    rows.strategy.config = {"markets": [market.market_id, "4711"], "ladder": ladder}
    rows.strategy.save()
    page = trader_client.get(f"/strategies/{rows.strategy.pk}/").content.decode()
    assert f"{market.title} ({market.market_id}); unnamed market (4711)</dd>" in page
    assert "join, seconds 10 → wider, max loss 0.30</dd>" in page
    assert ">Complement</dd>" in page
    assert "Delta neutral, version" in page
    form = trader_client.get(f"/strategies/{rows.strategy.pk}/edit").content.decode()
    assert f'title="{market.title} ({market.market_id})"' in form, "a name too long for the list"
    assert form.index("Primary: its fills are hedged") < form.index("pair-0-primary")
    assert "leave both empty" in form
    assert "leave both empty" not in trader_client.get("/strategies/new").content.decode()
    assert "`" not in form, "no hint speaks the configuration's own language"


def test_help_is_the_structs_own_word() -> None:
    assert docs_of(DeltaNeutralConfig)["ratio"] == "Shares hedged per primary share."
    assert docs_of(Rung)["seconds"].startswith("How long it is tried")


def test_saved_form_gives_the_same_configuration(trader_client: Client, rows: DeskRows) -> None:
    strategy = rows.strategy
    answer = trader_client.post(f"/strategies/{strategy.pk}/edit", typed(strategy, rows))
    assert answer.status_code == 302, answer.content.decode()[:3000]
    strategy.refresh_from_db()
    assert parse_config(strategy.kind, strategy.config) == DeltaNeutralConfig()
    assert strategy.version == 2


def test_ladder_is_typed_row_by_row(trader_client: Client, rows: DeskRows) -> None:
    rungs = {"ladder-0-kind": "join", "ladder-0-seconds": "20", "ladder-0-max_loss": "0.01", "ladder-1-kind": "pause"}
    given = typed(rows.strategy, rows, **{"config-max_order": "12.5", **rungs})
    assert trader_client.post(f"/strategies/{rows.strategy.pk}/edit", given).status_code == 302
    rows.strategy.refresh_from_db()
    config = parse_config("delta_neutral", rows.strategy.config)
    assert config.max_order == Decimal("12.5")
    assert [(rung.kind.value, rung.seconds, rung.max_loss) for rung in config.ladder] == [
        ("join", 20, Decimal("0.01")),
        ("pause", None, None),
    ]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"config-ratio": "11"}, "at most 10"),
        ({"config-max_loss": "cheap"}, "Enter a number"),
        ({"ladder-0-kind": "join"}, "seconds must be at least 1"),
        ({"pair-0-hedge": ""}, "A pair needs both accounts"),
        ({"version": "0"}, "changed by somebody else"),
        ({"reason": ""}, "required"),
    ],
)
def test_bad_input_is_explained_and_saves_nothing(
    trader_client: Client, rows: DeskRows, changes: dict[str, str], told: str
) -> None:
    if "ladder-0-kind" in changes:
        changes = {**changes, "ladder-0-seconds": "0", "ladder-1-kind": "pause"}
    answer = trader_client.post(f"/strategies/{rows.strategy.pk}/edit", typed(rows.strategy, rows, **changes))
    assert answer.status_code == 200
    assert told in answer.content.decode()
    assert Strategy.objects.get().version == 1


def test_account_hedging_itself_is_refused(trader_client: Client, rows: DeskRows) -> None:
    changes = {"pair-0-hedge": str(rows.pairs[0].primary_id)}
    answer = trader_client.post(f"/strategies/{rows.strategy.pk}/edit", typed(rows.strategy, rows, **changes))
    assert b"cannot hedge itself" in answer.content


def test_new_strategy_is_made_halted(trader_client: Client, rows: DeskRows) -> None:
    answer = trader_client.post("/strategies/new", typed(None, rows, name="second"))
    made = Strategy.objects.get(name="second")
    assert answer.headers["Location"] == f"/strategies/{made.pk}/"
    assert made.state == "halted"
    assert made.pairs.count() == 2
    again = trader_client.post("/strategies/new", typed(None, rows, name="second"))
    assert b"already" in again.content


def test_start_and_stop_ask_for_a_reason(trader_client: Client, rows: DeskRows) -> None:
    address = f"/strategies/{rows.strategy.pk}"
    assert ">0</dd>" in trader_client.get(f"{address}/stop").content.decode()
    for exposure, shares, risk in zip(rows.exposures, ("12.5", "0.0312"), ("6.90", "0.014"), strict=True):
        exposure.need, exposure.unhedged, exposure.at_risk = Decimal(7), Decimal(shares), Decimal(risk)
        exposure.save()
    shown = trader_client.get(f"{address}/stop").content.decode()
    assert "Exposures that owe something</dt><dd>2: 12.5312 shares unhedged, 6.91 USDT at risk<" in shown
    assert b"required" in trader_client.post(f"{address}/stop", {"reason": ""}).content
    assert Strategy.objects.get().state == "active"
    trader_client.post(f"{address}/stop", {"reason": "enough for today"})
    assert (Strategy.objects.get().state, Strategy.objects.get().state_reason) == ("halted", "enough for today")
    trader_client.post(f"{address}/start", {"reason": "a new day"})
    assert Strategy.objects.get().state == "active"
    trader_client.post(f"{address}/reduce", {"reason": "winding down"})
    assert Strategy.objects.get().state == "reducing"


@pytest.mark.parametrize("path", ["new", "{}/edit", "{}/start", "{}/stop"])
def test_viewer_changes_nothing(client: Client, viewer: object, rows: DeskRows, path: str) -> None:
    client.force_login(viewer)  # type: ignore[arg-type]
    address = f"/strategies/{path.format(rows.strategy.pk)}"
    assert client.get(address).status_code == 403
    assert client.post(address, {"reason": "let me"}).status_code == 403
    text = client.get(f"/strategies/{rows.strategy.pk}/").content.decode()
    assert "Stop…" not in text
    assert "Change or try" not in text


def test_stranger_is_sent_to_the_login(client: Client, rows: DeskRows) -> None:
    assert client.get("/strategies/").headers["Location"].startswith("/login/")
    fragment = client.get(f"/strategies/{rows.strategy.pk}/?part=exposures", headers=FRAGMENT)
    assert fragment.headers["HX-Redirect"] == "/login/"


def test_decisions_and_exposures_say_why(trader_client: Client, rows: DeskRows, now: datetime) -> None:
    exposure = rows.exposures[0]
    exposure.reason, exposure.need, exposure.unhedged_since = "no_price", Decimal(7), now - timedelta(seconds=40)
    exposure.save()
    rows.strategy.config = {"ladder": [{"kind": "join", "seconds": 20}, {"kind": "pause"}]}
    rows.strategy.save()
    Decision.objects.create(
        exposure=exposure, cause="fill:7", primary=7, hedged=0, in_flight=0, need=-7, reason="max_order", at=now
    )
    text = trader_client.get(f"/strategies/{rows.strategy.pk}/").content.decode()
    assert "No price on the grid keeps the pair within its bound." in text
    assert "1 of 2: join" in text
    assert "The largest order allowed was reached." in text
    part = trader_client.get(f"/strategies/{rows.strategy.pk}/?part=decisions", headers=FRAGMENT).content
    assert b"fill:7" in part
    assert b"<html" not in part


def test_query_count_is_the_same_at_any_size(trader_client: Client, now: datetime) -> None:
    counts = []
    rows = make_desk(now, pairs=2)
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            trader_client.get("/strategies/")
            trader_client.get(f"/strategies/{rows.strategy.pk}/")
        counts.append(len(queries))
        Decision.objects.bulk_create(
            Decision(exposure=exposure, cause=f"sweep:{n}", primary=0, hedged=0, in_flight=0, need=0, at=now)
            for exposure in rows.exposures
            for n in range(30)
        )
    assert counts[0] == counts[1]


def test_dry_run_hedges_recorded_fills(rows: DeskRows, now: datetime) -> None:
    add_fills(rows, now, 10)
    Market.objects.update(lot=Decimal("0.00001"), yes_token="1", no_token="2")
    pairs = [(pair.primary, pair.hedge) for pair in rows.pairs]
    before = Order.objects.count()
    loose = run_dry(rows.strategy, parse_config("delta_neutral", {"max_loss": "0.05"}), pairs)
    assert (loose.fills, loose.orders, loose.left) == (10, 10, 0), loose.reasons
    tight = run_dry(rows.strategy, parse_config("delta_neutral", {"max_loss": "0.05", "max_order": "15"}), pairs)
    assert tight.left > 0
    assert "The largest order allowed was reached." in dict(tight.reasons)
    assert Order.objects.count() == before, "nothing is ordered"


def test_dry_run_is_shown_and_saves_nothing(trader_client: Client, rows: DeskRows, now: datetime) -> None:
    add_fills(rows, now, 6)
    given = typed(rows.strategy, rows, **{"try": "1", "config-max_loss": "0.05"})
    text = trader_client.post(f"/strategies/{rows.strategy.pk}/edit", given).content.decode()
    assert "Tried, not saved" in text
    assert "against the last 6 recorded fills" in text
    assert Strategy.objects.get().version == 1
