"""What every test stands on: a real PostgreSQL and a real Redis, made for this run, and no network beyond loopback.

Where they will be is settled when this file is loaded, before Django reads its settings; they start once the run is
known to need them. With `-n` all processes share them, each with its own database and its own Redis number.
A `DATABASE_URL` or `REDIS_URL` in the environment is used instead.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import django
import pytest
import structlog
from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.db import connection
from hypothesis import settings as hypothesis_settings
from pytest_django import DjangoDbBlocker
from redis import Redis as RedisClient

from embedded.clickhouse import ClickHouse
from embedded.engine import Engine
from embedded.engines import remove_state
from embedded.postgres import Postgres
from embedded.redis import Redis
from embedded.state import StateDir

if TYPE_CHECKING:
    from identity.models import User

TESTS = Path(__file__).resolve().parent
ROOMS_WITHOUT_ENGINES = frozenset({"architecture", "embedded", "paper", "trading", "venues"})
"""Run alone, these need no database, so none is started."""
NOWHERE = "http://127.0.0.1:9"
REDIS_NUMBERS = 16

_started = ExitStack()
_engines: list[Engine] = []


def make_state(name: str) -> StateDir:
    """A state folder that PostgreSQL's user can reach, and that is gone when the run ends."""
    root = Path(tempfile.mkdtemp(prefix=f"hedgerow-tests-{name}-"))
    root.chmod(0o711)
    _started.callback(remove_state, root)
    state = StateDir(root)
    state.create()
    return state


def prepare_run() -> None:
    """Settle every address and file in the environment, which processes of `-n` inherit."""
    state = make_state("run")
    for kind in (Postgres, Redis):
        if not os.environ.get(kind.variable):
            engine = kind(state, lambda text: None)
            engine.port, _ = engine.ports.take(engine.name)
            os.environ[kind.variable] = engine.url
            _engines.append(engine)
    os.environ.setdefault("CLICKHOUSE_URL", NOWHERE)
    os.environ.update(
        {
            "DJANGO_SETTINGS_MODULE": "hedgerow.settings",
            "HEDGEROW_ENV_FILE": "",
            "HEDGEROW_MODE": "paper",
            # Threads of asynchronous tests keep their connection until the run ends.
            "HEDGEROW_DATABASE_POOL_MAX": "60",
            "HEDGEROW_STATE_DIR": str(state.root),
            "HEDGEROW_SECRET_KEY": "tests-only-" + "x" * 50,
            "HEDGEROW_VAULT_PUBLIC_KEY_FILE": str(state.root / "vault" / "public.key"),
            "HEDGEROW_VAULT_PRIVATE_KEY_FILE": str(state.root / "vault" / "private.key"),
        }
    )


def prepare_worker(worker: str) -> None:
    """Give one process of `-n` a Redis number of its own; pytest-django gives it a database of its own."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "hedgerow.settings"
    number = int(worker.removeprefix("gw")) % REDIS_NUMBERS
    os.environ["REDIS_URL"] = urlunsplit(urlsplit(os.environ["REDIS_URL"])._replace(path=f"/{number}"))


if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    prepare_worker(worker)
else:
    prepare_run()
django.setup()
# A logger kept from its first use on would escape the tests that look at what is logged.
structlog.configure(cache_logger_on_first_use=False)
# Slow on purpose in the product; here every test makes its people anew.
PBKDF2PasswordHasher.iterations = 1_000
hypothesis_settings.register_profile("shared-machine", deadline=None)
hypothesis_settings.load_profile("shared-machine")


def pytest_xdist_setupnodes() -> None:
    """A process of `-n` that inherited the name would read the settings before it has a Redis number of its own."""
    os.environ.pop("DJANGO_SETTINGS_MODULE", None)


def needs_engines(config: pytest.Config) -> bool:
    """False when nothing runs, or only rooms that need no database were asked for."""
    if config.option.collectonly or config.option.help:
        return False
    paths = [Path(argument.split("::")[0]).resolve() for argument in config.args]
    rooms = [path.relative_to(TESTS).parts[:1] if path.is_relative_to(TESTS) else () for path in paths]
    return not all(room and room[0] in ROOMS_WITHOUT_ENGINES for room in rooms)


def pytest_configure(config: pytest.Config) -> None:
    if needs_engines(config):
        for engine in _engines:
            engine.start()
            _started.callback(engine.stop)
            if engine.url != os.environ[engine.variable]:
                raise pytest.UsageError(f"{engine.title}: its port was taken meanwhile. Run the tests again.")


def pytest_unconfigure(config: pytest.Config) -> None:
    _started.close()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Once the test database exists, `settings.DATABASE_URL` names it too, for code that connects by itself.

    At the end, connections that threads of async tests left in the pool are cut, or the database could not be dropped.
    """
    with django_db_blocker.unblock():
        name = connection.settings_dict["NAME"]
    settings.DATABASE_URL = urlunsplit(urlsplit(settings.DATABASE_URL)._replace(path=f"/{name}"))
    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.fixture(autouse=True)
def rows_of_the_migrations(request: pytest.FixtureRequest) -> None:
    """A test that commits ends with every table emptied; give the next one back what migrations put in.

    The desk's row comes back by itself (`accounts.apps`).
    """
    marker = request.node.get_closest_marker("django_db")
    commits = bool(marker and (marker.kwargs.get("transaction") or (marker.args and marker.args[0])))
    if commits or {"transactional_db", "database_url"} & set(request.fixturenames):
        request.getfixturevalue("transactional_db")
        for role in ("viewer", "trader", "admin"):
            apps.get_model("auth", "Group").objects.get_or_create(name=role)


@pytest.fixture
def database_url(transactional_db: None) -> str:
    """The test database's URL, for a second connection. Rows are committed for real and removed after the test."""
    url: str = settings.DATABASE_URL
    return url


@pytest.fixture
def redis_url() -> Iterator[str]:
    """An empty Redis."""
    url = os.environ["REDIS_URL"]
    with RedisClient.from_url(url) as client:
        client.flushdb()
        yield url
        client.flushdb()


@pytest.fixture(scope="session")
def clickhouse_url() -> Iterator[str]:
    """A ClickHouse server for this process, started when a test first asks."""
    engine = ClickHouse(make_state("clickhouse"), lambda text: None)
    url = engine.start()
    yield url
    engine.stop()


def make_user(name: str, role: str, *, staff: bool, superuser: bool = False) -> "User":
    users = get_user_model().objects
    user = users.create_user(name, password="a-password-of-the-tests", is_staff=staff, is_superuser=superuser)
    user.groups.add(apps.get_model("auth", "Group").objects.get_or_create(name=role)[0])
    return user


@pytest.fixture
def operator(db: None) -> "User":
    """The superuser `manage.py setup` makes."""
    return make_user("operator", "admin", staff=True, superuser=True)


@pytest.fixture
def trader(db: None) -> "User":
    return make_user("trader", "trader", staff=True)


@pytest.fixture
def viewer(db: None) -> "User":
    return make_user("viewer", "viewer", staff=False)
