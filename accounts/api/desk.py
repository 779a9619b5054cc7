"""`/emergency-stop` and `/accounts/{id}/close-all`: what ends trading, on the whole desk or on one account."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from asgiref.sync import async_to_sync
from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router, Schema, Status
from pydantic import Field

from accounts.api.accounts import API
from accounts.closing import Closing, carry_out, load_closing
from accounts.models import Account
from accounts.querysets import load_desk, load_fresh_leases
from accounts.scope import load_account
from accounts.stop import NO_NEW, lift_stop, pull_stop
from accounts.stop_preview import load_progress, preview_stop
from identity.callers import caller_of, may, need_whole_desk
from identity.roles import Role
from trading.enums import Outcome, Platform
from web.fields import Amount, Because, GivenPrice, Word
from web.problems import Problem

router = Router(tags=["desk"])


class DeskAnswer(Schema):
    """Whether the desk trades, since when, on whose word; and the engines that may send orders."""

    stopped: bool
    level: str
    generation: int
    changed_by: str
    reason: str
    changed_at: datetime | None
    engines: list[str]


Level = Annotated[
    Literal["hedge_only", "no_new", "cancel_all", "flatten"], Field(description="From the mildest to the strictest.")
]


class StopRequest(Because):
    """How hard to stop. A stopped desk may be stopped harder; only a lift loosens a stop."""

    level: Level = NO_NEW  # type: ignore[assignment]


class StopQuery(Schema):
    """Which stop."""

    level: Level = NO_NEW  # type: ignore[assignment]


class PreviewAnswer(Schema):
    """What a stop at this level would do at this moment."""

    level: str
    sentence: str
    engines: list[str]
    held_back: Annotated[int, Field(description="Orders on their way that would not leave any more.")]
    resting: Annotated[int, Field(description="Orders at the venue, those of unknown outcome included.")]
    resting_value: Amount
    is_cancelling: bool
    holdings: Annotated[int, Field(description="Holdings that would be sold.")]
    shares: Amount
    halted_holders: Annotated[list[str], Field(description="Halted accounts, whose holdings are sold all the same.")]
    unreachable_holders: Annotated[list[str], Field(description="Without a key or a connection: not sold yet.")]


class ProgressAnswer(Schema):
    """How far the stop in force has come; a desk that trades has the level "" and is done."""

    level: str
    generation: int
    since: datetime | None
    resting: int
    cancelling: int
    closing: int
    holdings: int
    is_done: bool


class StopAnswer(DeskAnswer):
    """A stop: `confirmed` engines gave their word, the leases of `expired` ran out without one."""

    confirmed: list[str]
    expired: list[str]
    waited_ms: int


class CloseRequest(Because):
    """How to close an account."""

    max_slippage: Annotated[GivenPrice, Field(description="Below the best bid, per share.")] = Decimal("0.05")
    confirm: Annotated[bool, Field(description="Without it nothing is ordered: a dry run.")] = False


class Sale(Schema):
    """One order that closes a holding."""

    client_order_id: UUID | None
    market_id: str
    side: Outcome
    price: Amount
    shares: Amount
    refusal: Annotated[str, Field(description="Why it was not ordered after all; else empty.")]


class Leftover(Schema):
    """A holding that cannot be sold now."""

    market_id: str
    side: Outcome
    shares: Amount
    reason: str


class CloseAnswer(Schema):
    """What closing comes to. A dry run has ordered nothing."""

    dry_run: bool
    account_id: UUID
    account_name: str
    platform: Platform
    sales: list[Sale]
    cancels: list[UUID]
    left: list[Leftover]


@router.get("/emergency-stop", auth=may(Role.VIEWER, is_counted=False), response=DeskAnswer, summary="Is it stopped?")
def read_stop(request: HttpRequest) -> Any:
    """Whether the desk is stopped."""
    return described()


@router.get("/emergency-stop/preview", auth=may(Role.VIEWER), response=PreviewAnswer, summary="What a stop would touch")
def preview(request: HttpRequest, asked: Query[StopQuery]) -> Any:
    """What a stop at `level` would hold back, cancel and sell. Stops nothing."""
    need_whole_desk(caller_of(request))
    return preview_stop(asked.level)


@router.get(
    "/emergency-stop/progress", auth=may(Role.VIEWER), response=ProgressAnswer, summary="How far the stop has come"
)
def read_progress(request: HttpRequest) -> Any:
    """What still rests, is being cancelled or sold under the stop in force."""
    need_whole_desk(caller_of(request))
    return load_progress()


@router.post("/emergency-stop", auth=may(Role.TRADER, is_counted=False), response=StopAnswer, summary="Stop the desk")
def stop_desk(request: HttpRequest, given: StopRequest) -> Any:
    """Stop the whole desk: when this answers, it holds. Any trader may, whatever accounts they see."""
    try:
        receipt = pull_stop(given.level, caller_of(request).user, given.reason, source=API)
    except ValueError as error:
        raise Problem(409, "stop_milder", f"{error}.") from error
    return described() | {
        "confirmed": list(receipt.confirmed),
        "expired": list(receipt.expired),
        "waited_ms": receipt.waited_ms,
    }


@router.post("/emergency-stop/lift", auth=may(Role.ADMIN), response=DeskAnswer, summary="Lift the stop")
def lift(request: HttpRequest, given: Because) -> Any:
    """Let the desk trade again."""
    lift_stop(caller_of(request).user, given.reason, source=API)
    return described()


@router.post(
    "/accounts/{account_id}/close-all",
    auth=may(Role.TRADER),
    response={200: CloseAnswer, 202: CloseAnswer},
    summary="Sell all an account holds",
)
def close_all(request: HttpRequest, account_id: Word, given: CloseRequest) -> Any:
    """Plan (200) or with `confirm` order (202) the sale of all holdings, resting orders taken off the book first."""
    caller = caller_of(request)
    account = load_account(account_id, caller)
    closing = async_to_sync(load_closing)(account, given.max_slippage, given.reason)
    sold = carry_out(closing, caller.user, given.reason, source=API) if given.confirm else []
    refusals = {done.sale.client_order_id: done.refusal for done in sold}
    return Status(202 if given.confirm else 200, planned(account, closing, refusals, dry_run=not given.confirm))


def described() -> dict[str, Any]:
    """The desk's row and its engines."""
    desk = load_desk()
    return {
        "stopped": desk.stopped,
        "level": desk.level,
        "generation": desk.generation,
        "changed_by": desk.changed_by,
        "reason": desk.reason,
        "changed_at": desk.changed_at,
        "engines": [lease.name for lease in load_fresh_leases(timezone.now())],
    }


def planned(
    account: Account, closing: Closing, refusals: Mapping[UUID | None, str], *, dry_run: bool
) -> dict[str, Any]:
    """The plan under the answer's names; a dry run's orders have no ids, because there are none."""
    return {
        "dry_run": dry_run,
        "account_id": account.pk,
        "account_name": account.name,
        "platform": account.platform,
        "sales": [
            {
                "client_order_id": None if dry_run else sale.client_order_id,
                "market_id": sale.market_id,
                "side": sale.side,
                "price": sale.price,
                "shares": sale.shares,
                "refusal": refusals.get(sale.client_order_id, ""),
            }
            for sale in closing.sales
        ],
        "cancels": list(closing.cancels),
        "left": [
            {"market_id": held.market.market_id, "side": held.outcome, "shares": held.size, "reason": reason}
            for held, reason in closing.left
        ],
    }
