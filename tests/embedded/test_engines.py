"""The three engines of a state folder: kept data, kept ports, kept secrets, and what a kill leaves behind."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import clickhouse_connect
import psycopg
import pytest
import redis
from clickhouse_connect.driver.exceptions import DatabaseError

from embedded.child import start_of
from embedded.clickhouse import ClickHouse
from embedded.engine import Engine
from embedded.engines import Engines, remove_state, start_engines, stop_engines, temporary_state
from embedded.errors import AlreadyRunning, DiskFull, StartFailed, check_disk
from embedded.ports import is_free
from embedded.postgres import OUTSIDE, Postgres
from embedded.redis import Redis
from embedded.runfile import load_processes
from embedded.state import StateDir, load_json, write_json

pytestmark = pytest.mark.engines
KINDS = [Postgres, Redis, ClickHouse]


def write_row(engine: Engine, value: int) -> None:
    """One acknowledged write."""
    if isinstance(engine, Postgres):
        with psycopg.connect(engine.url) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS kept (value int)")
            connection.execute("INSERT INTO kept VALUES (%s)", (value,))
    elif isinstance(engine, Redis):
        with redis.Redis.from_url(engine.url) as client:
            client.xadd("kept", {"value": value})
            client.execute_command("WAITAOF", 1, 0, 2000)  # on disk; the file is flushed once a second
    else:
        client = clickhouse_connect.get_client(dsn=engine.url)
        client.command("CREATE TABLE IF NOT EXISTS kept (value UInt64) ENGINE = MergeTree ORDER BY value")
        client.insert("kept", [[value]], column_names=["value"])
        client.close()


def read_rows(engine: Engine) -> list[int]:
    if isinstance(engine, Postgres):
        with psycopg.connect(engine.url) as connection:
            return [row[0] for row in connection.execute("SELECT value FROM kept ORDER BY value")]
    if isinstance(engine, Redis):
        with redis.Redis.from_url(engine.url) as client:
            return [int(fields[b"value"]) for _, fields in client.xrange("kept")]
    client = clickhouse_connect.get_client(dsn=engine.url)
    try:
        return [row[0] for row in client.query("SELECT value FROM kept ORDER BY value").result_rows]
    finally:
        client.close()


@pytest.fixture
def started(state_dir: Path, request: pytest.FixtureRequest) -> Iterator[Engine]:
    state = StateDir(state_dir)
    state.create()
    engine: Engine = request.param(state, lambda sentence: None)
    engine.start()
    yield engine
    engine.stop()


@pytest.mark.parametrize("started", KINDS, indirect=True)
def test_acknowledged_rows_survive_kill_nine(started: Engine) -> None:
    for value in (1, 2, 3):
        write_row(started, value)
    assert started.child is not None
    os.kill(started.child.pid, signal.SIGKILL)
    again = type(started)(started.state, lambda sentence: None)
    try:
        assert again.start() == started.url
        assert read_rows(again) == [1, 2, 3]
    finally:
        again.stop()


@pytest.mark.parametrize("started", KINDS, indirect=True)
def test_leftover_of_a_killed_run_is_stopped_first(started: Engine) -> None:
    write_row(started, 1)
    assert started.child is not None
    said: list[str] = []
    again = type(started)(started.state, said.append)
    try:
        assert again.start() == started.url
        assert not started.child.is_alive()
        assert read_rows(again) == [1]
        assert said == [
            f"{again.title}: stopping the server that an earlier run left behind (pid {started.child.pid})."
        ]
    finally:
        again.stop()


@pytest.mark.parametrize("started", KINDS, indirect=True)
def test_port_taken_by_a_stranger_is_given_up(started: Engine) -> None:
    write_row(started, 1)
    port = started.port
    started.stop()
    said: list[str] = []
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", port))
        stranger.listen()
        again = type(started)(started.state, said.append)
        try:
            again.start()
            assert again.port != port
            assert read_rows(again) == [1]
        finally:
            again.stop()
    assert said == [f"{again.title}: port {port} was taken by another program; using {again.port} instead."]
    assert load_json(started.state.run / "ports.json")[started.name] == again.port


@pytest.mark.parametrize("started", KINDS, indirect=True)
def test_engine_listens_on_loopback_with_a_password(started: Engine) -> None:
    _, password = started.state.load_login(started.name)
    assert started.child is not None
    assert password in started.url
    assert password.encode() not in Path(f"/proc/{started.child.pid}/cmdline").read_bytes()
    assert password.encode() not in Path(f"/proc/{started.child.pid}/environ").read_bytes()
    wrong = type(started)(started.state)
    wrong.port = started.port
    write_json(started.state.secrets / f"{started.name}.json", {"user": "hedgerow", "password": "wrong"})
    with pytest.raises((psycopg.OperationalError, redis.AuthenticationError, DatabaseError)):
        write_row(wrong, 1)
    for address in other_addresses():
        with socket.socket() as probe:
            probe.settimeout(1)
            assert probe.connect_ex((address, started.port)) != 0


def other_addresses() -> list[str]:
    """Addresses of this machine besides loopback."""
    found = {str(item[4][0]) for item in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    return [address for address in found if not address.startswith("127.")]


def test_secrets_are_for_the_owner_only(state_dir: Path) -> None:
    state = StateDir(state_dir)
    state.create()
    first = state.load_login("postgres")
    assert state.load_login("postgres") == first
    assert stat.S_IMODE((state.secrets / "postgres.json").stat().st_mode) == 0o600
    for folder in (state.secrets, state.run, state.log):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_commits_are_on_disk_when_acknowledged(state_dir: Path) -> None:
    urls = start_engines(state_dir, {})
    with psycopg.connect(urls.database_url) as connection:
        for name, value in (("fsync", "on"), ("synchronous_commit", "on"), ("password_encryption", "scram-sha-256")):
            assert connection.execute("SELECT current_setting(%s)", (name,)).fetchone() == (value,)
        assert connection.execute("SELECT current_setting('server_encoding')").fetchone() == ("UTF8",)
    with redis.Redis.from_url(urls.redis_url) as client:
        assert client.config_get("append*") | {"appendonly": "yes", "appendfsync": "everysec"} == client.config_get(
            "append*"
        )
    with pytest.raises(AlreadyRunning, match=f"pid {os.getpid()}"):
        start_engines(state_dir, {})
    assert set(load_processes(state_dir)) == {"postgres", "redis", "clickhouse"}
    assert "password" not in repr(urls)
    stop_engines(state_dir)
    assert load_processes(state_dir) == {}
    assert start_engines(state_dir, {}) == urls
    stop_engines(state_dir)


def test_given_urls_replace_engines(state_dir: Path) -> None:
    given = {"DATABASE_URL": "postgresql://real/db", "CLICKHOUSE_URL": "http://real:8123/db"}
    state = StateDir(state_dir)
    state.create()
    engines = Engines(state, given)
    try:
        urls = engines.start()
        assert (urls.database_url, urls.clickhouse_url) == (given["DATABASE_URL"], given["CLICKHOUSE_URL"])
        assert set(load_processes(state_dir)) == {"redis"}
    finally:
        engines.stop()


def test_reused_pid_does_not_block_postgres(state_dir: Path) -> None:
    """After a reboot small pids come back: the pid in postmaster.pid may be another program's, of the same user."""
    state = StateDir(state_dir)
    state.create()
    engine = Postgres(state, lambda sentence: None)
    engine.start()
    text = (engine.data / "postmaster.pid").read_text()
    assert engine.child is not None
    os.kill(engine.child.pid, signal.SIGKILL)
    engine.child.wait(5)
    other = subprocess.Popen(["sleep", "60"], user=engine.user.uid if engine.user else None)
    (engine.data / "postmaster.pid").write_text(f"{other.pid}\n{text.split(chr(10), 1)[1]}")
    assert engine.adopt() is None
    try:
        engine.start()
    finally:
        engine.stop()
        other.kill()
        other.wait()


