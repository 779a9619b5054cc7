"""Strategy kind → its handler. Adding a strategy: a config struct in `strategies.config.KINDS`, a handler here."""

from strategies.handlers.delta_neutral import DeltaNeutral
from strategies.handlers.plan import Handler
from trading.errors import InvalidValue

HANDLERS: dict[str, Handler] = {"delta_neutral": DeltaNeutral()}


def get_handler(kind: str) -> Handler:
    """The handler of a kind of strategy; InvalidValue names the known kinds."""
    handler = HANDLERS.get(kind)
    if handler is None:
        raise InvalidValue(f"{kind!r} is not a kind of strategy; known: {', '.join(sorted(HANDLERS))}")
    return handler
