"""The picture of the result: its curve, and what each account realized. A PNG, drawn with Pillow and its own font."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from io import BytesIO

from PIL import Image, ImageDraw, ImageFont

from bot.replies import clip, signed
from trading.values import ZERO

WIDTH, HEIGHT = 800, 460
GROUND, INK, SOFT, LINE = "#10140f", "#e6eae2", "#a0ab9b", "#2a3229"
GAIN, LOSS = "#6fd08c", "#ff8f85"
LEFT, RIGHT, TOP, BOTTOM = 125, 780, 92, 262
MOST_BARS = 4
SMALL = 20
"""Pixels of the least type: a phone shows the picture at half its size."""

Points = Sequence[tuple[datetime, Decimal | None]]


def draw_result(title: str, points: Points, bars: Sequence[tuple[str, Decimal]]) -> bytes:
    """A curve of (time, result) above, broken where it was unknown; a bar for each (account, realized) below."""
    image = Image.new("RGB", (WIDTH, HEIGHT), GROUND)
    draw = ImageDraw.Draw(image)
    last = points[-1][1] if points else ZERO
    said, ink = ("unknown", SOFT) if last is None else (f"{signed(last)} USDT", GAIN if last >= 0 else LOSS)
    draw.text((20, 16), title, font=_font(20), fill=INK)
    draw.text((20, 44), said, font=_font(30), fill=ink)
    _draw_curve(draw, points)
    _draw_bars(draw, bars)
    out = BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def _draw_curve(draw: ImageDraw.ImageDraw, points: Points) -> None:
    known = [value for _, value in points if value is not None]
    values = known or [ZERO]
    low, high = min(*values, ZERO), max(*values, ZERO)
    if low == high:
        high = low + 1
    for mark in (low, (low + high) / 2, high):
        y = _scaled(mark, low, high)
        draw.line((LEFT, y, RIGHT, y), fill=LINE)
        draw.text((LEFT - 8, y), signed(mark), font=_font(SMALL), fill=SOFT, anchor="rm")
    if len(known) < 2:
        draw.text((LEFT + 10, TOP + 70), "The curve begins with the second point.", font=_font(SMALL), fill=SOFT)
        return
    start, end = points[0][0], points[-1][0]
    whole = max(1, int((end - start).total_seconds()))
    zero = _scaled(ZERO, low, high)
    draw.line((LEFT, zero, RIGHT, zero), fill=SOFT)
    pieces: list[list[tuple[int, int]]] = [[]]
    for at, value in points:
        if value is None:
            pieces.append([])
            continue
        x = LEFT + (RIGHT - LEFT) * int((at - start).total_seconds()) // whole
        pieces[-1].append((x, _scaled(value, low, high)))
    for piece in pieces:
        if len(piece) > 1:
            draw.line(piece, fill=GAIN if values[-1] >= 0 else LOSS, width=3, joint="curve")
    draw.text((LEFT, BOTTOM + 6), f"{start:%d %b %H:%M}", font=_font(SMALL), fill=SOFT)
    draw.text((RIGHT, BOTTOM + 6), f"{end:%d %b %H:%M} UTC", font=_font(SMALL), fill=SOFT, anchor="ra")


def _draw_bars(draw: ImageDraw.ImageDraw, bars: Sequence[tuple[str, Decimal]]) -> None:
    shown = sorted(bars, key=lambda bar: -abs(bar[1]))[:MOST_BARS]
    if not shown:
        return
    most = max(abs(value) for _, value in shown) or Decimal(1)
    step = (RIGHT - 20) // len(shown)
    middle = 358
    draw.text((20, 296), "realized by account", font=_font(SMALL), fill=SOFT)
    for number, (name, value) in enumerate(shown):
        x = 20 + number * step
        height = int(abs(value) / most * 32)
        top, bottom = (middle - height, middle) if value >= 0 else (middle, middle + height)
        draw.rectangle((x + 6, top, x + step - 10, max(bottom, top + 1)), fill=GAIN if value >= 0 else LOSS)
        draw.text((x + step // 2, 398), signed(value), font=_font(SMALL), fill=INK, anchor="ma")
        draw.text((x + step // 2, 424), _fitted(draw, name, step - 6), font=_font(SMALL), fill=SOFT, anchor="ma")


def _scaled(value: Decimal, low: Decimal, high: Decimal) -> int:
    return BOTTOM - int((value - low) / (high - low) * (BOTTOM - TOP))


def _fitted(draw: ImageDraw.ImageDraw, name: str, width: int) -> str:
    """The name, cut to what `width` pixels hold."""
    lengths = range(len(name), 0, -1)
    return next((cut for n in lengths if draw.textlength(cut := clip(name, n), _font(SMALL)) <= width), "")


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
