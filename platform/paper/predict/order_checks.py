"""From the bytes of POST /v1/orders to an entry for the exchange, or the 400 the venue would answer.

The order of the checks is the venue's: JSON, price, amounts, fee rate, hash and signature, then (by the exchange)
duplicate and balance.
"""

from typing import Literal

import msgspec

from paper.entries import Place
from paper.exchange import Exchange
from paper.predict.contracts import ZERO_ADDRESS
from paper.predict.errors import ApiError
from paper.predict.settings import UNIT
from paper.predict.signatures import Verifier
from paper.records import Market

MIN_VALUE = 9 * 10**17
MIN_SIZE = 10**16
MIN_EXPIRY_S = 30
_UINT256 = 1 << 256
Text = str | int


class WireOrder(msgspec.Struct, rename="camel"):
    salt: Text
    maker: str
    signer: str
    taker: str
    token_id: Text
    maker_amount: Text
    taker_amount: Text
    expiration: Text
    nonce: Text
    fee_rate_bps: Text
    side: int
    signature_type: int
    hash: str
    signature: str


class NewOrder(msgspec.Struct, rename="camel"):
    order: WireOrder
    price_per_share: Text
    strategy: Literal["LIMIT", "MARKET"]
    slippage_bps: Text | None = None
    is_fill_or_kill: bool = False
    is_post_only: bool = False
    is_min_amount_out: bool = False
    reserved_balance_policy: Literal["REJECT_MARKET_ORDER", "SKIP_RESERVED_BALANCE_CHECKS"] | None = None
    self_trade_prevention: Literal["CANCEL_MAKER", "CANCEL_TAKER", "CANCEL_BOTH"] | None = None


class NewOrderBody(msgspec.Struct):
    data: NewOrder


_decode = msgspec.json.Decoder(NewOrderBody).decode


def parse_new_order(body: bytes) -> NewOrder:
    try:
        return _decode(body).data
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ApiError(400, "bad_request", f"parse request payload error: {error}") from None


