"""The emergency stop from a chat: asked twice, expiring, for the right role, and while everything else is busy."""

import time
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import psycopg
import pytest
from django.utils import timezone

from accounts.models import Desk, Order, Position
from bot.callbacks import encode_data
from bot.models import Callback
from identity.models import AuditEntry, User
from tests.bot.conftest import BotThread, Person, wait_for
from tests.desk_rows import DeskRows, add_fills

Link = Callable[..., Person]


def test_stop_needs_level_and_confirmation(bot: BotThread, link: Link, trader: User, desk: DeskRows) -> None:
    person = link(trader)
    shown = person.ask("/stop the book looks wrong")
    assert "Active strategies: 1" in shown["plain"]
    assert "Active accounts: 10" in shown["plain"]
    asked = person.press(shown, "No new orders")
    assert "Are you sure?" in asked["plain"]
    assert not Desk.objects.get().stopped
    done = person.press(asked, "Yes: stop now")
    assert "Stopped." in done["plain"]
    row = Desk.objects.get()
    assert (row.stopped, row.level, row.reason, row.changed_by) == (True, "no_new", "the book looks wrong", "trader")
    entry = AuditEntry.objects.get(action="desk.stopped")
    assert (entry.user, entry.source) == (trader, "bot")


def test_stop_is_told_to_every_chat_once(
    bot: BotThread, link: Link, trader: User, viewer: User, desk: DeskRows
) -> None:
    person, other = link(trader), link(viewer)
    person.press(person.press(person.ask("/stop now"), "No new"), "Yes")
    wait_for(lambda: any("The desk stopped, by trader: now" in text for text in other.texts()))
    person.ask("/status")
    assert sum("The desk stopped" in text for text in other.texts()) == 1


@pytest.mark.parametrize(("level", "label"), [("hedge_only", "Hedges"), ("cancel_all", "Cancel"), ("flatten", "Flat")])
def test_every_level_can_be_pulled(
    level: str, label: str, bot: BotThread, link: Link, trader: User, desk: DeskRows
) -> None:
    person = link(trader)
    asked = person.press(person.ask("/stop"), label)
    assert "Stopped." in person.press(asked, "Yes: stop now")["plain"]
    assert Desk.objects.get().level == level


def test_stopped_desk_is_offered_no_milder_level(bot: BotThread, link: Link, trader: User, desk: DeskRows) -> None:
    person = link(trader)
    asked = person.press(person.ask("/stop"), "Hedges")
    Desk.objects.update(stopped=True, level="cancel_all", generation=1)
    assert "Not changed" in person.press(asked, "Yes: stop now")["plain"]
    labels = [button["text"] for row in person.ask("/stop")["buttons"] for button in row]
    assert labels == ["Cancel all…", "Flatten…", "Keep trading"]
    assert Desk.objects.get().level == "cancel_all"


def test_viewer_cannot_stop(bot: BotThread, link: Link, viewer: User, desk: DeskRows) -> None:
    answer = link(viewer).ask("/stop")
    assert "needs the role trader" in answer["plain"]
    assert not answer["buttons"]
    assert not Desk.objects.get().stopped


def test_role_lost_between_the_questions_counts(bot: BotThread, link: Link, trader: User, desk: DeskRows) -> None:
    person = link(trader)
    asked = person.press(person.ask("/stop"), "No new orders")
    trader.groups.set([User.groups.field.related_model.objects.get(name="viewer")])
    assert "needs the role trader" in person.press(asked, "Yes")["plain"]
    assert not Desk.objects.get().stopped


def test_expired_confirmation_does_nothing(bot: BotThread, link: Link, trader: User, desk: DeskRows) -> None:
    person = link(trader)
    asked = person.press(person.ask("/stop"), "No new orders")
    for callback in Callback.objects.filter(action="stop_now"):
        callback.expires_at -= timedelta(minutes=2)
        callback.save()
    query = person.press_data(asked, person.button(asked, "Yes"))
    assert person.toast(query) == "This button has expired: ask again."
    assert not Desk.objects.get().stopped


