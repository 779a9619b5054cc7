"""What an answer of Predict.fun means for money: taken, refused for good, not now, or nobody knows.

    before a byte left            RetryLater       (venues/http.py)
    after a byte may have left    UnknownOutcome   (venues/http.py)
    2xx, readable                 taken
    400 create_order_duplicate…   taken before: the venue has these very bytes
    4xx with the venue's envelope Rejected(slug)   404 of a read: NotFound
    429                           RetryLater, for as long as the headers advise
    5xx, or anything unreadable   UnknownOutcome for what acts, RetryLater for what only reads

Match on the envelope's `error`, never on its `message` (venues/predict.md, 1).
"""

from typing import NoReturn, TypeVar

import msgspec

from trading.errors import NotFound, Rejected, RetryLater, UnknownOutcome
from venues.contract import SignedOrder, Submission
from venues.http import Answer
from venues.predict.schemas import CreatedOrder, Data, ErrorEnvelope

T = TypeVar("T")

DUPLICATE = "create_order_duplicate_order"

_envelopes = msgspec.json.Decoder(ErrorEnvelope)
_created = msgspec.json.Decoder(Data[CreatedOrder])


def envelope_of(answer: Answer) -> ErrorEnvelope | None:
    """The venue's own refusal, or None when somebody in between (or nobody whole) answered."""
    try:
        envelope = _envelopes.decode(answer.body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return None if envelope.success or envelope.code != answer.status else envelope


def is_unauthorized(answer: Answer) -> bool:
    """Whether the venue itself, in whole sentences, refused the token."""
    return answer.status == 401 and envelope_of(answer) is not None


def submission_of(order: SignedOrder, answer: Answer) -> Submission:
    """What a POST of `order` came to; raises Rejected, RetryLater is the caller's (429), else UnknownOutcome."""
    if answer.status in (200, 201):
        try:
            created = _created.decode(answer.body)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise UnknownOutcome("unreadable_answer", f"status {answer.status}") from None
        if not created.success or created.data.order_hash.lower() != order.order_hash:
            raise UnknownOutcome("other_order_answered", "the answer is about another order")
        return _submission(order, answer, str(created.data.order_id))
    envelope = envelope_of(answer)
    if envelope is None or answer.status >= 500:
        raise UnknownOutcome(envelope.error if envelope else "unreadable_answer", f"status {answer.status}")
    if envelope.error == DUPLICATE:
        return _submission(order, answer, "", duplicate=True)
    raise Rejected(envelope.error, envelope.message)


def _submission(order: SignedOrder, answer: Answer, order_id: str, *, duplicate: bool = False) -> Submission:
    return Submission(
        order_hash=order.order_hash,
        venue_order_id=order_id,
        duplicate=duplicate,
        sent_at_ns=answer.sent_at_ns,
        answered_at_ns=answer.answered_at_ns,
    )


def parse_answer(answer: Answer, decoder: msgspec.json.Decoder[T], *, acts: bool = False) -> T:
    """The decoded body of a 2xx; otherwise raises as the module says. `acts` when the request changes something."""
    if not 200 <= answer.status < 300:
        raise_refusal(answer, acts=acts)
    try:
        return decoder.decode(answer.body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        # msgspec's words name the field and the type, never the content.
        _raise_unclear("unreadable_answer", str(error), acts)


def raise_refusal(answer: Answer, *, acts: bool) -> NoReturn:
    """The error of an answer that is no success (429 is the client's, which knows the budget)."""
    envelope = envelope_of(answer)
    if envelope is None or answer.status >= 500:
        _raise_unclear(envelope.error if envelope else "unreadable_answer", f"status {answer.status}", acts)
    if answer.status == 404:
        raise NotFound(envelope.error, envelope.message)
    raise Rejected(envelope.error, envelope.message)


def _raise_unclear(slug: str, message: str, acts: bool) -> NoReturn:
    if acts:
        raise UnknownOutcome(slug, message)
    raise RetryLater(slug, message)