class OrderChecks:
    def __init__(self, exchange: Exchange, verifier: Verifier) -> None:
        self._exchange = exchange
        self._verifier = verifier
        self._tokens: dict[str, tuple[Market, bool]] = {}

    def market_of(self, token: str) -> tuple[Market, bool] | None:
        """The market a token id belongs to and whether it is its YES."""
        if token not in self._tokens:
            for market in self._exchange.state.markets.values():
                self._tokens[market.yes_token] = (market, True)
                self._tokens[market.no_token] = (market, False)
        return self._tokens.get(token)

    def check(self, new: NewOrder, wallet: str, now_ms: int, settle_ms: int) -> Place:
        """Shape, amounts, fee, hash and signature; the entry to apply. Raises ApiError."""
        wire = new.order
        try:
            price = int(new.price_per_share)
            numbers = (
                int(wire.salt),
                int(wire.token_id),
                int(wire.maker_amount),
                int(wire.taker_amount),
                int(wire.expiration),
                int(wire.nonce),
                int(wire.fee_rate_bps),
            )
        except ValueError:
            raise ApiError(400, "bad_request", "a number could not be read") from None
        _, token, maker_amount, taker_amount, expiration, nonce, fee = numbers
        if any(not 0 <= n < _UINT256 for n in numbers) or wire.side not in (0, 1):
            raise ApiError(400, "bad_request", "a number is out of range")
        maker = _address(wire.maker)
        signer = _address(wire.signer)
        found = self.market_of(str(token))
        if found is None:
            raise ApiError(404, message="market not found")
        market, is_yes = found
        is_buy = wire.side == 0
        place = self._amounts(new, market, price, is_buy, maker_amount, taker_amount)
        if expiration < now_ms // 1000 + MIN_EXPIRY_S:
            raise ApiError(400, "create_order_expiry_too_soon", "the order expires too soon")
        if fee < market.fee_bps:
            raise ApiError(400, "create_order_fee_rate_too_low", f"the fee rate must be at least {market.fee_bps}")
        if maker != signer or wire.signature_type != 0 or _address(wire.taker) != ZERO_ADDRESS or nonce != 0:
            raise ApiError(400, "bad_request", "maker, signer, taker, nonce or signatureType not supported")
        if wallet != maker:
            raise ApiError(401, message="the order does not belong to this wallet")
        digest = self._verifier.order_digest(
            numbers,
            maker,
            signer,
            ZERO_ADDRESS,
            wire.side,
            wire.signature_type,
            is_neg_risk=market.info["isNegRisk"],
            is_yield_bearing=market.info["isYieldBearing"],
        )
        if wire.hash.lower() != "0x" + digest.hex():
            raise ApiError(400, "create_order_hash_mismatch", "the order hash does not match")
        account = self._exchange.state.accounts.get(maker)
        owner = None if account is None else account.owner
        if len(wire.signature) > 200 or not self._verifier.signed_by(maker, owner, digest, wire.signature):
            raise ApiError(400, "create_order_invalid_signature", "the signature is not the maker's")
        place.at = now_ms
        place.hash = "0x" + digest.hex()
        place.address = maker
        place.market_id = market.id
        place.is_yes = is_yes
        place.expiration = expiration
        place.settle_ms = settle_ms
        place.raw = {
            "salt": str(wire.salt),
            "maker": wire.maker,
            "signer": wire.signer,
            "taker": wire.taker,
            "tokenId": str(token),
            "makerAmount": str(maker_amount),
            "takerAmount": str(taker_amount),
            "expiration": expiration,
            "nonce": str(nonce),
            "feeRateBps": str(fee),
            "side": wire.side,
            "signatureType": wire.signature_type,
            "hash": place.hash,
            "signature": wire.signature,
        }
        return place

    def _amounts(
        self, new: NewOrder, market: Market, price: int, is_buy: bool, maker_amount: int, taker_amount: int
    ) -> Place:
        """Price and size within the market's rules, and the limit they really allow."""
        if price == 0:
            raise ApiError(400, "create_order_price_field_zero", "the price must be positive")
        if not 0 < price < UNIT:
            raise ApiError(400, "create_order_price_out_of_range", "the price must be between 0 and 1")
        size, value = (taker_amount, maker_amount) if is_buy else (maker_amount, taker_amount)
        limit_order = new.strategy == "LIMIT"
        if size == 0 or (value == 0 and (limit_order or is_buy)):
            raise ApiError(400, "create_order_invalid_decimal_value", "the amounts must be positive")
        if limit_order:
            if price % market.tick:
                decimals = market.info["decimalPrecision"]
                raise ApiError(
                    400,
                    "create_order_invalid_decimal_value",
                    f"the price has too many decimals. Max allowed is {decimals} decimal points",
                )
            if abs(price * size // UNIT - value) > 1:
                raise ApiError(400, "create_order_invalid_decimal_value", "amounts and pricePerShare do not agree")
            if new.is_fill_or_kill:
                raise ApiError(400, "create_order_fill_or_kill_not_supported", "fill or kill is for MARKET orders")
            if new.reserved_balance_policy is not None:
                raise ApiError(400, "create_order_reserved_balance_policy_invalid", "the policy is for MARKET orders")
        if size < MIN_SIZE or price * size // UNIT < MIN_VALUE:
            raise ApiError(400, "create_order_min_order_value_not_met", "order must have a value of at least 0.9 USD")
        worst = price
        if not limit_order:
            worst = ((maker_amount + 1) * UNIT - 1) // size if is_buy else -(-taker_amount * UNIT // size)
        return Place(
            at=0,
            hash="",
            address="",
            market_id=0,
            is_yes=True,
            is_buy=is_buy,
            price=min(worst, UNIT - 1),
            size=size,
            cap=maker_amount if is_buy else 0,
            strategy=new.strategy,
            expiration=0,
            settle_ms=0,
            budget=maker_amount if is_buy and not limit_order and new.is_min_amount_out else None,
            post_only=new.is_post_only and limit_order,
            fill_or_kill=new.is_fill_or_kill,
            self_trade=new.self_trade_prevention or "CANCEL_MAKER",
            skip_reserved=new.reserved_balance_policy == "SKIP_RESERVED_BALANCE_CHECKS",
        )


def _address(text: str) -> str:
    low = text.lower()
    if len(low) != 42 or not low.startswith("0x"):
        raise ApiError(400, "bad_request", "an address could not be read")
    try:
        bytes.fromhex(low[2:])
    except ValueError:
        raise ApiError(400, "bad_request", "an address could not be read") from None
    return low
