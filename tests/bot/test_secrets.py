"""No secret in a chat: a desk full of them, every command and every harmless button, everything Telegram was given."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from accounts.models import Account, Desk, Order
from accounts.registration import register_account
from accounts.vault import ensure_vault
from alerts.kinds import AlertKind
from alerts.raising import raise_alert
from bot.commands.registry import COMMANDS
from bot.models import OutboxMessage
from bot.notices import TOLD_BY_EVENT
from bot.replies import Button, Reply
from identity.models import AuditEntry, User
from markets.models import Market
from strategies.models import Exposure, Strategy
from tests.bot.conftest import TOKEN, BotThread, Person, Telegram, wait_for
from tests.bot.test_commands import WORDS
from tests.desk_rows import DeskRows, add_fills, add_positions
from trading.enums import Severity

Link = Callable[..., Person]

#: Fakes, made for these tests. Each is planted where a careless word of a venue, a person or a bug might carry it.
KEY = "0x" + "11" * 32
API_KEY = "sesame-api-key-of-the-tests"
PASSWORD = "hunter2hunter2"
PROXY = f"socks5://agent:{PASSWORD}@10.0.0.7:1080"
SIGNATURE = "0x" + "2b" * 65
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJmYWtlIn0.c2lnbmF0dXJlLWZha2U"
BOT_TOKEN = "110201543:AAobviously-a-fake-token_of-the-tests"
SECRETS = (KEY[2:], API_KEY, PASSWORD, SIGNATURE[2:], JWT, BOT_TOKEN.partition(":")[2], "SIGNED-BYTES")
CARELESS = f"401 from {PROXY} private_key={KEY} Bearer {JWT} {SIGNATURE} bot{BOT_TOKEN} api_key={API_KEY}"
HARMLESS = frozenset({"‹", "›", "Refresh", "Exposure", "Result", "Trace", "As a file", "All orders", "What I hear of"})


def given(telegram: Telegram, person: Person) -> str:
    """All that Telegram holds of this chat, with what is in its files."""
    messages: list[dict[str, Any]] = person.heard()
    files = [telegram.read(f"/paper/file/{m['file_id']}") for m in messages if m["kind"] == "document"]
    return repr(messages) + "".join(file.decode() for file in files)


@pytest.fixture
def careless_desk(desk: DeskRows, redis_url: str) -> DeskRows:
    """Secrets sealed where they belong, and spilled into every text a chat may show."""
    ensure_vault(Path(settings.VAULT_PUBLIC_KEY_FILE).parent)
    register_account(
        name="sealed", platform="predict", private_key=KEY, api_key=API_KEY, proxy_url=PROXY, by="tests", notes=CARELESS
    )
    add_fills(desk, datetime.now(UTC), 12)
    add_positions(desk, datetime.now(UTC))
    Account.objects.update(state_reason=CARELESS[:255])
    Strategy.objects.update(state_reason=CARELESS[:255])
    Exposure.objects.update(reason=CARELESS[:255], need=5, unhedged_since=timezone.now())
    Order.objects.update(reason=CARELESS[:255], status="accepted", body=CARELESS.encode())
    Market.objects.filter(market_id="100").update(title=f"BTC password={PASSWORD} <b>")
    Desk.objects.update(reason=CARELESS[:255], stopped=True, level="hedge_only", generation=1)
    return desk


def test_no_secret_in_any_answer(
    bot: BotThread, link: Link, operator: User, telegram: Telegram, careless_desk: DeskRows
) -> None:
    person = link(operator)
    order = Order.objects.order_by("created_at")[0]
    words = {**WORDS, "cancel": str(order.pk), "account": "sealed", "alerts": ""}
    for name in sorted(COMMANDS):
        answer = person.ask(f"/{name} {words.get(name, '')}".strip())
        assert "That failed" not in answer["plain"], name
        for label in [b["text"] for row in answer["buttons"] for b in row if b["text"] in HARMLESS][:3]:
            person.press_data(answer, person.button(answer, label))
    for said in ("/orders all", f"/stop {CARELESS}", f"/resume {CARELESS}", "/logs 401"):
        person.ask(said)
    person.ask(f"/cancel {order.pk}")
    everything = given(telegram, person)
    assert everything.count("[hidden]") > 20
    assert [secret for secret in SECRETS if secret in everything] == []
    for secret in (settings.SECRET_KEY, TOKEN, settings.DATABASE_URL):
        assert secret not in everything
    assert API_KEY not in str(list(AuditEntry.objects.filter(action="telegram.asked").values()))


def test_no_secret_in_any_alert(
    bot: BotThread, link: Link, viewer: User, telegram: Telegram, careless_desk: DeskRows
) -> None:
    person = link(viewer, unhedged_after_s=1)
    for kind in AlertKind:
        raise_alert(Severity.WARNING, kind, f"sealed {kind} token={API_KEY}", CARELESS)
    wait_for(lambda: OutboxMessage.objects.count() >= len(AlertKind) - len(TOLD_BY_EVENT))
    OutboxMessage.objects.filter(status="waiting").update(due_at=timezone.now())
    wait_for(lambda: not OutboxMessage.objects.exclude(status="sent").exists(), 20)
    everything = given(telegram, person)
    assert everything.count("[hidden]") > 20
    assert [secret for secret in SECRETS if secret in everything] == []


def test_typed_secret_is_not_kept(bot: BotThread, link: Link, trader: User) -> None:
    person = link(trader)
    person.ask(f"/trade private_key={KEY} api_key={API_KEY}")
    kept = str(list(AuditEntry.objects.values("before", "after", "reason")))
    assert "[hidden]" in kept
    assert KEY not in kept
    assert API_KEY not in kept


def test_clearing_keeps_markup_and_escapes() -> None:
    said = Reply(
        f"<b>token={API_KEY}</b> &lt;i&gt; a &amp; b <code>password={PASSWORD}</code>",
        buttons=[[Button(f"key {BOT_TOKEN}", "status")]],
        document=f"x\t{PROXY}\ny &".encode(),
    ).cleared()
    assert said.text == "<b>token=[hidden]</b> &lt;i&gt; a &amp; b <code>password=[hidden]</code>"
    assert said.document == b"x\tsocks5://[hidden]@10.0.0.7:1080\ny &"
    assert said.buttons[0][0].label == "key [hidden]"
