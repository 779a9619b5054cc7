"""Foresight: what a fill will probably order, worked out and signed while the database is still answering.

Nothing is decided here. The decision is made on the locked rows; when it orders exactly what was foreseen, the
signature is at hand, and when not, it is signed as ever. A signature is a function of order and market (RFC 6979, salt
from the order's id), so a foreseen one is the one that would have been made.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import localcontext
from uuid import UUID

import msgspec
import structlog

from accounts.ledger.fills import PRECISION
from accounts.ledger.rows import NewOrder, Received, RecordedFill
from strategies.evaluation import Evaluation, evaluate
from strategies.exposures import ExposureRow
from strategies.handlers.plan import Wake
from strategies.surroundings import Surroundings
from trading.enums import FeeKind, Settlement
from trading.errors import TradingError
from trading.instruments import MarketSpec
from trading.values import ZERO

log = structlog.get_logger()

ALONE = 2
"""Batches of so many executions are foreseen. In larger ones the time is better spent on the work itself."""
_MOST = 1024

_Prepare = Callable[[NewOrder, MarketSpec], NewOrder]


class Foresight:
    """One dispatcher's memory of the exposures it looked at last, and what it signed ahead for the batch in hand."""

    def __init__(self, prepare: _Prepare, specs: Mapping[str, MarketSpec]) -> None:
        self._prepare = prepare
        self._specs = specs
        self._rows: OrderedDict[tuple[UUID, str], dict[UUID, ExposureRow]] = OrderedDict()
        self._around: dict[tuple[UUID, str], Surroundings] = {}
        self._signed: dict[NewOrder, tuple[MarketSpec, NewOrder]] = {}

    def foresee(self, executions: Sequence[Received], now: datetime) -> None:
        """Sign what these executions will order if nothing else has changed. Never raises."""
        self._signed.clear()
        if len(executions) > ALONE:
            return
        try:
            with localcontext(prec=PRECISION):
                for execution in executions:
                    self._foresee(execution, now)
        except TradingError:
            return  # The account cannot sign now: the decision will say so.
        except Exception as error:
            log.warning("not_foreseen", error=type(error).__name__)  # a guess from what may be long gone

    def sign(self, order: NewOrder) -> NewOrder:
        """The order signed, now or ahead. Raises a TradingError when its account cannot sign now."""
        market = self._specs[order.market_key]
        held = self._signed.get(order)
        if held is None or held[0] is not market:
            return self._prepare(order, market)
        signed = held[1]
        return msgspec.structs.replace(
            order,
            status=signed.status,
            salt=signed.salt,
            order_hash=signed.order_hash,
            body=signed.body,
            sender=signed.sender,
        )

    def remember(self, evaluations: Sequence[Evaluation], around: Surroundings) -> None:
        """Keep how a small batch left its exposures."""
        if len(evaluations) > 2 * ALONE:
            return
        for evaluation in evaluations:
            row = evaluation.row
            key = (row.primary_id, row.market_key)
            self._rows.setdefault(key, {})[row.id] = _left(evaluation)
            self._rows.move_to_end(key)
            self._around[key] = around
        while len(self._rows) > _MOST:
            key, _ = self._rows.popitem(last=False)
            del self._around[key]

    def _foresee(self, execution: Received, now: datetime) -> None:
        key = (execution.account_id, execution.market_key)
        rows = self._rows.get(key)
        if rows is None or execution.settlement is not Settlement.MATCHED:
            return
        around = msgspec.structs.replace(self._around[key], now=now)
        fill = _fill(execution)
        for row in rows.values():
            evaluation = evaluate(row, [fill], Wake(cause=fill_cause([fill])), around, cause_at=fill.received_at)
            for order in evaluation.orders:
                market = self._specs[order.market_key]
                self._signed[order] = (market, self._prepare(order, market))


def fill_cause(fills: Sequence[RecordedFill]) -> str:
    """The cause of a decision that these fills brought about: the last of them."""
    return f"fill:{fills[-1].trade_id}:{fills[-1].settlement}"


def _left(evaluation: Evaluation) -> ExposureRow:
    """The exposure's row as this evaluation wrote it."""
    update = evaluation.update
    return msgspec.structs.replace(
        evaluation.row,
        primary=update.primary,
        hedged=update.hedged,
        lots=update.lots,
        in_flight=update.in_flight,
        need=update.need,
        rung=update.rung,
        rung_since=update.rung_since,
        next_rung=update.next_rung,
        rung_owed=update.rung_owed,
        reason=update.reason,
        unhedged_since=update.unhedged_since,
        dust_since=update.dust_since,
        revision=evaluation.row.revision + 1,
    )


def _fill(execution: Received) -> RecordedFill:
    """The execution as the ledger will record it, if it is new and no order of ours."""
    return RecordedFill(
        trade_id=execution.trade_id,
        account_id=execution.account_id,
        market_key=execution.market_key,
        order_id=None,
        exposure_id=None,
        strategy_id=None,
        outcome=execution.outcome,
        action=execution.action,
        price=execution.price,
        shares=execution.size,
        share_fee=(execution.fee or ZERO) if execution.fee_kind is FeeKind.SHARES else ZERO,
        settlement=execution.settlement,
        received_at=execution.received_at,
    )
