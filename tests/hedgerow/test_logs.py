"""No key, signature, token or password in a log line, whichever way it came there."""

import io
import logging
import logging.config
from collections.abc import Iterator

import pytest
import structlog
from uvicorn.config import LOGGING_CONFIG

from hedgerow.logs import configure_logging, scrub, scrub_value

#: Fakes, made for these tests.
KEY = "0x" + "11" * 32
SIGNATURE = "0x" + "22" * 65
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJmYWtlIn0.c2lnbmF0dXJlLWZha2U"
ORDER_HASH = "0x" + "ab" * 32
BOT_TOKEN = "110201543:AAobviously-a-fake-token_of-the-tests"


@pytest.fixture(params=["json", "console"])
def lines(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """What the process writes, in either form."""
    configure_logging("DEBUG", request.param)
    handler = logging.getLogger().handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    stream = io.StringIO()
    before = handler.setStream(stream)
    yield stream
    if before is not None:
        handler.setStream(before)
    configure_logging("INFO", "console")


def test_value_under_secret_name_is_hidden(lines: io.StringIO) -> None:
    structlog.get_logger("t").warning("sealed", private_key=KEY, api_key="abc", proxy_url="socks5://u:p@h:1", jwt=JWT)
    written = lines.getvalue()
    assert "sealed" in written
    for secret in (KEY, "abc", "u:p", JWT):
        assert secret not in written


def test_secret_inside_other_values_is_hidden(lines: io.StringIO) -> None:
    structlog.get_logger("t").warning(
        "sent", headers={"Authorization": f"Bearer {JWT}"}, order={"signature": SIGNATURE, "hash": ORDER_HASH}
    )
    written = lines.getvalue()
    assert JWT not in written
    assert SIGNATURE not in written
    assert ORDER_HASH in written


def test_secret_in_exception_text_is_hidden(lines: io.StringIO) -> None:
    try:
        raise RuntimeError(f"proxy socks5://user:hunter2@10.0.0.1:1080 failed for private_key={KEY}")
    except RuntimeError:
        structlog.get_logger("t").exception("proxy down")
    written = lines.getvalue()
    assert "RuntimeError" in written
    assert "hunter2" not in written
    assert KEY not in written


def test_secret_logged_by_a_library_is_hidden(lines: io.StringIO) -> None:
    logging.getLogger("some.library").warning("POST %s body=%s", f"https://u:hunter2@h/?jwt={JWT}", SIGNATURE)
    written = lines.getvalue()
    assert "some.library" in written or "POST" in written
    for secret in ("hunter2", JWT, SIGNATURE):
        assert secret not in written


def test_secret_used_as_a_name_is_hidden(lines: io.StringIO) -> None:
    structlog.get_logger("t").warning("sessions", by_token={JWT: 1})
    structlog.get_logger("t").warning("sessions", counts={JWT: 1})
    assert JWT not in lines.getvalue()


def test_bot_token_reaches_no_line(lines: io.StringIO) -> None:
    log = structlog.get_logger("t")
    log.warning(f"polling with {BOT_TOKEN}", address=f"https://api.telegram.org/bot{BOT_TOKEN}/getUpdates")
    log.warning("nested", chats={"bots": [{f"of {BOT_TOKEN}": BOT_TOKEN}, (BOT_TOKEN,)]})
    try:
        raise RuntimeError(f"Cannot connect to https://api.telegram.org/bot{BOT_TOKEN}/sendMessage")
    except RuntimeError:
        log.exception("unsent")
    logging.getLogger("aiogram").error("failed for %s", BOT_TOKEN, exc_info=ValueError(BOT_TOKEN))
    written = lines.getvalue()
    assert written.count("[hidden]") >= 7
    assert BOT_TOKEN.partition(":")[2] not in written


@pytest.mark.parametrize("secret", ["A" * 30, "AA-_" * 9, "0x" + "g" * 33, "x" * 35])
def test_bot_token_is_hidden_after_any_letters(secret: str) -> None:
    assert secret not in scrub(f"bot12345:{secret}/getMe")


def test_servers_own_handlers_are_taken_over(lines: io.StringIO, capfd: pytest.CaptureFixture[str]) -> None:
    handler = logging.getLogger().handlers[0]
    logging.config.dictConfig({**LOGGING_CONFIG, "disable_existing_loggers": False})
    configure_logging("INFO", "json")
    replaced = logging.getLogger().handlers[0]
    assert isinstance(replaced, logging.StreamHandler)
    replaced.setStream(lines)
    logging.getLogger("uvicorn.error").error("Exception in ASGI application: private_key=%s", KEY)
    assert handler is not replaced
    assert "Exception in ASGI application" in lines.getvalue()
    assert KEY not in lines.getvalue()
    assert "ASGI" not in capfd.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://hedgerow:hunter2@127.0.0.1:5432/x",
        "redis://:hunter2@h:6379",
        "x-api-key: hunter2",
        "{'password': 'hunter2'}",
        '{"apiKey": "hunter2"}',
        "Bearer hunter2hunter2",
        b"hunter2".hex() * 10,
    ],
)
def test_known_shapes_are_hidden_in_text(text: str) -> None:
    assert "hunter2" not in scrub(text)
    assert b"hunter2".hex() not in scrub(text)


def test_hashes_and_addresses_stay_readable() -> None:
    text = f"order {ORDER_HASH} of 0x{'cd' * 20} in 100200:{ORDER_HASH} at 19:45:29.123456"
    assert scrub(text) == text


def test_bytes_are_never_written() -> None:
    assert scrub_value("frame", b"\x11" * 32) == "[32 bytes]"
