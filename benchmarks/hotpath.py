"""Fill on the stream → hedge at the venue, over the whole real path, against the raw parts it cannot do without.

A real engine process (Celery worker, bootstep), real PostgreSQL and Redis, real signatures, a venue that only notes
arrivals. Paced for latency, all at once for throughput, there also against a Celery task per event doing the same work
(hotpath_celery.py). The last line is JSON; `ratio_p50` is path ÷ sum of raw parts, `ratio_celery` ours ÷ Celery's.

    python benchmarks/hotpath.py [--fills 600] [--pairs 100] [--rate 40] [--burst 3000] [--celery-burst 600]
"""

import argparse
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "platform")]

import psycopg
import redis

from embedded.engines import start_engines, temporary_state
from trading.enums import Action, Outcome, Platform, SignerKind
from trading.events import FILL_EVENTS, Event, Fill, encode
from trading.ids import event_id, order_salt
from trading.instruments import MarketSpec
from venues.contract import Credentials, OrderTicket
from venues.predict.signing import PredictSigner, owner_address


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def fake_key(number: int) -> bytes:
    """An obviously fake key: never fund its address."""
    return bytes([0x11]) * 28 + (number + 1).to_bytes(4, "big")


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(arguments: list[str], env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(arguments, env=env, stdout=out, stderr=out, cwd=ROOT)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


class Desk:
    """Pairs of accounts, one market each, in a real database; their keys sealed as the product seals them."""

    def __init__(self, pairs: int, strategies: int = 1, resting: int = 0) -> None:
        """`resting`: so many orders of the other accounts rest in each market, far from the fills."""
        import django  # Here and not above: its settings name the engines that have only just started.
        from django.utils import timezone

        django.setup()
        from django.conf import settings

        from accounts.models import Account, Order, SealedSecret
        from accounts.vault import Sealer
        from markets.models import Market
        from strategies.models import Pair, Strategy

        sealer = Sealer(settings.VAULT_PUBLIC_KEY_FILE)
        plans = Strategy.objects.bulk_create(
            Strategy(name=f"bench{number}", state="active", started_at=timezone.now(), config={"max_loss": "0.05"})
            for number in range(strategies)
        )
        Market.objects.bulk_create(
            Market(
                id=f"predict:{number}", platform="predict", market_id=str(number), title="bench", status="open",
                yes_token=str(10**70 + number), no_token=str(10**71 + number), tick=Decimal("0.01"),
                lot=Decimal("0.01"), min_size=Decimal("0.01"), min_value=Decimal("0.9"), fee_rate_bps=200,
                synced_at=timezone.now(),
            )
            for number in range(pairs)
        )  # fmt: skip
        keys = [fake_key(number) for number in range(2 * pairs)]
        accounts = Account.objects.bulk_create(
            Account(
                name=f"{('primary', 'hedge')[number % 2]}{number // 2}", platform="predict",
                address=owner_address(key), signer_kind="eoa",
            )
            for number, key in enumerate(keys)
        )  # fmt: skip
        # An API key each: the venue, and so the product, counts the requests of accounts with one key together.
        SealedSecret.objects.bulk_create(
            SealedSecret(account=account, kind=kind, sealed=sealer.seal(secret), vault_key=sealer.fingerprint)
            for number, (account, key) in enumerate(zip(accounts, keys, strict=True))
            for kind, secret in (("private_key", key), ("api_key", b"a fake key %d" % number))
        )
        Pair.objects.bulk_create(
            Pair(strategy=plans[number % strategies], primary=accounts[2 * number], hedge=accounts[2 * number + 1])
            for number in range(pairs)
        )
        now = timezone.now()
        Order.objects.bulk_create(
            Order(
                id=uuid4(), account=accounts[(2 * number + 2 * other) % len(accounts)], market_id=f"predict:{number}",
                outcome="yes", action="buy", price=Decimal("0.10"), size=Decimal(10), status="accepted",
                announced="accepted", origin="quoter", created_at=now, updated_at=now,
            )
            for number in range(pairs)
            for other in range(1, resting + 1)
        )  # fmt: skip
        self.accounts = 2 * pairs
        self.primaries: list[tuple[UUID, str, str]] = [
            (accounts[2 * number].id, accounts[2 * number].name, str(number)) for number in range(pairs)
        ]

    def fill(self, number: int) -> bytes:
        """One distinct fill of the primaries in turn, stamped now."""
        account_id, name, market_id = self.primaries[number % len(self.primaries)]
        trade = f"bench-{uuid4()}"
        data = Fill(
            account_id=str(account_id), account_name=name, market_id=market_id, side=Outcome.YES, action=Action.BUY,
            price=Decimal("0.55"), shares=Decimal(10), order_hash="0x" + "00" * 32, trade_id=trade,
            received_at_ns=time.time_ns(),
        )  # fmt: skip
        return encode(
            Event(id=event_id("fill", trade), timestamp=datetime.now(UTC), platform=Platform.PREDICT, data=data)
        )


def arrivals(url: str) -> dict[str, int]:
    with urllib.request.urlopen(f"{url}/bench/arrivals") as answer:
        return dict(json.load(answer))


def wait_for_engine(url: str, accounts: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until every account is logged in: the engine warms its connections in the background."""
    deadline = time.monotonic() + 60 + accounts / 20
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.5)
        with suppress(OSError), urllib.request.urlopen(f"{url}/bench/logins") as answer:
            if json.load(answer) >= accounts:
                return
    raise SystemExit(f"the engine did not start:\n{log.read_text()[-4000:]}")


def measure_path(desk: Desk, client: redis.Redis, database_url: str, url: str, count: int, rate: float) -> list[float]:
    """Milliseconds from just before XADD to the order's last byte at the venue, for `count` paced fills."""
    began = datetime.now(UTC)
    for number in range(count):
        client.xadd(FILL_EVENTS, {b"event": desk.fill(number)})
        time.sleep(1 / rate)
    time.sleep(1)
    at = arrivals(url)
    with psycopg.connect(database_url) as conn:
        rows = conn.execute(
            "SELECT order_hash, extract(epoch FROM cause_at) * 1000 FROM accounts_order"
            " WHERE created_at >= %s AND cause_at IS NOT NULL",
            (began,),
        ).fetchall()
    taken = [at[order_hash] / 1e6 - float(cause) for order_hash, cause in rows if order_hash in at]
    say(f"  {len(taken)} hedges of {count} fills")
    return taken


def measure_burst(desk: Desk, client: redis.Redis, url: str, count: int) -> float:
    """Hedges per second with `count` fills waiting."""
    before = len(arrivals(url))
    pipe = client.pipeline(transaction=False)
    for number in range(count):
        pipe.xadd(FILL_EVENTS, {b"event": desk.fill(number)})
    began = time.time_ns()
    pipe.execute()
    still, seen = 0, before
    while still < 8:
        time.sleep(0.25)
        now = len(arrivals(url))
        still, seen = (still + 1, seen) if now == seen else (0, now)
    last = max(arrivals(url).values())
    return (seen - before) / ((last - began) / 1e9)


def measure_celery(desk: Desk, client: redis.Redis, url: str, count: int, env: dict[str, str], state: Path) -> float:
    """Hedges per second of a Celery task per event with `count` fills waiting; the engine must not be running."""
    env = env | {"PYTHONPATH": f"{env['PYTHONPATH']}:{ROOT / 'benchmarks'}"}
    log = state / "celery.log"
    with (
        running(
            [sys.executable, "-m", "celery", "-A", "hotpath_celery", "worker", "--pool=prefork", "-c", "2",
             "-n", "tasks@local", "--without-gossip", "--without-mingle", "--without-heartbeat"], env, log,
        ),
        running([sys.executable, str(ROOT / "benchmarks/hotpath_celery.py")], env, state / "reader.log"),
    ):  # fmt: skip
        before, deadline = len(arrivals(url)), time.monotonic() + 90
        while len(arrivals(url)) < before + 50:
            if time.monotonic() > deadline:
                raise SystemExit(f"no task was done:\n{log.read_text()[-4000:]}")
            for number in range(20):
                client.xadd(FILL_EVENTS, {b"event": desk.fill(number)})
            time.sleep(1)
        time.sleep(3)
        return measure_burst(desk, client, url, count)


def _woken(url: str, pipe: Connection) -> None:
    client = redis.Redis.from_url(url, socket_timeout=None)
    client.xgroup_create("bench:wake", "g", id="0", mkstream=True)
    pipe.send(0)
    while True:
        answer: Any = client.xreadgroup("g", "c", {"bench:wake": ">"}, count=64, block=0)
        at = time.time_ns()
        fields = answer["bench:wake"][0] if isinstance(answer, dict) else answer[0][1]
        pipe.send((at, len(fields)))


def measure_raw(redis_url: str, database_url: str, sink_port: int, count: int, rate: float) -> dict[str, list[float]]:
    """Each part alone, paced like the path: wake, one-row commit, plan and sign, POST to the venue. Milliseconds."""
    parts: dict[str, list[float]] = {"wake": [], "commit": [], "sign": [], "post": []}
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    reader = multiprocessing.get_context("spawn").Process(target=_woken, args=(redis_url, theirs), daemon=True)
    reader.start()
    ours.recv()
    client = redis.Redis.from_url(redis_url)
    conn = psycopg.connect(database_url, autocommit=True, prepare_threshold=0)
    conn.execute("CREATE TABLE IF NOT EXISTS bench_commit (id uuid PRIMARY KEY, body bytea)")
    key = fake_key(0)
    signer = PredictSigner(
        Credentials(account_id="", address=owner_address(key), signer_kind=SignerKind.EOA, private_key=key), 56
    )
    spec = MarketSpec(
        platform=Platform.PREDICT, market_id="1", title="", question="", status="open", yes_token=str(10**70),  # type: ignore[arg-type]
        no_token=str(10**71), tick=Decimal("0.01"), lot=Decimal("0.01"), min_size=Decimal("0.01"),
        min_value=Decimal("0.9"), fee_rate_bps=200,
    )  # fmt: skip
    sink = socket.create_connection(("127.0.0.1", sink_port))
    sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    posted: dict[str, int] = {}
    for _ in range(count):
        began = time.time_ns()
        client.xadd("bench:wake", {b"event": b"x" * 600})
        at, _ = ours.recv()
        parts["wake"].append((at - began) / 1e6)
        began = time.perf_counter_ns()
        order_id = uuid4()
        ticket = OrderTicket(
            client_order_id=order_id, market=spec, outcome=Outcome.NO, action=Action.BUY, price=Decimal("0.45"),
            size=Decimal(10), salt=order_salt(order_id),
        )  # fmt: skip
        signed = signer.sign(ticket)
        parts["sign"].append((time.perf_counter_ns() - began) / 1e6)
        began = time.perf_counter_ns()
        conn.execute("INSERT INTO bench_commit VALUES (%s, %s)", (order_id, signed.body))
        parts["commit"].append((time.perf_counter_ns() - began) / 1e6)
        request = (
            b"POST /v1/orders HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(signed.body), signed.body)
        )
        posted[signed.order_hash] = time.time_ns()
        sink.sendall(request)
        sink.recv(4096)
        time.sleep(1 / rate)
    at_sink = arrivals(f"http://127.0.0.1:{sink_port}")
    parts["post"] = [(at_sink[order_hash] - sent) / 1e6 for order_hash, sent in posted.items()]
    reader.kill()
    client.delete("bench:wake")
    return parts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fills", type=int, default=600)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--strategies", type=int, default=1)
    parser.add_argument("--resting", type=int, default=0, help="orders of other accounts of ours in each market")
    parser.add_argument("--rate", type=float, default=40.0)
    parser.add_argument("--burst", type=int, default=3000)
    parser.add_argument("--celery-burst", type=int, default=600, help="0 leaves the comparison out")
    options = parser.parse_args()
    os.environ["CLICKHOUSE_URL"] = "http://127.0.0.1:9"  # not part of the path
    with ExitStack() as stack:
        state = stack.enter_context(temporary_state("hedgerow-bench-"))
        say("starting engines")
        urls = start_engines(state)
        port = free_port()
        env = os.environ | urls.environment()
        env |= {
            "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}",
            "DJANGO_SETTINGS_MODULE": "hedgerow.settings",
            "HEDGEROW_ENV_FILE": "",
            "HEDGEROW_STATE_DIR": str(state),
            "HEDGEROW_VAULT_PUBLIC_KEY_FILE": str(state / "vault" / "public.key"),
            "HEDGEROW_VAULT_PRIVATE_KEY_FILE": str(state / "vault" / "private.key"),
            "PREDICT_API_URL": f"http://127.0.0.1:{port}",
            "PREDICT_WS_URL": f"ws://127.0.0.1:{port}/ws",
            "PREDICT_RPC_URL": f"http://127.0.0.1:{port}/rpc",
        }
        os.environ.update(env)
        from accounts.vault import ensure_vault

        ensure_vault(state / "vault")
        subprocess.run([sys.executable, "manage.py", "migrate", "--noinput", "-v0"], env=env, check=True, cwd=ROOT)
        desk = Desk(options.pairs, options.strategies, options.resting)
        stack.enter_context(
            running([sys.executable, str(ROOT / "benchmarks/hotpath_sink.py"), str(port)], env, state / "sink.log")
        )
        engine_log = state / "engine.log"
        trading = stack.enter_context(ExitStack())
        engine = trading.enter_context(
            running(
                [sys.executable, "-m", "celery", "-A", "hedgerow", "worker", "--engine", "-Q", "engine",
                 "--pool=threads", "-c", "1", "-n", "bench@local", "--without-gossip", "--without-mingle"],
                env, engine_log,
            )
        )  # fmt: skip
        url = f"http://127.0.0.1:{port}"
        wait_for_engine(url, desk.accounts, engine, engine_log)
        time.sleep(3)
        client = redis.Redis.from_url(urls.redis_url)
        say("warming up")
        warm = max(options.fills // 5, 2 * min(options.pairs, options.fills))
        measure_path(desk, client, urls.database_url, url, warm, options.rate * 4)
        say("raw parts")
        raw = measure_raw(urls.redis_url, urls.database_url, port, options.fills // 2, options.rate)
        say("the path")
        path = measure_path(desk, client, urls.database_url, url, options.fills, options.rate)
        say("raw parts again")
        for part, values in measure_raw(
            urls.redis_url, urls.database_url, port, options.fills // 2, options.rate
        ).items():
            raw[part] += values
        burst = 0.0
        if options.burst:
            say("saturated")
            burst = measure_burst(desk, client, url, options.burst)
        trading.close()
        tasks = 0.0
        if options.celery_burst:
            say("a Celery task per event")
            tasks = measure_celery(desk, client, url, options.celery_burst, env, state)
        sums = [sum(values) for values in zip(*raw.values(), strict=True)]
        parts = {part: round(percentile(values, 0.5), 3) for part, values in raw.items()}
        result = {
            "fill_to_order_ms": {"p50": round(percentile(path, 0.5), 3), "p99": round(percentile(path, 0.99), 3)},
            "raw_parts_ms": parts
            | {"sum_p50": round(percentile(sums, 0.5), 3), "sum_p99": round(percentile(sums, 0.99), 3)},
            "ratio_p50": round(percentile(path, 0.5) / percentile(sums, 0.5), 3),
            "ratio_p99": round(percentile(path, 0.99) / percentile(sums, 0.99), 3),
            "hedges_per_s_saturated": round(burst, 1),
            "hedges_per_s_celery": round(tasks, 1),
            "ratio_celery": round(burst / tasks, 2) if tasks else None,
            "fills": len(path),
        }
        print(json.dumps(result))


if __name__ == "__main__":
    main()
