"""Orders and fills: seeing them, placing one, cancelling one, and the trace of what answered what."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from uuid import UUID, uuid4

from django.db.models import Q, QuerySet

from accounts.models import Fill, Order
from accounts.querysets import without_bytes
from accounts.scope import in_scope
from accounts.trade import cancel_order, check_grid, place_order
from bot.access import Speaker
from bot.commands.money import find_account
from bot.commands.registry import Request, action, ask_twice, command, refuse_words
from bot.hedges import load_hedge_words, milliseconds
from bot.replies import ROWS_PER_PAGE, Button, Reply, age, amount, bold, clip, code, esc, pager
from identity.models import AuditEntry
from identity.roles import Role
from markets.models import Market
from markets.specs import spec_from_row
from trading.commands import PlaceOrder
from trading.enums import Action, OrderType, Outcome, Platform
from trading.errors import InvalidValue
from trading.orders import IN_FLIGHT
from trading.values import decimal_from

BOT = AuditEntry.Source.BOT.value
MOST_IN_FILE = 20_000
TRADE_USAGE = "/trade <account> <market> <buy|sell> <yes|no> <shares> <price>"


def describe(order: Order) -> str:
    """One order on one line."""
    filled = f", {amount(order.filled)} filled" if order.filled else ""
    what = f"{order.action} {amount(order.size)} {order.outcome} @ {amount(order.price)}"
    return f"{bold(what)} · {esc(order.status)}{filled} · {esc(order.account.name)}"


@command(
    "orders",
    Role.VIEWER,
    "orders that may still trade",
    usage="/orders [account|all]",
    topic="Orders",
    keeps_scope=True,
)
def orders(request: Request) -> Reply:
    """Open orders, newest first; `all` for ended ones too, which come as a file."""
    named = str(request.arguments.get("account", "")) or request.rest
    everything = named == "all" or bool(request.arguments.get("all"))
    found = find_account(named, request.speaker) if named and named != "all" else None
    if named and named != "all" and found is None:
        return refuse_words(request, "orders", "There is no such account.")
    rows = _seen(request.speaker).order_by("-created_at")
    rows = rows.filter(account=found) if found else rows
    if everything:
        return _order_file(rows)
    rows = rows.filter(status__in=[status.value for status in IN_FLIGHT])
    total = rows.count()
    if not total:
        return Reply("No order is open.", buttons=[[Button("All orders, as a file", "orders", {"all": 1})]])
    shown = rows[request.page * ROWS_PER_PAGE :][:ROWS_PER_PAGE]
    lines = [
        f"{describe(order)}\n   {esc(clip(order.market.title, 48))} · {age(order.created_at, request.now)} "
        f"· {code(str(order.pk)[:8])}"
        for order in shown
    ]
    key = {"account": str(found.pk)} if found else {}
    return Reply(
        f"{bold('Open orders')} ({total})\n" + "\n".join(lines) + "\n/cancel with the eight letters takes one off.",
        buttons=[pager("orders", request.page, total, key), [Button("All orders, as a file", "orders", {"all": 1})]],
    )


def _order_file(rows: QuerySet[Order]) -> Reply:
    lines = ["created\tid\taccount\tmarket\taction\toutcome\tsize\tprice\tfilled\tstatus\torigin\treason"]
    lines += [
        f"{o.created_at:%F %T}\t{o.pk}\t{o.account.name}\t{o.market.title}\t{o.action}\t{o.outcome}\t{o.size:f}"
        f"\t{o.price:f}\t{o.filled:f}\t{o.status}\t{o.origin}\t{o.reason}"
        for o in rows[:MOST_IN_FILE]
    ]
    text = bold(f"Orders: {len(lines) - 1}, newest first")
    return Reply(text, document="\n".join(lines).encode(), document_name="orders.tsv")


@command("fills", Role.VIEWER, "what was traded", usage="/fills [account]", topic="Orders", keeps_scope=True)
def fills(request: Request) -> Reply:
    """The newest fills."""
    named = str(request.arguments.get("account", "")) or request.rest
    found = find_account(named, request.speaker) if named else None
    if named and found is None:
        return refuse_words(request, "fills", "There is no such account.")
    rows = in_scope(Fill.objects.select_related("account", "market"), request.speaker.caller, "account").order_by(
        "-received_at", "-id"
    )
    rows = rows.filter(account=found) if found else rows
    shown = list(rows[request.page * ROWS_PER_PAGE :][: ROWS_PER_PAGE + 1])
    if not shown:
        return Reply("Nothing was traded yet.")
    hedges = load_hedge_words({fill.order_hash for fill in shown}, request.speaker)
    lines = [
        f"{bold(str(fill))} · {esc(fill.account.name)} · {_hedge(fill, hedges)}{fill.settlement}\n"
        f"   {esc(clip(fill.market.title, 48))} · {age(fill.received_at, request.now)}"
        for fill in shown[:ROWS_PER_PAGE]
    ]
    key = {"account": str(found.pk)} if found else {}
    turn = [Button("‹", "fills", {**key, "page": request.page - 1})] if request.page else []
    turn += [Button("›", "fills", {**key, "page": request.page + 1})] if len(shown) > ROWS_PER_PAGE else []
    trace = [Button("Trace the newest", "trace", {"hash": shown[0].order_hash})]
    return Reply(f"{bold('Fills')}\n" + "\n".join(lines), buttons=[turn, trace])


def _hedge(fill: Fill, hedges: Mapping[str, str]) -> str:
    said = hedges.get(fill.order_hash, "hedge" if fill.exposure_id else "")
    return f"{said} · " if said else ""


@command("trade", Role.TRADER, "place one order", usage=TRADE_USAGE, topic="Orders", keeps_scope=True)
def trade(request: Request) -> Reply:
    """Show what would be ordered, and ask."""
    if len(request.words) != 6:
        return refuse_words(request, "trade", "An order has six parts.")
    named, market_id, what, side, shares, price = request.words
    found = find_account(named, request.speaker)
    if found is None:
        return refuse_words(request, "trade", "There is no such account.")
    market = find_market(market_id, found.platform)
    spec = spec_from_row(market) if market else None
    if market is None or spec is None:
        return refuse_words(request, "trade", "There is no such market; /markets finds its number.")
    try:
        order = PlaceOrder(
            platform=Platform(found.platform),
            account_id=str(found.pk),
            market_id=market.market_id,
            side=Outcome(side.lower()),
            price=decimal_from(price),
            shares=decimal_from(shares),
            action=Action(what.lower()),
            order_type=OrderType.LIMIT,
        )
        check_grid(order, spec)
    except (InvalidValue, ValueError) as error:
        return refuse_words(request, "trade", str(error))
    except ArithmeticError:
        return refuse_words(request, "trade", "A figure is too large.")
    text = (
        f"{bold('Place this order?')} ({esc(found.mode.upper())})\n"
        f"{order.action} {amount(order.shares)} {order.side} @ {amount(order.price)}, limit\n"
        f"{esc(found.name)} · {esc(market.title)}\n"
        f"Worth {amount(order.price * order.shares)} USDT."
    )
    # Its id is settled here, so that however often it is confirmed it is one order.
    arguments = {
        "account": str(found.pk),
        "platform": found.platform,
        "market": market.market_id,
        "side": order.side.value,
        "action": order.action.value,
        "shares": str(order.shares),
        "price": str(order.price),
        "id": str(uuid4()),
    }
    return ask_twice(text, "Place it", "trade_now", arguments)


@action("trade_now", Role.TRADER, keeps_scope=True)
def trade_now(request: Request) -> Reply:
    """Place the order that was confirmed. The engine judges it; its row tells what became of it."""
    asked = request.arguments
    try:
        ticket = place_order(
            PlaceOrder(
                platform=Platform(asked["platform"]),
                account_id=asked["account"],
                market_id=asked["market"],
                side=Outcome(asked["side"]),
                price=Decimal(asked["price"]),
                shares=Decimal(asked["shares"]),
                action=Action(asked["action"]),
                client_order_id=UUID(asked["id"]),
                reason="from Telegram",
            ),
            request.speaker.user,
            source=BOT,
        )
    except InvalidValue as error:
        return Reply(f"Not placed: {esc(error)}")
    key = {"order": str(ticket.client_order_id)}
    return Reply(
        f"Asked for. The engine judges and sends it; its number is {code(str(ticket.client_order_id)[:8])}.",
        buttons=[[Button("What became of it", "trace", key), Button("Cancel…", "cancel", key)]],
    )


@command("cancel", Role.TRADER, "take an order off the book", usage="/cancel <order>", topic="Orders", keeps_scope=True)
def cancel(request: Request) -> Reply:
    """Show the order, and ask."""
    order = find_order(str(request.arguments.get("order", "")) or request.rest, request.speaker)
    if order is None:
        return refuse_words(request, "cancel", "There is no such order; /orders shows their numbers.")
    text = f"{bold('Cancel this order?')}\n{describe(order)}\n{esc(clip(order.market.title, 60))}"
    return ask_twice(text, "Cancel it", "cancel_now", {"order": str(order.pk)})


@action("cancel_now", Role.TRADER, keeps_scope=True)
def cancel_now(request: Request) -> Reply:
    """Ask the engine to cancel it."""
    order_id = UUID(request.arguments["order"])
    try:
        asked = cancel_order(order_id, request.speaker.user, "from Telegram", source=BOT)
    except InvalidValue as error:
        return Reply(esc(error))
    text = "Asked for: the engine takes it off the book." if asked else "It has ended already."
    return Reply(text, buttons=[[Button("What became of it", "trace", {"order": str(order_id)})]])


@action("trace", Role.VIEWER, keeps_scope=True)
def trace(request: Request) -> Reply:
    """An order with its times, its fills, and the hedges that answered them."""
    asked = request.arguments
    rows = _seen(request.speaker)
    order = rows.filter(pk=asked["order"]).first() if "order" in asked else None
    order = order or (rows.filter(order_hash=asked["hash"]).first() if asked.get("hash") else None)
    if order is None:
        return Reply("There is no order of ours behind this.")
    hedge = load_hedge_words({order.order_hash}, request.speaker).get(order.order_hash, "") if order.order_hash else ""
    lines = [
        f"{describe(order)}{f' · {hedge}' if hedge else ''}",
        esc(order.market.title),
        f"Origin: {esc(order.origin)} {esc(clip(order.cause, 90))}",
    ]
    steps = (("made", order.created_at), ("sent", order.sent_at), ("answered", order.answered_at))
    lines += [f"{name}: {at:%T.%f}"[:-3] for name, at in steps if at]
    if order.latency_us is not None:
        lines.append(f"Fill to sent: {milliseconds(order.latency_us)} ms")
    if order.reason:
        lines.append(f"Reason: {esc(order.reason)}")
    filled = list(Fill.objects.filter(order_hash=order.order_hash).order_by("id")[:8]) if order.order_hash else []
    lines += [f"↳ fill {esc(fill)} · {fill.settlement}" for fill in filled]
    causes = Q(pk__in=[])
    for fill in filled:
        causes |= Q(cause__startswith=f"fill:{fill.trade_id}:")
    since = order.created_at - timedelta(seconds=1)
    hedges = rows.filter(causes, created_at__gte=since).order_by("created_at")[:8] if filled else []
    lines += [f"   ↳ hedge {describe(hedge)}" for hedge in hedges]
    return Reply("\n".join(lines), buttons=[[Button("Refresh", "trace", {"order": str(order.pk)})]])


def find_order(named: str, speaker: Speaker) -> Order | None:
    """By id or its first letters, when they name one order only."""
    rows = _seen(speaker)
    try:
        return rows.filter(pk=UUID(named)).first()
    except ValueError:
        pass
    letters = named.lower()
    if len(letters) != 8 or not set(letters) <= set("0123456789abcdef"):
        return None
    # A UUID's first eight digits are its upper bits: a range of the primary key.
    low, high = UUID(letters + "0" * 24), UUID(letters + "f" * 24)
    found = list(rows.filter(pk__gte=low, pk__lte=high)[:2])
    return found[0] if len(found) == 1 else None


def _seen(speaker: Speaker) -> QuerySet[Order]:
    """Orders of the accounts this person sees, without their signed bytes."""
    return without_bytes(in_scope(Order.objects.select_related("account", "market"), speaker.caller, "account"))


def find_market(named: str, platform: str) -> Market | None:
    return Market.objects.filter(Q(market_id=named) | Q(pk=named), platform=platform).first()
