"""Fixed-window rate limits, as Predict.fun counts them: per app (or per address when keyless), calendar minute."""

from paper.predict.errors import ApiError
from paper.predict.settings import Settings


class RateLimits:
    def __init__(self, settings: Settings) -> None:
        self._limits = {
            "trading": settings.trading_limit,
            "search": settings.search_limit,
            "other": settings.other_limit,
        }
        self._post_limit = settings.post_limit
        self._counts: dict[tuple[str, str], int] = {}
        self._window = -1
        self._second = -1
        self._posts: dict[str, int] = {}

    def check(self, caller: str, method: str, path: str, now_ms: int) -> dict[str, str]:
        """Count the request; the RateLimit headers, or ApiError 429 carrying them."""
        window = now_ms // 60_000
        if window != self._window:
            self._window = window
            self._counts.clear()
        bucket = _bucket(path)
        limit = self._limits[bucket]
        used = self._counts.get((caller, bucket), 0) + 1
        self._counts[caller, bucket] = used
        headers = {
            "RateLimit-Limit": str(limit),
            "RateLimit-Remaining": str(max(limit - used, 0)),
            "RateLimit-Reset": str(60 - now_ms % 60_000 // 1000),
        }
        if used > limit:
            raise LimitReached(headers)
        if method == "POST" and path.startswith("/v1/orders"):
            self._check_posts(caller, now_ms // 1000)
        return headers

    def _check_posts(self, caller: str, second: int) -> None:
        if second != self._second:
            self._second = second
            self._posts.clear()
        posts = self._posts.get(caller, 0) + 1
        self._posts[caller] = posts
        if posts > self._post_limit:
            raise LimitReached(
                {
                    "RateLimit-Limit": str(self._post_limit),
                    "RateLimit-Remaining": "0",
                    "RateLimit-Reset": "1",
                }
            )


class LimitReached(ApiError):
    def __init__(self, headers: dict[str, str]) -> None:
        super().__init__(429, message="rate limit exceeded")
        self.headers = headers


def _bucket(path: str) -> str:
    if path.startswith("/v1/orders"):
        return "trading"
    if path.startswith("/v1/search"):
        return "search"
    if path.startswith("/v1/markets/") and path.endswith(("/orderbook", "/quote", "/quotes")):
        return "trading"
    return "other"
