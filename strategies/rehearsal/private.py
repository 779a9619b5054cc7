"""A private system for one rehearsal: its own folder, its own ports, stopped at the end, and removed if it passed.

Started through the command line only (`python -m embedded`), as an operator would; nothing of it is imported.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

READY_S = 240.0
STOP_S = 90.0
_INHERITED = (
    "DATABASE_URL",
    "REDIS_URL",
    "CLICKHOUSE_URL",
    "HEDGEROW_STATE_DIR",
    "HEDGEROW_PORT",
    "HEDGEROW_VAULT_PUBLIC_KEY_FILE",
    "HEDGEROW_VAULT_PRIVATE_KEY_FILE",
    "PREDICT_API_URL",
    "PREDICT_WS_URL",
    "PREDICT_RPC_URL",
)
"""What would point a private system at somebody else's engines or venue."""


class PrivateSystemFailed(Exception):
    """It did not start; the message holds the end of what it said."""


def rehearse_privately(root: Path, accounts: int, arguments: Sequence[str], say: Callable[[str], None]) -> int:
    """Start a system, run `manage.py` with `arguments` against it, stop it. Returns the command's exit code.

    After another code than 0 the folder stays, with the rows and the logs of what went wrong.
    """
    code = 0
    state = Path(tempfile.mkdtemp(prefix="hedgerow-rehearsal-"))
    state.chmod(0o711)
    environment = {name: value for name, value in os.environ.items() if name not in _INHERITED}
    environment |= {
        "HEDGEROW_PORT": str(_free_port()),
        "HEDGEROW_STATE_DIR": str(state),
        "HEDGEROW_ENV_FILE": "",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(root / "platform"), os.environ.get("PYTHONPATH", "")])),
    }
    embedded = [sys.executable, "-m", "embedded"]
    system = subprocess.Popen(
        [*embedded, "run", "--state", str(state), "--accounts", str(accounts)],
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        _wait_until_ready(system, state, say)
        command = [*embedded, "exec", "--state", str(state), "--", "manage.py", *arguments]
        code = subprocess.run(command, cwd=root, env=environment).returncode
        return code
    finally:
        _stop(system)
        if code:
            say(f"its folder is kept: {state}. Look at `python -m embedded run --state {state}`, then delete it")
        else:
            shutil.rmtree(state, ignore_errors=True)


def _wait_until_ready(system: "subprocess.Popen[str]", state: Path, say: Callable[[str], None]) -> None:
    ready = threading.Event()
    lines: list[str] = []

    def read() -> None:
        assert system.stdout is not None
        for line in system.stdout:
            lines.append(line.rstrip())
            if "password" not in line.lower():
                say(line.rstrip())
            if "is running at" in line:
                ready.set()
        ready.set()

    threading.Thread(target=read, name="private system", daemon=True).start()
    if not ready.wait(READY_S) or system.poll() is not None:
        raise PrivateSystemFailed("The private system did not start:\n" + "\n".join(lines[-20:]))


def _stop(system: "subprocess.Popen[str]") -> None:
    if system.poll() is None:
        system.send_signal(signal.SIGINT)
    began = time.monotonic()
    while system.poll() is None and time.monotonic() - began < STOP_S:
        time.sleep(0.1)
    if system.poll() is None:
        system.kill()
        system.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
