"""Clearing text of secrets: keys, signatures, tokens, passwords in URLs. Logs and the bot's chats pass through here.

It is the last line, not the first: nothing hands a secret to a log or a chat on purpose.
"""

import re

HIDDEN = "[hidden]"

_PATTERNS = (
    # user:password@ in any URL
    (re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^/\s@'\"]+@", re.IGNORECASE), rf"\g<scheme>{HIDDEN}@"),
    # Telegram bot tokens, also in an address (/bot123456:…/sendMessage). A hash after a number is none.
    (re.compile(r"(?<!\d)\d{5,}:(?!0x[0-9a-fA-F]+(?![\w-]))[\w-]{30,}"), HIDDEN),
    # JSON web tokens
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{4,}\.[\w-]*"), HIDDEN),
    # Authorization headers
    (re.compile(r"\b(?P<kind>Bearer|Basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE), rf"\g<kind> {HIDDEN}"),
    # 65-byte signatures and anything longer
    (re.compile(r"\b(?:0x)?[0-9a-f]{130,}\b", re.IGNORECASE), HIDDEN),
    # "privateKey": "…", api_key=… in running text
    (
        re.compile(
            r"(?P<name>['\"]?(?:private_?key|api_?key|x-api-key|signature|secret|password|passphrase|jwt|token)['\"]?"
            r"\s*[=:]\s*)(?P<value>b?'[^']*'|b?\"[^\"]*\"|[^\s,;&}\])]+)",
            re.IGNORECASE,
        ),
        rf"\g<name>{HIDDEN}",
    ),
)

#: 32 bytes of hex are order and transaction hashes far more often than keys, so they are hidden by what stands before
#: them (a name, above) and bare 64 digits without 0x, which no hash of ours is written as.
_BARE_KEY = re.compile(r"(?<![0-9a-fx])[0-9a-f]{64}(?![0-9a-f])", re.IGNORECASE)


def scrub(text: str) -> str:
    """`text` with every secret in it replaced."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return _BARE_KEY.sub(HIDDEN, text)
