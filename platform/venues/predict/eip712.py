"""The hashes that are signed: EIP-712 order digests, the Kernel wrap of a Predict account, EIP-191 messages.

Pure bytes in, bytes out; domain separators are computed once per exchange. Formats: venues/predict.md, 2 and 5.1.
"""

from functools import cache
from typing import Final

import sha3

from venues.predict.addresses import contracts, word

_DOMAIN_TYPE: Final = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_ORDER_TYPE: Final = (
    b"Order(uint256 salt,address maker,address signer,address taker,uint256 tokenId,uint256 makerAmount,"
    b"uint256 takerAmount,uint256 expiration,uint256 nonce,uint256 feeRateBps,uint8 side,uint8 signatureType)"
)


def keccak256(data: bytes) -> bytes:
    """Keccak-256 (not SHA3-256) of `data`, by pysha3's C: about 1 µs; pycryptodome's, which the paper venue checks
    with, takes 5.
    """
    digest: bytes = sha3.keccak_256(data).digest()
    return digest


_DOMAIN_TYPEHASH: Final = keccak256(_DOMAIN_TYPE)
ORDER_TYPEHASH: Final = keccak256(_ORDER_TYPE)
KERNEL_TYPEHASH: Final = keccak256(b"Kernel(bytes32 hash)")


def domain_separator(name: str, version: str, chain_id: int, verifying_contract: str) -> bytes:
    """The 32-byte separator of one EIP-712 domain."""
    return keccak256(
        _DOMAIN_TYPEHASH
        + keccak256(name.encode())
        + keccak256(version.encode())
        + chain_id.to_bytes(32, "big")
        + word(verifying_contract)
    )


@cache
def exchange_domain(chain_id: int, is_neg_risk: bool, is_yield_bearing: bool) -> bytes:
    """The separator of the exchange that settles markets with these flags; there are eight in all."""
    exchange = contracts(chain_id).exchange_for(is_neg_risk, is_yield_bearing)
    return domain_separator("predict.fun CTF Exchange", "1", chain_id, exchange)


def kernel_domain(chain_id: int, account: str) -> bytes:
    """The separator of one Predict account; its signer keeps it."""
    return domain_separator("Kernel", "0.3.1", chain_id, account)


def typed_digest(separator: bytes, struct_hash: bytes) -> bytes:
    """What EIP-712 signs; for an order it is also its hash at the venue."""
    return keccak256(b"\x19\x01" + separator + struct_hash)


def kernel_digest(separator: bytes, digest: bytes) -> bytes:
    """`digest` as a Predict account presents it to its owner's key."""
    return typed_digest(separator, keccak256(KERNEL_TYPEHASH + digest))


def message_digest(message: bytes) -> bytes:
    """The EIP-191 `personal_sign` digest of `message`."""
    return keccak256(b"\x19Ethereum Signed Message:\n%d" % len(message) + message)
