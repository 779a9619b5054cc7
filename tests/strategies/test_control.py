"""Starting, stopping, changing a strategy: checked, versioned, audited, told to the bus once it is committed."""

import uuid
from itertools import pairwise

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Account
from identity.models import AuditEntry
from strategies.config import ConfigError
from strategies.control import (
    Actor,
    ControlError,
    create_strategy,
    find_cycle,
    reconfigure_strategy,
    replace_pairs,
    start_strategy,
    stop_strategy,
)
from strategies.models import Strategy
from streams.connection import connect_now
from trading.events import STRATEGY_EVENTS, decode

BY = Actor("a test")


@pytest.fixture
def accounts(db):
    return [
        Account.objects.create(name=f"a{n}", platform="predict", address=f"0x{n:040x}", mode="paper") for n in range(4)
    ]


def make(name, pairs, **config):
    return create_strategy(name, by=BY, config=config, pairs=pairs)


def test_started_strategy_is_active_audited_and_versioned(accounts):
    strategy = make("one", [(accounts[0], accounts[1])])
    assert (strategy.state, strategy.version) == ("halted", 1)
    start_strategy(strategy.pk, by=BY, reason="morning")
    strategy.refresh_from_db()
    assert (strategy.state, strategy.version, strategy.state_reason) == ("active", 2, "morning")
    first_start = strategy.started_at
    stop_strategy(strategy.pk, by=BY)
    strategy.refresh_from_db()
    assert (strategy.state, strategy.version, strategy.started_at) == ("halted", 3, first_start)
    entries = AuditEntry.objects.filter(object_id=str(strategy.pk)).order_by("id")
    assert list(entries.values_list("action", flat=True)) == [
        "strategy.created",
        "strategy.started",
        "strategy.stopped",
    ]
    assert entries[1].before["state"] == "halted"
    assert entries[1].after["state"] == "active"


def test_change_reaches_the_bus_after_commit(accounts, redis_url, django_capture_on_commit_callbacks):
    with connect_now(settings.REDIS_URL) as client:
        with django_capture_on_commit_callbacks() as callbacks:
            strategy = make("one", [(accounts[0], accounts[1])])
            start_strategy(strategy.pk, by=BY)
        assert client.xlen(STRATEGY_EVENTS) == 0
        for callback in callbacks:
            callback()
        said = [decode(fields[b"event"]).data for _, fields in client.xrange(STRATEGY_EVENTS)]
    assert [(data.what, data.value) for data in said] == [("created", "halted"), ("started", "active")]


def test_bad_configuration_changes_nothing(accounts):
    strategy = make("one", [(accounts[0], accounts[1])], ratio="0.5")
    with pytest.raises(ConfigError, match="max_loss"):
        reconfigure_strategy(strategy.pk, {"max_loss": "2"}, by=BY)
    strategy.refresh_from_db()
    assert (strategy.config["ratio"], strategy.version) == ("0.5", 1)
    with pytest.raises(ConfigError):
        make("two", [], ratio="x")
    assert Strategy.objects.count() == 1


def test_stale_change_is_refused(accounts):
    strategy = make("one", [(accounts[0], accounts[1])])
    reconfigure_strategy(strategy.pk, {"ratio": "0.5"}, by=BY, expected_version=1)
    with pytest.raises(ControlError, match="somebody else"):
        reconfigure_strategy(strategy.pk, {"ratio": "2"}, by=BY, expected_version=1)


def test_account_cannot_hedge_itself(accounts):
    with pytest.raises(ControlError, match="itself"):
        make("one", [(accounts[0], accounts[0])])


def test_paper_never_pairs_with_live(accounts):
    Account.objects.filter(pk=accounts[1].pk).update(mode="live")
    accounts[1].refresh_from_db()
    with pytest.raises(ControlError, match="mode"):
        make("one", [(accounts[0], accounts[1])])


def test_strategy_without_pairs_does_not_start(accounts):
    with pytest.raises(ControlError, match="pair"):
        start_strategy(make("one", []).pk, by=BY)


def test_circle_over_active_strategies_is_refused(accounts):
    first = make("first", [(accounts[0], accounts[1])])
    second = make("second", [(accounts[1], accounts[2]), (accounts[2], accounts[0])])
    start_strategy(first.pk, by=BY)
    with pytest.raises(ControlError, match="circle of hedges: a"):
        start_strategy(second.pk, by=BY)
    second.refresh_from_db()
    assert second.state == "halted"
    stop_strategy(first.pk, by=BY)
    start_strategy(second.pk, by=BY)


def test_replaced_pairs_are_disabled_not_deleted(accounts):
    strategy = make("one", [(accounts[0], accounts[1])])
    replace_pairs(strategy.pk, [(accounts[2], accounts[3])], by=BY)
    replace_pairs(strategy.pk, [(accounts[2], accounts[3]), (accounts[0], accounts[1])], by=BY)
    assert strategy.pairs.count() == 2
    replace_pairs(strategy.pk, [(accounts[0], accounts[1])], by=BY)
    assert list(strategy.pairs.filter(enabled=True).values_list("primary__name", flat=True)) == ["a0"]


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)).filter(lambda edge: edge[0] != edge[1]), max_size=12))
def test_cycle_is_found_exactly_when_there_is_one(numbers):
    edges = [(uuid.UUID(int=a), uuid.UUID(int=b)) for a, b in numbers]
    left = set(edges)
    while removable := {edge for edge in left if not any(edge[1] == other[0] for other in left)}:
        left -= removable
    cycle = find_cycle(edges)
    assert bool(cycle) == bool(left)
    assert all(step in edges for step in pairwise(cycle))
    assert not cycle or cycle[0] == cycle[-1]


LADDER = [
    {"kind": "join", "seconds": 5},
    {"kind": "alternate", "seconds": 5, "account": "a2"},
    {"kind": "pause"},
]


def test_start_needs_every_alternate_account(accounts):
    strategy = make("one", [(accounts[0], accounts[1])], ladder=LADDER)
    accounts[2].name = "renamed"
    accounts[2].save()
    with pytest.raises(ControlError, match="rung 2: there is no account 'a2'"):
        start_strategy(strategy.pk, by=BY)
    strategy.refresh_from_db()
    assert strategy.state == "halted"


@pytest.mark.parametrize(
    ("changed", "said"), [({"platform": "polymarket"}, "is on polymarket"), ({"mode": "live"}, r"\(live\)")]
)
def test_alternate_stays_on_the_hedges_venue_and_mode(accounts, changed, said):
    Account.objects.filter(name="a2").update(**changed)
    strategy = make("one", [(accounts[0], accounts[1])], ladder=LADDER)
    with pytest.raises(ControlError, match=said):
        start_strategy(strategy.pk, by=BY)


def test_primary_is_nobodys_alternate(accounts):
    strategy = make("one", [(accounts[2], accounts[1])], ladder=LADDER)
    with pytest.raises(ControlError, match="a2 is a primary"):
        start_strategy(strategy.pk, by=BY)


def test_running_strategy_takes_no_ladder_without_its_account(accounts):
    strategy = make("one", [(accounts[0], accounts[1])], ladder=LADDER)
    start_strategy(strategy.pk, by=BY)
    missing = [LADDER[0], {**LADDER[1], "account": "nobody"}, LADDER[2]]
    with pytest.raises(ControlError, match="nobody"):
        reconfigure_strategy(strategy.pk, {"ladder": missing}, by=BY)
    stop_strategy(strategy.pk, by=BY)
    reconfigure_strategy(strategy.pk, {"ladder": missing}, by=BY)
