"""Order hashes and signature checks, written from the contracts' rules and sharing no code with the product.

An EOA signs the EIP-712 digest itself. A Predict account (ZeroDev Kernel) wraps it: 0x01 ‖ validator ‖ its owner's
personal signature of the Kernel digest.
"""

from paper.curve import address_word, domain_separator, keccak256, personal_digest, recover_address
from paper.predict.contracts import CONTRACTS, ECDSA_VALIDATOR, EXCHANGE_NAME

_ORDER_TYPEHASH = keccak256(
    b"Order(uint256 salt,address maker,address signer,address taker,uint256 tokenId,uint256 makerAmount,"
    b"uint256 takerAmount,uint256 expiration,uint256 nonce,uint256 feeRateBps,uint8 side,uint8 signatureType)"
)
_KERNEL_TYPEHASH = keccak256(b"Kernel(bytes32 hash)")
_KERNEL_PREFIX = b"\x01" + bytes.fromhex(ECDSA_VALIDATOR[2:])
_KERNEL_SIGNATURE_LENGTH = 86


class Verifier:
    """Signature checks for one chain, with the domain separators kept."""

    def __init__(self, chain_id: int) -> None:
        self.chain_id = chain_id
        self.contracts = CONTRACTS[chain_id]
        self._exchanges: dict[tuple[bool, bool], bytes] = {}
        for neg_risk in (False, True):
            for yield_bearing in (False, True):
                contract = self.contracts.exchange_for(neg_risk, yield_bearing)
                domain = domain_separator(EXCHANGE_NAME, "1", chain_id, contract)
                self._exchanges[neg_risk, yield_bearing] = b"\x19\x01" + domain
        self._kernels: dict[str, bytes] = {}

    def order_digest(
        self,
        numbers: tuple[int, int, int, int, int, int, int],
        maker: str,
        signer: str,
        taker: str,
        side: int,
        signature_type: int,
        *,
        is_neg_risk: bool,
        is_yield_bearing: bool,
    ) -> bytes:
        """`numbers` is (salt, tokenId, makerAmount, takerAmount, expiration, nonce, feeRateBps)."""
        salt, token, maker_amount, taker_amount, expiration, nonce, fee = numbers
        struct = b"".join(
            (
                _ORDER_TYPEHASH,
                salt.to_bytes(32, "big"),
                address_word(maker),
                address_word(signer),
                address_word(taker),
                token.to_bytes(32, "big"),
                maker_amount.to_bytes(32, "big"),
                taker_amount.to_bytes(32, "big"),
                expiration.to_bytes(32, "big"),
                nonce.to_bytes(32, "big"),
                fee.to_bytes(32, "big"),
                side.to_bytes(32, "big"),
                signature_type.to_bytes(32, "big"),
            )
        )
        return keccak256(self._exchanges[is_neg_risk, is_yield_bearing] + keccak256(struct))

    def signed_by(self, signer: str, owner: str | None, digest: bytes, signature: str) -> bool:
        """True when `signer` stands behind `digest`: the EOA itself, or the account's registered owner."""
        try:
            raw = bytes.fromhex(signature.removeprefix("0x"))
        except ValueError:
            return False
        if len(raw) == _KERNEL_SIGNATURE_LENGTH and raw[:21] == _KERNEL_PREFIX:
            if owner is None:
                return False
            wrapped = keccak256(self._kernel_domain(signer) + keccak256(_KERNEL_TYPEHASH + digest))
            return recover_address(personal_digest(wrapped), raw[21:]) == owner
        return recover_address(digest, raw) == signer

    def _kernel_domain(self, account: str) -> bytes:
        found = self._kernels.get(account)
        if found is None:
            found = b"\x19\x01" + domain_separator("Kernel", "0.3.1", self.chain_id, account)
            self._kernels[account] = found
        return found


def message_digest(text: str) -> bytes:
    return personal_digest(text.encode())
