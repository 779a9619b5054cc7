"""Codes, buttons and the page: who may link what, once, and for how long."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from bot.access import load_speaker
from bot.callbacks import MOST_BYTES, Press, encode_data, mint, press
from bot.linking import CODE_LIFE, make_code, redeem_code, unlink
from bot.local_server import safe_html
from bot.models import Callback, LinkCode, TelegramChat
from bot.replies import Button, Reply
from identity.models import AuditEntry, User
from tests.bot.conftest import BotThread, Person, Telegram, wait_for
from tests.desk_rows import DeskRows
from trading.errors import InvalidValue

BIGGEST_ID = 2**52


def test_code_links_a_chat_once(viewer: User) -> None:
    now = timezone.now()
    code = make_code(viewer, viewer, now)
    assert code not in str(LinkCode.objects.values())
    assert redeem_code(code.lower(), 5, "someone", now) is not None
    assert redeem_code(code, 6, "other", now) is None
    speaker = load_speaker(5)
    assert speaker is not None
    assert speaker.user == viewer
    assert load_speaker(6) is None
    actions = set(AuditEntry.objects.values_list("action", flat=True))
    assert actions == {"telegram.code_made", "telegram.linked"}
    assert code not in str(list(AuditEntry.objects.values()))


def test_late_or_replaced_code_links_nothing(viewer: User) -> None:
    now = timezone.now()
    first = make_code(viewer, viewer, now)
    second = make_code(viewer, viewer, now)
    assert redeem_code(first, 5, "", now) is None
    assert redeem_code(second, 5, "", now + CODE_LIFE) is None
    assert not TelegramChat.objects.exists()


def test_blocked_chat_cannot_link_again(viewer: User) -> None:
    now = timezone.now()
    chat = redeem_code(make_code(viewer, viewer, now), 5, "", now)
    TelegramChat.objects.update(is_blocked=True)
    assert redeem_code(make_code(viewer, viewer, now), 5, "", now) is None
    assert load_speaker(5) is None
    assert chat is not None
    unlink(chat, viewer, now)
    assert not TelegramChat.objects.exists()


def test_person_without_role_gets_no_code(db: None) -> None:
    nobody = User.objects.create_user("nobody")
    with pytest.raises(InvalidValue, match="no role"):
        make_code(nobody, nobody, timezone.now())


def test_wrong_codes_are_limited_and_unanswered(bot: BotThread, person: Callable[[], Person], viewer: User) -> None:
    guesser = person()
    for _ in range(5):
        guesser.say("/start ABCDEFGHJKMN")
    code = make_code(viewer, viewer, timezone.now())
    guesser.say(f"/start {code}")
    honest = person()
    honest.say(f"/start {code}")
    assert "Hello viewer" in wait_for(honest.texts)[0]
    assert guesser.heard() == []
    assert TelegramChat.objects.get().telegram_id == honest.id


@pytest.mark.django_db
def test_callback_data_fits_and_is_signed() -> None:
    now = timezone.now()
    button = Button("x" * 40, "stop_now", {"reason": "y" * 2000}, is_once=True, life=timedelta(seconds=60))
    ((key,),) = mint([[button]], BIGGEST_ID, now)
    data = key["callback_data"]
    assert len(data.encode()) <= MOST_BYTES
    # Not the last character: some of its bits are padding and mean nothing.
    flipped = data[:5] + ("A" if data[5] != "A" else "B") + data[6:]
    assert press(flipped, BIGGEST_ID, now) in (Press.FORGED,)
    assert press(data, BIGGEST_ID + 1, now) is Press.FORGED
    for nonsense in ("", "%%%", "a" * 64, "ключ", data + data):
        assert press(nonsense, BIGGEST_ID, now) is Press.FORGED
    assert press(data, BIGGEST_ID, now + timedelta(seconds=60)) is Press.EXPIRED
    assert press(data, BIGGEST_ID, now) == ("stop_now", {"reason": "y" * 2000})
    assert press(data, BIGGEST_ID, now) is Press.USED
    unknown = encode_data(Callback().id, BIGGEST_ID)
    assert press(unknown, BIGGEST_ID, now) is Press.EXPIRED


def test_long_answer_becomes_a_file() -> None:
    text = "<b>Head</b>\n" + "\n".join(f"line {n} &lt;x&gt;" for n in range(1000))
    short = Reply(text).shortened()
    assert len(short.text) < 1024
    assert short.document is not None
    assert short.document.decode().endswith("line 999 <x>")


def test_chat_markup_cannot_script() -> None:
    said = safe_html('<b onclick="x()">a</b><script>alert(1)</script><img src=x onerror=y> &lt;i&gt;')
    assert said == "<b>a</b>alert(1) &lt;i&gt;"


def test_page_makes_a_code_and_ends_a_link(viewer: User, client: Client) -> None:
    assert client.get("/telegram/").status_code == 302
    client.force_login(viewer)
    client.post("/telegram/link")
    page = client.get("/telegram/").content.decode()
    found = re.search(r"/start ([A-Z0-9]{12})<", page)
    assert found is not None
    assert found[1] not in client.get("/telegram/").content.decode()
    chat = redeem_code(found[1], 5, "phone", timezone.now())
    assert chat is not None
    assert "phone" in client.get("/telegram/").content.decode()
    client.post(f"/telegram/unlink/{chat.pk}")
    assert not TelegramChat.objects.exists()


def test_link_of_somebody_else_stays(viewer: User, trader: User, client: Client) -> None:
    chat = TelegramChat.objects.create(user=trader, telegram_id=5, linked_at=timezone.now())
    client.force_login(viewer)
    assert client.post(f"/telegram/unlink/{chat.pk}").status_code == 404
    assert TelegramChat.objects.exists()


@pytest.mark.parametrize("hidden", ["not staff", "live", "real Telegram", "no token"])
def test_local_chat_shows_on_paper_to_staff_only(
    hidden: str, operator: User, viewer: User, client: Client, settings: Settings
) -> None:
    settings.TELEGRAM_API_URL, settings.TELEGRAM_BOT_TOKEN = "http://127.0.0.1:9", "1:x"
    client.force_login(operator)
    assert "Try it here" in client.get("/telegram/").content.decode()
    if hidden == "not staff":
        client.force_login(viewer)
    elif hidden == "live":
        settings.LIVE = True
        settings.SECURE_SSL_REDIRECT = False
    elif hidden == "real Telegram":
        settings.TELEGRAM_API_URL = "https://api.telegram.org"
    else:
        settings.TELEGRAM_BOT_TOKEN = ""
    assert "Try it here" not in client.get("/telegram/").content.decode()
    assert client.post("/telegram/say", {"text": "/stop"}).status_code == 404
    assert client.get("/telegram/file/file-1").status_code == 404


def test_newcomer_links_and_talks_on_the_page(
    bot: BotThread, telegram: Telegram, operator: User, client: Client, settings: Settings
) -> None:
    settings.TELEGRAM_API_URL, settings.TELEGRAM_BOT_TOKEN = telegram.url, "1:x"
    client.force_login(operator)
    client.post("/telegram/link", {"here": "1"})
    wait_for(lambda: "Hello <b>operator</b>" in client.get("/telegram/").content.decode())
    client.post("/telegram/say", {"text": "/pnl"})
    page = wait_for(lambda: (text := client.get("/telegram/").content.decode()) and "/telegram/file/" in text and text)
    address = re.search(r'/telegram/file/[^"]+', page)
    assert address is not None
    picture = client.get(address[0])
    assert (picture["Content-Type"], picture.content[:4]) == ("image/png", b"\x89PNG")
    assert AuditEntry.objects.filter(action="telegram.asked", user=operator).exists()


def test_newcomer_searches_on_the_page(
    bot: BotThread, telegram: Telegram, operator: User, client: Client, settings: Settings, desk: DeskRows
) -> None:
    settings.TELEGRAM_API_URL, settings.TELEGRAM_BOT_TOKEN = telegram.url, "1:x"
    client.force_login(operator)
    searched = {"text": "@bot predict-03"}
    htmx = {"HX-Request": "true"}
    assert "Nobody answered" in client.post("/telegram/say", searched, headers=htmx).content.decode()
    client.post("/telegram/link", {"here": "1"})
    wait_for(lambda: "Hello <b>operator</b>" in client.get("/telegram/").content.decode())
    for headers in (htmx, {}):
        page = client.post("/telegram/say", searched, headers=headers).content.decode()
        assert 'value="/account predict-03"' in page
    assert "Nothing was found" in client.post("/telegram/say", {"text": "@bot nowhere"}).content.decode()
    assert 'value="@bot "' in client.get("/telegram/").content.decode(), "the greeting's Search button"


def test_admin_makes_a_code_for_somebody(operator: User, viewer: User, client: Client) -> None:
    client.force_login(operator)
    step = {"action": "make_link_code", "_selected_action": [viewer.pk]}
    asked = client.post("/admin/identity/user/", step).content.decode()
    assert "acts with this person&#x27;s rights" in asked
    assert "role viewer" in asked
    assert not LinkCode.objects.exists(), "looking at it makes none"
    client.post("/admin/identity/user/", step | {"confirmed": "yes", "reason": ""})
    assert not LinkCode.objects.exists(), "without a reason none is made"
    answer = client.post("/admin/identity/user/", step | {"confirmed": "yes", "reason": "a new phone"}, follow=True)
    entry = AuditEntry.objects.get(action="telegram.code_made")
    assert (entry.user, entry.reason, entry.source) == (operator, "a new phone", "admin")
    found = re.search(r"viewer: send the bot /start ([A-Z0-9]{12})", answer.content.decode())
    assert found is not None
    assert redeem_code(found[1], 5, "", timezone.now()) is not None
    assert TelegramChat.objects.get().user == viewer
