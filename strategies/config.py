"""A strategy's typed configuration: what the JSON on its row means. Read by dispatch, written by control.

The JSON keeps every decimal as a string, so that what was typed comes back digit for digit. The ladder's own rules are
in `strategies.rungs`.
"""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec

from strategies.rungs import ConfigError, Rung, check_ladder
from trading.values import ONE, ZERO

__all__ = ["KINDS", "ConfigError", "DeltaNeutralConfig", "PricePolicy", "config_json", "parse_config"]


class PricePolicy(StrEnum):
    """How the hedge's limit price follows from the primary's (docs/hedging.md, "Price")."""

    COMPLEMENT = "complement"
    BOOK = "book"
    MIRROR = "mirror"


class DeltaNeutralConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything a delta-neutral strategy can be told. Sizes in shares, money in collateral, prices in (0, 1)."""

    ratio: Decimal = ONE
    """Shares hedged per primary share."""
    price_policy: PricePolicy = PricePolicy.COMPLEMENT
    max_loss: Decimal = ZERO
    """Per pair: yes + no may cost at most 1 + this, the hedge's taker fee included. Not for the policy Mirror."""
    price_adjustment: Decimal = ZERO
    """Added to the primary's price by the policy Mirror, and only there."""
    reduce_first: bool = True
    """Sell what the hedge account holds before buying the other outcome: it frees capital."""
    mutual: bool = False
    """Fills on either account of a pair are hedged on the other."""
    markets: tuple[str, ...] = ()
    """The markets this strategy hedges; none chosen means every market."""
    max_order: Decimal | None = None
    """Most shares of one order. Empty: no limit, here and below."""
    max_position: Decimal | None = None
    """Most shares of one outcome on the hedge account, orders in flight included."""
    max_notional_per_day: Decimal | None = None
    """Price × size of the strategy's orders in one UTC day, in collateral."""
    min_price: Decimal = ZERO
    """The price band: no hedge is sent outside it."""
    max_price: Decimal = ONE
    """The price band: no hedge is sent outside it."""
    dust_deadline_s: int = 300
    """So long shares too few for the venue's minimum wait before they are rounded up."""
    dust_max_loss: Decimal = Decimal("0.5")
    """Most collateral an over-hedge may put at risk when dust is rounded up at its deadline."""

    ladder: tuple[Rung, ...] = ()
    """What is tried, one after the other, when a hedge does not fill. Empty: one limit order rests at its bound."""
    imbalance_threshold: Decimal | None = ONE
    """Shares by which an account's venue position may differ from the ledger before a person is told. Empty: nobody is
    told."""
    imbalance_halt: Decimal | None = None
    """Shares of such a difference that halt the strategy. Empty: none does."""

    def covers(self, market_id: str) -> bool:
        """True when fills in this market are hedged."""
        return not self.markets or market_id in self.markets


KINDS: dict[str, type[DeltaNeutralConfig]] = {"delta_neutral": DeltaNeutralConfig}
"""Strategy kind → the struct its JSON is read into."""


def parse_config(kind: str, raw: Mapping[str, Any]) -> DeltaNeutralConfig:
    """The configuration in `raw`, checked; raises ConfigError that names the field and says what to write instead."""
    struct = KINDS.get(kind)
    if struct is None:
        raise ConfigError("kind", f"{kind!r} is not a kind of strategy; known: {', '.join(sorted(KINDS))}")
    if not isinstance(raw, Mapping):
        raise ConfigError("", "a configuration is a JSON object, such as {}")
    known = struct.__struct_fields__
    for field, value in raw.items():
        if field not in known:
            raise ConfigError(field, f"no such field; known: {', '.join(known)}")
        inexact = _find_float(value)
        if inexact is not None:
            raise ConfigError(field, f'{inexact!r} is not exact; write it as a string, such as "{inexact!r}"')
    try:
        config = msgspec.convert(dict(raw), struct, strict=True)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$.")
        raise ConfigError(where.rstrip("`").partition("[")[0], message) from error
    _check(config)
    check_ladder(config.ladder, config.max_loss, bounded=config.price_policy is not PricePolicy.MIRROR)
    return config


def config_json(config: DeltaNeutralConfig) -> dict[str, Any]:
    """The form kept on the strategy's row: plain JSON, decimals as strings, limits that are not set left out.

    Where leaving out means something else, the default, "none" is written as null.

    parse_config gives the same config back.
    """
    built: dict[str, Any] = msgspec.to_builtins(config)
    built["ladder"] = [
        {key: value for key, value in rung.items() if value not in (None, "")} for rung in built["ladder"]
    ]
    usual = type(config)()
    return {field: value for field, value in built.items() if value is not None or getattr(usual, field) is not None}


def _find_float(value: Any) -> float | None:
    """A float somewhere in `value`."""
    if isinstance(value, float):
        return value
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return next((found for item in inner if (found := _find_float(item)) is not None), None)


def _check(config: DeltaNeutralConfig) -> None:
    for field in config.__struct_fields__:
        value = getattr(config, field)
        if isinstance(value, Decimal) and not value.is_finite():
            raise ConfigError(field, f"{value} is not a number; write a decimal string")
    if config.ratio <= ZERO or config.ratio > 10:
        raise ConfigError("ratio", f"{config.ratio} must be above 0 and at most 10; 1 hedges share for share")
    if not ZERO <= config.max_loss < ONE:
        raise ConfigError("max_loss", f"{config.max_loss} must be at least 0 and below 1, per pair of shares")
    if not -ONE < config.price_adjustment < ONE:
        raise ConfigError("price_adjustment", f"{config.price_adjustment} must lie between -1 and 1")
    mirror = config.price_policy is PricePolicy.MIRROR
    if mirror and config.max_loss:
        raise ConfigError("max_loss", "mirror does not bound a pair's cost; remove it, or choose complement or book")
    if config.price_adjustment and not mirror:
        raise ConfigError("price_adjustment", "only mirror uses it; remove it, or set price_policy to mirror")
    if not ZERO <= config.min_price < config.max_price <= ONE:
        raise ConfigError("min_price", "the band must satisfy 0 <= min_price < max_price <= 1")
    for field in ("max_order", "max_position", "max_notional_per_day", "imbalance_threshold", "imbalance_halt"):
        limit = getattr(config, field)
        if limit is not None and limit <= ZERO:
            raise ConfigError(field, f"{limit} must be positive; write null for no limit, or stop the strategy")
    alert, halt = config.imbalance_threshold, config.imbalance_halt
    if alert is not None and halt is not None and halt < alert:
        raise ConfigError(
            "imbalance_halt", f"{halt} must not be below imbalance_threshold {alert}: alert before halting"
        )
    if config.dust_deadline_s < 0:
        raise ConfigError("dust_deadline_s", f"{config.dust_deadline_s} must not be negative")
    if config.dust_max_loss < ZERO:
        raise ConfigError("dust_max_loss", f"{config.dust_max_loss} must not be negative; 0 never rounds dust up")
    if len(set(config.markets)) != len(config.markets):
        raise ConfigError("markets", "a market is named twice")
    if not all(config.markets):
        raise ConfigError("markets", "a market id is empty")
