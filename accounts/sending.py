"""One attempt at sending one order: through its account's lane, past the gate, and what the venue's word means.

    begin   at once: the bytes are on the socket when it returns, where nothing has to be waited for
    make    in turn: waits for a place, a login, a connection, a budget, and goes by a proxy where there is one

Whichever way, the gate counts the attempt until its answer is in, and is asked in the step that writes to the socket.
"""

import time
from collections.abc import Awaitable
from functools import partial
from uuid import UUID

import structlog

from accounts.answers import moment
from accounts.gate import Gate, read_boot_clock
from accounts.lanes import AccountUnavailable, Lane, Lanes
from accounts.ledger.rows import Answer
from accounts.levels import OTHER
from streams.killpoints import reach
from trading.enums import OrderStatus
from trading.errors import InvalidValue, NotFound, Rejected, RetryLater, UnknownOutcome
from venues.contract import SignedOrder, Submission
from venues.permit import permitted_by
from venues.priority import Priority, prioritised

log = structlog.get_logger()


class TooLate(RetryLater):
    """Its turn came when the order should be looked up before it is sent."""

    def __init__(self) -> None:
        super().__init__("waited_too_long", "its turn came too late: looked up before it is sent")


class Attempts:
    """Makes one process's attempts. An attempt raises RetryLater when it is certain that nothing was acted on."""

    def __init__(self, lanes: Lanes, gate: Gate) -> None:
        self._lanes = lanes
        self._gate = gate

    def begin(self, account_id: UUID, signed: SignedOrder, kind: str) -> Awaitable[Answer] | None:
        """The order on the socket in this very step, and its answer to wait for. None, with nothing sent, when
        something has to be waited for or refuses: `make` then waits, or says what it is."""
        try:
            lane = self._lanes.get(account_id)
        except AccountUnavailable:
            return None
        if not self._lanes.take(lane):
            return None
        answering, started_ns = None, time.time_ns()
        try:
            self._gate.enter(kind)
            try:
                answering = lane.client.begin(signed, priority=_rank(kind), permit=partial(self._leave, kind))
            finally:
                if answering is None:
                    self._gate.leave(kind)
        except (RetryLater, InvalidValue):
            pass
        finally:
            if answering is None:
                self._lanes.free(lane)
        if answering is None:
            return None
        return self._answered(lane, signed, self._begun(lane, kind, answering), started_ns, again=False)

    async def make(self, account_id: UUID, signed: SignedOrder, kind: str, until: float, *, again: bool) -> Answer:
        """The order's answer. Raises TooLate when its turn comes after `until`, on the boot clock; InvalidValue or
        AccountUnavailable when it cannot be sent."""
        lane = self._lanes.get(account_id)
        async with self._lanes.slot(lane):
            if read_boot_clock() > until:
                raise TooLate
            return await self._answered(lane, signed, self._made(lane, signed, kind), time.time_ns(), again=again)

    def _leave(self, kind: str) -> None:
        reach("executor.before_send")
        self._gate.check(kind)

    async def _begun(self, lane: Lane, kind: str, answering: Awaitable[Submission]) -> Submission:
        try:
            said = await answering
            reach("executor.answered")
        finally:
            self._gate.leave(kind)
            self._lanes.free(lane)
        return said

    async def _made(self, lane: Lane, signed: SignedOrder, kind: str) -> Submission:
        with self._gate.pass_through(kind) as check, permitted_by(check), prioritised(_rank(kind)):
            reach("executor.before_send")
            said = await lane.client.submit(signed)
            reach("executor.answered")
        return said

    async def _answered(
        self, lane: Lane, signed: SignedOrder, answering: Awaitable[Submission], started_ns: int, *, again: bool
    ) -> Answer:
        order_id = signed.client_order_id
        try:
            said = await answering
        except Rejected as refusal:
            if again:
                return await self.find_evidence(lane, signed, refusal, started_ns)
            return _answer(order_id, OrderStatus.REJECTED, started_ns, refusal.slug, refusal.message)
        except UnknownOutcome as unknown:
            log.warning("order_unknown", order=str(order_id), reason=unknown.slug)
            return _answer(order_id, OrderStatus.UNKNOWN, started_ns, unknown.slug, unknown.message)
        return Answer(
            client_order_id=order_id,
            status=OrderStatus.ACCEPTED,
            venue_order_id=said.venue_order_id,
            reason="duplicate" if said.duplicate else "",
            sent_at=moment(said.sent_at_ns or started_ns),
            answered_at=moment(said.answered_at_ns or time.time_ns()),
        )

    async def find_evidence(self, lane: Lane, signed: SignedOrder, refusal: Rejected, started_ns: int) -> Answer:
        """What a refusal of bytes sent again means: only an order that the venue does not know is rejected."""
        order_id = signed.client_order_id
        try:
            await lane.client.fetch_order(signed.order_hash)
        except NotFound:
            return _answer(order_id, OrderStatus.REJECTED, started_ns, refusal.slug, refusal.message)
        except (RetryLater, Rejected, UnknownOutcome):
            return _answer(order_id, OrderStatus.UNKNOWN, started_ns, refusal.slug, "refused when sent again")
        return Answer(client_order_id=order_id, status=OrderStatus.UNKNOWN, reason="known to the venue")


def _answer(order_id: UUID, status: OrderStatus, started_ns: int, slug: str, message: str) -> Answer:
    return Answer(
        client_order_id=order_id,
        status=status,
        reason=(f"{slug}: {message}" if message else slug).replace("\0", ""),  # PostgreSQL's texts hold none
        sent_at=moment(started_ns),
        answered_at=moment(time.time_ns()),
    )


def _rank(kind: str) -> Priority:
    """Whose budget an order on this pass is sent by."""
    return Priority.CANCEL if kind == OTHER else Priority.HEDGE
