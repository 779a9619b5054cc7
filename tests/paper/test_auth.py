"""Login, tokens, API keys, the error envelope and the rate-limit windows."""

from pathlib import Path

import jwt
import pytest
from aiohttp import ClientSession

from paper.curve import personal_digest
from paper.predict.auth import MESSAGE_VALID_MS, Auth
from paper.predict.errors import ApiError
from paper.predict.gate import VENUE
from paper.predict.signatures import Verifier
from tests.paper.desk import Running, Start, Trader, address_of, fake_key, sign


async def test_token_runs_for_one_day(venue: Running) -> None:
    trader = await venue.trader(1)
    claims = jwt.decode(trader.token, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 86_400
    status, answer = await trader.call("GET", "/v1/account")
    assert (status, answer["data"]["address"]) == (200, trader.address)


async def test_signature_of_another_key_is_refused(venue: Running) -> None:
    trader = Trader(venue.base, venue.session, fake_key(1))
    _, answer = await trader.call("GET", "/v1/auth/message")
    message = answer["data"]["message"]
    signature = sign(fake_key(2), personal_digest(message.encode()))
    body = {"signer": trader.address, "message": message, "signature": signature}
    status, answer = await trader.call("POST", "/v1/auth", body)
    assert (status, answer["error"]) == (401, "unauthorized")


def test_message_expires_after_ten_minutes(tmp_path: Path) -> None:
    auth = Auth(tmp_path, Verifier(56))
    key = fake_key(1)
    signer = address_of(key).lower()
    message = auth.issue_message(1_000_000)
    signature = sign(key, personal_digest(message.encode()))
    assert auth.log_in(signer, None, message, signature, 1_000_000 + MESSAGE_VALID_MS)
    for late in (1_000_001 + MESSAGE_VALID_MS, 999_999):
        with pytest.raises(ApiError) as refused:
            auth.log_in(signer, None, message, signature, late)
        assert refused.value.status == 401


async def test_token_dies_after_its_day(venue: Running) -> None:
    trader = await venue.trader(1)
    auth, now = venue.app[VENUE].auth, venue.app[VENUE].now_ms()
    assert auth.address_of(trader.token, now) == trader.address.lower()
    assert auth.address_of(trader.token, now + 86_401_000) is None
    assert auth.address_of(trader.token + "x", now) is None


async def test_error_carries_slug_trace_and_time(venue: Running) -> None:
    trader = Trader(venue.base, venue.session, fake_key(1))
    status, answer = await trader.call("GET", "/v1/markets/1")
    assert status == 404
    assert answer["success"] is False
    assert (answer["code"], answer["error"], answer["message"]) == (404, "not_found", "market not found")
    assert len(answer["trace"]) == 32
    assert len(answer["timestamp"].split(".")[1]) == 10


async def test_unknown_path_has_the_envelope_too(venue: Running) -> None:
    trader = Trader(venue.base, venue.session, fake_key(1))
    status, answer = await trader.call("GET", "/v1/nothing")
    assert (status, answer["error"]) == (404, "not_found")


async def test_wallet_call_without_token_is_refused(venue: Running) -> None:
    trader = Trader(venue.base, venue.session, fake_key(1))
    for path in ("/v1/orders", "/v1/account", "/v1/positions"):
        assert (await trader.call("GET", path))[0] == 401


async def test_api_key_is_needed_everywhere(start: Start) -> None:
    async with start(api_keys=("paper-key",)) as venue, ClientSession() as session:
        for path in ("/v1/markets", "/v1/auth/message", "/ws"):
            async with session.get(venue.base + path) as answer:
                assert answer.status == 401
        async with session.get(venue.base + "/v1/markets", headers={"x-api-key": "paper-key"}) as answer:
            assert answer.status == 200
        async with session.get(venue.base + "/v1/markets", headers={"x-api-key": "other"}) as answer:
            assert (answer.status, (await answer.json())["message"]) == (401, "authorization error")


async def test_window_is_counted_then_closed(start: Start) -> None:
    async with start(trading_limit=3, other_limit=2) as venue:
        seen = []
        for _ in range(3):
            async with venue.session.get(venue.base + "/v1/markets") as answer:
                seen.append((answer.status, answer.headers["RateLimit-Remaining"]))
                assert 0 < int(answer.headers["RateLimit-Reset"]) <= 60
        assert seen == [(200, "1"), (200, "0"), (429, "0")] or seen[-1][0] == 200  # a minute turned meanwhile
        async with venue.session.get(venue.base + "/v1/markets/9001/orderbook") as answer:
            assert (answer.status, answer.headers["RateLimit-Limit"]) == (200, "3")


async def test_order_posts_are_limited_by_second(start: Start) -> None:
    async with start(post_limit=2) as venue:
        trader = await venue.trader(1)
        statuses = []
        for _ in range(12):
            status, answer = await trader.call("POST", "/v1/orders", {})
            statuses.append((status, answer["error"]))
        assert (429, "too_many_requests") in statuses
        assert (400, "bad_request") in statuses
