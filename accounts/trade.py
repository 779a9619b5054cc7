"""The trade path: a person's, a quoter's or a program's wish becomes an INITIALIZED order row and a command on the bus.

Admin, pages, API, bot, quoter and rehearsal all come through here. Nothing is signed or sent in their process: the
engine judges the order (`intake`) and sends it. Messages say what to do about a command that cannot be right.
"""

from collections.abc import Mapping
from decimal import Decimal
from functools import cache, partial
from typing import Any
from uuid import UUID, uuid4

import msgspec
import redis
import structlog
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.ledger.rows import NewOrder
from accounts.ledger.tickets import record_cancel_request_now, record_order_now
from accounts.models import Account, Order
from identity.audit import record_audit
from identity.models import AuditEntry, User
from markets.models import Market, market_key
from markets.specs import spec_from_row
from streams.connection import connect_now
from streams.killpoints import reach
from streams.publisher import publish_command_now
from trading.commands import CancelOrder, Command, PlaceOrder, decode_command
from trading.enums import Action, MarketStatus, Mode, OrderStatus, Platform
from trading.errors import InvalidValue
from trading.instruments import MarketSpec
from trading.orders import TERMINAL
from trading.values import ONE, ZERO, decimal_from, exact, text

SYSTEM = AuditEntry.Source.SYSTEM.value

log = structlog.get_logger()


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller gets: the order's id, to follow it by."""

    client_order_id: UUID
    account_id: UUID
    market_key: str


def place_order(
    command: PlaceOrder | Mapping[str, Any] | bytes,
    by: User | str,
    *,
    source: str = SYSTEM,
    exposure_id: UUID | None = None,
) -> Ticket:
    """Ask for an order. Takes a PlaceOrder, or the seed's JSON (`account_id` may be the account's name).

    Raises InvalidValue that says what to change. A `client_order_id` given twice is one order. Whether the order may
    leave (states, limits, self-crossing) is judged by the engine, which denies it with a reason on its row.
    `exposure_id`: it closes shares that were bought as this exposure's hedge.
    """
    wanted, account = check_order(command)
    order_id = wanted.client_order_id or uuid4()
    order = NewOrder(
        id=order_id,
        account_id=account.pk,
        market_key=market_key(wanted.platform, wanted.market_id),
        outcome=wanted.side,
        action=wanted.action,
        price=wanted.price,
        size=wanted.shares,
        order_type=wanted.order_type,
        post_only=wanted.post_only,
        origin=wanted.origin,
        mode=Mode(account.mode),
        exposure_id=exposure_id,
        cause=f"user:{by}"[:200],
        expires_at_s=wanted.expires_at_s,
    )
    published = msgspec.structs.replace(wanted, account_id=str(account.pk), client_order_id=order_id)
    with transaction.atomic():
        record_order_now(order, timezone.now())
        if isinstance(by, User):
            record_audit(
                "order.placed", user=by, subject=account, after=_told(published), reason=wanted.reason, source=source
            )
        _publish_after_commit(published)
        reach("trade.before_commit")
    return Ticket(client_order_id=order_id, account_id=account.pk, market_key=order.market_key)


def check_order(command: PlaceOrder | Mapping[str, Any] | bytes) -> tuple[PlaceOrder, Account]:
    """All of `place_order` that can be told without ordering anything: a dry run. Raises InvalidValue likewise."""
    wanted = _place_order(command)
    account = _load_account(wanted.account_id, wanted.platform)
    market = Market.objects.filter(pk=market_key(wanted.platform, wanted.market_id)).first()
    spec = spec_from_row(market) if market is not None else None
    if spec is None:
        raise InvalidValue(
            f"{wanted.platform} has no market {wanted.market_id!r} here: check the id, or wait for the next market sync"
        )
    check_grid(wanted, spec)
    return wanted, account


def cancel_order(client_order_id: UUID, by: User | str, reason: str = "", *, source: str = SYSTEM) -> bool:
    """Ask for an order to be taken off the book; False when it has ended already. Raises InvalidValue for no order."""
    order = Order.objects.select_related("account").defer("body").filter(pk=client_order_id).first()
    if order is None:
        raise InvalidValue(f"there is no order {client_order_id}")
    if OrderStatus(order.status) in TERMINAL:
        return False
    command = CancelOrder(
        platform=Platform(order.account.platform),
        account_id=str(order.account_id),
        client_order_id=order.pk,
        reason=reason,
    )
    with transaction.atomic():
        if isinstance(by, User):
            record_audit("order.cancel_requested", user=by, subject=order, reason=reason, source=source)
        # On the row before the command is on the bus: an engine that dies with the command in hand loses nothing.
        record_cancel_request_now(order.pk, timezone.now())
        _publish_after_commit(command)
    return True


