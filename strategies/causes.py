"""What woke a decision, in words. The cause itself is a key: order ids follow from it, so it stays as it is.

fill:<trade id>:<settlement>      order:<order id>:<status>…      user:<who>      flatten:<stop>
sweep, swept, book or rejected, each with the exposure and its revision
"""

_LOOKS = {
    "sweep": "looked at again",
    "swept": "late fills asked for",
    "book": "book fetched",
    "rejected": "refused by the venue",
}


def cause_words(cause: str) -> str:
    """`fill, matched` `order, filled` `asked by ana` `stop 3`; a cause of another form is its own first word."""
    kind, _, rest = cause.partition(":")
    if kind == "fill":
        settlement = rest.rpartition(":")[2] if ":" in rest else ""
        return f"fill, {settlement}" if settlement else "fill"
    if kind == "order":
        status = rest.partition(":")[2].partition(":")[0]
        return f"order, {status.replace('_', ' ')}" if status else "order"
    if kind == "user":
        return f"asked by {rest}"
    if kind == "flatten":
        return f"stop {rest}"
    return _LOOKS.get(kind, kind)
