"""Identifiers that are pure functions of what they name, so that doing a thing twice is doing it once.

A hedge order's id follows from (strategy, pair, market, cause, leg, rung); its salt, and so its EIP-712 hash,
follow from that id: sending it twice is one order at the venue too.
"""

from functools import lru_cache
from hashlib import sha256
from uuid import UUID

SALT_BOUND = 10**13
"""Salts stay below 10^13: Predict.fun is known to take 13-digit salts (venues/predict.md, 5.1)."""
_KEPT = 32_768
"""Ids whose written form is kept: those of the accounts, pairs and strategies at work."""


@lru_cache(maxsize=_KEPT)
def id_text(value: UUID) -> str:
    """`str(value)`, for ids that are written with every order."""
    return str(value)


@lru_cache(maxsize=_KEPT)
def id_from(text: str) -> UUID:
    """`UUID(text)`, for ids that are read with every order."""
    return UUID(text)


def deterministic_uuid(*parts: str) -> UUID:
    """A UUID that is a pure function of `parts`; parts are length-prefixed, so ("ab","c") ≠ ("a","bc")."""
    return _uuid_of(_prefixed(*parts))


def hedge_order_id(strategy: UUID, pair: UUID, market: str, cause: str, leg: int, rung: int) -> UUID:
    """The client order id of one leg of one hedge decision. `market` is the venue's market id."""
    return _uuid_of(_hedge_of(strategy, pair, market) + _prefixed(cause, str(leg), str(rung)))


def order_salt(client_order_id: UUID) -> int:
    """The order's EIP-712 salt, 1 ≤ salt < 10^13 (0 is read as "unset" by the official SDK)."""
    digest = sha256(b"salt" + client_order_id.bytes).digest()
    return 1 + int.from_bytes(digest[:16], "big") % (SALT_BOUND - 1)


def trade_id(settlement_id: str, order_hash: str) -> str:
    """One execution of one order: the same from the wallet stream and from REST matches."""
    return f"{settlement_id}:{order_hash.lower()}"


def event_id(*parts: str) -> UUID:
    """The id of an event that says one fact; the same fact published twice has the same id."""
    return deterministic_uuid("event", *parts)


@lru_cache(maxsize=_KEPT)
def _hedge_of(strategy: UUID, pair: UUID, market: str) -> bytes:
    """What the names of all a pair's hedges in a market begin with."""
    return _prefixed("hedge", str(strategy), str(pair), market)


def _prefixed(*parts: str) -> bytes:
    """The parts in a row, each after its length."""
    return b"".join([len(part).to_bytes(4, "big") + part for part in map(str.encode, parts)])


def _uuid_of(name: bytes) -> UUID:
    raw = bytearray(sha256(name).digest()[:16])
    raw[6] = (raw[6] & 0x0F) | 0x80  # version 8: custom, RFC 9562
    raw[8] = (raw[8] & 0x3F) | 0x80
    return UUID(bytes=bytes(raw))
