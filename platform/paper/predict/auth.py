"""Login and bearer tokens. The gate and the stream ask it who is speaking."""

import hmac
import secrets
from hashlib import sha256
from pathlib import Path

import jwt

from paper.predict.errors import ApiError
from paper.predict.signatures import Verifier, message_digest

MESSAGE_VALID_MS = 10 * 60 * 1000
TOKEN_VALID_S = 24 * 60 * 60
_TEXT = (
    "Please sign this message to log in. By signing, you accept the Predict Terms of Service, which you can find "
    "here: https://docs.predict.fun/terms-of-service Paper venue {proof} Timestamp: {at}"
)


class Auth:
    """Keeps one secret in the state folder, so that tokens outlive a restart."""

    def __init__(self, state_dir: Path, verifier: Verifier) -> None:
        self._verifier = verifier
        path = state_dir / "auth.secret"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_hex(32))
        self._secret = path.read_text()
        self._known: dict[str, tuple[str, int]] = {}

    def issue_message(self, now_ms: int) -> str:
        return _TEXT.format(proof=self._proof(now_ms), at=now_ms)

    def _proof(self, at: int) -> str:
        return hmac.new(self._secret.encode(), str(at).encode(), sha256).hexdigest()[:16]

    def log_in(self, signer: str, owner: str | None, message: str, signature: str, now_ms: int) -> str:
        """The JWT for a message of ours signed by `signer`; ApiError 401 otherwise."""
        try:
            at = int(message.rsplit("Timestamp: ", 1)[1])
        except (IndexError, ValueError):
            raise ApiError(401, message="unknown message") from None
        if message != _TEXT.format(proof=self._proof(at), at=at) or not 0 <= now_ms - at <= MESSAGE_VALID_MS:
            raise ApiError(401, message="message expired")
        if not self._verifier.signed_by(signer, owner, message_digest(message), signature):
            raise ApiError(401, message="invalid signature")
        now = now_ms // 1000
        claims = {"sub": signer, "iat": now, "exp": now + TOKEN_VALID_S, "jti": secrets.token_hex(8)}
        return jwt.encode(claims, self._secret, algorithm="HS256")

    def address_of(self, token: str, now_ms: int) -> str | None:
        """The wallet behind a token, or None when it is false or has run out."""
        known = self._known.get(token)
        if known is None:
            try:
                claims = jwt.decode(
                    token,
                    self._secret,
                    algorithms=["HS256"],
                    options={"verify_exp": False, "verify_iat": False},
                )
            except jwt.InvalidTokenError:
                return None
            if len(self._known) > 10_000:
                self._known.clear()
            known = self._known[token] = (str(claims["sub"]), int(claims["exp"]))
        address, expires = known
        return address if now_ms < expires * 1000 else None
