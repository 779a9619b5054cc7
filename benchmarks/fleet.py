"""Does the hot path stay as fast with a large fleet? p99 with 10,000 accounts and 1,000 strategies ÷ with 100 and 10.

Runs hotpath.py with either fleet in turn, each on engines of its own; the last line is JSON. Besides the ratio of the
plain p99 it gives that of p99 ÷ raw parts, which takes the machine's own mood out of it.

    python benchmarks/fleet.py [--fills 400] [--rounds 2] [--pairs 5000] [--strategies 1000]
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

TARGET = 1.3
SMALL = (50, 10)
"""Pairs of accounts, and strategies."""


def measure(pairs: int, strategies: int, fills: int) -> dict[str, Any]:
    """hotpath.py's figures with this fleet."""
    done = subprocess.run(
        [
            sys.executable, str(Path(__file__).with_name("hotpath.py")), "--pairs", str(pairs),
            "--strategies", str(strategies), "--fills", str(fills), "--burst", "0", "--celery-burst", "0",
        ],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fills", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=5000, help="pairs of accounts in the large fleet")
    parser.add_argument("--strategies", type=int, default=1000)
    options = parser.parse_args()
    small: list[dict[str, Any]] = []
    large: list[dict[str, Any]] = []
    for _ in range(options.rounds):
        small.append(measure(*SMALL, options.fills))
        large.append(measure(options.pairs, options.strategies, options.fills))

    def ratio(figure: str) -> float:
        return statistics.median(
            big["fill_to_order_ms"][figure] / little["fill_to_order_ms"][figure]
            for big, little in zip(large, small, strict=True)
        )

    result = {
        "benchmark": "fleet",
        "accounts": [2 * SMALL[0], 2 * options.pairs],
        "strategies": [SMALL[1], options.strategies],
        "p50_ms": [[run["fill_to_order_ms"]["p50"] for run in runs] for runs in (small, large)],
        "p99_ms": [[run["fill_to_order_ms"]["p99"] for run in runs] for runs in (small, large)],
        "ratio_p50": round(ratio("p50"), 3),
        "ratio_p99": round(ratio("p99"), 3),
        "ratio_p99_by_raw": round(
            statistics.median(big["ratio_p99"] / little["ratio_p99"] for big, little in zip(large, small, strict=True)),
            3,
        ),
        "target": TARGET,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
