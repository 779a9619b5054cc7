"""Keccak and secp256k1 recovery for every paper venue. Pure; knows nothing of orders or venues."""

from coincurve import PublicKey
from Crypto.Hash import keccak


def keccak256(data: bytes) -> bytes:
    return keccak.new(digest_bits=256, data=data).digest()


def personal_digest(message: bytes) -> bytes:
    """The EIP-191 hash a wallet signs for `personal_sign`."""
    return keccak256(b"\x19Ethereum Signed Message:\n" + str(len(message)).encode() + message)


def recover_address(digest: bytes, signature: bytes) -> str | None:
    """The lower-case 0x address that signed `digest`, or None when the 65 bytes are no signature at all."""
    if len(signature) != 65:
        return None
    v = signature[64]
    recovery = v - 27 if v >= 27 else v
    if recovery not in (0, 1):
        return None
    try:
        key = PublicKey.from_signature_and_message(signature[:64] + bytes([recovery]), digest, hasher=None)
    except Exception:  # coincurve raises plain Exception subclasses of several kinds for points off the curve
        return None
    return "0x" + keccak256(key.format(compressed=False)[1:])[-20:].hex()


def checksum_address(address: str) -> str:
    """The EIP-55 mixed-case form, in which venues print addresses."""
    plain = address.lower().removeprefix("0x")
    digest = keccak256(plain.encode()).hex()
    return "0x" + "".join(c.upper() if int(n, 16) >= 8 else c for c, n in zip(plain, digest, strict=False))


def domain_separator(name: str, version: str, chain_id: int, contract: str) -> bytes:
    """EIP-712 domain hash for (name, version, chainId, verifyingContract)."""
    return keccak256(
        _DOMAIN_TYPEHASH
        + keccak256(name.encode())
        + keccak256(version.encode())
        + chain_id.to_bytes(32, "big")
        + address_word(contract)
    )


def address_word(address: str) -> bytes:
    return bytes.fromhex(address[2:]).rjust(32, b"\0")


_DOMAIN_TYPEHASH = keccak256(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
