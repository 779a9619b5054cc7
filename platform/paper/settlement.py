"""Turning a matching plan into a match, and a match into moved money. Called by the exchange only.

Between the two the amounts stand in `pending_*`: the chain has not moved yet. Collateral and shares are conserved:
what buyers pay is what sellers get, plus the cash under newly minted sets, to the last base unit.
"""

from hashlib import sha256

from paper.fees import taker_fee
from paper.matching import Fill
from paper.records import Account, Leg, Market, Match, Order, State

OPERATOR = "0x00000000000000000000000000000000000fee00"
"""Collects fees and carries the odd base unit when both sides of a mint or merge round down."""


def settlement_id(at_ms: int, seq: int, taker_hash: str) -> str:
    """A UUIDv7 that follows from its arguments alone, so that a replay names the match the same."""
    digest = int.from_bytes(sha256(f"{seq}:{taker_hash}".encode()).digest()[:10], "big")
    value = (at_ms & ((1 << 48) - 1)) << 80 | 0x7 << 76 | (digest >> 68 & 0xFFF) << 64
    value |= 0b10 << 62 | digest & ((1 << 62) - 1)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def transaction_hash(match: Match) -> str:
    return "0x" + sha256(f"tx:{match.id}".encode()).hexdigest()


def build_match(state: State, market: Market, taker: Order, fills: list[Fill], at: int, settle_ms: int) -> Match:
    """The match, with its fee, before anything has moved. Sizes, values and fee are exact floors."""
    unit = state.unit
    makers: list[Leg] = []
    size = value = notional = minted = 0
    for fill in fills:
        maker = fill.maker
        maker_price = fill.price if maker.is_yes == taker.is_yes else unit - fill.price
        size += fill.size
        value += fill.price * fill.size // unit
        notional += fill.price * fill.size
        if maker.is_buy == taker.is_buy:
            minted += fill.size if maker.is_buy else -fill.size
        makers.append(_leg(maker, maker_price, fill.size, maker_price * fill.size // unit, 0, True))
    fee = taker_fee(market.fee_bps, taker.is_buy, notional, size, unit)
    seq = state.next_match
    state.next_match += 1
    return Match(
        id=settlement_id(at, seq, taker.hash),
        seq=seq,
        market_id=market.id,
        taker=_leg(taker, notional // size, size, value, fee, False),
        makers=makers,
        size=size,
        price=notional // size,
        minted=minted,
        matched_at=at,
        due_at=at + settle_ms,
        strategy=taker.strategy,
    )


def _leg(order: Order, executed: int, size: int, value: int, fee: int, is_maker: bool) -> Leg:
    return Leg(
        order_id=order.id,
        hash=order.hash,
        address=order.address,
        is_yes=order.is_yes,
        is_buy=order.is_buy,
        price=order.price,
        executed=executed,
        size=size,
        value=value,
        fee=fee,
        is_maker=is_maker,
    )


def hold(account: Account, market: Market, leg: Leg) -> None:
    """Put the leg's outgoing side aside until settlement."""
    if leg.is_buy:
        account.pending_cash += leg.value
    else:
        token = market.token(leg.is_yes)
        account.pending_shares[token] = account.pending_shares.get(token, 0) + leg.size


def release(account: Account, market: Market, leg: Leg) -> None:
    if leg.is_buy:
        account.pending_cash -= leg.value
    else:
        token = market.token(leg.is_yes)
        account.pending_shares[token] -= leg.size


def settle(state: State, market: Market, match: Match) -> None:
    """Move cash and shares for every leg; the operator gets the fee and the rounding."""
    operator = state.accounts[OPERATOR]
    surplus = -match.minted
    market.collateral += match.minted
    for leg in match.legs():
        account = state.accounts[leg.address]
        release(account, market, leg)
        token = market.token(leg.is_yes)
        if leg.is_buy:
            account.cash -= leg.value
            surplus += leg.value
            _add_shares(account, token, leg.size - leg.fee, leg.value)
            if leg.fee:
                _add_shares(operator, token, leg.fee, 0)
        else:
            account.cash += leg.value - leg.fee
            surplus -= leg.value
            operator.cash += leg.fee
            _take_shares(account, token, leg.size)
    operator.cash += surplus
    market.volume += match.taker.value


def _add_shares(account: Account, token: str, size: int, paid: int) -> None:
    account.shares[token] = account.shares.get(token, 0) + size
    account.cost[token] = account.cost.get(token, 0) + paid


def _take_shares(account: Account, token: str, size: int) -> None:
    held = account.shares.get(token, 0)
    cost = account.cost.get(token, 0)
    account.shares[token] = held - size
    account.cost[token] = cost - (cost * size // held if held else 0)


def split_sets(account: Account, market: Market, amount: int) -> None:
    """`amount` of complete sets for as much cash; negative dissolves sets."""
    account.cash -= amount
    market.collateral += amount
    for token in (market.yes_token, market.no_token):
        if amount >= 0:
            _add_shares(account, token, amount, amount // 2)
        else:
            _take_shares(account, token, -amount)


def redeem(account: Account, market: Market, unit: int) -> int:
    """Pay out all free shares of a resolved market; returns the cash paid (floor)."""
    payout = market.payout
    if payout is None:
        return 0
    paid = 0
    for token, worth in ((market.yes_token, payout), (market.no_token, unit - payout)):
        size = account.free_shares(token)
        if size > 0:
            paid += size * worth // unit
            _take_shares(account, token, size)
    account.cash += paid
    market.collateral -= paid
    return paid
