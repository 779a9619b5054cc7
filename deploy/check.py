"""`make check`: every check the project has, one after the other; goes on after a failure and lists all at the end.

What it is given on the command line goes to the tests.
"""

import os
import secrets
import subprocess
import sys
import time
from pathlib import Path

from embedded.engines import start_engines, temporary_state

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
ROOMS = ("platform", "accounts", "strategies", "markets", "bot")
#: mypy refuses a folder without a module.
PRODUCT = tuple(room for room in ROOMS if any((ROOT / room).rglob("*.py")))


def main() -> int:
    failed = [name for name, command in plain_steps() if not run(name, command, dict(os.environ))]
    with temporary_state() as state:
        environment = deploy_environment(start_engines(state).environment(), state)
        failed += [name for name, command in django_steps() if not run(name, command, environment)]
    if not run("tests", [str(BIN / "python"), "-m", "pytest", "-q", *sys.argv[1:]], dict(os.environ)):
        failed.append("tests")
    print(f"\nFAILED: {', '.join(failed)}" if failed else "\nAll checks passed.")
    return 1 if failed else 0


def plain_steps() -> list[tuple[str, list[str]]]:
    return [
        ("format", [str(BIN / "ruff"), "format", "--check", "."]),
        ("lint", [str(BIN / "ruff"), "check", "."]),
        ("contracts", [str(BIN / "lint-imports")]),
        ("types", [str(BIN / "mypy"), *PRODUCT]),
    ]


def django_steps() -> list[tuple[str, list[str]]]:
    manage = [str(BIN / "python"), "manage.py"]
    return [
        ("deploy check", [*manage, "check", "--deploy", "--fail-level", "WARNING"]),
        ("migrations", [*manage, "makemigrations", "--check", "--dry-run"]),
    ]


def deploy_environment(urls: dict[str, str], state: Path) -> dict[str, str]:
    """What a careful operator would set for a live installation."""
    return {
        **os.environ,
        **urls,
        "HEDGEROW_STATE_DIR": str(state),
        "HEDGEROW_MODE": "live",
        "HEDGEROW_ENV_FILE": "",
        "HEDGEROW_SECRET_KEY": secrets.token_urlsafe(60),
        "HEDGEROW_ALLOWED_HOSTS": "desk.invalid",
        "HEDGEROW_PUBLIC_URL": "https://desk.invalid",
        "PREDICT_API_KEY": secrets.token_hex(16),
    }


def run(name: str, command: list[str], environment: dict[str, str]) -> bool:
    print(f"\n== {name}: {' '.join(command).replace(str(ROOT) + '/', '')}", flush=True)
    begun = time.monotonic()
    passed = subprocess.run(command, cwd=ROOT, env=environment).returncode == 0
    print(f"-- {name} {'passed' if passed else 'FAILED'} in {time.monotonic() - begun:.1f} s", flush=True)
    return passed


if __name__ == "__main__":
    sys.exit(main())
