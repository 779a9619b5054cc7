"""A whole system under its supervisor, with tiny stand-in processes in place of the product's."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from embedded.child import Child, spawn
from embedded.environment import PRIVATE_KEY, load_environment, load_given
from embedded.errors import AlreadyRunning, EmbeddedError, PortInUse, StartFailed
from embedded.logs import rotate_logs
from embedded.processes import Plan, PlanInputs, answers, product_plan
from embedded.runfile import ProcessRecord, load_processes
from embedded.spec import ProcessSpec
from embedded.state import StateDir
from embedded.supervisor import Supervisor
from embedded.system import System

pytestmark = pytest.mark.engines

SLEEPER = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
WEB = """
import http.server, sys
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header('Content-Length', '2'); self.end_headers(); self.wfile.write(b'ok')
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Page).serve_forever()
"""
SETUP = "import os, sys; print('operator: first password'); print(os.environ['DATABASE_URL'][:10], file=sys.stderr)"


def python(name: str, code: str, *arguments: str, **options: object) -> ProcessSpec:
    env = {"PATH": os.environ["PATH"]}
    return ProcessSpec(name, (sys.executable, "-c", code, *arguments), **{"env": env, **options})  # type: ignore[arg-type]


def stand_in_plan(inputs: PlanInputs) -> Plan:
    web = answers(f"http://127.0.0.1:{inputs.web_port}/healthz")
    return Plan(
        commands=(python("setup", SETUP, env=inputs.keyholder, shown=True),),
        processes=(
            python("web", WEB, str(inputs.web_port), ready=web),
            python("engine", SLEEPER, env=inputs.keyholder),
            python("recorder", SLEEPER, env=inputs.shared),
        ),
    )


def wait_for(condition: Callable[[], object], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def system(state_dir: Path, said: list[str]) -> Iterator[System]:
    with System(
        state_dir, web_port=0, make_plan=stand_in_plan, given={"PATH": os.environ["PATH"]}, say=said.append
    ) as up:
        yield up


def test_system_starts_restarts_and_stops_everything(system: System, state_dir: Path, said: list[str]) -> None:
    assert set(load_processes(state_dir)) == {"postgres", "redis", "clickhouse", "web", "engine", "recorder"}
    assert urllib.request.urlopen(f"{system.address}/").read() == b"ok"
    assert "operator: first password" in said
    assert "first password" not in (state_dir / "log" / "setup.log").read_text()
    with psycopg.connect(system.environment["DATABASE_URL"]) as connection:
        connection.execute("CREATE TABLE kept (value int)")

    for name in ("engine", "postgres", "web"):
        before = load_processes(state_dir)[name]
        os.kill(before.pid, signal.SIGKILL)
        wait_for(lambda name=name, before=before: is_back(state_dir, before))
    wait_for(lambda: sum(line.startswith("postgres") and "ready" in line for line in said) == 2)
    wait_for(answers(f"{system.address}/"))
    with psycopg.connect(system.environment["DATABASE_URL"]) as connection:  # the same port and password
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    assert any(line.startswith("engine") and "signal 9" in line for line in said)

    with pytest.raises(AlreadyRunning, match=f"pid {os.getpid()}, at {system.address}"):
        System(state_dir, web_port=1, make_plan=stand_in_plan, given={}).start()
    assert urllib.request.urlopen(f"{system.address}/").read() == b"ok"  # and no damage was done

    alive = load_processes(state_dir).values()
    system.stop()
    assert not any(record.is_alive() for record in alive)
    assert load_processes(state_dir) == {}
    stopped = [line.split()[0] for line in said if line.endswith("stopped")]
    assert stopped[:3] == ["recorder", "engine", "web"]
    assert set(stopped[3:]) == {"postgres", "redis", "clickhouse"}


def is_back(state_dir: Path, before: ProcessRecord) -> bool:
    now = load_processes(state_dir).get(before.name)
    return now is not None and now.pid != before.pid and now.restarts == before.restarts + 1 and now.is_alive()


def test_only_keyholders_learn_where_the_private_key_is(system: System, state_dir: Path) -> None:
    records = load_processes(state_dir)
    assert PRIVATE_KEY.encode() in Path(f"/proc/{records['engine'].pid}/environ").read_bytes()
    recorder = Path(f"/proc/{records['recorder'].pid}/environ").read_bytes().split(b"\0")
    assert f"{PRIVATE_KEY}=".encode() in recorder  # empty, so that no .env can fill it in
    assert PRIVATE_KEY not in load_environment(state_dir)
    assert load_environment(state_dir)["DATABASE_URL"] == system.environment["DATABASE_URL"]
    assert (state_dir / "run" / "environment.json").stat().st_mode & 0o077 == 0
    system.stop()
    with pytest.raises(EmbeddedError, match="No system is running"):
        load_environment(state_dir)


def test_product_gives_the_key_to_three_processes_and_setup() -> None:
    inputs = PlanInputs(8000, 9000, 10, "/state", shared={PRIVATE_KEY: ""}, keyholder={PRIVATE_KEY: "/k"})
    plan = product_plan(inputs)
    everything = (*plan.venues, *plan.commands, *plan.processes)
    assert {spec.name for spec in everything if spec.env[PRIVATE_KEY]} == {"setup", "engine", "worker", "listener"}
    assert [spec.name for spec in everything] == ["paper", "migrate", "setup", "web", "engine", "worker", "beat",
                                                  "listener", "recorder", "quoter"]  # fmt: skip
    live = product_plan(PlanInputs(8000, None, 10, "/state", shared={}, keyholder={}))
    assert {spec.name for spec in (*live.venues, *live.processes)}.isdisjoint({"paper", "quoter"})


def test_bot_runs_with_a_token_or_a_server_of_its_own() -> None:
    token = {"TELEGRAM_BOT_TOKEN": "1:x"}
    paper = product_plan(PlanInputs(8000, 9000, 10, "/state", shared=token, keyholder={}, telegram_port=9001))
    assert [spec.name for spec in paper.venues] == ["paper", "telegram"]
    assert paper.processes[-1].name == "bot"
    live = product_plan(PlanInputs(8000, None, 10, "/state", shared=token, keyholder=token))
    assert [spec.name for spec in (*live.venues, *live.processes)][-1] == "bot"
    assert not live.venues


def test_web_port_in_use_is_said_before_anything_starts(state_dir: Path, said: list[str]) -> None:
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        port = stranger.getsockname()[1]
        with pytest.raises(PortInUse, match=f"Port {port} .* HEDGEROW_PORT={port + 1} make run"):
            System(state_dir, web_port=port, make_plan=stand_in_plan, given={}, say=said.append).start()
    assert load_processes(state_dir) == {}
    assert said == []


def test_failed_setup_leaves_nothing_running(state_dir: Path, said: list[str]) -> None:
    def failing(inputs: PlanInputs) -> Plan:
        return Plan(commands=(python("migrate", "raise SystemExit('no such table')"),))

    system = System(state_dir, web_port=0, make_plan=failing, given={}, say=said.append)
    with pytest.raises(StartFailed, match=r"(?s)`migrate` failed.*no such table"):
        system.start()
    assert load_processes(state_dir) == {}
    assert StateDir(state_dir).load_holder() is None


def test_process_that_never_comes_up_is_reported(state_dir: Path, said: list[str]) -> None:
    def broken(inputs: PlanInputs) -> Plan:
        return Plan(processes=(python("web", "raise SystemExit('broken settings')", first_pause=0.1),))

    with pytest.raises(StartFailed, match=r"(?s)web did not become ready.*broken settings"):
        System(state_dir, web_port=0, make_plan=broken, given={}, say=said.append).start()
    assert load_processes(state_dir) == {}


def test_pause_before_restarts_grows(state_dir: Path, said: list[str]) -> None:
    state = StateDir(state_dir)
    state.create()
    supervisor = Supervisor(state, said.append)
    supervisor.start([python("crasher", "raise SystemExit(3)", first_pause=0.1, longest_pause=0.4)])
    supervisor.run()
    wait_for(lambda: len(said) >= 4)
    supervisor.stop()
    pauses = [line.split("starting again in ")[1].split(" s")[0] for line in said if "starting again" in line]
    assert pauses[:4] == ["0.1", "0.2", "0.4", "0.4"]
    assert "exited (code 3)" in said[0]


def test_process_that_ignores_the_stop_is_killed(state_dir: Path, said: list[str]) -> None:
    state = StateDir(state_dir)
    state.create()
    supervisor = Supervisor(state, said.append)
    supervisor.start([python("deaf", STUBBORN, stop_timeout=0.5)])
    supervisor.run()
    supervisor.wait_ready(["deaf"], 10)
    pid = load_processes(state_dir)["deaf"].pid
    supervisor.stop()
    assert not Path(f"/proc/{pid}").exists()
    assert said[-1].split(maxsplit=1) == ["deaf", "killed: it did not stop in time"]


RUN = """
import os, sys
sys.path.insert(0, {folder!r})
from pathlib import Path
import test_system
from embedded.system import System
system = System(Path({state!r}), web_port=0, make_plan=test_system.stand_in_plan, given=dict(PATH=os.environ['PATH']))
system.start()
print('all up', flush=True)
import time; time.sleep(600)
"""


def test_killed_supervisor_leaves_nothing(state_dir: Path, said: list[str]) -> None:
    """kill -9 of the parent: its processes end by themselves, and the next start finds its data."""
    code = RUN.format(folder=str(Path(__file__).parent), state=str(state_dir))
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert any(line == "all up\n" for line in parent.stdout)
    records = load_processes(state_dir)
    assert all(record.is_alive() for record in records.values())
    url = load_environment(state_dir)["DATABASE_URL"]
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept (value int)")
    parent.kill()
    parent.wait()
    parent.stdout.close()
    begun = time.monotonic()
    with System(state_dir, web_port=0, make_plan=stand_in_plan, given={}, say=said.append) as again:
        assert time.monotonic() - begun < 15
        assert not any(record.is_alive() for record in records.values())
        assert again.environment["DATABASE_URL"] == url
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_leftover_process_is_stopped_and_strangers_are_not(state_dir: Path, said: list[str]) -> None:
    state = StateDir(state_dir)
    state.create()
    ours = spawn(python("engine", SLEEPER), state.log_file("engine"))
    stranger = subprocess.Popen(["sleep", "600"])
    fields = {"started_at": 0.0, "restarts": 0, "stop_signal": 15}
    left = {
        "engine": {"name": "engine", "pid": ours.pid, "started": ours.started, **fields},
        "worker": {"name": "worker", "pid": stranger.pid, "started": "an earlier boot/77", **fields},
    }
    (state.run / "processes.json").write_text(json.dumps(left))
    with System(state_dir, web_port=0, make_plan=lambda inputs: Plan(), given={}, say=said.append):
        assert not ours.is_alive()
        assert stranger.poll() is None
    stranger.kill()
    stranger.wait()
    assert said[0].startswith("engine      was left behind")


def test_children_outlive_the_thread_that_asked_for_them(tmp_path: Path) -> None:
    """Linux ties a child to the thread that forked it; ours must be tied to the process."""
    import_code = (
        "import sys, threading, time; from pathlib import Path; from embedded.child import spawn; "
        "from embedded.spec import ProcessSpec; made = []; "
        "spec = ProcessSpec('x', ('/bin/sleep', '60')); "
        "start = lambda: (made.append(spawn(spec, Path('x.log'))), time.sleep(0.5)); "
        "t = threading.Thread(target=start); t.start(); t.join(); time.sleep(0.5); "
        "print(made[0].is_alive(), made[0].pid)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", import_code], cwd=tmp_path, capture_output=True, text=True, timeout=30
    )
    alive, pid = shown.stdout.split()
    assert alive == "True"
    wait_for(lambda: not Path(f"/proc/{pid}").exists())


def test_logs_stay_small(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    with log.open("a") as writer:
        for turn in range(5):
            writer.write(f"{turn}" * 1000)
            writer.flush()
            rotate_logs(tmp_path, largest=500)
        writer.write("end")
    assert log.read_text() == "end"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["web.log", "web.log.1", "web.log.2", "web.log.3"]
    assert (tmp_path / "web.log.1").read_text() == "4" * 1000


@pytest.fixture
def running_engines(state_dir: Path, bare_environment: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """`python -m embedded engines`, up, as the leader of its own group like a command at a terminal."""
    command = [sys.executable, "-m", "embedded", "engines", "--state", str(state_dir)]
    with subprocess.Popen(
        command, env=bare_environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        try:
            assert running.stdout is not None
            names = [running.stdout.readline().split("=")[0] for _ in range(3)]
            assert names == ["export DATABASE_URL", "export REDIS_URL", "export CLICKHOUSE_URL"]
            yield running
        finally:
            running.kill()


def test_stop_command_ends_engines_of_another_terminal(
    state_dir: Path, running_engines: "subprocess.Popen[str]"
) -> None:
    command = [sys.executable, "-m", "embedded"]
    where = ["--state", str(state_dir)]
    status = subprocess.run([*command, "status", *where], capture_output=True, text=True)
    assert status.returncode == 0
    assert status.stdout.count(" up ") == 3
    assert subprocess.run([*command, "stop", *where], capture_output=True, text=True).stdout == "Stopped.\n"
    assert running_engines.wait(10) == 0
    assert subprocess.run([*command, "status", *where], capture_output=True).returncode == 1


def test_ctrl_c_reaches_the_supervisor_only(state_dir: Path, running_engines: "subprocess.Popen[str]") -> None:
    """A terminal sends SIGINT to the whole foreground group; engines must end in order, not all at once."""
    groups = {os.getpgid(record.pid) for record in load_processes(state_dir).values()}
    assert running_engines.pid not in groups
    os.killpg(running_engines.pid, signal.SIGINT)
    assert running_engines.wait(20) == 0
    assert load_processes(state_dir) == {}
    assert "shut down" in (state_dir / "log" / "postgres.log").read_text()


def test_dead_child_is_never_signalled() -> None:
    sleeper = subprocess.Popen(["sleep", "60"])
    stranger = Child(sleeper.pid, "an earlier boot/1")
    assert not stranger.is_alive()
    assert stranger.stop()
    assert sleeper.poll() is None
    sleeper.kill()
    sleeper.wait()


def test_env_file_gives_way_to_the_environment(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("# a comment\nexport DATABASE_URL='postgresql://real/db'\nHEDGEROW_PORT=9000\n\nnot a line\n")
    given = load_given({"HEDGEROW_ENV_FILE": str(file), "HEDGEROW_PORT": "9001"})
    assert given["DATABASE_URL"] == "postgresql://real/db"
    assert given["HEDGEROW_PORT"] == "9001"
    assert "DATABASE_URL" not in load_given({"HEDGEROW_ENV_FILE": ""})