place_order_async = sync_to_async(place_order, thread_sensitive=False)
"""`place_order` for asynchronous code (the API, the bot)."""
cancel_order_async = sync_to_async(cancel_order, thread_sensitive=False)
"""`cancel_order` for asynchronous code."""


def check_grid(order: PlaceOrder, market: MarketSpec) -> None:
    """Raises InvalidValue for an order that the venue's grid and minimums cannot carry; the message says what would."""
    price, shares = order.price, order.shares
    with exact():
        if market.status is not MarketStatus.OPEN:
            raise InvalidValue(f"market {market.market_id} is {market.status}: it takes no orders now")
        if not ZERO < price < ONE:
            raise InvalidValue(f"price {price} must lie between 0 and 1: give the price of one {order.side} share")
        if market.tick <= ZERO or market.lot <= ZERO:
            raise InvalidValue(f"the grid of market {market.market_id} is not known yet: wait for the next sync")
        if price % market.tick:
            low = price - price % market.tick
            nearest = " or ".join(text(step) for step in (low, low + market.tick) if ZERO < step < ONE)
            raise InvalidValue(f"price {price} is not on the tick {text(market.tick)}: use {nearest}")
        if shares <= ZERO or shares % market.lot:
            raise InvalidValue(f"shares {shares} must be a positive multiple of {text(market.lot)}")
        if shares < market.min_size:
            raise InvalidValue(f"{shares} shares are too few: the least is {text(market.min_size)}")
        if order.action is Action.BUY and price * shares < market.min_value:
            raise InvalidValue(
                f"{shares} shares at {price} are worth {text(price * shares)}: the venue takes orders from"
                f" {text(market.min_value)} up"
            )


def _place_order(command: PlaceOrder | Mapping[str, Any] | bytes) -> PlaceOrder:
    if isinstance(command, bytes):
        decoded: Command = decode_command(command)
        if not isinstance(decoded, PlaceOrder):
            raise InvalidValue("this is a cancel_order: place_order takes a place_order")
        return decoded
    if isinstance(command, PlaceOrder):
        return command
    fields = {name: value for name, value in command.items() if name != "type"}
    if command.get("type", "place_order") != "place_order":
        raise InvalidValue(f"type must be place_order, not {command['type']!r}")
    for name in ("price", "shares"):
        if name in fields:
            fields[name] = _exact(name, fields[name])
    try:
        return msgspec.convert(fields, PlaceOrder)
    except msgspec.ValidationError as error:
        raise InvalidValue(f"not an order: {error}") from error


def _exact(name: str, value: object) -> Decimal:
    if not isinstance(value, Decimal | int | str):
        raise InvalidValue(f'{name} {value!r} is not exact: give it as a decimal string, like "0.55"')
    try:
        return decimal_from(value)
    except InvalidValue as error:
        raise InvalidValue(f"{name}: {error}") from error


def _load_account(named: str, platform: Platform) -> Account:
    """By UUID, or by name as the seed's commands have it."""
    try:
        account = Account.objects.filter(pk=UUID(named)).first()
    except ValueError:
        account = Account.objects.filter(name=named).first()
    if account is None:
        raise InvalidValue(f"there is no account {named!r}: give its name or its id")
    if account.platform != platform.value:
        raise InvalidValue(f"account {account.name} is on {account.platform}, not on {platform.value}")
    return account


def _told(command: PlaceOrder) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(command, str_keys=True)
    return {name: value for name, value in told.items() if value not in ("", None)}


def _publish_after_commit(command: Command) -> None:
    transaction.on_commit(partial(_publish, command))


def _publish(command: Command) -> None:
    """Wake the engine. The row is committed: should Redis be away, the recovery finds it there within seconds."""
    try:
        reach("trade.committed")
        publish_command_now(_bus(settings.REDIS_URL), command)
        reach("trade.published")
    except redis.RedisError as error:
        log.warning("command_unpublished", order=str(command.client_order_id), error=type(error).__name__)
        if isinstance(command, CancelOrder):
            raise


@cache
def _bus(url: str) -> redis.Redis:
    return connect_now(url)
