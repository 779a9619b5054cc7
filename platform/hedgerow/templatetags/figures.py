"""How figures are written on every page: exact decimals, a sign where it matters, ages in words. Never float."""

from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from trading.values import MINUS, cents_text, price_text

register = template.Library()

CENT = Decimal("0.01")
NOTHING = "\N{EN DASH}"


@register.filter
def shares(value: Decimal | None, places: int = 0) -> str:
    """A size: at most four decimals shown, none that say nothing. `1,250` `0.5` `−3`.

    In a column at least `places` are shown, so that points stand below each other: `shares:2` is `21.00` over `36.99`.
    """
    if value is None:
        return NOTHING
    rounded = value.quantize(Decimal("0.0001"), rounding=ROUND_HALF_EVEN)
    whole, _, cut = f"{abs(rounded):,f}".partition(".")
    cut = cut.rstrip("0").ljust(places, "0")
    text = f"{whole}.{cut}" if cut else whole
    return f"{MINUS}{text}" if rounded < 0 else text


@register.filter
def signed_shares(value: Decimal | None, places: int = 0) -> str:
    """A size with its sign, also when positive. Zero has none."""
    return f"+{shares(value, places)}" if value is not None and value > 0 else shares(value, places)


@register.filter
def price(value: Decimal | None) -> str:
    """A price: two decimals, more only when it has more. `0.55` `0.123`."""
    return NOTHING if value is None else price_text(value)


@register.filter
def money(value: Decimal | None) -> str:
    """An amount of collateral, in cents."""
    return NOTHING if value is None else cents_text(value)


@register.filter
def fee(value: Decimal | None, kind: str | None) -> str | SafeString:
    """A fee, and what it is taken in: shares of what was bought, or collateral."""
    if not value:
        return shares(value)
    return format_html('{} <span class="soft">{}</span>', shares(value), "shares" if kind == "shares" else "USDT")


@register.filter
def profit(value: Decimal | None) -> str | SafeString:
    """A profit or loss: sign and colour both, so that neither is needed to read the other."""
    if value is None:
        return NOTHING
    cents = value.quantize(CENT, rounding=ROUND_HALF_EVEN)
    if cents > 0:
        return format_html('<span class="gain">+{}</span>', money(cents))
    if cents < 0:
        return format_html('<span class="loss">{}</span>', money(cents))
    return money(Decimal(0))


@register.filter
def milliseconds(value: int | None) -> str:
    """Microseconds as milliseconds with three figures that count. `2.14` `38.2` `412`."""
    if value is None:
        return NOTHING
    ms = Decimal(value) / 1000
    if ms < 10:
        return f"{ms:.2f}"
    return f"{ms:.1f}" if ms < 100 else f"{ms:,.0f}"


@register.filter
def pace(value: int | None) -> str:
    """The class of a latency: `fast` below 25 ms, `slow` above a quarter of a second."""
    if value is None or 25_000 <= value <= 250_000:
        return ""
    return "fast" if value < 25_000 else "slow"


def in_words(age: timedelta) -> str:
    """An age in its largest unit; `static/js/age.js` counts on in the same words."""
    seconds = max(0, int(age.total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


@register.filter
def age(moment: datetime | None) -> str | SafeString:
    """How long ago, as a <time> the page counts on."""
    if moment is None:
        return "never"
    text = in_words(timezone.now() - moment)
    return format_html('<time data-age datetime="{}" title="{}">{}</time>', moment.isoformat(), _full(moment), text)


@register.filter
def clock(moment: datetime | None) -> str | SafeString:
    """The time of day in UTC to the millisecond; with its day when that is not today."""
    if moment is None:
        return NOTHING
    there = moment.astimezone(UTC)
    text = there.strftime("%H:%M:%S.%f")[:-3]
    if there.date() != timezone.now().date():
        text = f"{there:%Y-%m-%d} {text}"
    return format_html('<time datetime="{}" title="{}">{}</time>', moment.isoformat(), _full(moment), text)


def _full(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")
