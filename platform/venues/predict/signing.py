"""Builds and signs Predict.fun orders and logins: pure computation with a warm key, about 100 µs an order.

The executor holds one PredictSigner per account. The same ticket always yields the same bytes (RFC 6979, no clock,
no randomness), so signing again after a crash is still the same order at the venue.
"""

from typing import Final

from coincurve import PrivateKey

from trading.enums import Action, OrderType, SignerKind
from trading.errors import InvalidValue
from trading.values import check_price
from venues.contract import Credentials, OrderTicket, SignedOrder
from venues.predict.addresses import ZERO_ADDRESS, checksummed, contracts, word
from venues.predict.amounts import exact_limit_amounts
from venues.predict.eip712 import (
    ORDER_TYPEHASH,
    exchange_domain,
    keccak256,
    kernel_digest,
    kernel_domain,
    message_digest,
    typed_digest,
)

NO_EXPIRY_S: Final = 4_102_444_800
"""2100-01-01, the SDK's stand-in for "never". Whether the venue takes 0 is not known."""

_NONCE: Final = 0
_SIGNATURE_TYPE_EOA: Final = 0
"""Predict accounts sign with 0 too: the exchange asks the account itself (EIP-1271)."""


class PredictSigner:
    """One account's OrderSigner on one chain. Its repr shows the address only."""

    def __init__(self, credentials: Credentials, chain_id: int) -> None:
        """Raises InvalidValue when key and address do not belong together: an account must never speak as another."""
        self.address = checksummed(credentials.address)
        self._chain_id = chain_id
        self._key = PrivateKey(credentials.private_key)
        owner = owner_address(credentials.private_key)
        if credentials.signer_kind is SignerKind.EOA:
            if owner != self.address:
                raise InvalidValue(f"the key signs as {owner}, not as {self.address}")
            self._kernel_separator: bytes | None = None
        elif credentials.signer_kind is SignerKind.PREDICT_ACCOUNT:
            if owner == self.address:
                raise InvalidValue(f"{owner} is the owner's own address; give the Predict account's (deposit) address")
            self._kernel_separator = kernel_domain(chain_id, self.address)
        else:
            raise InvalidValue(f"Predict.fun has no accounts of kind {credentials.signer_kind}")
        self._kernel_prefix = "0x01" + contracts(chain_id).ecdsa_validator[2:]
        self._parties = word(self.address) * 2 + word(ZERO_ADDRESS)

    def __repr__(self) -> str:
        return f"PredictSigner(address={self.address!r})"

    def sign(self, ticket: OrderTicket) -> SignedOrder:
        """The signed body and its hash. Raises InvalidValue for a price, size or option the venue cannot express.

        A market order's price is the worst it may trade at; it takes what is there and never rests. Its expiry is the
        ticket's (the SDK uses now + 300 s), because a clock in here would make a second signature another order.
        """
        market, limit = ticket.market, ticket.order_type is OrderType.LIMIT
        if ticket.post_only and not limit:
            raise InvalidValue("a market order cannot be post-only")
        if ticket.salt < 1:
            raise InvalidValue(f"salt {ticket.salt} must be positive")
        if ticket.size % market.lot:
            raise InvalidValue(f"size {ticket.size} is not a multiple of the lot {market.lot}")
        amounts = exact_limit_amounts(ticket.action, check_price(ticket.price, market.tick), ticket.size)
        side = 0 if ticket.action is Action.BUY else 1
        expiration = NO_EXPIRY_S if ticket.expires_at_s is None else ticket.expires_at_s
        token = market.token(ticket.outcome)
        struct_hash = keccak256(
            b"".join(
                (
                    ORDER_TYPEHASH,
                    ticket.salt.to_bytes(32, "big"),
                    self._parties,
                    int(token).to_bytes(32, "big"),
                    amounts.maker_amount.to_bytes(32, "big"),
                    amounts.taker_amount.to_bytes(32, "big"),
                    expiration.to_bytes(32, "big"),
                    _NONCE.to_bytes(32, "big"),
                    market.fee_rate_bps.to_bytes(32, "big"),
                    side.to_bytes(32, "big"),
                    _SIGNATURE_TYPE_EOA.to_bytes(32, "big"),
                )
            )
        )
        separator = exchange_domain(self._chain_id, market.is_neg_risk, market.is_yield_bearing)
        digest = typed_digest(separator, struct_hash)
        order_hash = "0x" + digest.hex()
        options = ',"isPostOnly":true' if ticket.post_only else ""
        body = (
            f'{{"data":{{"order":{{"salt":"{ticket.salt}","maker":"{self.address}","signer":"{self.address}",'
            f'"taker":"{ZERO_ADDRESS}","tokenId":"{token}","makerAmount":"{amounts.maker_amount}",'
            f'"takerAmount":"{amounts.taker_amount}","expiration":{expiration},"nonce":"{_NONCE}",'
            f'"feeRateBps":"{market.fee_rate_bps}","side":{side},"signatureType":{_SIGNATURE_TYPE_EOA},'
            f'"hash":"{order_hash}","signature":"{self._signature(digest)}"}},'
            f'"pricePerShare":"{amounts.price_per_share}","strategy":"{"LIMIT" if limit else "MARKET"}"'
            f"{options}}}}}"
        )
        return SignedOrder(client_order_id=ticket.client_order_id, order_hash=order_hash, body=body.encode())

    def sign_login(self, message: str) -> str:
        """The 0x signature of the venue's login text, as the account (not its owner) must present it."""
        return self._signature(message_digest(message.encode()))

    def _signature(self, digest: bytes) -> str:
        if self._kernel_separator is None:
            return "0x" + self._recoverable(digest).hex()
        inner = message_digest(kernel_digest(self._kernel_separator, digest))
        return self._kernel_prefix + self._recoverable(inner).hex()

    def _recoverable(self, digest: bytes) -> bytes:
        """65 bytes r‖s‖v with v of 27 or 28."""
        signature = self._key.sign_recoverable(digest, hasher=None)
        return signature[:64] + bytes((signature[64] + 27,))


def owner_address(private_key: bytes) -> str:
    """The checksummed EOA address of a 32-byte key."""
    point = PrivateKey(private_key).public_key.format(compressed=False)
    return checksummed("0x" + keccak256(point[1:])[12:].hex())
