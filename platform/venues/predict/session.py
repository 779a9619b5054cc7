"""An account's authenticated way to Predict.fun: token, headers, budgets. Under the client and the wallet stream.

The token lives 24 h and has no refresh: it is renewed by logging in again, in the background ten minutes before it
ends, and at once when the venue refuses it. One login at a time; who waited for it takes its token.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar

import jwt
import msgspec
import structlog
from multidict import CIMultiDict
from yarl import URL

from trading.errors import RetryLater, UnknownOutcome, VenueError
from venues.backoff import Backoff
from venues.contract import Credentials
from venues.http import Answer, HttpSession
from venues.predict.config import PredictEndpoints
from venues.predict.errors import is_unauthorized, parse_answer
from venues.predict.schemas import AuthMessage, AuthToken, Data
from venues.predict.signing import PredictSigner
from venues.priority import Priority, current_priority
from venues.ratelimit import RateBudget

T = TypeVar("T")
log = structlog.get_logger()

_RENEW_AHEAD_S: Final = 600
_TOKEN_LIFE_S: Final = 86_400
_SURELY_FRESH_S: Final = 60
"""A token this young was not refused for its age."""

_message = msgspec.json.Decoder(Data[AuthMessage])
_token = msgspec.json.Decoder(Data[AuthToken])


def route_class(path: str) -> str:
    """Which of the venue's budgets a path draws on (venues/predict.md, 1)."""
    if path.startswith("/v1/orders") or path == "/v1/markets/quotes" or path.endswith(("/orderbook", "/quote")):
        return "trading"
    return "search" if path.startswith("/v1/search") else "other"


