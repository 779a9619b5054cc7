"""A whole system on one state folder: lock, engines, environment, setup, processes. `make run` is one of these.

Tests and `manage.py rehearse` start a private one:

    with System(Path(folder), web_port=0) as system:
        subprocess.run([...], env=system.environment)
"""

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from embedded.child import spawn
from embedded.engine import tail
from embedded.engines import Engines
from embedded.environment import (
    keyholder_environment,
    record_environment,
    system_environment,
    telegram_environment,
)
from embedded.errors import PortInUse, StartFailed, check_disk, disk_full, is_disk_full
from embedded.ports import HOST, Ports, wait_free
from embedded.processes import Plan, PlanInputs, product_plan
from embedded.runfile import forget_process, load_processes
from embedded.spec import ProcessSpec
from embedded.state import StateDir
from embedded.supervisor import Supervisor

COMMAND_TIMEOUT = 180.0
READY_TIMEOUT = 120.0


class System:
    """One running system. `start` returns when all of it is ready; nothing is left behind when it raises.

    `web_port` 0 means any free one, remembered. `make_plan` says what runs on top of the engines.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        web_port: int = 8000,
        paper: bool = True,
        accounts: int = 10,
        given: Mapping[str, str] = os.environ,
        make_plan: Callable[[PlanInputs], Plan] = product_plan,
        say: Callable[[str], None] = print,
    ) -> None:
        self.state = StateDir(state_dir)
        self.web_port = web_port
        self.environment: dict[str, str] = {}
        self._paper = paper and given.get("HEDGEROW_MODE", "paper") == "paper"
        self._accounts = accounts
        self._given = dict(given)
        self._make_plan = make_plan
        self._say = say
        self._stack = ExitStack()
        self._supervisor = Supervisor(self.state, say)

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.web_port}"

    def start(self) -> None:
        """Raises AlreadyRunning, PortInUse, DiskFull or StartFailed, each with a sentence for a person."""
        try:
            self._start()
        except OSError as error:
            self._stack.close()
            if is_disk_full(error):
                raise disk_full(self.state.root) from error
            raise
        except BaseException:
            self._stack.close()
            raise

    def stop(self) -> None:
        """Stop all that was started, in reverse."""
        self._stack.close()

    def __enter__(self) -> "System":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _start(self) -> None:
        check_disk(self.state.root)
        ports = Ports(self.state.run / "ports.json")
        if self.web_port:
            self._stack.enter_context(self.state.locked(self.address))
        else:
            self.state.create()
            self.web_port, _ = ports.take("web")
            self._stack.enter_context(self.state.locked(self.address))
        self._stop_leftovers()
        self._check_web_port()
        engines = Engines(self.state, self._given, self._say)
        urls = engines.start()
        self._stack.callback(engines.stop)  # a second stop does nothing; this one is for a start that fails
        self._stack.callback(self._supervisor.stop)
        for engine in engines.started:
            if engine.child is not None:
                self._supervisor.watch(engine.spec(), engine.child)
                self._say(f"{engine.name:<11} ready    pid {engine.child.pid}, port {engine.port}")
        self._supervisor.run()
        paper_port = ports.take("paper")[0] if self._paper else None
        own_telegram = self._paper and not self._given.get("TELEGRAM_BOT_TOKEN")
        telegram_port = ports.take("telegram")[0] if own_telegram else None
        self.environment = system_environment(self.state, urls, self.web_port, paper_port, self._given)
        if telegram_port is not None:
            self.environment |= telegram_environment(telegram_port)
        record_environment(self.state, self.environment, self._given)
        self._stack.callback((self.state.run / "environment.json").unlink, missing_ok=True)
        plan = self._make_plan(
            PlanInputs(
                web_port=self.web_port,
                paper_port=paper_port,
                accounts=self._accounts,
                state_dir=str(self.state.root),
                shared=self.environment,
                keyholder=keyholder_environment(self.environment, self.state, self._given),
                telegram_port=telegram_port,
            )
        )
        self._run_plan(plan)

    def _run_plan(self, plan: Plan) -> None:
        self._supervisor.start(plan.venues)
        self._supervisor.wait_ready([spec.name for spec in plan.venues], READY_TIMEOUT)
        for command in plan.commands:
            self._run_command(command)
        self._supervisor.start(plan.processes)
        self._supervisor.wait_ready([spec.name for spec in plan.processes], READY_TIMEOUT)

    def _run_command(self, spec: ProcessSpec) -> None:
        """Run one command to its end. What it shows goes to the person, the rest to its log."""
        log = self.state.log_file(spec.name)
        child = spawn(spec, log)
        try:
            for line in child.read_output():
                self._say(line)
            if not child.wait(COMMAND_TIMEOUT) or child.exit_code != 0:
                raise StartFailed(f"`{spec.name}` failed. The end of {log}:\n{tail(log)}")
        finally:
            child.stop(spec.stop_signal, 5.0)

    def _check_web_port(self) -> None:
        if not wait_free(self.web_port, seconds=1.0):
            raise PortInUse(
                f"Port {self.web_port} on {HOST} is in use by another program. Nothing was started. "
                f"Choose another one: HEDGEROW_PORT={self.web_port + 1} make run"
            )

    def _stop_leftovers(self) -> None:
        """Processes of a run that was killed. Engines see to their own, because their data need care."""
        own = {"postgres", "redis", "clickhouse"}
        left = [record for name, record in load_processes(self.state.root).items() if name not in own]
        for record in reversed(left):
            child = record.adopt()
            if child is not None:
                self._say(f"{record.name:<11} was left behind by an earlier run (pid {child.pid}); stopping it")
                child.stop(timeout=10.0)
            forget_process(self.state, record.name)
