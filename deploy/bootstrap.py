#!/usr/bin/env python3
"""Sets up what the product needs below this folder: `.venv` with the pinned packages. `make` runs it first.

    python3 deploy/bootstrap.py [--dev] [--browser]

Only the standard library. A second call with nothing to do takes milliseconds. An existing `.venv` is kept and used.
It is written so that an old Python can at least read it and say that it is too old.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
OLDEST = (3, 11)
NEEDED_MB = 2500
UV_LOCK = ROOT / "deploy" / "requirements-uv.txt"
NO_NETWORK = (
    "Temporary failure in name resolution",
    "dns error",
    "error sending request",
    "Failed to establish",
    "Network is unreachable",
    "Connection refused",
    "ConnectTimeout",
    "Max retries exceeded",
    "(from versions: none)",
)


class SetupError(Exception):
    """One sentence for the person at the keyboard."""


def say(sentence: str) -> None:
    print(f"setup: {sentence}", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="deploy/bootstrap.py", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--dev", action="store_true", help="also what the tests and checks need")
    parser.add_argument("--browser", action="store_true", help="also a Chromium for the browser tests")
    options = parser.parse_args()
    try:
        with one_at_a_time():
            set_up_packages(options.dev)
            if options.browser:
                set_up_browser()
    except SetupError as error:
        say(str(error))
        return 1
    except OSError as error:
        say(f"the disk is full ({error})." if error.errno in (28, 122) else f"could not write: {error}")
        return 1
    except KeyboardInterrupt:
        say("stopped. Run it again to go on.")
        return 130
    return 0


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Two setups at once would spoil each other. The lock is on this very file, so it leaves nothing behind."""
    with open(__file__, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another setup is at work; waiting for it.")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def set_up_packages(dev: bool) -> None:
    locks = [ROOT / "requirements.txt"] + ([ROOT / "requirements-dev.txt"] if dev else [])
    stamp = VENV / ("hedgerow-dev.json" if dev else "hedgerow.json")
    wanted = {lock.name: hashlib.sha256(lock.read_bytes()).hexdigest() for lock in locks}
    wanted["folder"] = str(ROOT)
    if PYTHON.exists() and stamp.exists() and stamp.read_text() == json.dumps(wanted):
        return
    begun = time.monotonic()
    make_venv()
    write_path_file()
    for lock in locks:
        say(f"installing {lock.name} …")
        install(lock)
    stamp.write_text(json.dumps(wanted))
    say(f"packages are ready ({time.monotonic() - begun:.0f} s).")


def make_venv() -> None:
    """Make `.venv`, or keep the one that is there and works."""
    if PYTHON.exists():
        version = subprocess.run([str(PYTHON), "-c", "import sys; print(*sys.version_info[:2])"],
                                 capture_output=True, text=True)  # fmt: skip
        if version.returncode == 0:
            found = tuple(int(part) for part in version.stdout.split())
            if found < OLDEST:
                raise SetupError(f"{VENV} has Python {found[0]}.{found[1]}; 3.11 or newer is needed. Remove it first.")
            return
    check_disk()
    python = find_python()
    say(f"making {VENV} with {python} …")
    clear = ["--clear"] if VENV.exists() else []
    made = run_quiet([python, "-m", "venv", *clear, str(VENV)])
    if made.returncode == 0:
        return
    # Debian and Ubuntu leave ensurepip out of python3 until python3-venv is installed.
    uv = shutil.which("uv")
    if uv and run_quiet([uv, "venv", "--clear", "--seed", "--python", python, str(VENV)]).returncode == 0:
        return
    say("this Python cannot make a venv yet; installing the system's python3-venv …")
    package = "python{}.{}-venv".format(*version_of(python))
    if install_system_packages([package]) and run_quiet([python, "-m", "venv", "--clear", str(VENV)]).returncode == 0:
        return
    raise SetupError(f"a venv could not be made. Install {package} with the system's package manager and run it again.")


def find_python() -> str:
    """This Python, or a newer one on the path."""
    if sys.version_info[:2] >= OLDEST:
        return getattr(sys, "_base_executable", "") or sys.executable
    for minor in (13, 12, 11, 14):
        other = shutil.which(f"python3.{minor}")
        if other:
            return other
    have = "{}.{}".format(*sys.version_info[:2])
    raise SetupError(f"Python 3.11 or newer is needed; this is {have}. Install one, or name it: make PYTHON=python3.12")


def version_of(python: str) -> tuple[int, int]:
    shown = subprocess.check_output([python, "-c", "import sys; print(*sys.version_info[:2])"], text=True)
    major, minor = shown.split()
    return int(major), int(minor)


def check_disk() -> None:
    free = shutil.disk_usage(str(ROOT)).free // (1024 * 1024)
    if free < NEEDED_MB:
        raise SetupError(f"the disk that holds {ROOT} has {free} MB free; the packages need {NEEDED_MB} MB.")


def write_path_file() -> None:
    """Put the product's folders on the path of everything that runs in the venv."""
    for packages in (VENV / "lib").glob("python3.*/site-packages"):
        (packages / "hedgerow.pth").write_text(f"{ROOT / 'platform'}\n{ROOT}\n")


def install(lock: Path) -> None:
    """Exactly what the lock says, each file checked against its hash. uv when it can be had, else pip."""
    arguments = ["--require-hashes", "--no-deps", "-r", str(lock)]
    uv = find_uv()
    if uv:
        done = run_quiet([uv, "pip", "install", "--python", str(PYTHON), *arguments], uv_environment())
        if done.returncode == 0:
            return
        if "No space left" in done.stdout:
            raise SetupError(describe(done.stdout))
        say("uv could not do it; trying pip …")
    done = run_quiet(
        [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar=off", *arguments]
    )
    if done.returncode != 0:
        raise SetupError(describe(done.stdout))


def find_uv() -> str | None:
    """uv from the path, from the venv, or installed into the venv; None when it cannot be had."""
    uv = shutil.which("uv") or shutil.which(str(VENV / "bin" / "uv"))
    if uv is None and UV_LOCK.exists():
        fetch = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        if run_quiet([*fetch, "--no-deps", "--retries=1", "-r", str(UV_LOCK)]).returncode == 0:
            uv = shutil.which(str(VENV / "bin" / "uv"))
    return uv


def uv_environment() -> dict[str, str]:
    """uv does not read pip's settings; a package index that a person gave to pip is meant for uv too."""
    environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    index = os.environ.get("PIP_INDEX_URL", "")
    if not index:
        shown = run_quiet([str(PYTHON), "-m", "pip", "config", "get", "global.index-url"])
        index = shown.stdout.strip() if shown.returncode == 0 else ""
    if index:
        environment.setdefault("UV_DEFAULT_INDEX", index)
    return environment


def describe(output: str) -> str:
    """A sentence for what the installer said, and its last lines."""
    end = "\n".join(output.strip().splitlines()[-12:])
    if "No space left" in output:
        return f"the disk is full. Free some space and run it again.\n{end}"
    if any(sign in output for sign in NO_NETWORK):
        return f"the package index cannot be reached; is there a network? Run it again when there is.\n{end}"
    return f"the packages could not be installed:\n{end}"


def run_quiet(command: list[str], environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run with output kept for an error message."""
    return subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)  # fmt: skip


def set_up_browser() -> None:
    """Make sure a Chromium is there: the system's, else Debian's package, else playwright's own."""
    if find_browser():
        return
    say("installing Chromium for the browser tests …")
    if install_system_packages(["chromium"]) and find_browser():
        return
    done = run_quiet([str(PYTHON), "-m", "playwright", "install", "--with-deps", "chromium"])
    if done.returncode != 0 or not find_browser():
        raise SetupError(f"no Chromium could be installed. Install the package chromium, then run it again.\n"
                         f"{done.stdout.strip()[-600:]}")  # fmt: skip


def find_browser() -> str | None:
    """A Chromium that starts. Ubuntu's `chromium-browser` may be an empty shell that asks for snap, so it is tried."""
    own = sorted(Path.home().glob(".cache/ms-playwright/chromium*/chrome-linux*/chrome"))
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    for found in [shutil.which(name) for name in names] + [str(path) for path in own]:
        if found and run_quiet([found, "--version"]).returncode == 0:
            return found
    return None


def install_system_packages(names: list[str]) -> bool:
    """apt-get on Debian and Ubuntu, through sudo when not root. False when that cannot be done."""
    if not shutil.which("apt-get"):
        return False
    sudo = [] if os.geteuid() == 0 else [shutil.which("sudo") or ""]
    if sudo == [""]:
        return False
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run_quiet([*sudo, "apt-get", "update"], environment)
    done = run_quiet([*sudo, "apt-get", "install", "-y", "--no-install-recommends", *names], environment)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
