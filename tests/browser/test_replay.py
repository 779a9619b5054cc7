"""Replaying dead letters in a real browser: asked for on the list, followed live on its own page, with or without a
script."""

from collections.abc import Callable, Iterator

import pytest
import redis
from playwright.sync_api import Page, expect

from hedgerow.replaying import run_replay
from identity.models import AuditEntry, User
from streams.names import FIELD, dead_letter_stream
from streams.replays import BATCH, Replay, carry_out, load_open
from trading.events import FILL_EVENTS

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LogIn = Callable[..., Page]
MANY = 2 * BATCH + 30


@pytest.fixture
def bus(redis_url: str) -> Iterator[redis.Redis]:
    """A bus with many dead letters on one stream."""
    with redis.Redis.from_url(redis_url) as client:
        for number in range(MANY):
            told = b'{"type": "fill", "data": {"trade_id": "t-%d"}}' % number
            fields = {FIELD: told, b"group": b"strategies", b"reason": b"no account a1", b"deliveries": b"5"}
            client.xadd(dead_letter_stream(FILL_EVENTS), fields)
        yield client


def the_replay(bus: redis.Redis) -> Replay:
    [replay] = load_open(bus)
    return replay


def test_replay_of_a_stream_is_followed_live(log_in: LogIn, operator: User, bus: redis.Redis) -> None:
    page = log_in("operator")
    page.goto("/admin/dead-letters/")
    page.get_by_role("link", name=f"fill_events ({MANY})").click()
    page.get_by_role("button", name=f"Replay all {MANY} of fill_events…").click()
    expect(page.locator(".desk-form")).to_contain_text(f"all {MANY} messages of fill_events")
    expect(page.locator(".desk-rows > li")).to_have_count(5)
    page.get_by_role("button", name="Replay", exact=True).click()
    assert not load_open(bus), "the browser asks for a reason first"
    page.fill("[name=reason]", "the account is there now")
    page.get_by_role("button", name="Replay", exact=True).click()
    bar, text = page.locator("#replay progress"), page.locator("#replay")
    expect(text).to_contain_text(f"0 of {MANY} put back on fill_events")
    expect(bar).to_have_attribute("max", str(MANY))
    page.evaluate("document.body.dataset.mark = 'same page'")
    next(carry_out(bus, the_replay(bus)))
    expect(text).to_contain_text(f"{BATCH} of {MANY} put back")
    expect(bar).to_have_attribute("value", str(BATCH))
    run_replay(bus, the_replay(bus).token)
    expect(text).to_contain_text(f"Done: {MANY} of {MANY} put back on fill_events")
    assert page.evaluate("document.body.dataset.mark") == "same page", "nothing was loaded anew"
    assert bus.xlen(FILL_EVENTS) == MANY
    ended = AuditEntry.objects.latest("id")
    assert (ended.action, ended.who, ended.reason) == ("dead_letters.replayed", "operator", "the account is there now")
    page.click("text=All dead letters")
    expect(page.locator("body")).to_contain_text("None. Every message was handled.")


def test_replay_of_marked_ones_needs_no_script(log_in: LogIn, operator: User, bus: redis.Redis) -> None:
    page = log_in("operator", java_script_enabled=False)
    page.goto("/admin/dead-letters/")
    for number in (0, 2):
        page.locator("[name=letter]").nth(number).check()
    page.get_by_role("button", name="Replay the marked…").click()
    expect(page.locator(".desk-rows")).to_contain_text("no account a1")
    page.fill("[name=reason]", "two of them")
    page.get_by_role("button", name="Replay", exact=True).click()
    expect(page.locator("#replay")).to_contain_text("0 of 2 put back on their streams")
    run_replay(bus, the_replay(bus).token)
    expect(page.locator("#replay")).to_contain_text("Done: 2 of 2 put back on their streams")
    assert bus.xlen(FILL_EVENTS) == 2
