"""Typed readers of the environment, used by `settings.py` alone. What they can't accept they refuse with a sentence.

A value comes from the process environment, else from the environment file (`.env`), else from the file in which the
system running on the state folder keeps its own (so that a command in another terminal finds it), else from its
documented default.
"""

import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from django.core.exceptions import ImproperlyConfigured

Choice = TypeVar("Choice", bound=StrEnum)

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})


class ConfigurationError(ImproperlyConfigured):
    """A variable that is missing or can't be accepted. The message names it and says what to do."""


class Environment:
    """Named values, later sources giving way to earlier ones. Remembers which names were asked for."""

    def __init__(self, *sources: Mapping[str, str]) -> None:
        self._sources = sources
        self.names: set[str] = set()

    def is_set(self, name: str) -> bool:
        """True when some source gives `name` a value that is not empty."""
        return bool(self._find(name))

    def read_text(self, name: str, default: str | None = None) -> str:
        """The value, stripped. Without a default the variable must be set."""
        value = self._find(name)
        if value is None:
            if default is None:
                raise ConfigurationError(f"{name} is not set. Set it in the environment or in .env; see .env.example.")
            return default
        return value

    def read_flag(self, name: str, default: bool) -> bool:
        """A yes or no in any of the usual words."""
        value = self.read_text(name, "").lower()
        if value == "":
            return default
        if value in TRUE | FALSE:
            return value in TRUE
        raise ConfigurationError(f"{name} is {value!r}; set it to true or false.")

    def read_number(self, name: str, default: int, least: int = 0, most: int = 2**31) -> int:
        """A whole number within bounds."""
        text = self.read_text(name, "")
        if text == "":
            return default
        try:
            number = int(text)
        except ValueError:
            raise ConfigurationError(f"{name} is {text!r}; set it to a whole number.") from None
        if not least <= number <= most:
            raise ConfigurationError(f"{name} is {number}; set it to a number from {least} to {most}.")
        return number

    def read_choice(self, name: str, choices: type[Choice], default: Choice) -> Choice:
        """One of an enum's values."""
        text = self.read_text(name, "").lower()
        if text == "":
            return default
        try:
            return choices(text)
        except ValueError:
            raise ConfigurationError(f"{name} is {text!r}; set it to {' or '.join(choices)}.") from None

    def read_list(self, name: str, default: str = "") -> list[str]:
        """Comma-separated words."""
        return [word.strip() for word in self.read_text(name, default).split(",") if word.strip()]

    def read_path(self, name: str, default: Path | None = None) -> Path:
        """A path made absolute; it need not exist. A default of None means the variable must be set."""
        text = self.read_text(name, "" if default is not None else None)
        return Path(text or default or "").expanduser().absolute()

    def read_url(self, name: str, schemes: tuple[str, ...], default: str | None = None) -> str:
        """A URL of one of the schemes. The value is never shown: it may hold a password."""
        url = self.read_text(name, default) or default or ""
        if url and not url.startswith(tuple(f"{scheme}://" for scheme in schemes)):
            expected = " or ".join(f"{scheme}://…" for scheme in schemes)
            raise ConfigurationError(f"{name} is not a URL it can use; it should look like {expected}.")
        return url

    def _find(self, name: str) -> str | None:
        self.names.add(name)
        for source in self._sources:
            if name in source:
                return source[name].strip()
        return None


def load_environment_file(path: Path) -> dict[str, str]:
    """The `NAME=value` lines of a file; blank lines and `#` lines are skipped. No file, no values."""
    values: dict[str, str] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        return values
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.removeprefix("export ").partition("=")
        if not equals or not name.strip().isidentifier():
            raise ConfigurationError(f"{path}, line {number}: expected NAME=value.")
        values[name.strip()] = unquote(value.strip())
    return values


def load_running_system(state_dir: Path) -> dict[str, str]:
    """What the system running on `state_dir` added to its processes' environment; nothing when none runs."""
    try:
        values: dict[str, str] = json.loads((state_dir / "run" / "environment.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    # Where the private key lies is never handed on: a process gets it from whoever starts it, or not at all.
    return {name: value for name, value in values.items() if name != "HEDGEROW_VAULT_PRIVATE_KEY_FILE"}


def unquote(value: str) -> str:
    """The value without one pair of quotes around it."""
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value
