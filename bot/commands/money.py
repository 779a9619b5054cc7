"""Seeing: the desk's state, accounts, positions, exposure, result."""

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Q

from accounts import querysets as ledger
from accounts.models import Account, Fill, Position
from accounts.scope import in_scope
from bot.access import Speaker
from bot.commands.registry import Request, command, refuse_words
from bot.replies import ROWS_PER_PAGE, Button, Reply, age, amount, bold, clip, code, esc, pager, signed, table
from bot.results import describe, draw, load_result, money
from identity.roles import Role
from strategies import querysets as exposures
from strategies.models import Exposure
from trading.values import ZERO

DAY = timedelta(hours=24)


@command("status", Role.VIEWER, "the desk at a glance")
def status(request: Request) -> Reply:
    """One message that says whether all is well."""
    desk, leases = ledger.load_desk(), ledger.load_fresh_leases(request.now)
    fleet, flying = ledger.load_fleet(), ledger.count_in_flight()
    open_shares = sum(exposures.load_open_shares().values(), ZERO)
    oldest = exposures.load_oldest_unhedged()
    latencies = sorted(ledger.load_latencies(500))
    result, unknown = load_result(request.now), flying.get("unknown", 0)
    fills = Fill.objects.filter(received_at__gte=request.now - timedelta(minutes=1)).count()
    connected = sum(account.connection == Account.Connection.CONNECTED for account in fleet)
    halted = sum(account.state != "active" for account in fleet)
    state = (
        f"🛑 {bold('STOPPED')} by {esc(desk.changed_by)}: {esc(desk.reason)}"
        if desk.stopped
        else f"✅ {bold('Trading')}"
    )
    lines = [
        f"{state} · {settings.MODE.value}",
        f"Engines: {len(leases)}{'' if leases else ' – nothing is hedged!'} · strategies active: "
        f"{exposures.count_active_strategies()}",
        f"Accounts: {connected}/{len(fleet)} connected{f', {halted} not active' if halted else ''}",
        f"Fills, last minute: {fills} · orders in flight: {sum(flying.values())}"
        f"{f', {bold(unknown)} unknown' if unknown else ''}",
        f"Unhedged: {amount(open_shares)} shares{f', the oldest for {age(oldest, request.now)}' if oldest else ''}",
        f"Result in all: {bold(money(result.point.profit))} USDT, today {money(result.today)}",
    ]
    if latencies:
        lines.append(f"Fill to hedge, median: {latencies[len(latencies) // 2] // 1000} ms")
    return Reply(
        "\n".join(lines),
        buttons=[
            [Button("Refresh", "status"), Button("Exposure", "exposure"), Button("Result", "pnl")],
            [Button("Stop…", "stop")] if not desk.stopped else [Button("Trade again…", "resume")],
        ],
    )


@command("accounts", Role.VIEWER, "all accounts", topic="Accounts", keeps_scope=True)
def accounts(request: Request) -> Reply:
    """A page of accounts, each a button."""
    fleet = list(in_scope(Account.objects.defer("notes"), request.speaker.caller, "").order_by("name"))
    shown = fleet[request.page * ROWS_PER_PAGE :][:ROWS_PER_PAGE]
    if not shown:
        return Reply("There are no accounts yet.")
    realized = ledger.load_realized()
    rows = [("account", "state", "link", "cash", "realized")]
    rows += [
        (clip(a.name, 16), a.state, a.connection, amount(a.collateral, 0), signed(realized.get(a.pk, ZERO)))
        for a in shown
    ]
    buttons = [
        [Button(a.name, "account", {"account": str(a.pk)}) for a in shown[i : i + 2]] for i in range(0, len(shown), 2)
    ]
    return Reply(
        f"{bold('Accounts')} ({len(fleet)})\n{table(rows, frozenset({3, 4}))}",
        buttons=[*buttons, pager("accounts", request.page, len(fleet))],
    )


