"""What events are about, in rows: a market's title, the accounts and the order behind an alert.

An alert carries its subject as words; its key and those words name the rows. What follows " in " is a market's title,
which may say anything: no account is read from it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import Q

from accounts.models import Account, Order
from alerts.models import Alert
from markets.models import Market, market_key
from strategies.models import Exposure
from trading.events import AlertRaised, Event

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_BETWEEN = re.compile(r": |, ")


@dataclass(frozen=True)
class About:
    """The rows behind one alert."""

    account_ids: tuple[UUID, ...] = ()
    order_id: UUID | None = None


@dataclass(frozen=True)
class Subjects:
    """What a batch of events is about: titles by market key, rows by alert id."""

    titles: Mapping[str, str] = field(default_factory=dict)
    alerts: Mapping[str, About] = field(default_factory=dict)


NOTHING = Subjects()


def load_subjects(events: Sequence[Event]) -> Subjects:
    """At most five queries, and none for what no event names."""
    keys = {
        market_key(event.platform.value if event.platform else "", event.data.market_id)
        for event in events
        if hasattr(event.data, "market_id")
    }
    titles = dict(Market.objects.filter(pk__in=keys).values_list("pk", "title")) if keys else {}
    raised = [event.data for event in events if isinstance(event.data, AlertRaised)]
    return Subjects(titles, _load_alerts(raised) if raised else {})


def _load_alerts(raised: Iterable[AlertRaised]) -> dict[str, About]:
    subjects = {data.alert_id: data.subject for data in raised}
    keyed = {str(pk): key for pk, key in Alert.objects.filter(pk__in=subjects).values_list("pk", "dedup_key")}
    ids = {alert: {UUID(found) for found in _UUID.findall(key)} for alert, key in keyed.items()}
    names = {alert: set(_BETWEEN.split(subject.partition(" in ")[0])) for alert, subject in subjects.items()}
    every_id = set().union(*ids.values())
    wanted = Q(name__in=set().union(*names.values())) | Q(pk__in=every_id)
    accounts = list(Account.objects.filter(wanted).values_list("pk", "name"))
    orders = dict(Order.objects.filter(pk__in=every_id).values_list("pk", "account_id")) if every_id else {}
    pairs = Exposure.objects.filter(pk__in=every_id) if every_id else Exposure.objects.none()
    sides = {pk: both for pk, *both in pairs.values_list("pk", "primary_account_id", "hedge_account_id")}
    found: dict[str, About] = {}
    for alert in subjects:
        mine = ids.get(alert, set())
        involved = {pk for pk, name in accounts if pk in mine or name in names[alert]}
        involved |= {orders[pk] for pk in mine if pk in orders}
        involved |= {account for pk in mine for account in sides.get(pk, ())}
        order_id = next((pk for pk in mine if pk in orders), None)
        found[alert] = About(tuple(sorted(involved)), order_id)
    return found
