"""Every exposure of one transaction, decided one after the other, and its orders signed. Pure, but for the signature.

The dispatch decides with it on the rows it holds locked, and foresight on the rows it remembers, so that both come to
the same bytes from the same facts.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import localcontext
from uuid import UUID

import msgspec

from accounts.ledger.fills import Closing, FillBatch, encode
from accounts.ledger.rows import NewOrder, RecordedFill
from strategies.evaluation import Evaluation, evaluate
from strategies.exposures import ExposureRow, ExposureUpdate, NewDecision
from strategies.handlers.plan import Wake
from strategies.surroundings import Surroundings, with_orders
from strategies.trips import Writes
from strategies.watching import REJECTED
from trading.errors import TradingError
from trading.values import PRECISION

SWEPT = "swept"
"""The wake of an exposure whose late fills were just looked for."""

Sign = Callable[[NewOrder], NewOrder]


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """What the exposures concerned came to."""

    evaluations: list[Evaluation]
    sent: list[NewOrder]
    """Signed, and not committed yet."""
    around: Surroundings
    """The surroundings with these orders among the open ones."""

    @property
    def denied(self) -> list[NewOrder]:
        """Orders our own limits refused."""
        return [order for evaluation in self.evaluations for order in evaluation.denied]


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What `dispatch_close` writes. Two are equal when they write the same values, signatures included."""

    closing: Closing
    updates: list[ExposureUpdate]
    decisions: list[NewDecision]
    at: datetime

    def encoded(self) -> Writes:
        """As the statement takes it."""
        return encode(self.closing), encode(self.updates), encode(self.decisions), self.at.isoformat().encode()


def decide(
    rows: Sequence[ExposureRow],
    fills: Sequence[RecordedFill],
    around: Surroundings,
    sign: Sign,
    *,
    wakes: Mapping[UUID, str],
    rejections: Mapping[UUID, str],
) -> Decided:
    """Evaluate the exposures that `fills`, `wakes` or `rejections` (by exposure) concern.

    `sign` raises a TradingError for an order whose account cannot sign now: then the exposure only records.
    """
    by_market: dict[str, list[RecordedFill]] = {}
    for fill in sorted(fills, key=lambda fill: (fill.received_at, fill.trade_id)):
        by_market.setdefault(fill.market_key, []).append(fill)
    evaluations: list[Evaluation] = []
    sent: list[NewOrder] = []
    with localcontext(prec=PRECISION):
        for row in rows:
            moving = [fill for fill in by_market.get(row.market_key, ()) if _concerns(fill, row)]
            if not moving and row.id not in wakes and row.id not in rejections:
                continue
            if moving:
                cause = f"fill:{moving[-1].trade_id}:{moving[-1].settlement}"
                # A settlement's correction came long after its fill: it starts no clock.
                cause_at = min((fill.received_at for fill in moving if fill.shares > 0), default=None)
            else:
                cause, cause_at = f"{wakes.get(row.id, 'rejected')}:{row.id}:{row.revision}", None
            slug = rejections.get(row.id, "")
            hold = f"{REJECTED}{slug}" if slug and not moving else ""
            wake = Wake(cause=cause, is_swept=wakes.get(row.id) == SWEPT)
            evaluation = evaluate(row, moving, wake, around, hold=hold, rejected=slug, cause_at=cause_at)
            try:
                orders = [sign(order) for order in evaluation.orders]
            except TradingError as error:
                orders = []
                evaluation = evaluate(row, moving, wake, around, hold=f"not_signed: {error}", cause_at=cause_at)
            if evaluation.changed or moving:
                evaluations.append(evaluation)
                sent += orders
                around = with_orders(around, evaluation.orders)
    return Decided(evaluations=evaluations, sent=sent, around=around)


def written(batch: FillBatch, decided: Decided, now: datetime) -> Written:
    """What is to be written of it."""
    return Written(
        closing=batch.closing([*decided.sent, *decided.denied]),
        updates=[evaluation.update for evaluation in decided.evaluations],
        decisions=[evaluation.decision for evaluation in decided.evaluations if evaluation.decision is not None],
        at=now,
    )


def _concerns(fill: RecordedFill, row: ExposureRow) -> bool:
    """Of a fill in the exposure's market."""
    if not (fill.shares or fill.share_fee):
        return False
    if fill.exposure_id is None:
        return fill.account_id == row.primary_id
    return fill.exposure_id == row.id
