"""Which fills and orders are hedges, and of what: the words behind a line of the chat."""

from collections.abc import Collection

from accounts.models import Order
from bot.access import Speaker
from bot.replies import esc
from strategies.models import Exposure


def load_hedge_words(order_hashes: Collection[str], speaker: Speaker | None = None) -> dict[str, str]:
    """By order hash, for hedges only: "hedge of predict-01, 17.3 ms". Two queries.

    To a `speaker` who sees only some accounts nothing is said: the pair's other account may be none of them.

    The time is from the arrival of the fill it answers to its bytes leaving; it is missing until the venue answered.
    """
    if speaker is not None and speaker.caller.is_scoped:
        return {}
    rows = Order.objects.filter(order_hash__in=order_hashes, exposure_id__isnull=False).exclude(order_hash="")
    hedges = list(rows.values_list("order_hash", "exposure_id", "latency_us"))
    wanted = {exposure_id for _, exposure_id, _ in hedges if exposure_id}
    names = dict(Exposure.objects.filter(pk__in=wanted).values_list("pk", "primary_account__name")) if wanted else {}
    return {
        order_hash: f"hedge of {esc(names.get(exposure_id, 'a removed pair'))}{_after(latency_us)}"
        for order_hash, exposure_id, latency_us in hedges
        if order_hash and exposure_id
    }


def _after(latency_us: int | None) -> str:
    return "" if latency_us is None else f", {milliseconds(latency_us)} ms"


def milliseconds(us: int) -> str:
    """Microseconds as milliseconds with one digit."""
    return f"{us // 1000}.{us % 1000 // 100}"
