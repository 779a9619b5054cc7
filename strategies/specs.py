"""What the engine keeps warm about markets: specs by key, and books for the strategies that price from them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from psycopg import AsyncConnection

from markets.specs import load_catalogue_mark, load_digests, load_specs
from trading.enums import Platform
from trading.instruments import Book, MarketSpec
from venues.contract import MarketData

BOOK_MAX_AGE = timedelta(seconds=2)


class SpecBook(Mapping[str, MarketSpec]):
    """Market key → spec. A market not held is loaded when first asked for; `refresh` reads again what changed."""

    def __init__(self) -> None:
        self._held: dict[str, MarketSpec] = {}
        self._digests: dict[str, int] = {}
        self._mark: tuple[int, Decimal] | None = None

    def __getitem__(self, key: str) -> MarketSpec:
        return self._held[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    async def ensure(self, conn: AsyncConnection[Any], keys: Iterable[str]) -> None:
        """Load those of `keys` not held yet; unknown markets and stubs stay unheld."""
        missing = [key for key in keys if key not in self._held]
        if missing:
            self._held.update(await load_specs(conn, missing))

    async def refresh(self, conn: AsyncConnection[Any]) -> None:
        """A closed market or a new fee holds from here on. Where nothing changed, thousands of markets cost one row."""
        if not self._held:
            return
        mark = await load_catalogue_mark(conn)
        if mark == self._mark:
            return
        asked = list(self._held)  # What comes in meanwhile is read meanwhile.
        digests = await load_digests(conn, asked)
        changed = [key for key, digest in digests.items() if self._digests.get(key) != digest]
        self._held.update(await load_specs(conn, changed))
        for key in asked:
            if key not in digests:
                del self._held[key]
        self._digests, self._mark = digests, mark


class BookShelf(Mapping[str, Book]):
    """Market key → a book no older than two seconds. Only strategies that price from the book ask for any."""

    def __init__(self, venues: Mapping[Platform, MarketData], clock: Callable[[], datetime]) -> None:
        self._venues = venues
        self._clock = clock
        self._held: dict[str, tuple[datetime, Book]] = {}

    def __getitem__(self, key: str) -> Book:
        fetched_at, book = self._held[key]
        if self._clock() - fetched_at > BOOK_MAX_AGE:
            raise KeyError(key)
        return book

    def __iter__(self) -> Iterator[str]:
        return (key for key in self._held if key in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, key: object) -> bool:
        held = self._held.get(key) if isinstance(key, str) else None
        return held is not None and self._clock() - held[0] <= BOOK_MAX_AGE

    async def fetch(self, key: str) -> None:
        """Fetch one market's book from its venue. Raises VenueError."""
        platform, _, market_id = key.partition(":")
        book = await self._venues[Platform(platform)].fetch_book(market_id)
        self._held[key] = (self._clock(), book)