@command("account", Role.VIEWER, "one account", usage="/account <name>", topic="Accounts", keeps_scope=True)
def account(request: Request) -> Reply:
    """Everything about one account but its secrets, which nobody can read back."""
    found = find_account(str(request.arguments.get("account", "")) or request.rest, request.speaker)
    if found is None:
        return refuse_words(request, "account", "There is no such account.")
    held = Position.objects.filter(account=found).exclude(size=0).count()
    fills = Fill.objects.filter(account=found, received_at__gte=request.now - DAY).count()
    lines = [
        f"{bold(found.name)} · {esc(found.platform)} · {esc(found.mode)}",
        code(found.address),
        f"State: {bold(found.state)}{f' ({esc(found.state_reason)})' if found.state_reason else ''}",
        f"Link: {esc(found.connection)}, since {age(found.connection_at, request.now)}; "
        f"reconciled {age(found.reconciled_at, request.now)} ago",
        f"Cash: {amount(found.collateral)}, of it reserved {amount(found.reserved)}",
        f"Positions: {held} · fills in 24 h: {fills}",
        f"Limits: order {amount(found.max_order)}, position {amount(found.max_position)}, "
        f"a day {amount(found.max_notional_per_day)}",
    ]
    if found.tags:
        lines.append("Tags: " + esc(", ".join(found.tags)))
    key = {"account": str(found.pk)}
    buttons = [[Button("Positions", "positions", key), Button("Orders", "orders", key), Button("Fills", "fills", key)]]
    if found.state == "active":
        buttons.append([Button("Halt…", "halt_account", key)])
    else:
        buttons.append([Button("Activate…", "activate_account", key)])
    return Reply("\n".join(lines), buttons=buttons)


@command("positions", Role.VIEWER, "what is held", usage="/positions [account]", topic="Accounts", keeps_scope=True)
def positions(request: Request) -> Reply:
    """Shares held, biggest cost first; all of them as a file."""
    rows = (
        in_scope(Position.objects.exclude(size=0), request.speaker.caller, "account")
        .select_related("account", "market")
        .order_by("-cost", "id")
    )
    name = str(request.arguments.get("account", "")) or request.rest
    found = find_account(name, request.speaker) if name else None
    if name and found is None:
        return refuse_words(request, "positions", "There is no such account.")
    if found is not None:
        rows = rows.filter(account=found)
    if request.arguments.get("all"):
        lines = ["account\tmarket\toutcome\tsize\tcost\trealized"]
        lines += [
            f"{p.account.name}\t{p.market.title}\t{p.outcome}\t{p.size:f}\t{p.cost:f}\t{p.realized:f}"
            for p in rows[:20_000]
        ]
        return Reply(bold("All positions"), document="\n".join(lines).encode(), document_name="positions.tsv")
    total = rows.count()
    if not total:
        return Reply("Nothing is held.")
    shown = rows[request.page * ROWS_PER_PAGE :][:ROWS_PER_PAGE]
    text = "\n".join(
        f"{amount(p.size)} {p.outcome} @ {amount(p.cost / p.size)} · {esc(p.account.name)}"
        f" · {esc(clip(p.market.title, 48))}"
        for p in shown
    )
    key = {"account": str(found.pk)} if found else {}
    return Reply(
        f"{bold('Positions')} ({total})\n{text}",
        buttons=[pager("positions", request.page, total, key), [Button("As a file", "positions", {**key, "all": 1})]],
    )


@command("exposure", Role.VIEWER, "what is not hedged", topic="Accounts")
def exposure(request: Request) -> Reply:
    """Exposures that owe something, longest first."""
    found = Exposure.objects.filter(exposures.OPEN).select_related(
        "strategy", "market", "primary_account", "hedge_account"
    )
    found = found.defer("lots").order_by("unhedged_since", "-updated_at")
    total = found.count()
    if not total:
        return Reply("✅ Everything is hedged.", buttons=[[Button("Refresh", "exposure")]])
    lines = []
    for row in found[request.page * ROWS_PER_PAGE :][:ROWS_PER_PAGE]:
        since = f", for {age(row.unhedged_since, request.now)}" if row.unhedged_since else ""
        lines.append(
            f"{bold(amount(row.need))} needed, {amount(row.in_flight)} in flight{since}\n"
            f"   {esc(row.primary_account.name)} → {esc(row.hedge_account.name)} · {esc(clip(row.market.title, 44))}"
            f"{f' · {esc(clip(row.reason, 60))}' if row.reason else ''}"
        )
    return Reply(
        f"{bold('Open exposure')} ({total})\n" + "\n".join(lines),
        buttons=[pager("exposure", request.page, total), [Button("Refresh", "exposure")]],
    )


@command("pnl", Role.VIEWER, "the result, with its picture")
def pnl(request: Request) -> Reply:
    """The result as a curve of the last day and by account."""
    result = load_result(request.now)
    return Reply(describe(result, request.now), picture=draw(result, request.now))


def find_account(named: str, speaker: Speaker) -> Account | None:
    """By id or by name; a name's beginning will do when only one account begins so. Out of sight is not there."""
    seen = in_scope(Account.objects.all(), speaker.caller, "")
    try:
        return seen.filter(pk=UUID(named)).first()
    except ValueError:
        pass
    if not named:
        return None
    found = list(seen.filter(Q(name__iexact=named) | Q(name__istartswith=named)).order_by("name")[:20])
    exact = [row for row in found if row.name.lower() == named.lower()]
    return exact[0] if exact else found[0] if len(found) == 1 else None
