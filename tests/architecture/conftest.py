"""The source tree as data, for the tests that hold its shape."""

import ast
import gc
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("accounts", "bot", "markets", "platform", "strategies")
OTHERS = ("benchmarks", "deploy", "tests")


@dataclass(frozen=True)
class Source:
    """One Python file of the project."""

    path: Path

    def __str__(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def module(self) -> str:
        """Its dotted name, as the product imports it."""
        parts = self.path.relative_to(ROOT).with_suffix("").parts
        parts = parts[1:] if parts[0] == "platform" else parts
        return ".".join(parts).removesuffix(".__init__")

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        gc.disable()  # What a collection runs in the middle of it makes CPython 3.11 lose count of the depth.
        try:
            return ast.parse(self.text, str(self.path))
        finally:
            gc.enable()

    def imports(self) -> Iterator[str]:
        """Every module or name imported anywhere in it."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (name.name for name in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module
                yield from (f"{node.module}.{name.name}" for name in node.names)


def find_sources(*folders: str) -> list[Source]:
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return [Source(path) for path in paths if "__pycache__" not in path.parts]


@pytest.fixture(scope="session")
def product() -> list[Source]:
    """Every module of the product, migrations left out."""
    return [source for source in find_sources(*ROOMS) if "migrations" not in source.path.parts]


@pytest.fixture(scope="session")
def everything() -> list[Source]:
    """Every Python file of the project."""
    return [Source(ROOT / "manage.py"), *find_sources(*ROOMS, *OTHERS)]


@pytest.fixture(scope="session")
def committed() -> list[Path]:
    """Every file git keeps, or would keep if it were added."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True, text=True,
    ).stdout  # fmt: skip
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT
