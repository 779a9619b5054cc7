"""How soon the API answers what became of a new account or trade: under 50 ms, besides what the venue takes.

One web process as the product starts it, real engines, a caller over a kept-alive connection. A trade's answer waits
for no venue: it is written down and handed to the engine, and its status is read back. The last line is JSON, in ms.
"""

import http.client
import json
import os
import subprocess
import sys
import time
from typing import Any

from benchmarks.live_sockets import ROOT, web_process
from embedded.engines import start_engines, temporary_state

ROUNDS = int(os.environ.get("ROUNDS", "200"))
WARM_UP = 20
LIMIT_MS = 50.0
PREPARE = """
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from django.conf import settings
from django.utils import timezone
from accounts.vault import ensure_vault
from identity.models import User
from identity.roles import Role
from identity.tokens import issue_token
from markets.models import Market
ensure_vault(Path(settings.VAULT_PUBLIC_KEY_FILE).parent)
now = timezone.now()
Market.objects.create(
    id="predict:100", platform="predict", market_id="100", title="Bench", status="open", tick=Decimal("0.01"),
    lot=Decimal("0.01"), min_size=Decimal(1), min_value=Decimal("0.9"), yes_token="1", no_token="2", synced_at=now,
)
user = User.objects.create_superuser("bench")
print(issue_token(user, "bench", role=Role.ADMIN, by=user, now=now, expires_at=now + timedelta(days=1))[1])
"""
ORDER = {"platform": "predict", "market_id": "100", "side": "yes", "price": "0.4", "shares": "10", "confirm": True}


class Caller:
    """A program with one connection."""

    def __init__(self, port: int, secret: str) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}

    def ask(self, method: str, path: str, body: Any = None) -> tuple[float, Any]:
        """(milliseconds, answer)."""
        began = time.perf_counter()
        self._http.request(method, f"/api{path}", None if body is None else json.dumps(body), self._headers)
        answer = self._http.getresponse()
        said = answer.read()
        took_ms = (time.perf_counter() - began) * 1000
        assert answer.status < 300, said
        return took_ms, json.loads(said)


def measure(caller: Caller) -> dict[str, list[float]]:
    """Each round makes an account and an order on it, and reads back how both stand."""
    took: dict[str, list[float]] = {"make_account": [], "read_account": [], "trade": [], "read_order": []}
    for number in range(WARM_UP + ROUNDS):
        key = f"0x{'11' * 28}{number + 1:08x}"  # obviously nobody's
        made_ms, account = caller.ask(
            "POST", "/accounts", {"name": f"bench-{number}", "platform": "predict", "private_key": key}
        )
        read_ms, _ = caller.ask("GET", f"/accounts/{account['id']}")
        traded_ms, ordered = caller.ask("POST", "/trade", ORDER | {"account_id": account["id"]})
        followed_ms, order = caller.ask("GET", f"/orders/{ordered['client_order_id']}")
        assert order["status"] == "initialized"
        if number >= WARM_UP:
            for name, ms in zip(took, (made_ms, read_ms, traded_ms, followed_ms), strict=True):
                took[name].append(ms)
    return took


def main() -> None:
    with temporary_state() as state:
        engines = start_engines(state)
        environment = {
            **os.environ,
            **engines.environment(),
            "HEDGEROW_STATE_DIR": str(state),
            "HEDGEROW_ENV_FILE": "",
            "HEDGEROW_MODE": "paper",
            "HEDGEROW_LOG_LEVEL": "ERROR",
            "HEDGEROW_API_REQUESTS_PER_MINUTE": "1000000",
            "HEDGEROW_VAULT_PUBLIC_KEY_FILE": str(state / "vault" / "public.key"),
            "HEDGEROW_VAULT_PRIVATE_KEY_FILE": str(state / "vault" / "private.key"),
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "platform"))),
        }
        manage = [sys.executable, "manage.py"]
        subprocess.run([*manage, "migrate", "--noinput", "-v", "0"], env=environment, cwd=ROOT, check=True)
        prepared = subprocess.run(
            [*manage, "shell", "-v", "0", "-c", PREPARE],
            env=environment, cwd=ROOT, check=True, capture_output=True, text=True,
        )  # fmt: skip
        secret = prepared.stdout.strip().splitlines()[-1]
        with web_process(environment) as port:
            took = measure(Caller(port, secret))
    told: dict[str, Any] = {"rounds": ROUNDS, "load": round(os.getloadavg()[0], 1)}
    for name, times in took.items():
        times.sort()
        told[f"{name}_p50_ms"] = round(times[len(times) // 2], 1)
        told[f"{name}_p99_ms"] = round(times[int(len(times) * 0.99)], 1)
    told["under_50_ms"] = all(told[f"{name}_p99_ms"] < LIMIT_MS for name in took)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
