"""The kernel's errors. `TradingError` is the root; a venue's errors derive from `VenueError`.

TradingError
├── InvalidValue          a price, size or field that cannot be what it says
├── IllegalTransition     an order was asked to take a step it cannot take
└── VenueError
    ├── Rejected          the venue refused, for good; carries its slug
    ├── RetryLater        the venue certainly did not act; try again after `after_s`
    ├── NotFound          the venue has nothing under that id
    └── UnknownOutcome    the venue may or may not have acted; only evidence tells
"""


class TradingError(Exception):
    """Root of every error the trade itself can raise."""


class InvalidValue(TradingError, ValueError):
    """A price, size, id or field that cannot be what it says it is. The message says what to do."""


class IllegalTransition(TradingError):
    """An order was asked to take a step its state machine does not have."""


class VenueError(TradingError):
    """Something a venue said or failed to say. `slug` is the venue's stable code, or ours when it gave none."""

    def __init__(self, slug: str, message: str = "") -> None:
        super().__init__(f"{slug}: {message}" if message else slug)
        self.slug = slug
        self.message = message


class Rejected(VenueError):
    """The venue refused the request for good: sending the same again would be refused again."""


class RetryLater(VenueError):
    """The venue certainly did not act (429, not connected yet). `after_s` is its own advice, in seconds."""

    def __init__(self, slug: str, message: str = "", after_s: float = 1.0) -> None:
        super().__init__(slug, message)
        self.after_s = after_s


class NotFound(VenueError):
    """The venue has nothing under that id (yet: some venues register an order a moment after taking it)."""


class UnknownOutcome(VenueError):
    """A timeout, a dropped connection, a 5xx or an unreadable answer: the venue may or may not have acted."""
