"""The paper exchange: a deterministic machine that turns entries into state and events.

Callers check an entry first (`refusal`), journal it, then `apply` it; applying never fails. Every change of books,
balances, orders and matches goes through here, so replaying the journal gives back the same ids and amounts.
"""

from typing import Literal

import msgspec

from paper import entries, settlement
from paper.book import Book
from paper.matching import Plan, plan_match
from paper.records import Account, Leg, Market, Match, Order, State, Status
from paper.settlement import OPERATOR

EventKind = Literal[
    "orderAccepted",
    "orderExpired",
    "orderCancelled",
    "orderMarketMatchPlan",
    "orderTransactionSubmitted",
    "orderTransactionSuccess",
    "orderTransactionFailed",
    "marketStatus",
    "tradingStatus",
]
OPERATOR_FLOAT = 10**18


class Event(msgspec.Struct):
    """What happened, in order. Order events name the order, settlement events also the leg and its match."""

    kind: EventKind
    at: int
    market_id: int
    order: Order | None = None
    leg: Leg | None = None
    match: Match | None = None
    reason: str = ""


class Exchange:
    def __init__(self, state: State) -> None:
        self.state = state
        self.books: dict[int, Book] = {market_id: Book() for market_id in state.markets}
        self.changed_books: set[int] = set()
        if OPERATOR not in state.accounts:
            state.accounts[OPERATOR] = Account(OPERATOR, simulated=True, cash=OPERATOR_FLOAT)
            state.issued += OPERATOR_FLOAT
        for order_id in state.resting:
            order = state.orders[order_id]
            self.books[order.market_id].side_of(order).add(order)

    # Reading

    def account(self, address: str) -> Account:
        """The account, made on first sight with nothing in it."""
        found = self.state.accounts.get(address)
        if found is None:
            found = self.state.accounts[address] = Account(address)
        return found

    def refusal(self, place: entries.Place) -> str | None:
        """Why this order can't be taken: 'duplicate', 'collateral', 'shares', 'not_trading', or None."""
        state = self.state
        if place.hash in state.hashes:
            return "duplicate"
        market = state.markets[place.market_id]
        if market.trading != "OPEN":
            return "not_trading"
        account = state.accounts.get(place.address)
        if place.is_buy:
            free = 0 if account is None else account.free_cash
            if account is not None and place.skip_reserved:
                free = account.cash - account.pending_cash
            return "collateral" if free < place.cap else None
        free = 0 if account is None else account.free_shares(market.token(place.is_yes))
        return "shares" if free < place.size else None

    def would_take(self, place: entries.Place) -> bool:
        """True when the order would trade at once."""
        return self.books[place.market_id].crosses(self._order(place, 0))

    def resting_orders(self) -> list[int]:
        """Ids in book order, from which a snapshot restores time priority."""
        return [o.id for book in self.books.values() for side in (book.bids, book.asks) for o in side.orders()]

    # Applying

    def apply(self, entry: entries.AnyEntry) -> list[Event]:
        out: list[Event] = []
        match entry:
            case entries.Place():
                self._place(entry, out)
            case entries.Remove():
                for order_id in entry.order_ids:
                    order = self.state.orders.get(order_id)
                    if order is not None and order.resting:
                        self._finish(order, "CANCELLED", entry.at, out)
            case entries.Settle():
                self._settle(entry, out)
            case entries.Run():
                order = self.state.orders.get(entry.order_id)
                if order is not None and order.status == "OPEN" and order.run_at:
                    order.run_at = 0
                    self._take(order, entry.at, entry.settle_ms, out)
            case entries.Expire():
                order = self.state.orders.get(entry.order_id)
                if order is not None and (order.resting or order.run_at):
                    self._finish(order, "EXPIRED", entry.at, out)
            case entries.Repeat():
                repeats = self.state.repeats
                repeats[entry.hash] = repeats.get(entry.hash, 0) + 1
            case entries.Grant():
                self._grant(entry)
            case entries.OpenMarket():
                self.state.markets[entry.id] = Market(
                    id=entry.id,
                    yes_token=entry.yes_token,
                    no_token=entry.no_token,
                    tick=entry.tick,
                    fee_bps=entry.fee_bps,
                    info=entry.info,
                    updated_at=entry.at,
                )
                self.books[entry.id] = Book()
            case entries.SetTrading():
                market = self.state.markets[entry.market_id]
                market.trading = entry.trading
                market.updated_at = entry.at
                out.append(Event("tradingStatus", entry.at, market.id))
            case entries.Split():
                settlement.split_sets(self.account(entry.address), self.state.markets[entry.market_id], entry.amount)
            case entries.Resolve():
                self._resolve(entry, out)
            case entries.Redeem():
                settlement.redeem(self.account(entry.address), self.state.markets[entry.market_id], self.state.unit)
        return out

    def _grant(self, entry: entries.Grant) -> None:
        account = self.account(entry.address)
        account.owner = entry.owner or account.owner
        account.simulated = account.simulated or entry.simulated
        if entry.grant_id not in account.grants:
            account.grants.append(entry.grant_id)
            account.cash += entry.cash
            self.state.issued += entry.cash

    def _order(self, place: entries.Place, order_id: int) -> Order:
        return Order(
            id=order_id,
            hash=place.hash,
            address=place.address,
            market_id=place.market_id,
            is_yes=place.is_yes,
            is_buy=place.is_buy,
            price=place.price,
            size=place.size,
            cap=place.cap,
            strategy=place.strategy,
            created_at=place.at,
            expiration=place.expiration,
            yes_price=place.price if place.is_yes else self.state.unit - place.price,
            budget=place.budget,
            post_only=place.post_only,
            fill_or_kill=place.fill_or_kill,
            self_trade=place.self_trade,
            raw=place.raw,
            run_at=place.run_at,
            changed_at=place.at,
        )

    def _place(self, place: entries.Place, out: list[Event]) -> None:
        state = self.state
        order = self._order(place, state.next_order_id)
        state.next_order_id += 1
        state.orders[order.id] = order
        state.hashes[order.hash] = order.id
        account = self.account(order.address)
        account.orders.append(order.id)
        self._reserve(order, account)
        out.append(Event("orderAccepted", place.at, order.market_id, order))
        if place.skip_reserved:
            self._shed(account, order, place.at, out)
        if order.post_only and (place.spurned or self.books[order.market_id].crosses(order)):
            self._finish(order, "CANCELLED", place.at, out, "post only order would take")
        elif place.first:
            plan = plan_match(order, self.books[order.market_id], self.state.unit, place.at, place.first)
            if plan.fills:
                self._commit(order, plan, place.at, place.settle_ms, out)
            order.run_at = place.rest_at
        elif not order.run_at:
            self._take(order, place.at, place.settle_ms, out)

    def _shed(self, account: Account, keep: Order, at: int, out: list[Event]) -> None:
        """An order that ignored reservations was taken: drop the newest resting buys it left uncovered."""
        for order_id in reversed(account.orders):
            if account.free_cash >= 0:
                return
            other = self.state.orders.get(order_id)
            if other is not None and other is not keep and other.is_buy and (other.resting or other.run_at):
                self._finish(other, "INVALIDATED", at, out, "collateral was spent")

    def _take(self, order: Order, at: int, settle_ms: int, out: list[Event]) -> None:
        """Match an arriving order, then rest what is left of a LIMIT and cancel what is left of a MARKET."""
        book = self.books[order.market_id]
        plan = plan_match(order, book, self.state.unit, at)
        for dropped, status in plan.drops:
            self._finish(dropped, status, at, out, "self trade prevention" if status == "CANCELLED" else "")
        if plan.fills:
            self._commit(order, plan, at, settle_ms, out)
        if order.strategy == "MARKET":
            if order.matched == 0:
                self._finish(order, "CANCELLED", at, out, "nothing to match")
            else:
                self._unreserve(order)
        elif plan.stopped:
            self._finish(order, "CANCELLED", at, out, "self trade prevention")
        elif order.remaining > 0:
            order.resting = True
            book.side_of(order).add(order)
            self.changed_books.add(order.market_id)

    def _commit(self, taker: Order, plan: Plan, at: int, settle_ms: int, out: list[Event]) -> None:
        state = self.state
        market = state.markets[taker.market_id]
        book = self.books[market.id]
        match = settlement.build_match(state, market, taker, plan.fills, at, settle_ms)
        state.matches[match.id] = match
        for fill in plan.fills:
            book.side_of(fill.maker).reduce(fill.maker, fill.size)
        for leg in match.legs():
            order = state.orders[leg.order_id]
            account = state.accounts[leg.address]
            self._unreserve(order)
            order.matched += leg.size
            order.spent += leg.value
            order.unsettled += 1
            order.resting = order.resting and order.remaining > 0
            self._reserve(order, account)
            settlement.hold(account, market, leg)
        self.changed_books.add(market.id)
        if taker.strategy == "MARKET":
            out.append(Event("orderMarketMatchPlan", at, market.id, taker, match.taker, match))
        for leg in match.legs():
            order = state.orders[leg.order_id]
            out.append(Event("orderTransactionSubmitted", at, market.id, order, leg, match))

    def _reserve(self, order: Order, account: Account) -> None:
        """Lock what the unmatched rest of the order may still cost."""
        if order.is_buy:
            rest = min(order.price * max(order.remaining, 0) // self.state.unit, order.cap - order.spent)
            order.reserved = max(rest if order.budget is None else order.cap - order.spent, 0)
            account.reserved_cash += order.reserved
        else:
            token = self.state.markets[order.market_id].token(order.is_yes)
            order.reserved = order.remaining
            account.reserved_shares[token] = account.reserved_shares.get(token, 0) + order.reserved

    def _unreserve(self, order: Order) -> None:
        account = self.state.accounts[order.address]
        if order.is_buy:
            account.reserved_cash -= order.reserved
        elif order.reserved:
            account.reserved_shares[self.state.markets[order.market_id].token(order.is_yes)] -= order.reserved
        order.reserved = 0

    def _finish(self, order: Order, status: Status, at: int, out: list[Event], reason: str = "") -> None:
        """Take the order out of the book for good; what it matched before still settles."""
        if order.resting:
            self.books[order.market_id].side_of(order).remove(order)
            order.resting = False
            self.changed_books.add(order.market_id)
        self._unreserve(order)
        order.run_at = 0
        self._close(order, status, at)
        order.reason = reason
        if status in ("CANCELLED", "EXPIRED"):
            kind: EventKind = "orderExpired" if status == "EXPIRED" else "orderCancelled"
            out.append(Event(kind, at, order.market_id, order, reason=reason))
        self._forget(order)

    def _close(self, order: Order, status: Status, at: int) -> None:
        order.status = status
        order.changed_at = at
        order.settled_before = order.settled

    def _settle(self, entry: entries.Settle, out: list[Event]) -> None:
        match = self.state.matches.get(entry.match_id)
        if match is None or match.state != "pending":
            return
        market = self.state.markets[match.market_id]
        match.state = "settled" if entry.ok else "failed"
        match.closed_at = entry.at
        if entry.ok:
            settlement.settle(self.state, market, match)
            market.last_match = match.id
        self.changed_books.add(market.id)
        for leg in match.legs():
            order = self.state.orders[leg.order_id]
            order.unsettled -= 1
            if entry.ok:
                self._fill(order, leg, entry.at)
                out.append(Event("orderTransactionSuccess", entry.at, market.id, order, leg, match))
            else:
                settlement.release(self.state.accounts[leg.address], market, leg)
                self._unwind(order, leg, entry.at, out)
                out.append(Event("orderTransactionFailed", entry.at, market.id, order, leg, match))
            self._forget(order)

    def _fill(self, order: Order, leg: Leg, at: int) -> None:
        order.settled_before = order.settled
        order.settled += leg.size
        order.changed_at = at
        done = order.settled >= order.size or order.strategy == "MARKET"
        if order.status == "OPEN" and done:
            order.status = "FILLED"

    def _unwind(self, order: Order, leg: Leg, at: int, out: list[Event]) -> None:
        """A failed settlement: nothing of it counts, and the order is no longer matchable."""
        if order.status == "OPEN":
            self._finish(order, "INVALIDATED", at, out, "settlement failed")
        order.matched -= leg.size
        order.spent -= leg.value

    def _forget(self, order: Order) -> None:
        """Closed orders of simulated traders leave no trace: nobody can ask for them."""
        account = self.state.accounts[order.address]
        if account.simulated and order.status != "OPEN" and order.unsettled == 0:
            self.state.orders.pop(order.id, None)
            self.state.hashes.pop(order.hash, None)
            if order.id in account.orders:
                account.orders.remove(order.id)

    def _resolve(self, entry: entries.Resolve, out: list[Event]) -> None:
        market = self.state.markets[entry.market_id]
        book = self.books[market.id]
        for order in [*book.bids.orders(), *book.asks.orders()]:
            self._finish(order, "CANCELLED", entry.at, out, "market resolved")
        market.payout = entry.payout
        market.trading = "CLOSED"
        market.updated_at = entry.at
        out.append(Event("tradingStatus", entry.at, market.id))
        out.append(Event("marketStatus", entry.at, market.id))
