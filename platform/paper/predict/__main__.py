"""`python -m paper.predict`: the command line of the paper Predict.fun."""

import argparse
import sys
from pathlib import Path

import uvloop

from paper.journal import JournalError
from paper.predict.contracts import CONTRACTS
from paper.predict.server import serve
from paper.predict.settings import Settings


def parse_settings(arguments: list[str] | None = None) -> Settings:
    parser = argparse.ArgumentParser(prog="paper.predict", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8756)
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--chain-id", type=int, choices=sorted(CONTRACTS), default=56)
    parser.add_argument("--trading-limit", type=int, default=500, help="requests a minute on trading routes")
    parser.add_argument("--search-limit", type=int, default=120, help="requests a minute on /v1/search")
    parser.add_argument("--other-limit", type=int, default=250, help="requests a minute on all else")
    parser.add_argument("--post-limit", type=int, default=40, help="POSTs a second under /v1/orders")
    parser.add_argument("--api-key", action="append", default=[], help="required from clients when given")
    parser.add_argument("--settlement-delay-ms", type=int, default=300)
    parser.add_argument("--taker-delay-ms", type=int, default=0)
    parser.add_argument("--visibility-delay-ms", type=int, default=0)
    parser.add_argument("--heartbeat-s", type=float, default=15.0)
    parser.add_argument("--traders", choices=("on", "off"), default="on")
    parser.add_argument("--taker-every-s", type=float, default=1.5)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    values = {**vars(given), "api_keys": tuple(given.api_key), "traders": given.traders == "on"}
    del values["api_key"]
    return Settings(**values)


def main() -> None:
    """Exit 1 with one sentence when the folder or the port can't be had."""
    try:
        uvloop.run(serve(parse_settings()))
    except (JournalError, OSError) as error:
        sys.exit(f"paper.predict: {error}")


if __name__ == "__main__":
    main()
