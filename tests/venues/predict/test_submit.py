"""What an answer, or the lack of one, means for an order: on a real socket, against a venue that misbehaves."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import jwt
import pytest

from tests.venues import faulty as fault
from tests.venues.faulty import Behaviour, FaultyVenue
from trading.enums import SignerKind
from trading.errors import NotFound, Rejected, RetryLater, UnknownOutcome
from venues.contract import Credentials, SignedOrder
from venues.permit import permitted_by
from venues.predict.client import PredictClient
from venues.predict.config import PredictEndpoints

FAKE_KEY = bytes.fromhex("11" * 32)
OWNER = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
HASH = "0x" + "ab" * 32
ORDER = SignedOrder(client_order_id=UUID(int=1), order_hash=HASH, body=b'{"data":{"order":{}}}')
TAKEN = fault.answer(201, {"success": True, "data": {"code": "OK", "orderId": "77", "orderHash": HASH}})
TEXT = fault.answer(200, {"success": True, "data": {"message": "sign me"}})


def token(number: int, life_s: int = 86_400) -> str:
    return jwt.encode({"n": number, "exp": int(time.time()) + life_s}, "not-a-secret-" * 4)


def login(number: int) -> Behaviour:
    return fault.answer(200, {"success": True, "data": {"token": token(number)}})


@asynccontextmanager
async def client_of(base: str, **options: float) -> AsyncIterator[PredictClient]:
    client = PredictClient(
        Credentials(account_id="a", address=OWNER, signer_kind=SignerKind.EOA, private_key=FAKE_KEY),
        PredictEndpoints(api_url=base, ws_url=base.replace("http", "ws") + "/ws", rpc_url=base + "/rpc", chain_id=56),
        **{"connect_timeout_s": 0.5, "total_timeout_s": 0.6, **options},
    )
    try:
        yield client
    finally:
        await client.close()


@pytest.fixture
async def client(faulty: FaultyVenue) -> AsyncIterator[PredictClient]:
    """A client that is already logged in."""
    faulty.behave["GET /v1/auth/message"] = TEXT
    faulty.behave["POST /v1/auth"] = fault.in_turn(login(1), login(2))
    async with client_of(faulty.base) as opened:
        await opened.connect()
        yield opened


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(fault.silence, id="no answer in time"),
        pytest.param(fault.reset, id="connection reset"),
        pytest.param(fault.hang_up, id="connection closed"),
        pytest.param(fault.half_an_answer, id="answer truncated"),
        pytest.param(fault.answer(201, b"<html>"), id="taken but unreadable"),
        pytest.param(fault.answer(201, {"success": True, "data": {}}), id="taken but without a hash"),
        pytest.param(fault.answer(201, {"success": False, "data": {"orderId": "1", "orderHash": HASH}}), id="unsure"),
        pytest.param(
            fault.answer(201, {"success": True, "data": {"orderId": "1", "orderHash": "0x" + "cd" * 32}}),
            id="another order's hash",
        ),
        pytest.param(fault.answer(400, b"Bad Request"), id="400 by somebody in between"),
        pytest.param(fault.answer(401, b"no"), id="401 by somebody in between"),
        pytest.param(fault.answer(403, b"<html>blocked"), id="403 by somebody in between"),
        pytest.param(fault.answer(302, b"", Location="/elsewhere"), id="redirected"),
        pytest.param(fault.refusal(500, "internal_server_error"), id="500"),
        pytest.param(fault.answer(502, b""), id="502"),
        pytest.param(fault.refusal(503, "service_unavailable"), id="503"),
        pytest.param(fault.answer(504, b""), id="504"),
    ],
)
async def test_an_order_that_may_have_arrived_is_unknown(
    faulty: FaultyVenue, client: PredictClient, behaviour: Behaviour
) -> None:
    faulty.behave["POST /v1/orders"] = behaviour
    with pytest.raises(UnknownOutcome):
        await client.submit(ORDER)
    assert len(faulty.sent("/v1/orders")) == 1, "it left once, and only once"


async def test_a_taken_order_says_hash_id_and_times(faulty: FaultyVenue, client: PredictClient) -> None:
    faulty.behave["POST /v1/orders"] = TAKEN
    before = time.time_ns()
    taken = await client.submit(ORDER)
    assert (taken.order_hash, taken.venue_order_id, taken.duplicate) == (HASH, "77", False)
    assert before < taken.sent_at_ns < taken.answered_at_ns < time.time_ns()
    (request,) = faulty.sent("/v1/orders")
    assert request.body == ORDER.body
    assert request.headers["content-type"] == "application/json"
    assert request.headers["authorization"].startswith("Bearer ey")


async def test_a_duplicate_is_a_success(faulty: FaultyVenue, client: PredictClient) -> None:
    faulty.behave["POST /v1/orders"] = fault.refusal(400, "create_order_duplicate_order")
    taken = await client.submit(ORDER)
    assert taken.duplicate
    assert taken.order_hash == HASH


@pytest.mark.parametrize(
    ("status", "slug"),
    [
        (400, "create_order_insufficient_collateral_balance"),
        (400, "bad_request"),
        (403, "forbidden"),
        (404, "not_found"),
    ],
)
async def test_the_venues_own_no_is_a_rejection(
    faulty: FaultyVenue, client: PredictClient, status: int, slug: str
) -> None:
    faulty.behave["POST /v1/orders"] = fault.refusal(status, slug)
    with pytest.raises((Rejected, NotFound)) as refused:
        await client.submit(ORDER)
    assert type(refused.value) is Rejected
    assert refused.value.slug == slug


async def test_too_many_requests_waits_as_advised(faulty: FaultyVenue, client: PredictClient) -> None:
    faulty.behave["POST /v1/orders"] = fault.refusal(429, "too_many_requests", RateLimit_Reset="17")
    with pytest.raises(RetryLater) as refused:
        await client.submit(ORDER)
    assert refused.value.after_s == 17
    with pytest.raises(RetryLater, match="rate_limit_guard"):
        await client.submit(ORDER)
    assert len(faulty.sent("/v1/orders")) == 1, "the guard spoke before the venue had to"


async def test_a_spent_budget_stops_before_the_venue_does(faulty: FaultyVenue, client: PredictClient) -> None:
    faulty.behave["POST /v1/orders"] = fault.answer(
        201,
        {"success": True, "data": {"orderId": "77", "orderHash": HASH}},
        RateLimit_Limit="500",
        RateLimit_Remaining="1",
        RateLimit_Reset="30",
    )
    await client.submit(ORDER)
    with pytest.raises(RetryLater, match="rate_limit_guard"):
        await client.fetch_order(HASH)  # the last one is kept for orders
    await client.submit(ORDER)
    with pytest.raises(RetryLater, match="rate_limit_guard"):
        await client.submit(ORDER)
    assert len(faulty.sent("/v1/orders")) == 2


async def test_refused_connection_means_nothing_left(faulty: FaultyVenue, client: PredictClient) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{probe.getsockname()[1]}"
    async with client_of(dead) as unconnected:
        unconnected._session._take(token(1))
        with pytest.raises(RetryLater, match="not_connected"):
            await unconnected.submit(ORDER)


async def test_unresolvable_host_means_nothing_left() -> None:
    async with client_of("http://nowhere.invalid") as unconnected:
        unconnected._session._take(token(1))
        with pytest.raises(RetryLater, match="not_connected"):
            await unconnected.submit(ORDER)


async def test_unanswered_connect_means_nothing_left() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:  # fill the accept queue, so that a further SYN is dropped
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        await asyncio.sleep(0.1)
        async with client_of(f"http://127.0.0.1:{full.getsockname()[1]}", connect_timeout_s=0.2) as unconnected:
            unconnected._session._take(token(1))
            with pytest.raises(RetryLater, match="not_connected"):
                await unconnected.submit(ORDER)
        for filler in fillers:
            filler.close()


async def test_expired_token_is_renewed_and_the_same_bytes_sent(faulty: FaultyVenue, client: PredictClient) -> None:
    client._session._logged_in_at_s -= 3600
    faulty.behave["POST /v1/orders"] = fault.in_turn(fault.refusal(401, "unauthorized"), TAKEN)
    taken = await client.submit(ORDER)
    assert taken.venue_order_id == "77"
    first, second = faulty.sent("/v1/orders")
    assert first.body == second.body == ORDER.body
    assert first.headers["authorization"] != second.headers["authorization"]


async def test_resent_bytes_that_had_arrived_are_one_order(faulty: FaultyVenue, client: PredictClient) -> None:
    client._session._logged_in_at_s -= 3600
    duplicate = fault.refusal(400, "create_order_duplicate_order")
    faulty.behave["POST /v1/orders"] = fault.in_turn(fault.refusal(401, "unauthorized"), duplicate)
    assert (await client.submit(ORDER)).duplicate


async def test_resent_bytes_without_answer_are_unknown(faulty: FaultyVenue, client: PredictClient) -> None:
    client._session._logged_in_at_s -= 3600
    faulty.behave["POST /v1/orders"] = fault.in_turn(fault.refusal(401, "unauthorized"), fault.reset)
    with pytest.raises(UnknownOutcome):
        await client.submit(ORDER)
    assert len(faulty.sent("/v1/orders")) == 2


async def test_token_refused_twice_is_a_rejection(faulty: FaultyVenue, client: PredictClient) -> None:
    client._session._logged_in_at_s -= 3600
    faulty.behave["POST /v1/orders"] = fault.refusal(401, "unauthorized")
    with pytest.raises(Rejected, match="unauthorized"):
        await client.submit(ORDER)
    assert len(faulty.sent("/v1/orders")) == 2


async def test_closed_client_sends_nothing_more(faulty: FaultyVenue, client: PredictClient) -> None:
    await client.close()
    with pytest.raises(RetryLater, match="session_closed"):
        await client.submit(ORDER)
    assert not faulty.sent("/v1/orders")


async def test_failed_login_means_nothing_left(faulty: FaultyVenue) -> None:
    faulty.behave["GET /v1/auth/message"] = TEXT
    faulty.behave["POST /v1/auth"] = fault.refusal(403, "forbidden")
    async with client_of(faulty.base) as barred:
        with pytest.raises(RetryLater, match="login_refused"):
            await barred.submit(ORDER)
    assert not faulty.sent("/v1/orders")


async def test_concurrent_requests_share_one_login(faulty: FaultyVenue) -> None:
    faulty.behave["GET /v1/auth/message"] = TEXT
    faulty.behave["POST /v1/auth"] = login(1)
    faulty.behave["POST /v1/orders"] = TAKEN
    async with client_of(faulty.base) as fresh:
        await asyncio.gather(*(fresh.submit(ORDER) for _ in range(5)))
    assert len(faulty.sent("/v1/auth")) == 1


async def test_token_is_renewed_before_it_ends(faulty: FaultyVenue) -> None:
    short = fault.answer(200, {"success": True, "data": {"token": token(1, life_s=62)}})
    faulty.behave["GET /v1/auth/message"] = TEXT
    faulty.behave["POST /v1/auth"] = fault.in_turn(short, login(2))
    async with client_of(faulty.base) as opened:
        await opened.connect()
        opened._session._renew_at_s = 0
        async with asyncio.timeout(5):
            while len(faulty.sent("/v1/auth")) < 2:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.05)
        assert jwt.decode(opened._session.token, options={"verify_signature": False})["n"] == 2
    assert len(faulty.sent("/v1/auth")) == 2


@pytest.mark.parametrize("behaviour", [fault.reset, fault.silence, fault.half_an_answer, fault.answer(502, b"")])
async def test_a_failed_read_may_be_asked_again(
    faulty: FaultyVenue, client: PredictClient, behaviour: Behaviour
) -> None:
    faulty.behave[f"GET /v1/orders/{HASH}"] = behaviour
    with pytest.raises(RetryLater):
        await client.fetch_order(HASH)


async def test_read_renews_a_refused_token_once(faulty: FaultyVenue, client: PredictClient) -> None:
    client._session._logged_in_at_s -= 3600
    faulty.behave[f"GET /v1/orders/{HASH}"] = fault.in_turn(
        fault.refusal(401, "unauthorized"), fault.refusal(404, "not_found")
    )
    with pytest.raises(NotFound):
        await client.fetch_order(HASH)
    assert len(faulty.sent("/v1/auth")) == 2


async def test_cancel_that_may_have_arrived_is_unknown(faulty: FaultyVenue, client: PredictClient) -> None:
    faulty.behave["POST /v1/orders/remove-by-hash"] = fault.reset
    with pytest.raises(UnknownOutcome):
        await client.cancel([HASH])


async def test_order_not_registered_yet_may_be_cancelled_again(faulty: FaultyVenue, client: PredictClient) -> None:
    client._session._logged_in_at_s -= 30
    faulty.behave["POST /v1/orders/remove-by-hash"] = fault.refusal(401, "unauthorized")
    assert (await client.cancel([HASH])).refused == {HASH}
    assert len(faulty.sent("/v1/auth")) == 1, "a young token is not blamed for it"


@pytest.mark.parametrize(
    "behaviour",
    [
        fault.answer(200, {"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "busy"}}),
        fault.answer(200, {"jsonrpc": "2.0", "id": 1, "result": "0x"}),
        fault.answer(200, b"<html>"),
        fault.answer(500, b""),
        fault.reset,
    ],
)
async def test_a_node_that_does_not_say_is_asked_later(
    faulty: FaultyVenue, client: PredictClient, behaviour: Behaviour
) -> None:
    reserved = {"success": True, "data": [{"type": "USDT", "amount": "5"}]}
    faulty.behave["POST /v1/account/reserved-balances/query"] = fault.answer(200, reserved)
    faulty.behave["POST /rpc"] = behaviour
    with pytest.raises(RetryLater):
        await client.fetch_balance()


async def test_withdrawn_permit_means_nothing_left(faulty: FaultyVenue, client: PredictClient) -> None:
    faulty.behave["POST /v1/orders"] = TAKEN

    def check() -> None:
        raise RetryLater("stopped")

    with permitted_by(check), pytest.raises(RetryLater, match="stopped"):
        await client.submit(ORDER)
    await asyncio.sleep(0.1)
    assert not faulty.sent("/v1/orders")
    assert (await client.submit(ORDER)).venue_order_id == "77"


async def test_no_secret_shows_in_errors_or_reprs(faulty: FaultyVenue, client: PredictClient) -> None:
    faulty.behave["POST /v1/orders"] = fault.answer(401, b"no")
    with pytest.raises(UnknownOutcome) as raised:
        await client.submit(ORDER)
    shown = f"{client!r} {client._endpoints!r} {raised.value!r}"
    assert client._session.token not in shown
    assert FAKE_KEY.hex() not in shown
