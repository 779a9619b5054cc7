"""Markets: finding one by words, here and by inline search."""

from dataclasses import dataclass

from django.db.models import Q, QuerySet

from accounts.models import Account
from accounts.scope import in_scope
from bot.access import Speaker
from bot.commands.registry import Request, command
from bot.replies import ROWS_PER_PAGE, Button, Reply, amount, bold, clip, code, esc, pager
from identity.roles import Role
from markets.models import Market
from markets.querysets import load_open
from strategies.models import Strategy

MOST_FOUND = 20


@command("markets", Role.VIEWER, "find a market", usage="/markets [words]", topic="Markets", keeps_scope=True)
def markets(request: Request) -> Reply:
    """Open markets whose title holds the words."""
    words = str(request.arguments.get("words", "")) or request.rest
    rows = search(words)
    total = rows.count()
    if not total:
        return Reply("No open market has these words in its title.", buttons=[[Button("Search…", inline=words)]])
    lines = [
        f"{code(market.market_id)} {esc(clip(market.title, 70))}\n"
        f"   tick {amount(market.tick)}, fee {market.fee_rate_bps} bps"
        for market in rows[request.page * ROWS_PER_PAGE :][:ROWS_PER_PAGE]
    ]
    return Reply(
        f"{bold('Open markets')} ({total})\n" + "\n".join(lines),
        buttons=[pager("markets", request.page, total, {"words": words}), [Button("Search…", inline=words)]],
    )


def search(words: str) -> QuerySet[Market]:
    """Open markets with every one of the words in their title, or with that number."""
    wanted = Q()
    for word in words.split()[:8]:
        wanted &= Q(title__icontains=word) | Q(market_id=word)
    return load_open().filter(wanted)


@dataclass(frozen=True)
class Hit:
    """One result of an inline search: what it shows, and what choosing it says."""

    key: str
    title: str
    about: str
    says: str


def find_hits(words: str, speaker: Speaker) -> list[Hit]:
    """Accounts, strategies and markets that match what was typed after the bot's name."""
    found = in_scope(Account.objects.all(), speaker.caller, "").filter(name__icontains=words).order_by("name")[:6]
    hits = [Hit(f"a{row.pk}", row.name, f"account, {row.state}", f"/account {row.name}") for row in found]
    running = (
        Strategy.objects.none()
        if speaker.caller.is_scoped
        else Strategy.objects.filter(name__icontains=words).order_by("name")[:4]
    )
    hits += [Hit(f"s{row.pk}", row.name, f"strategy, {row.state}", "/strategies") for row in running]
    hits += [
        Hit(f"m{row.pk}"[:64], clip(row.title, 60), f"market {row.market_id}", f"/markets {row.market_id}")
        for row in search(words)[: MOST_FOUND - len(hits)]
    ]
    return hits
