"""A paper venue for pages that read books: its makers quote on the planted desk's markets, nobody trades."""

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

from django.conf import settings

from markets.models import Market

START_S = 60
QUOTED_S = 20
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class QuietVenue:
    """One process on a port; `open_markets` may be called for desk after desk."""

    def __init__(self, port: int, folder: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        options = ("--port", str(port), "--state-dir", str(folder), "--taker-every-s", "0", "--other-limit", "120000")
        self._command = (sys.executable, "-m", "paper.predict", *options)
        self._folder = folder

    def __enter__(self) -> "QuietVenue":
        with (self._folder / "log").open("wb") as output:
            self._process = subprocess.Popen(
                self._command, stdout=output, stderr=subprocess.STDOUT, cwd=settings.BASE_DIR / "platform"
            )
        deadline = time.monotonic() + START_S
        while not self._answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise AssertionError(f"no venue: {(self._folder / 'log').read_text()[-2000:]}")
            time.sleep(0.1)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.terminate()
        self._process.wait(20)

    def open_markets(self) -> None:
        """The desk's markets, quoted around 0.55; those that are open already stay as they are."""
        known = {str(market["id"]) for market in self.ask("/v1/markets?first=100")["data"]}
        for market in Market.objects.exclude(market_id__in=known):
            spec = {
                "id": int(market.market_id), "title": market.title, "question": market.title, "categorySlug": "tests",
                "yesTokenId": market.yes_token, "noTokenId": market.no_token, "fairPrice": "0.55",
            }  # fmt: skip
            self.ask("/paper/markets", spec)
        deadline = time.monotonic() + QUOTED_S
        while not all(self._has_bids(market) for market in Market.objects.all()):
            assert time.monotonic() < deadline, "the makers do not quote"
            time.sleep(0.2)

    def ask(self, path: str, body: Any = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"content-type": "application/json"})
        with _direct.open(request, timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def _answers(self) -> bool:
        try:
            return bool(self.ask("/paper/health"))
        except OSError:
            return False

    def _has_bids(self, market: Market) -> bool:
        return bool(self.ask(f"/v1/markets/{market.market_id}/orderbook")["data"]["bids"])
