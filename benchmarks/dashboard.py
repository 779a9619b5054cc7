"""The dashboard's first paint: how long the real web process takes to answer `/`, whole, to a signed-in person.

A real PostgreSQL and Redis hold 100 accounts, 100,000 fills and the 100,000 orders that hedged them; the page is asked
for over one kept connection, as a browser does. Beside it the admin's first page and its two longest lists. The last
line is JSON: p50 and p99 in ms, from the request's first byte to the answer's last, and `cpu`, the web process's own
share of it (a busy machine stretches the wait, not that). Target: p99 of the page < 300 ms.

    python benchmarks/dashboard.py [--accounts 100] [--fills 100000] [--requests 200]
"""

import argparse
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "platform")]

from embedded.engines import start_engines, temporary_state

TARGET_MS = 300
PAGES = {
    "dashboard": "/",
    "admin_index": "/admin/",
    "admin_orders": "/admin/accounts/order/",
    "admin_fills": "/admin/accounts/fill/",
    "admin_orders_searched": "/admin/accounts/order/?q=predict-007",
    "admin_orders_page_100": "/admin/accounts/order/?p=100",
}
BATCH = 5_000


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def load_rows(accounts: int, fills: int) -> str:
    """Fill the tables as the ledger would have left them; gives a signed-in operator's session key."""
    import django  # Here and not above: its settings name the engines that have only just started.

    django.setup()
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.db import connection
    from django.utils import timezone

    from accounts.models import Account, EngineLease, EquityPoint, Fill, Order, Position
    from alerts.raising import raise_alert
    from identity.models import User
    from markets.models import Market
    from strategies.models import Exposure, Pair, Strategy
    from trading.enums import Severity

    now = timezone.now()
    markets = Market.objects.bulk_create(
        Market(id=f"predict:{n}", platform="predict", market_id=str(n), title=f"Will number {n} hold?", status="open",
               tick=Decimal("0.01"), min_value=Decimal("0.9"), synced_at=now)
        for n in range(accounts // 2)
    )  # fmt: skip
    people = Account.objects.bulk_create(
        Account(name=f"predict-{n:03}", platform="predict", address=f"0x{n + 1:040x}", connection="connected",
                connection_at=now, collateral=Decimal(1000 + n), reserved=Decimal(n), balance_at=now)
        for n in range(accounts)
    )  # fmt: skip
    strategy = Strategy.objects.create(name="bench", state="active", started_at=now)
    pairs = Pair.objects.bulk_create(
        Pair(strategy=strategy, primary=people[2 * n], hedge=people[2 * n + 1]) for n in range(accounts // 2)
    )
    exposures = Exposure.objects.bulk_create(
        Exposure(strategy=strategy, pair=pair, market=markets[(n + shift) % len(markets)],
                 primary_account=pair.primary, hedge_account=pair.hedge, updated_at=now,
                 need=Decimal(n % 3), unhedged_since=now - timedelta(seconds=n) if n % 3 else None)
        for shift in range(4) for n, pair in enumerate(pairs)
    )  # fmt: skip
    for start in range(0, fills, BATCH):
        made: list[Fill] = []
        orders: list[Order] = []
        for n in range(start, min(start + BATCH, fills)):
            exposure, at = exposures[n % len(exposures)], now - timedelta(seconds=1.7 * (fills - n))
            size = Decimal(10 * (1 + n % 9))
            made.append(
                Fill(account_id=exposure.primary_account_id, market_id=exposure.market_id, trade_id=f"trade-{n}",
                     order_hash=f"0x{n:064x}", outcome="yes", action="buy", price=Decimal("0.55"), size=size,
                     settlement="settled", received_at=at, recorded_at=at + timedelta(milliseconds=1))
            )  # fmt: skip
            orders.append(
                Order(id=uuid4(), account_id=exposure.hedge_account_id, market_id=exposure.market_id, outcome="no",
                      action="buy", price=Decimal("0.45"), size=size, filled=size, status="filled", announced="filled",
                      origin="strategy", exposure_id=exposure.id, strategy_id=strategy.id,
                      cause=f"fill:trade-{n}:matched", order_hash=f"0xbeef{n:060x}", body=b"x" * 900, cause_at=at,
                      created_at=at + timedelta(milliseconds=1), sent_at=at + timedelta(milliseconds=2),
                      answered_at=at + timedelta(milliseconds=9), updated_at=at, latency_us=1_500 + n % 997)
            )  # fmt: skip
        Fill.objects.bulk_create(made)
        Order.objects.bulk_create(orders)
    Position.objects.bulk_create(
        Position(account=account, market=market, outcome="yes" if n % 2 else "no", size=Decimal(10 + n),
                 cost=Decimal(5 + n), realized=Decimal(n - 7), updated_at=now)
        for n, account in enumerate(people) for market in markets[:10]
    )  # fmt: skip
    EquityPoint.objects.bulk_create(
        EquityPoint(at=now - timedelta(seconds=30 * n), collateral=Decimal(100_000), value=Decimal(500 + n % 90),
                    cost=Decimal(480), realized=Decimal(n % 50), accounts=accounts)
        for n in range(20_000)
    )  # fmt: skip
    EngineLease.objects.create(
        name="engine:1:bench", pid=1, generation_seen=0, started_at=now, renewed_at=now + timedelta(hours=1)
    )
    for n in range(40):
        raise_alert(Severity.WARNING, "unhedged", f"predict-{n:03}", "unhedged for a while", now=now)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    person = User.objects.create_superuser("bench", password=None)
    session: Any = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = str(person.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = person.get_session_auth_hash()
    session.create()
    return str(session.session_key)


@contextmanager
def running_web(env: dict[str, str], port: int, log: Path) -> Iterator[int]:
    """The web process as `make run` starts it; ready once its health page answers."""
    command = [sys.executable, "-m", "uvicorn", "hedgerow.asgi:application", "--port", str(port), "--no-access-log"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=env, stdout=out, stderr=out, cwd=ROOT)
        try:
            deadline = time.monotonic() + 90
            while time.monotonic() < deadline and process.poll() is None:
                try:
                    ask(http.client.HTTPConnection("127.0.0.1", port, timeout=5), "/healthz", "")
                    break
                except OSError:
                    time.sleep(0.2)
            else:
                raise SystemExit(f"the web process did not start:\n{log.read_text()[-2000:]}")
            yield process.pid
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def ask(client: http.client.HTTPConnection, path: str, session: str) -> tuple[float, int]:
    """(ms to the answer's last byte, its length). A page that is not answered with 200 ends the benchmark."""
    began = time.perf_counter()
    client.request("GET", path, headers={"Cookie": f"sessionid={session}", "Accept-Encoding": "identity"})
    answer = client.getresponse()
    body = answer.read()
    took = (time.perf_counter() - began) * 1e3
    if answer.status != 200:
        raise SystemExit(f"{path} answered {answer.status}: {body[:300]!r}")
    return took, len(body)


def cpu_ms(pid: int) -> float:
    """What the process has computed so far, which other work on the machine does not lengthen as it does the wait."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1e3 / os.sysconf("SC_CLK_TCK")


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return round(ordered[min(int(len(ordered) * share), len(ordered) - 1)], 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=100)
    parser.add_argument("--fills", type=int, default=100_000)
    parser.add_argument("--requests", type=int, default=200)
    options = parser.parse_args()
    with ExitStack() as stack:
        state = stack.enter_context(temporary_state("hedgerow-bench-"))
        say("starting engines")
        urls = start_engines(state)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        env = os.environ | urls.environment()
        env |= {
            "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}",
            "DJANGO_SETTINGS_MODULE": "hedgerow.settings",
            "HEDGEROW_ENV_FILE": "",
            "HEDGEROW_STATE_DIR": str(state),
            "HEDGEROW_PUBLIC_URL": f"http://127.0.0.1:{port}",
            "CLICKHOUSE_URL": "http://127.0.0.1:9",  # not part of the page
        }
        os.environ.update(env)
        subprocess.run([sys.executable, "manage.py", "migrate", "--noinput", "-v0"], env=env, check=True, cwd=ROOT)
        say(f"loading {options.accounts} accounts and {options.fills} fills with their hedges")
        session = load_rows(options.accounts, options.fills)
        pid = stack.enter_context(running_web(env, port, state / "web.log"))
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        result: dict[str, Any] = {"accounts": options.accounts, "fills": options.fills, "requests": options.requests}
        for name, path in PAGES.items():
            count = options.requests if name == "dashboard" else max(20, options.requests // 4)
            first, _ = ask(client, path, session)
            for _ in range(5):
                ask(client, path, session)
            computed = cpu_ms(pid)
            asked = [ask(client, path, session) for _ in range(count)]
            times = [took for took, _ in asked]
            result[f"{name}_ms"] = {
                "first": round(first, 1),
                "p50": percentile(times, 0.5),
                "p99": percentile(times, 0.99),
                "cpu": round((cpu_ms(pid) - computed) / count, 1),
                "kib": asked[-1][1] // 1024,
            }
            say(f"{name}: {result[f'{name}_ms']}")
        page = result["dashboard_ms"]
        result |= {"p50_ms": page["p50"], "p99_ms": page["p99"], "target_ms": TARGET_MS}
        result["meets_target"] = page["p99"] < TARGET_MS
        print(json.dumps(result))


if __name__ == "__main__":
    main()
