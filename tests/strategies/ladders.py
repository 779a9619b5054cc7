"""A desk of one exposure in memory: rows, orders and a clock, moved by the real evaluation. For the ladder's tests."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import msgspec

from accounts.ledger.rows import NewOrder, RecordedFill
from strategies.config import config_json, parse_config
from strategies.evaluation import Evaluation, evaluate
from strategies.exposures import AccountRow, ExposureRow, OpenOrder
from strategies.handlers.plan import Wake
from strategies.surroundings import Surroundings
from trading.enums import Action, MarketStatus, Outcome, Platform, Settlement
from trading.instruments import MarketSpec
from trading.positions import delta

D = Decimal
BEGIN = datetime(2026, 2, 5, 1, 0, tzinfo=UTC)
PRIMARY, HEDGE, SPARE = UUID(int=11), UUID(int=12), UUID(int=13)
KEY = "predict:1"
LADDER = [
    {"kind": "join", "seconds": 5},
    {"kind": "cross", "seconds": 5, "max_loss": "0.01"},
    {"kind": "wider", "seconds": 10, "max_loss": "0.03"},
    {"kind": "alternate", "seconds": 10, "account": "spare", "max_loss": "0.02"},
    {"kind": "unwind", "seconds": 20, "max_loss": "0.05"},
    {"kind": "pause"},
]
MARKET = MarketSpec(
    platform=Platform.PREDICT,
    market_id="1",
    title="A market",
    question="Will it?",
    status=MarketStatus.OPEN,
    yes_token="1",
    no_token="2",
    tick=D("0.01"),
    lot=D("0.01"),
    min_size=D("0.01"),
    min_value=D("0.9"),
    fee_rate_bps=0,
)


class Held:
    """An order this desk has sent, and how much of it has filled."""

    def __init__(self, order: NewOrder) -> None:
        self.order = order
        self.filled = D(0)
        self.is_open = True
        self.is_cancelled = False
        self.status = "accepted"

    @property
    def remaining(self) -> Decimal:
        return self.order.size - self.filled

    @property
    def words(self) -> str:
        order = self.order
        return f"{order.action} {order.outcome} {order.size.normalize():f} @ {order.price:.2f}"


class Desk:
    """One exposure on its ladder. `look` is what the sweep does every second."""

    def __init__(self, ladder=None, **config) -> None:
        raw = {"ladder": LADDER if ladder is None else ladder, **config}
        self.now = BEGIN
        self.config = parse_config("delta_neutral", raw)
        self.market = MARKET
        self.orders: list[Held] = []
        self.held: dict[tuple[UUID, str], dict[Outcome, Decimal]] = {}
        self.trades = 0
        self.halts = 0
        self.warnings: list[str] = []
        self.last: Evaluation | None = None
        self.row = ExposureRow(
            id=UUID(int=1),
            strategy_id=UUID(int=2),
            pair_id=UUID(int=3),
            market_key=KEY,
            primary_id=PRIMARY,
            hedge_id=HEDGE,
            primary=D(0),
            hedged=D(0),
            lots=[],
            in_flight=D(0),
            need=D(0),
            rung=0,
            rung_since=None,
            next_rung=None,
            rung_owed=D(0),
            reason="",
            unhedged_since=None,
            dust_since=None,
            revision=0,
            strategy_name="neutral",
            strategy_kind="delta_neutral",
            config=msgspec.json.encode(config_json(self.config)).decode(),
            strategy_state="active",
            strategy_changed_at=BEGIN,
            is_primary_shared=False,
            pair_enabled=True,
            primary_name="primary",
            primary_state="active",
            hedge_name="hedge",
            hedge_state="active",
            hedge_platform="predict",
            hedge_mode="paper",
            hedge_max_order=None,
            hedge_max_position=None,
            hedge_max_notional=None,
            has_ladder=True,
            desk_stopped=False,
            desk_level="",
        )

    @property
    def open(self) -> list[Held]:
        return [held for held in self.orders if held.is_open]

    @property
    def kind(self) -> str:
        return self.config.ladder[self.row.rung].kind.value

    def change(self, **fields) -> None:
        self.row = msgspec.structs.replace(self.row, **fields)

    def wait(self, seconds) -> None:
        self.now += timedelta(seconds=seconds)

    def fill_primary(self, words: str) -> Evaluation:
        action, outcome, size, _, price = words.split()
        return self._fill(PRIMARY, None, Outcome(outcome), Action(action), D(size), D(price))

    def fill(self, held: Held, size=None) -> Evaluation:
        """The venue matches an order, late or not."""
        size = held.remaining if size is None else D(size)
        held.filled += size
        if not held.remaining:
            held.is_open = False
        order = held.order
        return self._fill(order.account_id, self.row.id, order.outcome, order.action, size, order.price)

    def end(self, held: Held) -> None:
        """The venue's word that an order is over."""
        held.is_open = False

    def end_cancelled(self) -> None:
        for held in self.open:
            if held.is_cancelled:
                self.end(held)

    def look(self, *, swept=False, rejected="") -> Evaluation:
        wake = Wake(cause=f"look:{self.row.revision}:{self.now}", is_swept=swept)
        return self._evaluate([], wake, rejected=rejected, hold=f"rejected:{rejected}" if rejected else "")

    def run(self, seconds, *, until=None) -> None:
        """Sweeps, one a second; the venue does what it is asked at once."""
        for _ in range(seconds):
            self.wait(1)
            done = self.look()
            self.end_cancelled()
            if done.cancels or done.sweep_account or done.look_again:
                self.look(swept=True)
            if until is not None and self.kind == until:
                return

    def _fill(self, account, exposure_id, outcome, action, size, price) -> Evaluation:
        self.trades += 1
        held = self.held.setdefault((account, KEY), {})
        held[outcome] = held.get(outcome, D(0)) + (size if action is Action.BUY else -size)
        fill = RecordedFill(
            trade_id=f"t{self.trades}",
            account_id=account,
            market_key=KEY,
            order_id=None,
            exposure_id=exposure_id,
            strategy_id=None,
            outcome=outcome,
            action=action,
            price=price,
            shares=size,
            share_fee=D(0),
            settlement=Settlement.MATCHED,
            received_at=self.now,
        )
        return self._evaluate([fill], Wake(cause=f"fill:{fill.trade_id}"))

    def _evaluate(self, fills, wake, **kwargs) -> Evaluation:
        done = evaluate(self.row, fills, wake, self._around(), **kwargs)
        update = msgspec.structs.asdict(done.update)
        del update["unhedged"], update["at_risk"]
        self.change(**update, revision=self.row.revision + 1)
        self.orders += [Held(order) for order in done.orders]
        for cancel in done.cancels:
            next(held for held in self.orders if held.order.id == cancel.client_order_id).is_cancelled = True
        self.halts += done.halts
        self.warnings += [warning.kind for warning in done.warnings]
        self.last = done
        return done

    def _around(self) -> Surroundings:
        accounts = [(PRIMARY, "primary"), (SPARE, "spare")]
        return Surroundings(
            open_orders=[
                OpenOrder(
                    held.order.id,
                    held.order.exposure_id,
                    held.order.account_id,
                    KEY,
                    held.order.outcome.value,
                    held.order.action.value,
                    held.order.price,
                    held.remaining,
                    held.status,
                    held.is_cancelled,
                )
                for held in self.open
            ],
            positions=self.held,
            unsettled={},
            day_notional={},
            specs={KEY: self.market},
            books={},
            now=self.now,
            accounts={
                account: AccountRow(account, name, "predict", "paper", "active", None, None, None)
                for account, name in accounts
            },
        )


def unhedged(desk: Desk) -> Decimal:
    return desk.config.ratio * desk.row.primary + desk.row.hedged


def order_delta(order: NewOrder) -> Decimal:
    return delta(order.outcome, order.action, order.size)
