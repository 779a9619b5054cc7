"""Foresight: what a fill will probably bring about, worked out while the database is still answering.

Nothing is decided here. The decision is made on the locked rows, with the same code; what was foreseen saves work
where the decision comes to the same:

    signatures  an order foreseen is signed already. A signature is a function of order and market (RFC 6979, salt from
                the order's id), so it is the one that would have been made
    writes      `dispatch_close` is sent before `dispatch_open` has answered (`Dispatcher`), and committed only when the
                decision asks for exactly this
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

import msgspec
import structlog

from accounts.ledger.fills import FillBatch, Held, Moved
from accounts.ledger.fills import Opened as LedgerOpened
from accounts.ledger.rows import NewOrder, OrderProgress, Received
from strategies.deciding import Decided, Written, decide, written
from strategies.evaluation import Evaluation
from strategies.exposures import ExposureRow
from strategies.surroundings import Surroundings, at
from trading.enums import OrderStatus, Outcome, Settlement
from trading.instruments import MarketSpec
from trading.values import ZERO

log = structlog.get_logger()

ALONE = 2
"""So many executions of one account in one market are foreseen. In larger batches the time is better spent on the work
itself."""
_MOST = 1024

_Prepare = Callable[[NewOrder, MarketSpec], NewOrder]
_Sent = Callable[[str], NewOrder | None]
_Key = tuple[UUID, str]


class _Place(msgspec.Struct, kw_only=True):
    """One account in one market, as the last dispatch left it."""

    around: Surroundings
    rows: dict[UUID, ExposureRow] = {}
    """Exposures whose primary it is."""
    held: dict[Outcome, Held] = {}
    moved: dict[UUID, OrderProgress] = {}
    """Its orders that the last fills moved and did not end."""
    is_sure: bool = True
    """The last guess here, if there was one, was right."""


class Foreseen(msgspec.Struct, kw_only=True):
    """What was foreseen for one batch; empty when nothing was."""

    place: _Place | None = None
    signed: dict[NewOrder, tuple[MarketSpec, NewOrder]] = {}
    writes: Written | None = None

    @property
    def is_sure(self) -> bool:
        """Whether there is a guess, and the one before it was right, if there was one."""
        return self.writes is not None and self.place is not None and self.place.is_sure


class Foresight:
    """What an engine's dispatchers remember of the exposures they looked at last."""

    def __init__(self, prepare: _Prepare, sent_lately: _Sent, specs: Mapping[str, MarketSpec]) -> None:
        self._prepare = prepare
        self._sent_lately = sent_lately
        self._specs = specs
        self._places: OrderedDict[_Key, _Place] = OrderedDict()

    def foresee(self, executions: Sequence[Received], now: datetime) -> Foreseen:
        """Sign what these executions will order if nothing else has changed, and say what will then be written. Never
        raises."""
        keys = {(execution.account_id, execution.market_key) for execution in executions}
        if len(keys) != 1 or len(executions) > ALONE:
            return Foreseen()
        place = self._places.get(keys.pop())
        foreseen = Foreseen(place=place)
        if place is not None:
            try:
                foreseen.writes = self._foresee(executions, place, now, foreseen)
            except Exception as error:
                log.warning("not_foreseen", error=type(error).__name__)  # a guess from what may be long gone
        return foreseen

    def sign(self, foreseen: Foreseen, order: NewOrder) -> NewOrder:
        """The order signed, now or ahead. Raises a TradingError when its account cannot sign now."""
        market = self._specs[order.market_key]
        held = foreseen.signed.get(order)
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

    def remember(self, foreseen: Foreseen, decided: Decided, batch: FillBatch, writes: Written) -> None:
        """Keep how a batch left its exposures and positions, and whether it was foreseen. Where a large one ordered or
        recorded something it is forgotten: what stood around it would be too much to keep."""
        is_small = len(decided.evaluations) <= 2 * ALONE
        for evaluation in decided.evaluations:
            row = evaluation.row
            key = (row.primary_id, row.market_key)
            if is_small:
                self._place(key, decided.around).rows[row.id] = _left(evaluation)
            elif evaluation.orders or batch.executions:
                self._places.pop(key, None)
            elif key in self._places:
                self._places[key].rows[row.id] = _left(evaluation)
        for held in batch.moved():
            key = (held.account_id, held.market_key)
            if key in self._places:
                self._places[key].held[held.outcome] = held
        place = foreseen.place
        if place is not None and foreseen.writes is not None:
            place.is_sure = foreseen.writes == writes
            place.moved = {order.id: order for order in batch.progress() if order.filled < order.size}
        while len(self._places) > _MOST:
            self._places.popitem(last=False)

    def _place(self, key: _Key, around: Surroundings) -> _Place:
        place = self._places.setdefault(key, _Place(around=around))
        place.around = around
        self._places.move_to_end(key)
        return place

    def _foresee(
        self, executions: Sequence[Received], place: _Place, now: datetime, foreseen: Foreseen
    ) -> Written | None:
        held = [place.held.get(execution.outcome) for execution in executions]
        if None in held or any(execution.settlement is not Settlement.MATCHED for execution in executions):
            return None
        own = {execution.order_hash: self._own(execution, place) for execution in executions}
        rows = sorted(place.rows.values(), key=lambda row: row.id)
        batch = FillBatch(executions)
        batch.apply(
            LedgerOpened(
                orders=[order for order in own.values() if order is not None],
                fills=[_moved(execution, own[execution.order_hash]) for execution in batch.executions],
                settled=[],
                positions=[position for position in held if position is not None],
            )
        )
        around = at(place.around, now, batch.progress())
        decided = decide(rows, batch.fills, around, partial(self._sign_ahead, foreseen), wakes={}, rejections={})
        return written(batch, decided, now)

    def _own(self, execution: Received, place: _Place) -> OrderProgress | None:
        """The order of ours that was filled, as it probably stands."""
        order = self._sent_lately(execution.order_hash)
        if order is None or order.account_id != execution.account_id:
            return None
        return place.moved.get(order.id) or OrderProgress(
            order.id,
            order.exposure_id,
            order.account_id,
            order.market_key,
            order.outcome.value,
            order.action.value,
            order.price,
            order.size,
            ZERO,
            OrderStatus.ACCEPTED.value,
        )

    def _sign_ahead(self, foreseen: Foreseen, order: NewOrder) -> NewOrder:
        market = self._specs[order.market_key]
        signed = self._prepare(order, market)
        foreseen.signed[order] = (market, signed)
        return signed


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


def _moved(execution: Received, order: OrderProgress | None) -> Moved:
    """The execution as the ledger will answer with it, if it is new and `order` is whose it is."""
    return Moved(
        trade_id=execution.trade_id,
        account_id=execution.account_id,
        market_key=execution.market_key,
        order_id=None if order is None else order.id,
        exposure_id=None if order is None else order.exposure_id,
        strategy_id=None,
        outcome=execution.outcome,
        action=execution.action,
        price=execution.price,
        size=execution.size,
        fee=execution.fee or ZERO,
        fee_kind=execution.fee_kind,
        settlement=execution.settlement,
        received_at=execution.received_at,
    )
