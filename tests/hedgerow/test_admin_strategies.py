"""Strategies in the admin: the generated form of their page, never raw JSON; started and halted with a reason."""

import pytest
from django.test import Client
from django.utils import timezone

from identity.models import AuditEntry
from identity.roles import record_role_permissions
from strategies.models import Pair, Strategy
from tests.admin_office import address_of, strategy_data
from tests.desk_rows import make_desk

pytestmark = pytest.mark.django_db(transaction=True)


def page_of(strategy: Strategy) -> str:
    return address_of(Strategy, f"{strategy.pk}/change/")


def test_strategy_form_is_generated_never_json(office: Client) -> None:
    strategy = make_desk(timezone.now(), pairs=1).strategy
    for address in (page_of(strategy), address_of(Strategy, "add/")):
        page = office.get(address).content.decode()
        assert 'name="config-max_loss"' in page
        assert 'name="ladder-0-kind"' in page
        assert 'name="config"' not in page


def test_reason_is_asked_for_right_before_saving(office: Client) -> None:
    strategy = make_desk(timezone.now(), pairs=1).strategy
    answer = office.get(page_of(strategy))
    page = answer.content.decode()
    assert page.index('name="config-max_loss"') < page.index('name="reason"') < page.index(">Save<")
    assert page.count('name="reason"') == page.count('name="version"') == 1
    assert "Pairs" not in [panel.title for panel in answer.context["panels"]], "whoever may change them has the form"
    refused = office.post(page_of(strategy), strategy_data(strategy, reason="")).content.decode()
    assert "Nothing is saved yet: the reason is asked for at the end." in refused


def test_strategy_is_reconfigured_and_audited(office: Client, redis_url: str) -> None:
    strategy = make_desk(timezone.now(), pairs=2).strategy
    answer = office.post(page_of(strategy), strategy_data(strategy, **{"config-max_loss": "0.01"}))
    assert answer.status_code == 302, answer.context["form"].errors
    strategy.refresh_from_db()
    assert strategy.config["max_loss"] == "0.01"
    assert strategy.version == 2
    assert AuditEntry.objects.filter(action="strategy.reconfigured", reason="a test", source="admin").count() == 1
    assert Pair.objects.filter(strategy=strategy, enabled=True).count() == 2


def test_strategy_is_not_changed_without_reason(office: Client, redis_url: str) -> None:
    strategy = make_desk(timezone.now(), pairs=1).strategy
    answer = office.post(page_of(strategy), strategy_data(strategy, reason="", **{"config-max_loss": "0.01"}))
    assert answer.status_code == 200
    strategy.refresh_from_db()
    assert strategy.version == 1


def test_bad_configuration_is_refused_in_its_own_words(office: Client, redis_url: str) -> None:
    strategy = make_desk(timezone.now(), pairs=1).strategy
    answer = office.post(page_of(strategy), strategy_data(strategy, **{"config-max_loss": "7"}))
    assert answer.status_code == 200
    assert b"must be at least 0 and below 1" in answer.content
    strategy.refresh_from_db()
    assert strategy.version == 1


def test_stale_form_does_not_overwrite_a_change(office: Client, redis_url: str) -> None:
    strategy = make_desk(timezone.now(), pairs=1).strategy
    stale = strategy_data(strategy, **{"config-max_loss": "0.05"})
    Strategy.objects.filter(pk=strategy.pk).update(version=7)
    answer = office.post(page_of(strategy), stale)
    assert b"was changed by somebody else meanwhile" in answer.content
    strategy.refresh_from_db()
    assert strategy.config == {}


def test_pair_taken_off_is_disabled_not_deleted(office: Client, redis_url: str) -> None:
    strategy = make_desk(timezone.now(), pairs=2).strategy
    data = strategy_data(strategy, **{"pair-1-primary": "", "pair-1-hedge": ""})
    assert office.post(page_of(strategy), data).status_code == 302
    assert sorted(Pair.objects.values_list("enabled", flat=True)) == [False, True]


def test_strategy_is_made_halted(office: Client, redis_url: str) -> None:
    seed = make_desk(timezone.now(), pairs=1).strategy
    data = strategy_data(seed, name="second", **{"config-ratio": "0.5"})
    answer = office.post(address_of(Strategy, "add/"), data)
    made = Strategy.objects.get(name="second")
    assert answer.headers["Location"] == page_of(made)
    assert (made.state, made.config["ratio"]) == ("halted", "0.5")
    again = office.post(address_of(Strategy, "add/"), data)
    assert b"There is a strategy named second already" in again.content


def test_strategy_is_started_and_halted_by_action(office: Client, redis_url: str) -> None:
    strategy = make_desk(timezone.now(), pairs=1).strategy
    step = {"_selected_action": [str(strategy.pk)], "confirmed": "yes"}
    office.post(address_of(Strategy), step | {"action": "halt_strategies", "reason": "night"})
    strategy.refresh_from_db()
    assert (strategy.state, strategy.state_reason) == ("halted", "night")
    office.post(address_of(Strategy), step | {"action": "start_strategies", "reason": "morning"})
    strategy.refresh_from_db()
    assert strategy.state == "active"
    here = address_of(Strategy, f"{strategy.pk}/reduce-strategies/")
    assert b"1 pair enabled, 0 exposures open" in office.get(here).content
    office.post(here, {"confirmed": "yes", "reason": "less"})
    strategy.refresh_from_db()
    assert strategy.state == "reducing"
    assert list(AuditEntry.objects.order_by("id").values_list("reason", flat=True)) == ["night", "morning", "less"]


def test_viewer_sees_a_strategy_and_changes_nothing(client: Client, viewer, redis_url: str) -> None:  # type: ignore[no-untyped-def]
    strategy = make_desk(timezone.now(), pairs=1).strategy
    record_role_permissions()
    viewer.is_staff = True
    viewer.save()
    client.force_login(viewer)
    page = client.get(page_of(strategy))
    assert page.status_code == 200
    assert b"Max loss" in page.content
    assert "Pairs" in [panel.title for panel in page.context["panels"]]
    assert b'name="config-max_loss"' not in page.content
    assert client.post(page_of(strategy), strategy_data(strategy)).status_code == 403
    assert client.get(address_of(Strategy, "add/")).status_code == 403
    assert client.post(address_of(Strategy, f"{strategy.pk}/halt-strategies/"), {"reason": "x"}).status_code == 403
    strategy.refresh_from_db()
    assert (strategy.version, strategy.state) == (1, "active")