class PredictSession:
    """Requests of one account, or of nobody (market data) when there are no credentials."""

    def __init__(
        self,
        endpoints: PredictEndpoints,
        credentials: Credentials | None = None,
        *,
        proxy_url: str | None = None,
        budget: RateBudget | None = None,
        connect_timeout_s: float = 2.0,
        total_timeout_s: float = 3.0,
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        self._base = URL(endpoints.base_url)
        self._budget = budget or RateBudget()
        self._clock_s = clock_s
        self._signer = None if credentials is None else PredictSigner(credentials, endpoints.chain_id)
        self.account_id = "" if credentials is None else credentials.account_id
        self.http = HttpSession(
            credentials.proxy_url if credentials is not None else proxy_url,
            connect_timeout_s=connect_timeout_s,
            total_timeout_s=total_timeout_s,
        )
        key = (credentials.api_key if credentials is not None else None) or endpoints.api_key
        self.public_headers = CIMultiDict({"User-Agent": "hedgerow", "Content-Type": "application/json"})
        if key is not None:
            self.public_headers["x-api-key"] = key
        self._private = self.public_headers
        self.token = ""
        self._expires_at_s = 0.0
        self._renew_at_s = 0.0
        self._logged_in_at_s = 0.0
        self._login_lock = asyncio.Lock()
        self._keeper: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """The account's checksummed address."""
        assert self._signer is not None
        return self._signer.address

    def url(self, path: str, query: Mapping[str, str | int] | None = None) -> URL:
        """An absolute URL of the venue."""
        url = self._base.join(URL(path))
        return url.with_query(query) if query else url

    async def open(self) -> None:
        """Log in and keep the token warm until `close`."""
        await self.live_token()
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep_token_warm(), name="predict-token")

    async def close(self) -> None:
        """Stop the keeper and close every connection."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
        await self.http.close()

    async def live_token(self) -> str:
        """A token with a minute or more to live. Raises RetryLater when the venue cannot or will not give one."""
        if self._clock_s() > self._expires_at_s - 60:
            await self.renew(self.token)
        return self.token

    async def renew(self, stale: str) -> None:
        """Log in again, unless somebody has since `stale` was current. Raises RetryLater, whatever went wrong."""
        async with self._login_lock:
            if self.token != stale or (stale and self._clock_s() - self._logged_in_at_s < 1):
                return
            try:
                try:
                    token = await self._log_in()
                except RetryLater:
                    raise
                except VenueError:
                    token = await self._log_in()  # once more: the text may have gone stale under us
            except RetryLater:
                raise
            except VenueError as error:
                raise RetryLater("login_refused", error.slug, after_s=5.0) from None
            self._take(token)

    def is_fresh(self) -> bool:
        """Whether the token is too young to have been refused for its age."""
        return self._clock_s() - self._logged_in_at_s < _SURELY_FRESH_S

    async def send(
        self,
        method: str,
        path: str,
        *,
        url: URL | None = None,
        body: bytes | None = None,
        private: bool = True,
        priority: Priority | None = None,
    ) -> Answer:
        """One request, sent once. Raises RetryLater (nothing left, or 429) or UnknownOutcome (something may have).
        Without a `priority` the one in force counts (`venues.priority`)."""
        budget_class = route_class(path)
        if private:
            await self.live_token()
        await self._budget.claim(budget_class, current_priority() if priority is None else priority)
        return await self._counted(
            budget_class,
            self.http.request(
                method, url or self.url(path), headers=self._private if private else self.public_headers, body=body
            ),
        )

    def begin(
        self, method: str, path: str, *, url: URL, body: bytes, priority: Priority, permit: Callable[[], None]
    ) -> Awaitable[Answer] | None:
        """A private request whose bytes are on the socket when this returns, and its answer to wait for, as from
        `send`. None, with nothing done, when something must be waited for first: a token, a connection, a budget.
        Raises what `permit`, asked in the step of the sending, raises, and RetryLater for a spent budget."""
        if self._clock_s() > self._expires_at_s - 60 or not self.http.is_ready(url):
            return None
        budget_class = route_class(path)
        if not self._budget.claim_now(budget_class, priority):
            return None
        answering = self.http.begin(method, url, headers=self._private, body=body, permit=permit)
        return self._counted(budget_class, answering)

    async def _counted(self, budget_class: str, answering: Awaitable[Answer]) -> Answer:
        answer = await answering
        if answer.status == 429:
            after_s = self._budget.refuse(budget_class, answer.headers)
            raise RetryLater("too_many_requests", after_s=after_s)
        self._budget.learn(budget_class, answer.headers)
        return answer

    async def read(
        self,
        path: str,
        decoder: msgspec.json.Decoder[T],
        *,
        private: bool = True,
        body: bytes | None = None,
        query: Mapping[str, str | int] | None = None,
        priority: Priority | None = None,
    ) -> T:
        """What a reading request says. A refused token is renewed once. Raises NotFound, Rejected or RetryLater."""
        url, method = self.url(path, query), "GET" if body is None else "POST"
        try:
            used = await self.live_token() if private else ""
            answer = await self.send(method, path, url=url, body=body, private=private, priority=priority)
            if private and is_unauthorized(answer):
                await self.renew(used)
                answer = await self.send(method, path, url=url, body=body, private=private, priority=priority)
        except UnknownOutcome as error:
            raise RetryLater(error.slug, error.message) from None  # a read changes nothing: ask again
        return parse_answer(answer, decoder)

    async def _log_in(self) -> str:
        assert self._signer is not None
        # Nobody's order leaves without a token: a login goes before everything.
        first = Priority.HEDGE
        text = (await self.read("/v1/auth/message", _message, private=False, priority=first)).data.message
        request = {"signer": self.address, "message": text, "signature": self._signer.sign_login(text)}
        # A login changes nothing that is ours, so it is a read: whatever fails, it is tried again.
        said = await self.read("/v1/auth", _token, private=False, body=msgspec.json.encode(request), priority=first)
        return said.data.token

    def _take(self, token: str) -> None:
        self.token = token
        self._logged_in_at_s = self._clock_s()
        self._expires_at_s = _expiry_s(token) or self._logged_in_at_s + _TOKEN_LIFE_S
        life_s = self._expires_at_s - self._logged_in_at_s
        self._renew_at_s = self._logged_in_at_s + max(life_s - _RENEW_AHEAD_S, life_s / 2)
        # A new mapping, not a changed one: requests under way keep the headers they left with.
        self._private = CIMultiDict(self.public_headers)
        self._private["Authorization"] = f"Bearer {token}"

    async def _keep_token_warm(self) -> None:
        backoff = Backoff(base_s=1.0, cap_s=60.0)
        while True:
            await asyncio.sleep(max(self._renew_at_s - self._clock_s(), 1.0))
            if self._clock_s() < self._renew_at_s:
                continue
            try:
                await self.renew(self.token)
                backoff.reset()
            except RetryLater as error:
                log.warning("predict_login_failed", account_id=self.account_id, slug=error.slug)
                await asyncio.sleep(backoff.next_delay_s())


def _expiry_s(token: str) -> float | None:
    """The token's own end, unverified: it only decides when to log in again."""
    try:
        claims = jwt.decode(token, options={"verify_signature": False, "verify_exp": False})
    except jwt.PyJWTError:
        return None
    expiry = claims.get("exp")
    return float(expiry) if isinstance(expiry, int) else None
