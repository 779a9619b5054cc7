"""An account with a proxy never speaks without it: REST, login, RPC and WebSocket, proxy up or down."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator

import pytest
from yarl import URL

from tests.venues import faulty as fault
from tests.venues.faulty import FaultyVenue, TunnelProxy, listening
from trading.enums import Platform, SignerKind
from trading.errors import InvalidValue, RetryLater
from venues import registry
from venues.contract import Credentials, VenueClient, WalletEvent
from venues.http import HttpSession

FAKE_KEY = bytes.fromhex("11" * 32)
OWNER = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"


def client_of(faulty: FaultyVenue, proxy_url: str) -> VenueClient:
    endpoints = registry.venue_endpoints(
        Platform.PREDICT,
        api_url=faulty.base,
        ws_url=faulty.base.replace("http", "ws") + "/ws",
        rpc_url=faulty.base + "/rpc",
        chain_id=56,
    )
    credentials = Credentials(
        account_id="a", address=OWNER, signer_kind=SignerKind.EOA, private_key=FAKE_KEY, proxy_url=proxy_url
    )
    return registry.venue_client(Platform.PREDICT, credentials, endpoints)


@pytest.fixture
def dead_port() -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield probe.getsockname()[1]


@pytest.fixture
async def tunnel() -> AsyncIterator[tuple[TunnelProxy, str]]:
    proxy = TunnelProxy()
    async with listening(proxy.serve) as port:
        yield proxy, f"http://fake-user:fake-password@127.0.0.1:{port}"


async def test_everything_goes_through_the_proxy(faulty: FaultyVenue, tunnel: tuple[TunnelProxy, str]) -> None:
    proxy, url = tunnel
    faulty.behave["GET /v1/auth/message"] = fault.answer(200, {"success": True, "data": {"message": "m"}})
    faulty.behave["POST /v1/auth"] = fault.answer(200, {"success": True, "data": {"token": "t"}})
    reserved = {"success": True, "data": [{"type": "USDT", "amount": "5"}]}
    faulty.behave["POST /v1/account/reserved-balances/query"] = fault.answer(200, reserved)
    faulty.behave["POST /rpc"] = fault.answer(200, {"id": 1, "result": "0x" + "0" * 63 + "7"})
    client = client_of(faulty, url)
    await client.connect()
    balance = await client.fetch_balance()
    assert (balance.total * 10**18, balance.reserved * 10**18) == (7, 5)
    with pytest.raises(TimeoutError):
        await _first_event(client, 0.3)  # the venue here speaks no WebSocket: only the way to it matters
    await client.close()
    assert faulty.sent("/ws")
    assert faulty.connections == len(proxy.asked) > 0, "every connection the venue saw came out of the proxy"
    assert {asked.split(":")[0] for asked in proxy.asked} == {"CONNECT 127.0.0.1"}
    assert all(authorization.startswith("Basic ") for authorization in proxy.authorizations)


@pytest.mark.parametrize("scheme", ["http", "socks4", "socks5", "socks5h"])
async def test_a_dead_proxy_means_no_request_at_all(faulty: FaultyVenue, dead_port: int, scheme: str) -> None:
    client = client_of(faulty, f"{scheme}://127.0.0.1:{dead_port}")
    with pytest.raises(RetryLater, match="proxy_unavailable"):
        await client.connect()
    with pytest.raises(RetryLater, match="proxy_unavailable"):
        await client.fetch_fills(0)
    with pytest.raises(TimeoutError):
        await _first_event(client, 0.3)
    await client.close()
    assert faulty.connections == 0


async def test_a_refusing_proxy_means_no_request_at_all(faulty: FaultyVenue) -> None:
    proxy = TunnelProxy(refuse=True)
    async with listening(proxy.serve) as port:
        client = client_of(faulty, f"http://127.0.0.1:{port}")
        with pytest.raises(RetryLater, match="proxy_unavailable"):
            await client.fetch_fills(0)
        await client.close()
    assert proxy.asked
    assert faulty.connections == 0


async def test_dead_proxy_stops_rpc_and_websocket_too(faulty: FaultyVenue, dead_port: int) -> None:
    session = HttpSession(f"http://127.0.0.1:{dead_port}")
    with pytest.raises(RetryLater, match="proxy_unavailable"):
        await session.request("POST", URL(faulty.base + "/rpc"), headers={}, body=b"{}")
    with pytest.raises(RetryLater, match="proxy_unavailable"):
        await session.connect_websocket(faulty.base.replace("http", "ws") + "/ws", headers={})
    await session.close()
    assert faulty.connections == 0


@pytest.mark.parametrize("url", ["ftp://h:1", "http://nohost", "nonsense", "http://:8080", "socks5://user:secret@h"])
def test_a_proxy_that_cannot_be_one_is_refused(url: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        HttpSession(url)
    assert "secret" not in str(refused.value)


async def test_proxy_password_is_in_no_error(faulty: FaultyVenue, dead_port: int) -> None:
    client = client_of(faulty, f"http://fake-user:fake-password@127.0.0.1:{dead_port}")
    with pytest.raises(RetryLater) as refused:
        await client.connect()
    await client.close()
    assert (
        "fake-password" not in f"{refused.value!r} {refused.value.__cause__!r} {refused.value.__context__} {client!r}"
    )


async def test_a_proxy_in_the_environment_is_ignored(
    faulty: FaultyVenue, dead_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{dead_port}")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{dead_port}")
    session = HttpSession()
    answer = await session.request("GET", URL(faulty.base), headers={})
    await session.close()
    assert answer.status == 404


async def _first_event(client: VenueClient, within_s: float) -> WalletEvent:
    async with asyncio.timeout(within_s):
        async for event in client.stream_wallet():
            return event
    raise AssertionError("the stream ended")
