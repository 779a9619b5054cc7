"""Killing a process for a rehearsal: only the very one the run file names, and its return is seen."""

import json
import subprocess
import threading
import time
from pathlib import Path

import pytest

from strategies.rehearsal.processes import NoSuchProcess, is_running, kill, load_processes, wait_for_return


def start_of(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


def write(state, **processes):
    listed = {
        name: {"name": name, "pid": process.pid, "started": f"boot/{started or start_of(process.pid)}", "restarts": 0}
        for name, (process, started) in processes.items()
    }
    (state / "run").mkdir(exist_ok=True)
    (state / "run" / "processes.json").write_text(json.dumps(listed))


@pytest.fixture
def sleeper():
    started = []

    def start():
        started.append(subprocess.Popen(["sleep", "60"]))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_named_process_is_killed_and_its_return_seen(tmp_path, sleeper):
    first = sleeper()
    write(tmp_path, engine=(first, None))
    killed = kill(tmp_path, "engine")
    assert first.wait(5) == -9
    time.sleep(0.02)  # The kernel counts starts in hundredths of a second.
    second = sleeper()
    threading.Timer(0.3, lambda: write(tmp_path, engine=(second, None))).start()
    said = []
    assert 0.2 < wait_for_return(tmp_path, killed, said.append) < 5
    assert str(second.pid) in said[0]


def test_reused_pid_is_never_killed(tmp_path, sleeper):
    stranger = sleeper()
    write(tmp_path, engine=(stranger, "1"))
    with pytest.raises(NoSuchProcess):
        kill(tmp_path, "engine")
    assert stranger.poll() is None


def test_system_runs_when_engine_and_venue_live(tmp_path, sleeper):
    assert not is_running(tmp_path)
    engine, paper = sleeper(), sleeper()
    write(tmp_path, engine=(engine, None), paper=(paper, None))
    assert is_running(tmp_path)
    paper.kill()
    paper.wait()
    assert not is_running(tmp_path)


def test_torn_run_file_is_no_system(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "processes.json").write_text('{"engine": ')
    assert load_processes(tmp_path) == {}
