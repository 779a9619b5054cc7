"""The executor: the only sender of orders. Signs, sends what is journaled, and writes down what became of it.

    prepare   sign, in memory; the caller commits the bytes
    send      bytes on the wire through the account's lane, past the gate: before it returns, where nothing has to be
              waited for, else in the background, and there the answer is written
    commands  a person's or a quoter's order: limits, journal, send (`intake`)
    recover   orders whose fate is open are settled by evidence (`recovery`)

An order has one of four answers: accepted, rejected, unknown (it may have arrived: only evidence closes it), or not
acted on, for certain, in which case the same bytes are tried again for a while and the order stays SUBMITTED. One that
a stop held back before it ever left ends CANCELLED: `stopped`.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
import structlog
from msgspec.structs import replace
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from accounts.answers import AnswerBook, utc_now
from accounts.cancellation import Canceller
from accounts.clearing import Clearing
from accounts.credentials import CredentialStore
from accounts.ends import Ends
from accounts.gate import Gate, GateClosed, read_boot_clock
from accounts.intake import Intake
from accounts.lanes import AccountUnavailable, Lanes
from accounts.ledger.clearance import LEAVE_WITHIN, record_unsent
from accounts.ledger.rows import Answer, NewOrder, OrderRow
from accounts.levels import pass_of
from accounts.marks import Marks
from accounts.recovery import Recovery
from accounts.sending import Attempts, TooLate
from streams.killpoints import reach
from streams.publisher import Publisher
from trading.commands import CancelOrder, Command
from trading.enums import OrderStatus, Platform
from trading.errors import InvalidValue, RetryLater, VenueError
from trading.ids import order_salt
from trading.instruments import MarketSpec
from venues.backoff import Backoff
from venues.contract import OrderTicket, SignedOrder
from venues.registry import Endpoints
from venues.shared_budget import Budgets

Pool = AsyncConnectionPool[AsyncConnection[Any]]

RETRY_FOR_S = LEAVE_WITHIN.total_seconds()
"""How long an order that certainly did not arrive is tried here; then the recovery takes it over, by evidence."""
STOPPED = "stopped"
"""The reason of an order that a stop ended before it left."""
_LONGEST_PAUSE_S = 1.0
_REMEMBERED = 8192
"""Orders that are remembered after they were sent."""
_REFRESH_EVERY_S = 2.0
_CLOSE_S = 5.0

log = structlog.get_logger()


class Executor:
    """One process's sender. `start` before use; `close` waits for answers that are out."""

    def __init__(
        self,
        pool: Pool,
        publisher: Publisher,
        gate: Gate,
        credentials: CredentialStore,
        name: str,
        endpoints: Mapping[Platform, Endpoints],
        *,
        budgets: Budgets | None = None,
    ) -> None:
        """`name` is written on every order it journals; `budgets` are the rate limits shared with other processes."""
        self.name = name[:64]
        self.gate = gate
        self.lanes = Lanes(credentials, endpoints, budgets=budgets)
        self.answers = AnswerBook(pool, publisher)
        self.attempts = Attempts(self.lanes, gate)
        self._pool = pool
        self._canceller = Canceller(pool, publisher, self.lanes, self.answers)
        self._marks = Marks(pool, endpoints, budgets)
        self._intake = Intake(pool, self, self._marks)
        self._ends = Ends(pool, publisher, self.lanes, self._canceller)
        self._recovery = Recovery(pool, publisher, self, self._canceller, self._ends)
        self._clearing = Clearing(pool, gate, self._canceller.cancel, self._intake.take)
        self._sending: set[asyncio.Task[None]] = set()
        self._leaving: set[UUID] = set()
        self._sent: OrderedDict[str, NewOrder] = OrderedDict()
        self._refreshed_at = float("-inf")

    async def start(self) -> None:
        """Open every account's keys and begin to warm their connections."""
        await self.lanes.refresh()
        self._refreshed_at = time.monotonic()
        await self.answers.start()

    async def close(self) -> None:
        """Wait for answers that are out, write them, close every connection. Close the gate after this."""
        await self._recovery.close()
        if self._sending:
            await asyncio.wait(self._sending, timeout=_CLOSE_S)
        for task in list(self._sending):
            task.cancel()
        await self.answers.close()
        await self._marks.close()
        await self.lanes.close()

    async def warm(self, account_ids: Sequence[UUID]) -> None:
        """Return once these accounts are logged in and connected, or have failed to."""
        await self.lanes.connect(account_ids)

    @property
    def sending(self) -> int:
        """Orders handed over for sending that have no answer yet."""
        return len(self._sending)

    def is_sending(self, client_order_id: UUID) -> bool:
        """Whether this process is at work on this order right now."""
        return client_order_id in self._leaving

    def prepare(self, order: NewOrder, market: MarketSpec) -> NewOrder:
        """The order signed: SUBMITTED, with its salt, hash, body and sender. Pure CPU, no await.

        Raises AccountUnavailable when its account cannot sign now, InvalidValue for what the venue cannot express.
        """
        lane = self.lanes.get(order.account_id)
        salt = order.salt or order_salt(order.id)
        signed = lane.signer.sign(
            OrderTicket(
                client_order_id=order.id,
                market=market,
                outcome=order.outcome,
                action=order.action,
                price=order.price,
                size=order.size,
                order_type=order.order_type,
                post_only=order.post_only,
                salt=salt,
                expires_at_s=order.expires_at_s,
            )
        )
        return replace(
            order,
            status=OrderStatus.SUBMITTED,
            salt=salt,
            order_hash=signed.order_hash,
            body=signed.body,
            sender=self.name,
        )

    def send(self, orders: Sequence[NewOrder]) -> None:
        """Send orders whose SUBMITTED rows are committed. Returns at once and never raises.

        What has its account logged in, a warm connection of its own, a place and a budget is on the socket then.
        """
        for order in orders:
            if order.order_hash is None or order.body is None:
                log.error("order_without_bytes", order=str(order.id))
                continue
            if order.id in self._leaving:
                continue
            signed = SignedOrder(client_order_id=order.id, order_hash=order.order_hash, body=order.body)
            kind = pass_of(order.origin, order.exposure_id)
            try:
                begun = self.attempts.begin(order.account_id, signed, kind)
            except Exception:
                log.exception("sending_failed", order=str(order.id))  # The recovery settles it by evidence.
                continue
            self._leaving.add(order.id)
            self.spawn(self._deliver(order.account_id, signed, kind, False, begun))
            if order.exposure_id is None:
                self._remember(order.order_hash, order)

    def sent_lately(self, order_hash: str) -> NewOrder | None:
        """The order with this hash, if it is no hedge, and this process sent it and still remembers."""
        return self._sent.get(order_hash)

    def announce(self, rows: Sequence[OrderRow]) -> None:
        """Tell the bus where these orders stand, in the background. Returns at once and never raises."""
        self.answers.announce(rows)

    async def handle_command(self, command: Command) -> None:
        """Carry out one command off the bus. Handling it twice is handling it once."""
        if isinstance(command, CancelOrder):
            await self.cancel(command.client_order_id)
        elif command.client_order_id is None:
            log.error("command_without_order", market_id=command.market_id, account_id=command.account_id)
        else:
            await self._intake.take(command.client_order_id)

    async def cancel(self, client_order_id: UUID) -> None:
        """Take an order off the book, or keep it from leaving; a terminal order stays as it is."""
        await self._canceller.cancel(client_order_id)

    async def prove_end(self, client_order_id: UUID) -> bool:
        """Prove that a hedge is over with all its fills in the books; until then its remainder counts as in flight."""
        return await self._ends.prove(client_order_id)

    async def sweep(self, account_id: UUID, since: datetime) -> bool:
        """Bring the account's settled fills since then into the books; False when that could not be finished now."""
        try:
            return await self._canceller.sweep_account(self.lanes.get(account_id), since)
        except AccountUnavailable as error:
            log.warning("sweep_delayed", account_id=str(account_id), reason=error.reason)
        except VenueError as error:
            log.warning("sweep_delayed", account_id=str(account_id), reason=error.slug)
        return False

    async def recover(self) -> None:
        """One round of recovery; called at start and every second. Raises psycopg.OperationalError in an outage."""
        if time.monotonic() - self._refreshed_at >= _REFRESH_EVERY_S:
            self._refreshed_at = time.monotonic()
            await self.lanes.refresh()
        await self._clearing.run_once(self.spawn)
        await self._recovery.run_once(self._intake)

    async def recover_fully(self) -> None:
        """`recover`, and wait until everything it began is done: for start-up, and for tests."""
        await self.recover()
        await self._recovery.wait()

    def spawn(self, job: Coroutine[Any, Any, None]) -> None:
        """Run `job` beside everything else; `close` waits for it."""
        task = asyncio.create_task(job)
        self._sending.add(task)
        task.add_done_callback(self._ended)

    async def deliver(self, account_id: UUID, signed: SignedOrder, kind: str, *, again: bool = False) -> None:
        """Send these journaled bytes on this pass and hand in the answer. `again`: they may have left before.

        A refusal of bytes sent again proves nothing (the venue may check a balance before it sees a duplicate), so
        then the venue is asked for the order itself.
        """
        if signed.client_order_id not in self._leaving:
            self._leaving.add(signed.client_order_id)
            await self._deliver(account_id, signed, kind, again, None)

    async def _deliver(
        self, account_id: UUID, signed: SignedOrder, kind: str, again: bool, begun: Awaitable[Answer] | None
    ) -> None:
        """`begun`: the answer of a first attempt that is under way."""
        order_id = signed.client_order_id
        try:
            self.answers.put(await self._send_until_answered(account_id, signed, kind, again, begun))
        except RetryLater as refusal:
            log.warning("order_not_sent", order=str(order_id), reason=refusal.slug)
            if isinstance(refusal, GateClosed) and refusal.by_stop and not again:
                await self._end_unsent(order_id)
        except (InvalidValue, AccountUnavailable) as error:
            # Nothing left; the row stays as it is and the recovery looks at it again.
            log.error("order_not_sendable", order=str(order_id), error=str(error))
        finally:
            self._leaving.discard(order_id)

    async def _send_until_answered(
        self, account_id: UUID, signed: SignedOrder, kind: str, again: bool, begun: Awaitable[Answer] | None
    ) -> Answer:
        """The answer; raises the last RetryLater when it is certain that this process sent nothing."""
        until, backoff = read_boot_clock() + RETRY_FOR_S, None
        while True:
            try:
                return await (begun or self.attempts.make(account_id, signed, kind, until, again=again))
            except RetryLater as refusal:
                begun = None
                if isinstance(refusal, TooLate) or (isinstance(refusal, GateClosed) and refusal.by_stop):
                    raise
                # The venue's own advice is kept to; without one the fleet spreads itself out.
                backoff = backoff or Backoff(0.05, _LONGEST_PAUSE_S)
                pause = min(refusal.after_s, _LONGEST_PAUSE_S) / 2 + backoff.next_delay_s()
                if read_boot_clock() + pause > until:
                    raise
                await asyncio.sleep(pause)

    async def _end_unsent(self, order_id: UUID) -> None:
        """The stop held back an order that never left: it ends here. Sent after the lift, its price would be stale;
        what it was to hedge is still owed, and is decided anew."""
        try:
            reach("executor.before_end")
            async with self._pool.connection() as conn:
                row = await record_unsent(conn, order_id, self.name, STOPPED, utc_now())
            reach("executor.ended")
        except (psycopg.Error, PoolTimeout, OSError) as error:
            log.warning("unsent_order_open", order=str(order_id), error=type(error).__name__)
            return  # The recovery ends it.
        if row is not None:
            self.answers.announce([row])

    def _remember(self, order_hash: str, order: NewOrder) -> None:
        self._sent[order_hash] = replace(order, body=None)
        if len(self._sent) > _REMEMBERED:
            self._sent.popitem(last=False)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # Whatever it was, the order's row says SUBMITTED or UNKNOWN and the recovery settles it by evidence.
            log.error("sending_failed", error=type(error).__name__, exc_info=error)
