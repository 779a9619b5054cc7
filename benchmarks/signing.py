"""Order build + sign: ours against the official SDK's, in one run. Last line: JSON with microseconds and their ratio.

Both turn (price, size, side, salt) into a signed order with its hash. The SDK's figure is the better one it offers
(eth-keys on coincurve); `--pure-python` adds the one it has without. Target: ratio ≤ 0.1, ours below 150 µs.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from uuid import UUID

from eth_account import Account
from predict_sdk import OrderBuilder
from predict_sdk.constants import ADDRESSES_BY_CHAIN_ID, ChainId, Side
from predict_sdk.logger import Logger
from predict_sdk.types import BuildOrderInput, LimitHelperInput

from trading.enums import Action, MarketStatus, Outcome, Platform, SignerKind
from trading.instruments import MarketSpec
from venues.contract import Credentials, OrderTicket
from venues.predict.signing import PredictSigner

FAKE_KEY = bytes.fromhex("11" * 32)
TOKEN = "24560856779750264508715319711026588362966017722489631827651946783573553758549"
COINCURVE, PURE_PYTHON = "eth_keys.backends.CoinCurveECCBackend", "eth_keys.backends.NativeECCBackend"


def median_us(work: Callable[[int], object], rounds: int) -> float:
    """The median time of `work(salt)`, warmed up, each call with its own salt."""
    for salt in range(1, rounds // 10 + 2):
        work(salt)
    times = []
    for salt in range(1, rounds + 1):
        began = time.perf_counter_ns()
        work(salt)
        times.append(time.perf_counter_ns() - began)
    return statistics.median(times) / 1000


def ours() -> Callable[[int], object]:
    """Our signer, as the executor holds it."""
    owner = Account.from_key(FAKE_KEY).address
    credentials = Credentials(account_id="a", address=owner, signer_kind=SignerKind.EOA, private_key=FAKE_KEY)
    signer = PredictSigner(credentials, 56)
    market = MarketSpec(
        platform=Platform.PREDICT,
        market_id="1",
        title="",
        question="",
        status=MarketStatus.OPEN,
        yes_token=TOKEN,
        no_token="7",
        tick=Decimal("0.01"),
        lot=Decimal("0.01"),
        min_size=Decimal("0.01"),
        min_value=Decimal("0.9"),
        fee_rate_bps=200,
    )
    price, size, order_id = Decimal("0.46"), Decimal("10.25"), UUID(int=1)

    def work(salt: int) -> object:
        return signer.sign(
            OrderTicket(
                client_order_id=order_id,
                market=market,
                outcome=Outcome.YES,
                action=Action.BUY,
                price=price,
                size=size,
                salt=salt,
            )
        )

    return work


def official() -> Callable[[int], object]:
    """The SDK's amounts, order, typed data, signature and hash: what a caller needs to POST."""
    chain = ChainId.BNB_MAINNET
    owner = Account.from_key(FAKE_KEY)
    builder = OrderBuilder(chain, 18, ADDRESSES_BY_CHAIN_ID[chain], lambda: "1", Logger("ERROR"), owner)
    asked = LimitHelperInput(
        side=Side.BUY, price_per_share_wei=460_000_000_000_000_000, quantity_wei=10_250_000_000_000_000_000
    )

    def work(salt: int) -> object:
        amounts = builder.get_limit_order_amounts(asked)
        order = builder.build_order(
            "LIMIT",
            BuildOrderInput(
                side=Side.BUY,
                token_id=TOKEN,
                maker_amount=str(amounts.maker_amount),
                taker_amount=str(amounts.taker_amount),
                fee_rate_bps=200,
                salt=str(salt),
            ),
        )
        typed = builder.build_typed_data(order, is_neg_risk=False, is_yield_bearing=False)
        return builder.sign_typed_data_order(typed), builder.build_typed_data_hash(typed)

    return work


def sdk_us(backend: str, rounds: int) -> float:
    """The SDK's median in a process of its own: eth-keys picks its backend once."""
    done = subprocess.run(
        [sys.executable, __file__, "--sdk-only", "--rounds", str(rounds)],
        env={**os.environ, "ECC_BACKEND_CLASS": backend, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
        capture_output=True,
        text=True,
    )
    return float(json.loads(done.stdout.splitlines()[-1])["sdk_us"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--pure-python", action="store_true", help="also measure the SDK without coincurve")
    parser.add_argument("--sdk-only", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.sdk_only:
        print(json.dumps({"sdk_us": median_us(official(), options.rounds)}))
        return
    # Ours before and after theirs, so that a machine that slows down meanwhile favours nobody.
    before = median_us(ours(), options.rounds)
    theirs = sdk_us(COINCURVE, max(options.rounds // 5, 50))
    mine = statistics.mean((before, median_us(ours(), options.rounds)))
    result = {"build_sign_us": round(mine, 1), "sdk_us": round(theirs, 1), "ratio": round(mine / theirs, 4)}
    if options.pure_python:
        result["sdk_pure_python_us"] = round(sdk_us(PURE_PYTHON, 50), 1)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