def test_somebody_elses_button_is_refused(
    bot: BotThread, link: Link, trader: User, operator: User, desk: DeskRows
) -> None:
    owner, other = link(trader), link(operator)
    asked = owner.press(owner.ask("/stop"), "No new orders")
    assert other.toast(other.press_data(asked, owner.button(asked, "Yes"))) == "This button is not for you."
    callback = Callback.objects.get(action="stop_now")
    signed_for_another = encode_data(callback.id, other.id)
    assert other.toast(other.press_data(asked, signed_for_another)) == "This button has expired: ask again."
    assert not Desk.objects.get().stopped


def test_only_an_admin_lifts_the_stop(bot: BotThread, link: Link, trader: User, operator: User, desk: DeskRows) -> None:
    Desk.objects.update(stopped=True, level="no_new", generation=1)
    assert "needs the role admin" in link(trader).ask("/resume")["plain"]
    admin = link(operator)
    assert "trades again" in admin.press(admin.press(admin.ask("/resume checked"), "Trade again"), "Yes")["plain"]
    assert not Desk.objects.get().stopped
    assert AuditEntry.objects.get(action="desk.lifted").reason == "checked"


def test_stop_works_while_every_other_lane_hangs(
    bot: BotThread, link: Link, trader: User, operator: User, desk: DeskRows, database_url: str
) -> None:
    """Commands, health, strategies, alerts and watch all wait for locked tables: the stop needs none of them."""
    person, admin = link(trader), link(operator)
    with psycopg.connect(database_url) as conn:
        for table in (
            "accounts_position",
            "accounts_account",
            "accounts_order",
            "strategies_strategy",
            "bot_outboxmessage",
        ):
            conn.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        for somebody in (person, admin):
            for said in ("/positions", "/health", "/strategy_stop", "/status", "/orders", "/health", "/strategies"):
                somebody.say(said)
        began = time.monotonic()
        shown = person.ask("/stop the venue is wrong")
        assert "The figures do not come in time. The stop works without them." in shown["plain"]
        asked = person.press(shown, "Cancel all")
        assert "The figures do not come in time" in asked["plain"]
        assert "Stopped." in person.press(asked, "Yes")["plain"]
        assert time.monotonic() - began < 8
        assert Desk.objects.get().level == "cancel_all"
        assert len(person.heard()) == 1, "nothing else was answered meanwhile"
        conn.rollback()
    wait_for(lambda: len(person.heard()) >= 8, 20)


def test_stop_says_what_each_level_would_do(bot: BotThread, link: Link, trader: User, desk: DeskRows) -> None:
    add_fills(desk, timezone.now(), 4)
    Order.objects.update(status="accepted", filled=0)
    holder = desk.pairs[0].primary
    Position.objects.create(
        account=holder, market=desk.markets[0], outcome="yes", size=30, cost=12, updated_at=timezone.now()
    )
    person = link(trader)
    shown = person.ask("/stop")
    assert "Orders still at the venues: 4, of them unknown: 0" in shown["plain"]
    assert "they stay and may fill" in person.press(shown, "No new")["plain"]
    cancels = person.press(person.ask("/stop"), "Cancel all")["plain"]
    worth = sum((order.price * order.size for order in Order.objects.all()), Decimal(0))
    assert f"4 orders at the venues, worth {worth:,.2f} USDT: each will be cancelled" in cancels
    flat = person.press(person.ask("/stop"), "Flatten")
    assert "1 holding, 30 shares, will be sold" in flat["plain"]
    done = person.press(flat, "Yes")
    far = person.press(done, "How far it is")["plain"]
    assert "Orders still at the venues: 4" in far
    assert "Holdings: 1" in far
    assert "It is not done yet." in far


@pytest.mark.parametrize("commands", [12])
def test_stop_works_while_all_else_is_busy(
    commands: int, bot: BotThread, link: Link, trader: User, desk: DeskRows, database_url: str
) -> None:
    person = link(trader)
    with psycopg.connect(database_url) as conn:
        conn.execute("LOCK TABLE accounts_position IN ACCESS EXCLUSIVE MODE")
        for _ in range(commands):
            person.say("/positions")
        asked = person.press(person.ask("/stop"), "No new orders")
        assert "Stopped." in person.press(asked, "Yes")["plain"]
        assert Desk.objects.get().stopped
        conn.rollback()
    wait_for(lambda: sum(text == "Nothing is held." for text in person.texts()) == commands)
