"""The engine: reads the streams, dispatches, keeps watch. Runs inside a Celery worker (`strategies.worker`) for ever.

    read loop    fill_events, trade_events, account_events, order_commands → dispatch → acknowledge
    sweep loop   exposures that still owe something are looked at again, whatever message was lost
    recovery     orders whose fate is open are settled by the executor, by evidence

A message is acknowledged only once what it asks for is committed; one that cannot be handled is dead-lettered alone.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import structlog

from accounts.answers import Pool
from accounts.executor import Executor
from accounts.ledger.rows import OrderRow
from strategies.announcements import exposure_changed
from strategies.deciding import SWEPT
from strategies.dispatch import Dispatched, Dispatcher
from strategies.exposures import load_open_exposures
from strategies.inbox import Inbox
from strategies.shards import Shard, Shards
from strategies.specs import BookShelf, SpecBook
from streams.killpoints import reach
from streams.message import Message
from streams.publisher import Publisher
from streams.reader import GroupReader
from trading.enums import OrderStatus
from trading.errors import VenueError
from trading.events import ALERT_EVENTS, STRATEGY_EVENTS

log = structlog.get_logger()

SWEEP_EVERY_S = 1.0
SWEEP_MOST = 200
SWEEP_AT_ONCE = 25
"""So many are looked at in one transaction: a fill waits for one at most, and for its two milliseconds."""
RECOVER_EVERY_S = 1.0
REFRESH_EVERY_S = 2.0
LONGEST_HOLD_S = 60.0
SWEPT_BEFORE = timedelta(minutes=2)
"""How far before its last change an exposure's late fills are looked for: the venue's clock is not ours."""

_ENDED = frozenset({OrderStatus.CANCELLED, OrderStatus.EXPIRED})


class Engine:
    """One engine process. Everything it is made of is given to it; `run` returns when `stop` was called."""

    def __init__(
        self,
        *,
        reader: GroupReader,
        dispatchers: Sequence[Dispatcher],
        sweeper: Dispatcher,
        executor: Executor,
        specs: SpecBook,
        books: BookShelf,
        publisher: Publisher,
        pool: Pool,
        clock: Callable[[], datetime],
        halt: Callable[[UUID, str], None],
    ) -> None:
        """So many batches are in hand at once, each of other markets, as there are `dispatchers`. `halt` stops a
        strategy for a reason; it may block and is called beside everything else."""
        self._reader = reader
        self._shards = Shards(dispatchers)
        self._has_room = asyncio.Event()
        self._sweeper = sweeper
        self._sweeping = asyncio.Lock()
        self._executor = executor
        self._specs = specs
        self._books = books
        self._publisher = publisher
        self._pool = pool
        self._clock = clock
        self._halt = halt
        self._looking: set[UUID] = set()
        self._stopping = asyncio.Event()
        self._swept_to = UUID(int=0)
        self._held: dict[UUID, tuple[int, datetime]] = {}
        self._commands: set[asyncio.Task[None]] = set()

    @property
    def is_idle(self) -> bool:
        """No message is in hand, and no order without an answer."""
        return self._shards.is_idle and not self._executor.sending

    def stop(self) -> None:
        """Ask `run` to finish what is in hand and return."""
        self._stopping.set()

    async def run(self) -> None:
        """Recover first, then trade, until stopped."""
        await self._executor.recover()
        async with asyncio.TaskGroup() as group:
            loops = [
                group.create_task(self._every(SWEEP_EVERY_S, self._sweep, "sweep")),
                group.create_task(self._every(RECOVER_EVERY_S, self._executor.recover, "recover")),
                group.create_task(self._every(REFRESH_EVERY_S, self._refresh_specs, "specs")),
            ]
            await self._read_until_stopped()
            for loop in loops:
                loop.cancel()
        if self._commands:
            await asyncio.wait(self._commands, timeout=5)

    async def _read_until_stopped(self) -> None:
        """While one batch waits for the database the next is worked on. What was read and not begun when the engine is
        stopped is not acknowledged: it comes again."""
        await self._reader.ensure_groups()
        async with asyncio.TaskGroup() as batches:
            while not self._stopping.is_set():
                messages = await self._reader.read()
                if not messages:
                    continue
                for shard in self._shards.put(messages):
                    shard.is_busy = True
                    batches.create_task(self._work(shard))
                await asyncio.sleep(0)  # They begin before the next read does.
                while self._shards.is_full and not self._stopping.is_set():
                    self._has_room.clear()
                    await self._has_room.wait()

    async def _work(self, shard: Shard) -> None:
        try:
            while shard.waiting and not self._stopping.is_set():
                batch = shard.take()
                self._has_room.set()
                await self._handle_until_done(shard.dispatcher, batch)
        finally:
            shard.is_busy = False
            self._has_room.set()

    async def _handle_until_done(self, dispatcher: Dispatcher, messages: Sequence[Message]) -> None:
        """Handle a batch; while the database is away, wait for it with the batch in hand."""
        pause = 0.05
        while True:
            try:
                await self._handle(dispatcher, messages)
                return
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                if isinstance(error, psycopg.errors.DeadlockDetected | psycopg.errors.SerializationFailure):
                    log.info("batch_retried", error=type(error).__name__)
                    continue
                raise  # The connection is gone: the worker builds a new engine, and the messages come again.
            except Exception:
                if len(messages) == 1:
                    log.exception("message_failed", stream=messages[0].stream, entry_id=messages[0].entry_id)
                    if messages[0].deliveries >= 3 or pause > 0.2:
                        await self._reader.dead_letter(messages[0], "handling it failed; see the engine's log")
                        return
                    pause *= 2
                    await asyncio.sleep(pause)
                    continue
                for message in messages:
                    await self._handle_until_done(dispatcher, [message])
                return

    async def _handle(self, dispatcher: Dispatcher, messages: Sequence[Message]) -> None:
        inbox = Inbox()
        inbox.take(messages)
        reach("engine.before_dispatch")
        done = await dispatcher.dispatch(inbox)
        reach("engine.dispatched")
        told = await dispatcher.record_words(inbox.words)
        reach("engine.words_recorded")
        after = Inbox()
        ended = [row for row in told if row.exposure_id is not None and row.status in _ENDED]
        for row in told:
            if row.exposure_id is not None and row.status in _ENDED:
                after.wakes[row.exposure_id] = f"order:{row.id}:{row.status}"
            elif row.exposure_id is not None and row.status == OrderStatus.REJECTED:
                after.rejections[row.exposure_id] = row.reason
        done_after = await dispatcher.dispatch(after)
        for exposure_id in {**inbox.rejections, **after.rejections}:
            self._hold(exposure_id)
        for command in inbox.commands:
            self._spawn(self._executor.handle_command(command))
        refused = {message.key for message, _ in inbox.refused}
        reach("engine.before_ack")
        await self._reader.ack([message for message in messages if message.key not in refused])
        reach("engine.acknowledged")
        for message, reason in inbox.refused:
            await self._reader.dead_letter(message, reason)
        self._executor.announce(told)
        for row in ended:
            self._spawn(self._look_proved(row))
        await self._follow_up(done)
        await self._follow_up(done_after)

    async def _follow_up(self, done: Dispatched) -> None:
        done_at = self._clock()
        for cancel in done.cancels:
            self._spawn(self._executor.cancel(cancel.client_order_id))
        for evaluation in done.evaluations:
            row = evaluation.row
            if evaluation.needs_book:
                self._spawn(self._look_with_book(row.id, row.market_key))
            if evaluation.sweep_account is not None and row.id not in self._looking:
                self._looking.add(row.id)
                since = (row.rung_since or done_at) - SWEPT_BEFORE
                self._spawn(self._look_swept(row.id, evaluation.sweep_account, since))
            if evaluation.look_again:
                self._held.pop(row.id, None)
                self._spawn(self._look(row.id, "rung"))
            if evaluation.halts:
                reason = f"the ladder ended: {evaluation.update.unhedged:f} shares unhedged in {row.market_key}"
                self._spawn(asyncio.to_thread(self._halt, row.strategy_id, reason))
        events = [exposure_changed(evaluation, done_at) for evaluation in done.evaluations]
        if events:
            reach("engine.before_tell")
            await self._publisher.publish_many(STRATEGY_EVENTS, events)
            reach("engine.told")
        if done.alerts:
            await self._publisher.publish_many(ALERT_EVENTS, done.alerts)

    async def _sweep(self) -> None:
        """Look again at what still owes something: level-triggered, so a lost message cannot lose a hedge."""
        now = self._clock()
        async with self._pool.connection() as conn:
            before = now - timedelta(seconds=SWEEP_EVERY_S)
            ids = await load_open_exposures(conn, before, self._swept_to, SWEEP_MOST)
        self._swept_to = ids[-1] if len(ids) == SWEEP_MOST else UUID(int=0)
        due = [key for key in ids if key not in self._held or self._held[key][1] <= now]
        for first in range(0, len(due), SWEEP_AT_ONCE):
            async with self._sweeping:
                done = await self._sweeper.dispatch(Inbox(), dict.fromkeys(due[first : first + SWEEP_AT_ONCE], "sweep"))
            await self._follow_up(done)

    async def _look(self, exposure_id: UUID, cause: str) -> Dispatched:
        async with self._sweeping:
            done = await self._sweeper.dispatch(Inbox(), {exposure_id: cause})
        await self._follow_up(done)
        return done

    async def _look_swept(self, exposure_id: UUID, account_id: UUID, since: datetime) -> None:
        """A rung is over and its orders have ended: ask the venue for their late fills before the next rung."""
        try:
            complete = await self._executor.sweep(account_id, since)
        finally:
            self._looking.discard(exposure_id)
        if complete:
            await self._look(exposure_id, SWEPT)

    async def _look_proved(self, order: OrderRow) -> None:
        """A hedge is said to be over: once that is proved, what is left of it is owed again."""
        if order.exposure_id is not None and await self._executor.prove_end(order.id):
            await self._look(order.exposure_id, f"order:{order.id}:proved")

    async def _look_with_book(self, exposure_id: UUID, market_key: str) -> None:
        """A strategy prices from the book and had none: fetch it and look again."""
        try:
            await self._books.fetch(market_key)
        except VenueError as error:
            log.warning("book_not_fetched", market=market_key, error=error.slug)
            return
        async with self._sweeping:
            done = await self._sweeper.dispatch(Inbox(), {exposure_id: "book"})
        if not any(evaluation.needs_book for evaluation in done.evaluations):
            await self._follow_up(done)

    async def _refresh_specs(self) -> None:
        async with self._pool.connection() as conn:
            await self._specs.refresh(conn)

    def _hold(self, exposure_id: UUID) -> None:
        """The venue refused this exposure's hedge: look again later, and later still when it refuses again."""
        count, until = self._held.get(exposure_id, (0, self._clock()))
        if self._clock() - until > timedelta(seconds=LONGEST_HOLD_S):
            count = 0
        wait = min(2.0**count, LONGEST_HOLD_S)
        self._held[exposure_id] = (count + 1, self._clock() + timedelta(seconds=wait))

    async def _every(self, seconds: float, job: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await job()
            except psycopg.OperationalError:
                raise
            except Exception:
                log.exception("loop_failed", loop=name)

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.ensure_future(work)
        self._commands.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._commands.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("command_failed", error=repr(task.exception()))
