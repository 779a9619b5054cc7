"""PredictClient: one account at Predict.fun, as the executor, the listener and the reconciler see it.

Sends what it is given and never twice of itself, with one argued exception (`submit`). Wire facts: venues/predict.md.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, TypeVar
from weakref import WeakSet

import msgspec

from trading.values import from_base_units
from venues.contract import (
    Balance,
    Cancellation,
    Credentials,
    OrderState,
    SignedOrder,
    Submission,
    VenueFill,
    VenuePosition,
    WalletEvent,
)
from venues.http import Answer
from venues.permit import permitted_by
from venues.predict.chain import fetch_collateral
from venues.predict.config import PredictEndpoints
from venues.predict.errors import is_unauthorized, parse_answer, submission_of
from venues.predict.parsing import milliseconds, parse_match, parse_order, parse_position
from venues.predict.schemas import Data, Page, Removal, Reserved, WireMatch, WireOrder, WirePosition
from venues.predict.session import PredictSession
from venues.predict.stream import WalletStream
from venues.priority import Priority, current_priority
from venues.ratelimit import RateBudget

T = TypeVar("T")

_ORDERS: Final = "/v1/orders"
_REMOVE: Final = "/v1/orders/remove-by-hash"
_PAGE: Final = 100
_MOST_REMOVALS: Final = 100

_order = msgspec.json.Decoder(Data[WireOrder])
_orders = msgspec.json.Decoder(Page[WireOrder])
_matches = msgspec.json.Decoder(Page[WireMatch])
_positions = msgspec.json.Decoder(Page[WirePosition])
_reserved = msgspec.json.Decoder(Data[list[Reserved]])
_removal = msgspec.json.Decoder(Removal)


class PredictClient:
    """One account's VenueClient. Its repr shows the account and nothing secret."""

    def __init__(
        self,
        credentials: Credentials,
        endpoints: PredictEndpoints,
        *,
        budget: RateBudget | None = None,
        connect_timeout_s: float = 2.0,
        total_timeout_s: float = 3.0,
    ) -> None:
        """`budget` is shared by accounts with one API key: the venue counts them together."""
        self._endpoints = endpoints
        self._session = PredictSession(
            endpoints,
            credentials,
            budget=budget,
            connect_timeout_s=connect_timeout_s,
            total_timeout_s=total_timeout_s,
        )
        self._orders_url = self._session.url(_ORDERS)
        self._account = repr(credentials)
        self._streams: WeakSet[WalletStream] = WeakSet()

    def __repr__(self) -> str:
        return f"PredictClient({self._account})"

    async def connect(self) -> None:
        """Log in, which also leaves a connection open for the first order. Raises RetryLater."""
        await self._session.open()

    async def close(self) -> None:
        """End the token keeper and every connection; streams of this client end too."""
        for stream in self._streams:
            stream.stop()
        await self._session.close()

    async def submit(self, order: SignedOrder) -> Submission:
        """POST the journaled bytes. Raises Rejected, RetryLater or UnknownOutcome (venues/predict/errors.py).

        The one case in which the bytes leave twice: the venue itself answered 401. It checks the token before it
        reads an order, so it took none; and were it otherwise, the same bytes have the same hash, and a second copy is
        answered as a duplicate, which is a success. An order is too dear to lose to a token that has just run out.
        """
        used, rank = await self._session.live_token(), current_priority(Priority.HEDGE)
        answer = await self._post(order, rank)
        if is_unauthorized(answer):
            await self._session.renew(used)
            answer = await self._post(order, rank)
        return submission_of(order, answer)

    def begin(
        self, order: SignedOrder, *, priority: Priority, permit: Callable[[], None]
    ) -> Awaitable[Submission] | None:
        """`submit` with its bytes on the socket when this returns, or None: see `PredictSession.begin`."""
        answering = self._session.begin(
            "POST", _ORDERS, url=self._orders_url, body=order.body, priority=priority, permit=permit
        )
        return None if answering is None else self._begun(order, answering, self._session.token, priority, permit)

    async def _begun(
        self,
        order: SignedOrder,
        answering: Awaitable[Answer],
        used: str,
        priority: Priority,
        permit: Callable[[], None],
    ) -> Submission:
        answer = await answering
        if is_unauthorized(answer):
            await self._session.renew(used)
            with permitted_by(permit):
                answer = await self._post(order, priority)
        return submission_of(order, answer)

    async def _post(self, order: SignedOrder, priority: Priority) -> Answer:
        return await self._session.send("POST", _ORDERS, url=self._orders_url, body=order.body, priority=priority)

    async def cancel(self, order_hashes: Sequence[str]) -> Cancellation:
        """Take orders off the book. Asking again is harmless, so any error may be answered with the same call.

        An order the venue does not know (yet: it registers them up to 50 ms after taking them) comes back as
        `refused`, like one inside its taker lock.
        """
        cancelled: set[str] = set()
        gone: set[str] = set()
        for start in range(0, len(order_hashes), _MOST_REMOVALS):
            removal = await self._remove(order_hashes[start : start + _MOST_REMOVALS])
            cancelled.update(h.lower() for h in removal.removed)
            gone.update(h.lower() for h in removal.noop)
        asked = {h.lower() for h in order_hashes}
        return Cancellation(
            cancelled=frozenset(cancelled), gone=frozenset(gone), refused=frozenset(asked - cancelled - gone)
        )

    async def _remove(self, hashes: Sequence[str]) -> Removal:
        body = msgspec.json.encode({"data": {"hashes": list(hashes)}})
        answer = await self._session.send("POST", _REMOVE, body=body, priority=Priority.CANCEL)
        if is_unauthorized(answer) and not self._session.is_fresh():
            await self._session.renew(self._session.token)
            answer = await self._session.send("POST", _REMOVE, body=body, priority=Priority.CANCEL)
        if not is_unauthorized(answer):
            return parse_answer(answer, _removal, acts=True)
        if len(hashes) == 1:
            return Removal(success=True, removed=[], noop=[], rejected=list(hashes))
        # One hash the venue does not know refuses the whole list: ask for each, so that the others still go.
        singles = [await self._remove([one]) for one in hashes]
        return Removal(
            success=True,
            removed=[h for single in singles for h in single.removed],
            noop=[h for single in singles for h in single.noop],
            rejected=[h for single in singles for h in single.rejected],
        )

    async def fetch_order(self, order_hash: str) -> OrderState:
        """Raises NotFound when the venue has no such order (yet)."""
        return parse_order((await self._session.read(f"{_ORDERS}/{order_hash}", _order)).data)

    async def fetch_open_orders(self) -> list[OrderState]:
        """Every order the venue lists as open."""
        return [parse_order(order) async for order in self._pages(_ORDERS, _orders, status="OPEN")]

    async def fetch_fills(self, since_ms: int) -> list[VenueFill]:
        """Settled executions of this account's orders at or after `since_ms`, oldest first.

        Whole seconds at the venue: some from up to a second before come along, so count by trade_id. A match shows up
        only once it has settled, seconds after it was made: let `since_ms` overlap the last look by a minute.
        """
        since_s = max(since_ms // 1000, 0)
        fills: list[VenueFill] = []
        mine: dict[str, str | int] = {"signerAddress": self._session.address, "executedAfter": max(since_s - 1, 0)}
        async for match in self._pages("/v1/orders/matches", _matches, private=False, **mine):
            if milliseconds(match.executed_at) < since_s * 1000:
                break  # newest first: the rest is older still
            fills.extend(parse_match(match, self._session.address))
        fills.reverse()
        return fills

    async def fetch_positions(self) -> list[VenuePosition]:
        """Shares held, as the venue's index has them: it lags the chain by seconds and may leave out dust."""
        return [parse_position(position) async for position in self._pages("/v1/positions", _positions)]

    async def fetch_balance(self) -> Balance:
        """USDT on chain, and what open buy orders hold of it (two reads: not one moment)."""
        body = b'{"assets":[{"type":"USDT"}]}'
        held = (await self._session.read("/v1/account/reserved-balances/query", _reserved, body=body)).data
        total = await fetch_collateral(self._session.http, self._endpoints, self._session.address)
        reserved = sum(int(asset.amount) for asset in held if asset.type == "USDT")
        return Balance(total=from_base_units(total), reserved=from_base_units(reserved))

    def stream_wallet(self) -> AsyncIterator[WalletEvent]:
        """The private stream, for ever (venues/predict/stream.py). Close the iterator to close its connections."""
        stream = WalletStream(self._session, self._endpoints.ws_url)
        self._streams.add(stream)
        return stream.run()

    async def _pages(
        self, path: str, decoder: msgspec.json.Decoder[Page[T]], *, private: bool = True, **filters: str | int
    ) -> AsyncIterator[T]:
        cursor: str | None = None
        while True:
            query = {"first": _PAGE, **filters, **({} if cursor is None else {"after": cursor})}
            page = await self._session.read(path, decoder, private=private, query=query)
            for item in page.data:
                yield item
            if page.cursor is None or page.cursor == cursor or not page.data:
                return
            cursor = page.cursor
