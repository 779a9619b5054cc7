"""The environment of every product process: where the engines and venues are, the mode, and who may open keys.

Written to `run/environment.json` (mode 600) at every start, so that a command in another terminal can work
against the running system: `load_environment(Path("var"))`.
"""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from embedded.engines import EngineUrls
from embedded.errors import EmbeddedError
from embedded.ports import HOST
from embedded.state import StateDir, load_json, write_json

ROOT = Path(__file__).resolve().parent.parent.parent
PRIVATE_KEY = "HEDGEROW_VAULT_PRIVATE_KEY_FILE"
#: BNB Chain's id; the paper venue speaks for that chain.
PAPER_CHAIN_ID = "56"
#: What the bot calls itself at our own Bot API server; it opens nothing anywhere else.
PAPER_BOT_TOKEN = "1000001:paper-bot-on-loopback"  # noqa: S105


def system_environment(
    state: StateDir, urls: EngineUrls, web_port: int, paper_port: int | None, given: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """What all processes share. The private key's place is kept from them; see `keyholder_environment`.

    With a `paper_port` the venue is the paper one, whatever was given before.
    """
    environment = {**given, **urls.environment()}
    environment |= {
        PRIVATE_KEY: "",  # said, not left out: a line in .env must not hand it to every process
        "HEDGEROW_STATE_DIR": str(state.root),
        "HEDGEROW_PORT": str(web_port),
        "DJANGO_SETTINGS_MODULE": "hedgerow.settings",
        "PYTHONUNBUFFERED": "1",
    }
    environment.setdefault("HEDGEROW_MODE", "paper")
    environment.setdefault("HEDGEROW_VAULT_PUBLIC_KEY_FILE", str(state.root / "vault" / "public.key"))
    if not environment.get("HEDGEROW_SECRET_KEY"):
        made = state.load_secret("django", lambda: {"secret_key": secrets.token_urlsafe(50)})
        environment["HEDGEROW_SECRET_KEY"] = made["secret_key"]
    if paper_port is not None:
        environment |= {
            "PREDICT_API_URL": f"http://{HOST}:{paper_port}",
            "PREDICT_WS_URL": f"ws://{HOST}:{paper_port}/ws",
            "PREDICT_RPC_URL": f"http://{HOST}:{paper_port}/rpc",
            "PREDICT_CHAIN_ID": PAPER_CHAIN_ID,
        }
    return environment


def telegram_environment(telegram_port: int) -> dict[str, str]:
    """Where the bot of a paper desk without a token speaks: at the Bot API server of our own."""
    return {
        "TELEGRAM_API_URL": f"http://{HOST}:{telegram_port}",
        "TELEGRAM_BOT_TOKEN": PAPER_BOT_TOKEN,
        "TELEGRAM_WEBHOOK_URL": "",
    }


def keyholder_environment(
    environment: Mapping[str, str], state: StateDir, given: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """For the few processes that sign: the same, and where the vault's private key is."""
    return {**environment, PRIVATE_KEY: given.get(PRIVATE_KEY) or str(state.root / "vault" / "private.key")}


def record_environment(state: StateDir, environment: Mapping[str, str], given: Mapping[str, str]) -> None:
    """Keep what this system added to the environment it was started in."""
    added = {name: value for name, value in environment.items() if given.get(name) != value and name != PRIVATE_KEY}
    write_json(state.run / "environment.json", added, mode=0o600)


def load_given(environment: Mapping[str, str] = os.environ, file: Path | None = None) -> dict[str, str]:
    """What a person has set: the process environment over the lines of `.env` (or of HEDGEROW_ENV_FILE).

    Read here as well as in the settings, so that a DATABASE_URL in that file replaces the embedded engine.
    """
    named = environment.get("HEDGEROW_ENV_FILE", str(ROOT / ".env"))
    path = file or (Path(named) if named else None)
    lines = path.read_text(encoding="utf-8").splitlines() if path is not None and path.is_file() else []
    given: dict[str, str] = {}
    for line in lines:
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and name.strip().isidentifier():
            value = value.strip()
            quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "'\""
            given[name.strip()] = value[1:-1] if quoted else value
    return {**given, **environment}


def load_environment(state_dir: Path) -> dict[str, str]:
    """The variables that a command needs to work against the system running on `state_dir`.

    Raises EmbeddedError when none is running. Holds passwords: never print it.
    """
    state = StateDir(state_dir)
    path = state.run / "environment.json"
    if state.load_holder() is None or not path.exists():
        raise EmbeddedError(f"No system is running on {state.root}. Start one with `make run`.")
    added: dict[str, str] = load_json(path)
    return added
