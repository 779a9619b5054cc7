"""The paper venue's control plane, as the demo desk, the quoter and the rehearsal use it. Paper mode only.

Blocking and small: one request, one answer, no retry. It speaks to a loopback address and to nothing else.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from decimal import Decimal
from operator import itemgetter
from typing import Any
from urllib.parse import urlencode, urlsplit

from trading.errors import TradingError
from trading.instruments import Level
from trading.values import to_base_units

TIMEOUT_S = 5.0
Touch = tuple[Level | None, Level | None]
"""(best bid, best ask), priced in YES."""
_MOST_BOOKS = 50
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
# A proxy named in the environment must not stand between us and our own loopback.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class PaperVenueDown(TradingError):
    """No paper venue answers there (now): it may or may not have acted."""


class PaperVenueRefused(TradingError):
    """The paper venue answered that it would not."""


class PaperVenue:
    """One paper venue by its API's address."""

    def __init__(self, api_url: str) -> None:
        """Raises PaperVenueRefused for an address that is not on this machine."""
        if urlsplit(api_url).hostname not in _LOOPBACK:
            raise PaperVenueRefused("a paper venue runs on this machine; this address does not")
        self._url = api_url.rstrip("/")

    def is_up(self) -> bool:
        """True when it answers."""
        try:
            return bool(self._ask("/paper/health").get("status") == "ok")
        except (PaperVenueDown, PaperVenueRefused):
            return False

    def fund(self, address: str, collateral: Decimal, grant_id: str, owner: str | None = None) -> None:
        """Register and fund; the same grant for the same address funds once."""
        body = {"address": address, "usdt_wei": str(to_base_units(collateral)), "grant_id": grant_id, "owner": owner}
        self._ask("/paper/accounts", body)

    def load_markets(self) -> list[str]:
        """Ids of the open markets, in order."""
        found: list[int] = []
        after = ""
        while True:
            page = self._ask(f"/v1/markets?first=100&status=OPEN{after}")
            found += [int(market["id"]) for market in page["data"] if market["tradingStatus"] == "OPEN"]
            if not page.get("cursor"):
                return [str(market_id) for market_id in sorted(found)]
            after = f"&after={page['cursor']}"

    def open_market(self, title: str) -> str:
        """One more market with a book; its id."""
        body = {"title": title, "question": f"{title}: will it?", "categorySlug": "rehearsals"}
        return str(self._ask("/paper/markets", body)["id"])

    def load_touches(self, market_ids: Sequence[str]) -> dict[str, Touch]:
        """(best bid, best ask) in YES of each market, read together: one request, and not a trading one."""
        found: dict[str, Touch] = {}
        for start in range(0, len(market_ids), _MOST_BOOKS):
            some = market_ids[start : start + _MOST_BOOKS]
            for book in self._ask("/v1/markets/orderbooks?" + urlencode([("ids", i) for i in some]))["data"]:
                bid = max(book["bids"], key=itemgetter(0), default=None)
                ask = min(book["asks"], key=itemgetter(0), default=None)
                found[str(book["marketId"])] = (_level(bid), _level(ask))
        return found

    def load_trading_limit(self, market_id: str) -> int:
        """Requests a minute it allows on trading routes, by its own header."""
        request = urllib.request.Request(f"{self._url}/v1/markets/{market_id}/orderbook")  # noqa: S310 - loopback
        with _open(request) as answer:
            return int(answer.headers.get("RateLimit-Limit", "0"))

    def take(self, order_hash: str) -> None:
        """A simulated taker takes one resting order whole, now."""
        self._ask("/paper/take", {"order_hash": order_hash})

    def load_snapshot(self, address: str = "") -> dict[str, Any]:
        """The whole truth about one address, or about all real accounts."""
        return self._ask(f"/paper/snapshot?address={address}" if address else "/paper/snapshot")

    def load_taker_pace(self) -> Decimal:
        """Mean seconds between the simulated takers' trades; 0 when they rest."""
        return Decimal(str(self._ask("/paper/traders")["taker_every_s"]))

    def set_taker_pace(self, every_s: Decimal) -> None:
        """0 makes the takers rest; the makers go on quoting."""
        self._ask("/paper/traders", {"taker_every_s": float(every_s)})

    def load_faults(self) -> list[dict[str, Any]]:
        """The fault rules in force, with how often each has struck."""
        rules: list[dict[str, Any]] = self._ask("/paper/faults")["rules"]
        return rules

    def set_faults(self, rules: Sequence[Mapping[str, Any]], seed: int | None = None) -> list[dict[str, Any]]:
        """Replace all rules (`paper.faults.FaultRule`); none ends them. PaperVenueRefused for a rule that is none."""
        said: list[dict[str, Any]] = self._ask("/paper/faults", {"rules": list(rules), "seed": seed})["rules"]
        return said

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if body is not None else {}
        request = urllib.request.Request(f"{self._url}{path}", data=data, headers=headers)  # noqa: S310 - loopback
        with _open(request) as answer:
            try:
                found: dict[str, Any] = json.loads(answer.read(), parse_float=Decimal)
            except (OSError, ValueError) as error:
                raise PaperVenueDown(f"the paper venue's answer broke off ({type(error).__name__})") from None
        return found


def _open(request: urllib.request.Request) -> Any:
    try:
        return _direct.open(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        with error:
            said = error.read().decode("utf-8", "replace")[:300]
        if error.code == 429 or error.code >= 500:  # a fault it was told to commit, or a restart
            raise PaperVenueDown(f"the paper venue answered {error.code}") from None
        raise PaperVenueRefused(f"{request.selector} answered {error.code}: {said}") from None
    except (OSError, urllib.error.URLError) as error:
        raise PaperVenueDown(f"no paper venue answers ({type(error).__name__})") from None


def _level(pair: Any) -> Level | None:
    return None if pair is None else Level(Decimal(str(pair[0])), Decimal(str(pair[1])))
