"""The product's processes: how each is started, when it is ready, how it is stopped. One place to read them all."""

import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from embedded.environment import ROOT
from embedded.ports import HOST
from embedded.spec import ProcessSpec

# A proxy named in the environment must not stand between us and our own loopback.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

UNHURRIED = ("--trading-limit", "120000", "--other-limit", "120000", "--post-limit", "2000")
"""Predict.fun's own limits are per API key, and every account of a paper desk shares one loopback address."""


@dataclass(frozen=True)
class Plan:
    """What runs on top of the engines, in this order: venues, then the commands to their end, then the processes."""

    venues: tuple[ProcessSpec, ...] = ()
    commands: tuple[ProcessSpec, ...] = ()
    processes: tuple[ProcessSpec, ...] = ()


@dataclass(frozen=True)
class PlanInputs:
    """What a plan is made from. `shared` is every process's environment, `keyholder` adds the private key's place."""

    web_port: int
    paper_port: int | None
    accounts: int
    state_dir: str
    shared: Mapping[str, str] = field(repr=False)
    keyholder: Mapping[str, str] = field(repr=False)
    telegram_port: int | None = None
    """Of the Bot API server of our own; None where the bot speaks to Telegram, or there is no bot."""


def product_plan(inputs: PlanInputs) -> Plan:
    """The whole product. Without a paper port there is no paper venue and nobody who quotes on it."""
    shared, keyholder = inputs.shared, inputs.keyholder
    paper = inputs.paper_port is not None
    venues: tuple[ProcessSpec, ...] = ()
    if paper:
        health = f"http://{HOST}:{inputs.paper_port}/paper/health"
        options = (
            "--host",
            HOST,
            "--port",
            str(inputs.paper_port),
            "--state-dir",
            f"{inputs.state_dir}/paper",
            *UNHURRIED,
        )
        venues = (_process("paper", ("-m", "paper.predict", *options), shared, ready=answers(health), tier=1),)
    if inputs.telegram_port is not None:
        venues += (_telegram(inputs.telegram_port, inputs.state_dir, shared),)
    # Compressing each small message anew for each of a thousand sockets costs far more than it saves.
    plain = ("--ws-per-message-deflate", "false")
    web = ("-m", "uvicorn", "hedgerow.asgi:application", "--host", HOST, "--port", str(inputs.web_port), *plain)
    worker = ("-m", "celery", "-A", "hedgerow", "worker", "--pool=threads", "--without-gossip", "--without-mingle")
    beat = ("-m", "celery", "-A", "hedgerow", "beat", "-s", f"{inputs.state_dir}/run/celerybeat-schedule")
    setup = ("setup", "--accounts", str(inputs.accounts)) if paper else ("setup",)
    return Plan(
        venues=venues,
        commands=(
            _manage("migrate", shared, "migrate", "--noinput"),
            # It makes the vault's keys on the first start, and shows the operator's login once.
            replace(_manage("setup", keyholder, *setup), shown=True),
        ),
        processes=(
            _process("web", web, shared, ready=answers(f"http://{HOST}:{inputs.web_port}/healthz")),
            _process("engine", (*worker, "--engine", "-Q", "engine", "-c", "2", "-n", "engine@%h"), keyholder),
            _process("worker", (*worker, "-Q", "worker", "-c", "4", "-n", "worker@%h"), keyholder),
            _process("beat", beat, shared),
            _manage("listener", keyholder, "listener"),
            _manage("recorder", shared, "recorder"),
            *((_manage("quoter", shared, "quoter"),) if paper else ()),
            *((_manage("bot", shared, "bot"),) if shared.get("TELEGRAM_BOT_TOKEN") else ()),
        ),
    )


def _telegram(port: int, state_dir: str, env: Mapping[str, str]) -> ProcessSpec:
    """The Bot API server of a paper desk without a token."""
    options = ("--host", HOST, "--port", str(port), "--state-dir", f"{state_dir}/telegram")
    ready = answers(f"http://{HOST}:{port}/paper/health")
    return _process("telegram", ("-m", "paper.telegram", *options), env, ready=ready, tier=1)


def answers(url: str) -> Callable[[], bool]:
    """A ready check: the page answers 200."""

    def check() -> bool:
        try:
            with _direct.open(url, timeout=1.0) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    return check


def _process(
    name: str,
    arguments: tuple[str, ...],
    env: Mapping[str, str],
    ready: Callable[[], bool] | None = None,
    tier: int = 2,
) -> ProcessSpec:
    return ProcessSpec(
        name=name,
        argv=(sys.executable, *arguments),
        env=env,
        cwd=ROOT,
        ready=ready,
        stop_signal=signal.SIGTERM,
        stop_timeout=15.0,
        tier=tier,
        settle=4.0,  # time enough to fail over settings, migrations or a missing engine
    )


def _manage(name: str, env: Mapping[str, str], *arguments: str) -> ProcessSpec:
    return _process(name, (str(ROOT / "manage.py"), *arguments), env)
