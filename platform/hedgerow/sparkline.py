"""A sparkline as SVG geometry: bars for one series, a line for the other, drawn by a template without any script."""

from collections.abc import Sequence
from dataclasses import dataclass

HEIGHT = 40
STEP = 4


@dataclass(frozen=True)
class Bar:
    """One bar, in SVG units from the top left."""

    x: int
    y: int
    height: int


@dataclass(frozen=True)
class Sparkline:
    """Both series on one scale; `peak` is the highest value of either."""

    width: int
    height: int
    bars: list[Bar]
    points: str
    peak: int


def draw_sparkline(bars: Sequence[int], line: Sequence[int]) -> Sparkline:
    """Bars of one series under a line of the other, oldest on the left."""
    peak = max((*bars, *line), default=0)
    scale = max(peak, 1)

    def rise(value: int) -> int:
        return value * (HEIGHT - 2) // scale

    return Sparkline(
        width=STEP * max(len(bars), 1),
        height=HEIGHT,
        bars=[Bar(STEP * i, HEIGHT - rise(value), rise(value)) for i, value in enumerate(bars) if value],
        points=" ".join(f"{STEP * i + STEP // 2},{HEIGHT - 1 - rise(value)}" for i, value in enumerate(line)),
        peak=peak,
    )
