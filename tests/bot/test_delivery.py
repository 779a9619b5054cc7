"""Nothing lost, nothing repeated: flood control, outages, cut answers, restarts, kills, two bots, repeated updates."""

import signal
import time
from collections.abc import Callable
from typing import Any

from django.utils import timezone

from alerts.raising import raise_alert
from bot.models import OutboxMessage, SeenUpdate, TelegramChat
from bot.outbox import REPEAT, claim_due, record_reply
from bot.replies import Reply
from identity.models import AuditEntry, User
from tests.bot.conftest import BotThread, Person, Telegram, free_port, wait_for
from trading.enums import Severity

Link = Callable[..., Person]
Start = Callable[..., BotThread]


def tell(person: Person, *texts: str) -> None:
    """Put messages into the outbox, due now."""
    chat = TelegramChat.objects.get(telegram_id=person.id)
    for text in texts:
        record_reply(chat, f"test:{text}", Reply(text), timezone.now())


def is_settled() -> bool:
    return not OutboxMessage.objects.exclude(status="sent").exists()


def test_flood_control_is_obeyed(bot: BotThread, link: Link, viewer: User, telegram: Telegram) -> None:
    person = link(viewer)
    telegram.faults(flood=1, retry_after=2)
    began = time.monotonic()
    tell(person, "one", "two", "three")
    wait_for(lambda: len(person.texts()) == 3)
    assert time.monotonic() - began >= 2
    assert person.texts() == ["one", "two", "three"]
    wait_for(is_settled)
    assert telegram.counts()["sendMessage"] >= 4


def test_answers_wait_out_flood_control(bot: BotThread, link: Link, viewer: User, telegram: Telegram) -> None:
    person = link(viewer)
    telegram.faults(flood=1, retry_after=1)
    assert "Hello" in person.ask("/start")["plain"]
    assert len(person.heard()) == 1


def test_outage_loses_and_repeats_nothing(bot: BotThread, link: Link, viewer: User, telegram: Telegram) -> None:
    person = link(viewer)
    telegram.faults(down=True)
    tell(person, *(f"message {n}" for n in range(5)))
    raise_alert(Severity.CRITICAL, "unhedged", "pair", "while Telegram was away")
    wait_for(lambda: telegram.counts().get("sendMessage:down", 0) >= 1)
    assert person.heard() == []
    telegram.faults()
    wait_for(lambda: len(person.texts()) == 6, 30)
    wait_for(is_settled)
    assert sorted(person.texts())[:5] == [f"message {n}" for n in range(5)]
    assert person.ask("/status")


def test_message_without_an_answer_is_marked_as_repeat(
    bot: BotThread, link: Link, viewer: User, telegram: Telegram
) -> None:
    person = link(viewer)
    telegram.faults(drop_answers=1)
    tell(person, "once")
    wait_for(is_settled)
    assert person.texts() == ["once", f"↻ Perhaps a repeat: {REPEAT}.\nonce"]


def test_restart_repeats_nothing(start_bot: Start, link: Link, viewer: User, redis_url: str) -> None:
    person = link(viewer)
    first = start_bot()
    tell(person, "before")
    wait_for(lambda: person.texts() == ["before"])
    wait_for(is_settled)
    first.stop()
    raise_alert(Severity.CRITICAL, "unhedged", "pair", "while nobody ran")
    tell(person, "between")
    start_bot()
    wait_for(lambda: len(person.texts()) == 3)
    start_bot().stop()
    assert person.texts().count("before") == 1
    assert sum("while nobody ran" in text for text in person.texts()) == 1
    wait_for(is_settled)


def test_message_claimed_by_a_dead_bot_comes_marked(start_bot: Start, link: Link, viewer: User) -> None:
    person = link(viewer)
    tell(person, "claimed")
    assert len(claim_due(timezone.now())) == 1
    start_bot()
    wait_for(lambda: person.texts() == [f"↻ Perhaps a repeat: {REPEAT}.\nclaimed"])


