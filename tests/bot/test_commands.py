"""Every command for every role, over the wire: what is allowed answers, what is not is refused and changes nothing."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.contrib.auth.models import Group

from accounts.models import Account, Order
from bot.commands.registry import COMMANDS
from bot.models import TelegramChat
from identity.models import AuditEntry, User
from identity.roles import RANKS, Role
from markets.models import Market
from strategies.models import Strategy
from tests.bot.conftest import BotThread, Person, wait_for
from tests.conftest import make_user
from tests.desk_rows import DeskRows, add_fills, add_positions

NAMES = {
    "start", "help", "status", "accounts", "account", "positions", "exposure", "pnl", "orders", "fills", "markets",
    "strategies", "strategy_start", "strategy_stop", "trade", "cancel", "alerts", "mute", "logs", "health", "stop",
    "resume",
}  # fmt: skip
WORDS = {
    "account": "predict-01",
    "markets": "btc",
    "trade": "predict-01 100 buy yes 10 0.55",
    "mute": "1h",
    "strategy_stop": "delta neutral",
    "strategy_start": "delta neutral",
}
Link = Callable[..., Person]


def test_every_promised_command_exists() -> None:
    assert set(COMMANDS) == NAMES


@pytest.mark.parametrize("role", list(Role))
def test_each_role_gets_its_commands(role: Role, bot: BotThread, link: Link, desk: DeskRows) -> None:
    add_fills(desk, datetime.now(UTC), 3)
    add_positions(desk, datetime.now(UTC))
    person = link(make_user("somebody", role.value, staff=False))
    refused = set()
    for name in sorted(COMMANDS):
        answer = person.ask(f"/{name} {WORDS.get(name, '')}".strip())["plain"]
        assert "That failed" not in answer, name
        assert "Usage" not in answer or name == "cancel", (name, answer)
        if "needs the role" in answer:
            refused.add(name)
    assert refused == {name for name, entry in COMMANDS.items() if RANKS[entry.role.value] > RANKS[role.value]}
    assert AuditEntry.objects.filter(action="telegram.denied").count() == len(refused)
    assert AuditEntry.objects.filter(action="telegram.asked").count() == len(COMMANDS) - len(refused)
    assert set(AuditEntry.objects.values_list("source", flat=True)) == {"bot"}


def test_nobody_unlinked_gets_an_answer(
    bot: BotThread, link: Link, person: Callable[[], Person], viewer: User, desk: DeskRows
) -> None:
    stranger, known = person(), link(viewer)
    for name in [*sorted(COMMANDS), "start WRONG", "start ABCDEFGHJKMN"]:
        stranger.say(f"/{name}")
    stranger.say("hello")
    assert known.ask("/status")
    assert stranger.heard() == []
    assert not AuditEntry.objects.filter(action="telegram.asked").exclude(user=viewer).exists()


@pytest.mark.parametrize("why", ["blocked chat", "inactive person", "no role"])
def test_who_lost_access_gets_nothing(why: str, bot: BotThread, link: Link, trader: User, viewer: User) -> None:
    person, other = link(trader), link(viewer)
    assert person.ask("/status")
    if why == "blocked chat":
        TelegramChat.objects.filter(user=trader).update(is_blocked=True)
    elif why == "inactive person":
        User.objects.filter(pk=trader.pk).update(is_active=False)
    else:
        trader.groups.remove(Group.objects.get(name="trader"))
    before = person.texts()
    person.say("/status")
    person.say("/stop")
    assert other.ask("/status")
    assert person.texts() == before


def test_group_chats_get_no_answer(bot: BotThread, link: Link, trader: User) -> None:
    person = link(trader)
    person.say("/status", group_id=-1001)
    person.say("/stop", group_id=-1001)
    assert "Hello" in person.ask("/start")["plain"]
    assert len(person.heard()) == 1


def test_confirmed_trade_becomes_one_order(bot: BotThread, link: Link, trader: User, desk: DeskRows) -> None:
    person = link(trader)
    first = person.ask("/trade predict-01 100 buy yes 10 0.55")
    assert "Worth 5.5" in first["plain"]
    assert not Order.objects.exists()
    second = person.press(first, "Place it")
    assert "Are you sure" in second["plain"]
    assert not Order.objects.exists()
    data = person.button(second, "Yes")
    done = person.press(second, "Yes")
    assert "Asked for" in done["plain"]
    assert person.toast(person.press_data(done, data)) == "This was answered already."
    order = Order.objects.get()
    assert (order.price, order.size, order.account.name) == (Decimal("0.55"), Decimal(10), "predict-01")
    assert AuditEntry.objects.filter(action="order.placed", user=trader, source="bot").count() == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("predict-01 100 buy yes 10 0.555", "not on the tick"),
        ("predict-01 100 buy yes 1e400000 0.5", ""),
        ("predict-01 100 buy maybe 10 0.5", "maybe"),
        ("nobody 100 buy yes 10 0.5", "no such account"),
        ("predict-01 999 buy yes 10 0.5", "no such market"),
        ("predict-01 100 buy yes -3 0.5", "shares"),
    ],
)
def test_wrong_trade_says_what_to_change(
    words: str, says: str, bot: BotThread, link: Link, trader: User, desk: DeskRows
) -> None:
    answer = link(trader).ask(f"/trade {words}")
    assert "Usage" in answer["plain"]
    assert says in answer["plain"]
    assert not answer["buttons"]


def test_strategy_starts_after_two_answers(bot: BotThread, link: Link, trader: User, desk: DeskRows) -> None:
    Strategy.objects.update(state="halted")
    person = link(trader)
    asked = person.press(person.ask("/strategy_start"), "Start")
    assert Strategy.objects.get().state == "halted"
    assert "is active" in person.press(asked, "Yes")["plain"]
    assert Strategy.objects.get().state == "active"
    stop = person.press(person.press(person.ask("/strategy_stop delta neutral"), "Stop"), "Yes")
    assert "is halted" in stop["plain"]
    assert AuditEntry.objects.filter(action="strategy.stopped", user=trader, source="bot").exists()


def test_declined_question_changes_nothing(bot: BotThread, link: Link, trader: User, desk: DeskRows) -> None:
    person = link(trader)
    assert person.press(person.ask("/strategy_stop"), "No")["plain"] == "Nothing was done."
    assert Strategy.objects.get().state == "active"


def test_account_is_halted_after_two_answers(bot: BotThread, link: Link, trader: User, desk: DeskRows) -> None:
    person = link(trader)
    shown = person.press(person.ask("/account predict-02"), "Halt")
    assert "is halted" in person.press(person.press(shown, "Halt"), "Yes")["plain"]
    assert Account.objects.get(name="predict-02").state == "halted"


def test_long_lists_turn_and_come_as_files(bot: BotThread, link: Link, viewer: User, desk: DeskRows) -> None:
    add_fills(desk, datetime.now(UTC), 30)
    person = link(viewer)
    first = person.ask("/accounts")
    assert "predict-01" in first["plain"]
    assert "predict-10" in person.press(first, "›")["plain"]
    file = person.ask("/orders all")
    assert (file["kind"], file["file_name"]) == ("document", "orders.tsv")
    with_picture = person.ask("/pnl")
    assert with_picture["kind"] == "photo"


def test_market_titles_say_nothing_in_markup(bot: BotThread, link: Link, viewer: User, desk: DeskRows) -> None:
    Market.objects.filter(market_id="100").update(title="<b>BTC</b> & </pre> friends <script>")
    assert "<b>BTC</b> & </pre> friends <script>" in link(viewer).ask("/markets 100")["plain"]


def test_inline_search_finds_for_linked_people_only(
    bot: BotThread, link: Link, person: Callable[[], Person], viewer: User, desk: DeskRows
) -> None:
    known, stranger = link(viewer), person()
    asked = known.telegram.call("/paper/inline", {"user_id": stranger.id, "query": "btc"})["query_id"]
    query = known.telegram.call("/paper/inline", {"user_id": known.id, "query": "btc"})["query_id"]
    known.ask("/help")
    found = known.telegram.call(f"/paper/answer/{query}")["answer"]
    assert [hit["title"] for hit in found] == ["Will BTC close above 120,000 on Friday?"]
    assert known.telegram.call(f"/paper/answer/{asked}")["answer"] is None


def test_too_many_commands_are_slowed_but_stop_is_not(bot: BotThread, link: Link, trader: User) -> None:
    person = link(trader)
    for _ in range(40):
        person.say("/status")
    person.say("/stop")
    wait_for(lambda: any("Stop the desk?" in text for text in person.texts()))
    wait_for(lambda: any("Too many at once" in text for text in person.texts()))
