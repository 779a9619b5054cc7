"""Who sees only some accounts on the web sees only those in Telegram: in answers, searches and alerts."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.utils import timezone

from accounts.models import Account, Order
from accounts.registration import change_account_state
from alerts.kinds import AlertKind
from alerts.raising import raise_alert
from bot.commands.registry import COMMANDS
from bot.models import OutboxMessage, TelegramChat
from bot.watch import record_summary
from identity.models import AuditEntry, User
from tests.bot.conftest import BotThread, Person, wait_for
from tests.bot.test_alerts import fill
from tests.bot.test_commands import WORDS
from tests.conftest import make_user
from tests.desk_rows import DeskRows, add_fills, add_positions
from trading.enums import Severity
from trading.events import FILL_EVENTS, Event

Link = Callable[..., Person]
KEPT = {
    "start",
    "help",
    "accounts",
    "account",
    "positions",
    "orders",
    "fills",
    "markets",
    "alerts",
    "mute",
    "trade",
    "cancel",
}
OTHERS = [f"predict-{n:02d}" for n in range(2, 11)]


@pytest.fixture
def analyst(desk: DeskRows) -> User:
    """A trader who sees predict-01 alone."""
    Account.objects.filter(name="predict-01").update(tags=["mine"])
    add_fills(desk, datetime.now(UTC), 12)
    add_positions(desk, datetime.now(UTC))
    user = make_user("analyst", "trader", staff=False)
    user.account_tags = ["mine"]
    user.save()
    return user


def test_scoped_person_hears_of_their_accounts_only(bot: BotThread, link: Link, analyst: User) -> None:
    person = link(analyst)
    refused = set()
    for name in sorted(COMMANDS):
        answer = person.ask(f"/{name} {WORDS.get(name, '')}".strip())["plain"]
        assert "That failed" not in answer, name
        assert [other for other in OTHERS if other in answer] == [], name
        if "you may see only some" in answer or "needs the role" in answer:
            refused.add(name)
    assert refused == set(COMMANDS) - KEPT
    assert AuditEntry.objects.filter(action="telegram.denied").count() == len(refused)
    assert "/stop" not in person.ask("/help")["plain"]
    for said in (
        "/account predict-02",
        "/positions predict-02",
        "/orders predict-02",
        "/trade predict-02 100 buy yes 9 0.5",
    ):
        assert "There is no such account" in person.ask(said)["plain"]
    assert "no account predict-02" in person.ask("/alerts accounts predict-02")["plain"]
    theirs = Order.objects.filter(account__name="predict-02").order_by("created_at")[0]
    assert "There is no such order" in person.ask(f"/cancel {theirs.pk}")["plain"]


def test_scoped_search_finds_their_accounts_only(bot: BotThread, link: Link, analyst: User) -> None:
    person = link(analyst)
    query = person.telegram.call("/paper/inline", {"user_id": person.id, "query": "e"})["query_id"]
    found = wait_for(lambda: person.telegram.call(f"/paper/answer/{query}")["answer"])
    titles = {hit["title"] for hit in found}
    assert "predict-01" in titles
    assert not titles & {*OTHERS, "delta neutral"}


def test_scoped_chat_is_told_of_their_accounts_only(
    bot: BotThread, link: Link, analyst: User, desk: DeskRows, publish: Callable[[str, Event], None]
) -> None:
    link(analyst)
    publish(FILL_EVENTS, fill(desk, 30, account=1))
    publish(FILL_EVENTS, fill(desk, 20))
    raise_alert(Severity.CRITICAL, AlertKind.DESK_STOPPED, "the desk", "by somebody")
    raise_alert(Severity.CRITICAL, AlertKind.UNRECONCILED, "predict-01", "alerts may name any account")
    for pair in desk.pairs[:2]:
        change_account_state(pair.primary_id, "halted", by="tests", reason="theirs alone is told")
    wait_for(lambda: OutboxMessage.objects.filter(kind="halt").exists())
    assert sorted(OutboxMessage.objects.values_list("kind", flat=True)) == ["fill", "halt"]
    assert not any("predict-02" in text for text in OutboxMessage.objects.values_list("text", flat=True))
    chat = TelegramChat.objects.get()
    chat.linked_at, chat.summary_hour = timezone.now() - timezone.timedelta(days=2), 0
    assert record_summary(chat, timezone.now()) is False