def test_bot_killed_between_send_and_note_tells_again_and_says_so(
    start_process: Callable[[], Any], start_bot: Start, link: Link, viewer: User, telegram: Telegram
) -> None:
    """It arrived and its answer did not, which nobody can know. Twice and marked is better than perhaps never."""
    person = link(viewer)
    telegram.faults(hold_answers=1)
    leader = start_process()
    tell(person, "the engine is gone")
    wait_for(lambda: person.texts() == ["the engine is gone"], 90)
    assert OutboxMessage.objects.get().status == "sending"
    leader.kill()
    leader.wait()
    telegram.faults()
    start_bot()
    wait_for(lambda: len(person.texts()) == 2, 20)
    assert person.texts()[1] == f"↻ Perhaps a repeat: {REPEAT}.\nthe engine is gone"
    wait_for(is_settled)
    start_bot()
    time.sleep(0.8)
    assert len(person.texts()) == 2


def test_person_who_blocked_the_bot_is_left_alone(bot: BotThread, link: Link, viewer: User, telegram: Telegram) -> None:
    person = link(viewer)
    telegram.faults(blocked=[person.id])
    tell(person, "one")
    wait_for(lambda: OutboxMessage.objects.filter(status="failed").exists())
    assert TelegramChat.objects.get().is_deaf
    sent = telegram.counts()["sendMessage"]
    tell(person, "two")
    time.sleep(0.8)
    assert telegram.counts()["sendMessage"] == sent


def test_repeated_update_is_handled_once(bot: BotThread, link: Link, trader: User, telegram: Telegram) -> None:
    person = link(trader)
    telegram.faults(duplicate=True)
    person.say("/status", copies=3)
    wait_for(person.heard)
    assert "Hello" in person.ask("/start")["plain"]
    assert len(person.heard()) == 2
    assert AuditEntry.objects.filter(action="telegram.asked").count() == 2


def test_restarted_bot_answers_no_old_command(start_bot: Start, link: Link, trader: User) -> None:
    person = link(trader)
    first = start_bot()
    person.ask("/status")
    first.stop()
    person.say("/health")
    start_bot()
    wait_for(lambda: len(person.heard()) == 2)
    assert "Health" in person.texts()[1]
    assert SeenUpdate.objects.count() >= 2


def test_only_one_of_two_bots_polls(start_bot: Start, link: Link, viewer: User, telegram: Telegram) -> None:
    person = link(viewer)
    conflicts = telegram.counts().get("conflicts", 0)
    first = start_bot()
    wait_for(first.process.is_leading.is_set)
    second = start_bot()
    for text in ("/status", "/health", "/help"):
        person.ask(text)
    assert not second.process.is_leading.is_set()
    assert len(person.heard()) == 3
    first.stop()
    wait_for(second.process.is_leading.is_set)
    assert person.ask("/start")
    assert len(person.heard()) == 4
    assert telegram.counts().get("conflicts", 0) == conflicts


def test_killed_bot_is_replaced_by_the_waiting_one(
    start_process: Callable[[], Any], start_bot: Start, link: Link, trader: User
) -> None:
    person = link(trader)
    leader = start_process()
    person.say("/status")
    wait_for(lambda: len(person.heard()) == 1, 90)
    waiting = start_bot()
    time.sleep(0.5)
    assert not waiting.process.is_leading.is_set()
    leader.send_signal(signal.SIGKILL)
    wait_for(waiting.process.is_leading.is_set, 20)
    assert "Health" in person.ask("/health")["plain"]
    assert len(person.heard()) == 2


def test_webhook_hears_only_with_the_secret(start_bot: Start, link: Link, trader: User, telegram: Telegram) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/hook"
    bot = start_bot(webhook_url=url, webhook_secret="a-secret-of-the-tests", webhook_port=port)
    person = link(trader)
    wait_for(bot.process.is_leading.is_set)
    person.say("/status", copies=3)
    wait_for(person.heard)
    person.ask("/help")
    asked = person.press(person.ask("/stop"), "No new orders")
    assert "Are you sure?" in asked["plain"]
    assert len(person.heard()) == 3, "an update posted three times is one command"
    forged = Telegram(f"http://127.0.0.1:{port}")
    try:
        forged.call("/hook", {"update_id": 1})
        refused = False
    except OSError as error:
        refused = "403" in str(error)
    assert refused