def test_engines_die_with_a_killed_parent(state_dir: Path) -> None:
    code = f"import time; from pathlib import Path; from embedded.engines import start_engines; start_engines(Path({str(state_dir)!r}), {{}}); print('up', flush=True); time.sleep(60)"  # noqa: E501
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"up\n"
    records = load_processes(state_dir)
    assert len(records) == 3
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 15
    while any(record.is_alive() for record in records.values()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert all(is_free(port) for port in load_json(state_dir / "run" / "ports.json").values())
    start_engines(state_dir, {})  # and the lock died with it, too
    stop_engines(state_dir)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root must run PostgreSQL as another user")
def test_root_below_a_closed_folder_keeps_data_outside(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    state = StateDir(closed / "var")
    state.create()
    engine = Postgres(state, lambda sentence: None)
    try:
        engine.start()
        write_row(engine, 1)
        assert engine.data.is_relative_to(OUTSIDE)
        assert (state.root / "postgres").resolve() == engine.data
        assert engine.child is not None
        assert Path(f"/proc/{engine.child.pid}").stat().st_uid != 0
        engine.stop()
        engine.start()
        assert read_rows(engine) == [1]
    finally:
        engine.stop()
        remove_state(state.root)
    assert not engine.data.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root must run PostgreSQL as another user")
def test_folder_closed_later_is_a_sentence_and_no_new_cluster(state_dir: Path) -> None:
    inner = state_dir / "var"
    state = StateDir(inner)
    state.create()
    engine = Postgres(state, lambda sentence: None)
    engine.start()
    engine.stop()
    state_dir.chmod(0o700)
    with pytest.raises(StartFailed, match="chmod o\\+x"):
        engine.start()
    state_dir.chmod(0o711)
    engine.start()
    engine.stop()


def test_a_small_disk_stops_nothing_half_way(state_dir: Path) -> None:
    with pytest.raises(DiskFull, match="MB free"):
        check_disk(state_dir / "not" / "yet", needed=1 << 60)
    assert list(state_dir.iterdir()) == []


def test_a_pid_is_never_enough_to_be_ours() -> None:
    with temporary_state() as root:
        StateDir(root).create()
        sleeper = subprocess.Popen(["sleep", "60"])
        record = {
            "name": "redis",
            "pid": sleeper.pid,
            "started_at": 0.0,
            "restarts": 0,
            "stop_signal": 15,
        }
        write_json(root / "run" / "processes.json", {"redis": {**record, "started": "another boot/1"}})
        assert load_processes(root)["redis"].adopt() is None
        write_json(root / "run" / "processes.json", {"redis": {**record, "started": start_of(sleeper.pid)}})
        assert load_processes(root)["redis"].adopt() is not None
        sleeper.kill()
        sleeper.wait()
        assert load_processes(root)["redis"].adopt() is None
