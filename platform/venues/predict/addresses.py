"""Predict.fun's contracts by chain, and addresses in their checksummed spelling. Read by signing and chain reads.

Source: predict-sdk 0.0.22 `constants.py` (venues/predict.md, 5.1 and 8).
"""

from typing import Final

import msgspec
import sha3

from trading.errors import InvalidValue

BNB_MAINNET: Final = 56
BNB_TESTNET: Final = 97
ZERO_ADDRESS: Final = "0x" + "0" * 40


class Contracts(msgspec.Struct, frozen=True, kw_only=True):
    """One chain's contracts, checksummed."""

    exchange: str
    neg_risk_exchange: str
    yield_bearing_exchange: str
    yield_bearing_neg_risk_exchange: str
    collateral: str
    """USDT, 18 decimals on both chains."""
    ecdsa_validator: str
    """The validator a Predict account's (a ZeroDev Kernel's) signature names."""

    def exchange_for(self, is_neg_risk: bool, is_yield_bearing: bool) -> str:
        """The exchange that settles a market with these flags: the EIP-712 verifying contract of its orders."""
        if is_neg_risk:
            return self.yield_bearing_neg_risk_exchange if is_yield_bearing else self.neg_risk_exchange
        return self.yield_bearing_exchange if is_yield_bearing else self.exchange


_CONTRACTS: Final = {
    BNB_MAINNET: Contracts(
        exchange="0x8BC070BEdAB741406F4B1Eb65A72bee27894B689",
        neg_risk_exchange="0x365fb81bd4A24D6303cd2F19c349dE6894D8d58A",
        yield_bearing_exchange="0x6bEb5a40C032AFc305961162d8204CDA16DECFa5",
        yield_bearing_neg_risk_exchange="0x8A289d458f5a134bA40015085A8F50Ffb681B41d",
        collateral="0x55d398326f99059fF775485246999027B3197955",
        ecdsa_validator="0x845ADb2C711129d4f3966735eD98a9F09fC4cE57",
    ),
    BNB_TESTNET: Contracts(
        exchange="0x2A6413639BD3d73a20ed8C95F634Ce198ABbd2d7",
        neg_risk_exchange="0xd690b2bd441bE36431F6F6639D7Ad351e7B29680",
        yield_bearing_exchange="0x8a6B4Fa700A1e310b106E7a48bAFa29111f66e89",
        yield_bearing_neg_risk_exchange="0x95D5113bc50eD201e319101bbca3e0E250662fCC",
        collateral="0xB32171ecD878607FFc4F8FC0bCcE6852BB3149E0",
        ecdsa_validator="0x845ADb2C711129d4f3966735eD98a9F09fC4cE57",
    ),
}


def contracts(chain_id: int) -> Contracts:
    """The contracts on `chain_id`; InvalidValue for a chain Predict.fun is not on."""
    found = _CONTRACTS.get(chain_id)
    if found is None:
        raise InvalidValue(f"Predict.fun is not on chain {chain_id}; it is on 56 (mainnet) and 97 (testnet)")
    return found


def checksummed(address: str) -> str:
    """`address` in EIP-55 spelling; InvalidValue when it is not 20 bytes of hex with 0x."""
    digits = address[2:].lower()
    if not address.startswith(("0x", "0X")) or len(digits) != 40 or not set(digits) <= set("0123456789abcdef"):
        raise InvalidValue(f"{address!r} is not an address: 0x and 40 hex digits")
    nibbles = sha3.keccak_256(digits.encode()).hexdigest()
    return "0x" + "".join(c.upper() if int(nibble, 16) >= 8 else c for c, nibble in zip(digits, nibbles, strict=False))


def word(address: str) -> bytes:
    """`address` as the 32-byte word the ABI makes of it."""
    return bytes(12) + bytes.fromhex(checksummed(address)[2:])
