"""ClickHouse: our own server process over the chDB library (`chdb_server.py`), spoken to like any ClickHouse."""

import sys
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path
from typing import ClassVar

from embedded.engine import Engine, plain_environment
from embedded.ports import HOST
from embedded.spec import ProcessSpec

DATABASE = "hedgerow"
# A proxy named in the environment must not stand between us and our own loopback.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ClickHouse(Engine):
    """One server with its data in `<state>/clickhouse`. A real server is a change of CLICKHOUSE_URL."""

    name: ClassVar[str] = "clickhouse"
    variable: ClassVar[str] = "CLICKHOUSE_URL"
    title: ClassVar[str] = "ClickHouse"

    @property
    def url(self) -> str:
        user, password = self.state.load_login(self.name)
        return f"http://{user}:{password}@{HOST}:{self.port}/{DATABASE}"

    @property
    def data(self) -> Path:
        return self.state.root / "clickhouse"

    def install(self) -> None:
        if not self.data.exists():
            self.data.mkdir(mode=0o700)

    def clean(self) -> None:
        self.state.load_login(self.name)  # the server process reads this file

    def spec(self) -> ProcessSpec:
        rooms = str(Path(__file__).parent.parent)
        login = self.state.secrets / f"{self.name}.json"
        program = (sys.executable, "-m", "embedded.chdb_server")
        options = (f"--port={self.port}", f"--database={DATABASE}", f"--login={login}", f"--path={self.data}")
        return ProcessSpec(
            name=self.name,
            argv=(*program, *options),
            env={**plain_environment(), "PYTHONPATH": rooms},
            ready=self.ready,
            prepare=self.prepare_restart,
            stop_timeout=20.0,
            tier=0,
            first_pause=0.1,
            longest_pause=5.0,
        )

    def ready(self) -> bool:
        user, password = self.state.load_login(self.name)
        basic = b64encode(f"{user}:{password}".encode()).decode()
        request = urllib.request.Request(
            f"http://{HOST}:{self.port}/?query=SELECT%201", headers={"Authorization": f"Basic {basic}"}
        )
        try:
            with _direct.open(request, timeout=2.0) as answer:
                return bool(answer.read() == b"1\n")
        except (OSError, urllib.error.URLError):
            return False
