"""The parts of the model that are not the product's: a sender that can die, and the venue's side of an order."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from hypothesis import strategies as st

from accounts.ledger.rows import NewOrder, Received
from accounts.models import Order
from tests.dispatch.conftest import KeepingSigner
from trading.instruments import MarketSpec

SIZES = st.sampled_from([Decimal(n) for n in ("0.5", "1", "7.25", "40", "100")])
PRICES = st.sampled_from([Decimal(n) for n in ("0.10", "0.42", "0.55", "0.90")])


class Crash(Exception):
    """The process dies here."""


class FragileSigner(KeepingSigner):
    """Signs and keeps; can be told to die before the commit, or after it with nothing sent."""

    def __init__(self) -> None:
        super().__init__()
        self.dies_signing = self.dies_sending = False

    def prepare(self, order: NewOrder, market: MarketSpec) -> NewOrder:
        if self.dies_signing:
            raise Crash
        return super().prepare(order, market)

    def send(self, orders: Sequence[NewOrder]) -> None:
        if self.dies_sending:
            raise Crash
        super().send(orders)


@dataclass
class AtVenue:
    """One order as the venue has it."""

    order: Order
    filled: Decimal = Decimal(0)
    open: bool = True
    trades: list[Received] = field(default_factory=list)
