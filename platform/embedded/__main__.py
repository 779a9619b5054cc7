"""`python -m embedded run | engines | status | stop | exec`: the whole system, or parts of it, from a shell."""

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType

from embedded.child import command_of
from embedded.engines import start_engines, stop_engines
from embedded.environment import ROOT, load_environment, load_given
from embedded.errors import EmbeddedError
from embedded.runfile import load_processes
from embedded.state import StateDir
from embedded.system import System

DEFAULT_PORT = "8000"


def main() -> int:
    options = parse_arguments()
    try:
        result: int = options.command(options)
    except EmbeddedError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 130
    return result


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m embedded", description=__doc__)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="run everything until Ctrl-C")
    run.add_argument("--no-paper", dest="paper", action="store_false", help="without the paper venue")
    run.add_argument("--accounts", type=int, default=10, help="paper accounts to trade with")
    run.set_defaults(command=run_system)
    engines = commands.add_parser("engines", help="run the engines only and print their URLs")
    engines.set_defaults(command=run_engines)
    status = commands.add_parser("status", help="show what runs")
    status.set_defaults(command=show_status)
    stop = commands.add_parser("stop", help="stop the running system")
    stop.set_defaults(command=stop_system)
    execute = commands.add_parser("exec", help="run a command against the running system")
    execute.set_defaults(command=execute_command)
    for command in (run, engines, status, stop, execute):
        folder = Path(load_given().get("HEDGEROW_STATE_DIR") or ROOT / "var")
        command.add_argument("--state", type=Path, default=folder, help="the folder of all state (var)")
    execute.add_argument("argv", nargs=argparse.REMAINDER, help="for example: manage.py shell")
    return parser.parse_args()


def run_system(options: argparse.Namespace) -> int:
    given = load_given()
    text = given.get("HEDGEROW_PORT") or DEFAULT_PORT
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise EmbeddedError(f"HEDGEROW_PORT must be a port number between 1 and 65535, not {text!r}.")
    ended = stop_on_signals()
    begun = time.monotonic()
    system = System(
        options.state, web_port=int(text), paper=options.paper, accounts=options.accounts, given=given, say=show
    )
    try:
        system.start()
        show(f"\nHedgerow is running at {system.address} after {time.monotonic() - begun:.1f} s. Ctrl-C stops it.")
        show("Log in with the operator's name and password that the first start showed.")
        ended.wait()
    except KeyboardInterrupt:
        show("\nStopping …")
    finally:
        system.stop()
    return 0


def run_engines(options: argparse.Namespace) -> int:
    ended = stop_on_signals()
    urls = start_engines(options.state, load_given())
    try:
        for name, url in urls.environment().items():
            show(f"export {name}={url}")
        ended.wait()
    except KeyboardInterrupt:
        show("\nStopping …")
    finally:
        stop_engines(options.state)
    return 0


def show_status(options: argparse.Namespace) -> int:
    holder = StateDir(options.state).load_holder()
    if holder is None:
        show(f"Nothing is running on {options.state.absolute()}.")
        return 1
    show(f"Running: pid {holder['pid']}{', at ' + holder['address'] if holder['address'] else ''}")
    for record in load_processes(options.state).values():
        state = "up" if record.is_alive() else "down"
        minutes = (time.time() - record.started_at) / 60
        show(f"{record.name:<11} {state:<5} pid {record.pid:<8} {minutes:7.1f} min  {record.restarts} restarts")
    return 0


def stop_system(options: argparse.Namespace) -> int:
    state = StateDir(options.state)
    holder = state.load_holder()
    if holder is None:
        show(f"Nothing is running on {state.root}.")
        return 0
    if not command_of(holder["pid"]):
        raise EmbeddedError(f"The lock of {state.root} is held by an unknown process; stop it by hand.")
    os.kill(holder["pid"], signal.SIGTERM)
    deadline = time.monotonic() + 90
    while state.load_holder() is not None:
        if time.monotonic() > deadline:
            raise EmbeddedError(f"Process {holder['pid']} did not stop within 90 s.")
        time.sleep(0.1)
    show("Stopped.")
    return 0


def execute_command(options: argparse.Namespace) -> int:
    argv = [part for part in options.argv if part != "--"]
    if argv and argv[0].endswith(".py"):
        argv.insert(0, sys.executable)
    if not argv:
        raise EmbeddedError("Say which command to run, for example: python -m embedded exec manage.py shell")
    return subprocess.run(argv, env={**os.environ, **load_environment(options.state)}).returncode


def stop_on_signals() -> threading.Event:
    """The first Ctrl-C, SIGTERM or closed terminal interrupts whatever is going on; the event tells that it came."""
    ended = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        if ended.is_set():
            return  # a second Ctrl-C must not cut the stop short: an engine would then have to recover
        ended.set()
        raise KeyboardInterrupt  # and says nothing itself: it may have come in the middle of a sentence

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    return ended


def show(sentence: str) -> None:
    print(sentence, flush=True)  # noqa: T201 - this is the command's voice


if __name__ == "__main__":
    sys.exit(main())
