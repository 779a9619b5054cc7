"""The taker's fee, exact to the base unit. Called by settlement when a match is made.

rate = bps/10000; a SELL pays floor(rate · min(p, 1−p) · size) in collateral, a BUY pays
floor(rate · min(p, 1−p) · size / p) in shares. Makers pay nothing.
"""


def taker_fee(bps: int, is_buy: bool, notional: int, size: int, unit: int) -> int:
    """Fee in base units (shares on a buy, collateral on a sell).

    `notional` is Σ price·size over the fills, not divided by `unit`, so that the average price stays exact.
    """
    if notional <= 0:
        return 0
    lesser = min(notional, size * unit - notional)
    if is_buy:
        return bps * lesser * size // (10_000 * notional)
    return bps * lesser // (10_000 * unit)
