"""`deploy/bootstrap.py` on a venv that is there already, on one that is being made, and where it cannot work."""

import ast
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
NOTHING_TO_INSTALL = "# nothing\n"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone whose locks are empty, so that a setup needs no network."""
    (tmp_path / "deploy").mkdir()
    (tmp_path / "platform").mkdir()
    shutil.copy(ROOT / "deploy" / "bootstrap.py", tmp_path / "deploy")
    for lock in ("requirements.txt", "requirements-dev.txt"):
        (tmp_path / lock).write_text(NOTHING_TO_INSTALL)
    return tmp_path


def set_up(clone: Path, *options: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """With uv from this venv, if it is there, as on a machine that has it."""
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **environment}
    command = [sys.executable, str(clone / "deploy" / "bootstrap.py"), *options]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=110)


def test_new_venv_finds_the_product_and_is_then_left_alone(clone: Path) -> None:
    done = set_up(clone)
    assert done.returncode == 0, done.stderr
    code = "import sys; print(sys.path[-2:])"
    shown = subprocess.run([clone / ".venv" / "bin" / "python", "-c", code], capture_output=True, text=True, check=True)
    assert ast.literal_eval(shown.stdout) == [str(clone / "platform"), str(clone)]

    # A clone that was moved has a wrong path file, so the stamp names the folder it was made for.
    stamp = json.loads((clone / ".venv" / "hedgerow.json").read_text())
    assert stamp["folder"] == str(clone)
    assert set(stamp) == {"folder", "requirements.txt"}

    mark = clone / ".venv" / "kept"
    mark.touch()
    begun = time.monotonic()
    again = set_up(clone)
    assert (again.returncode, again.stderr) == (0, "")
    assert time.monotonic() - begun < 2

    (clone / "requirements.txt").write_text("# changed\n")
    changed = set_up(clone)
    assert "installing requirements.txt" in changed.stderr
    assert mark.exists()


def test_two_setups_wait_for_each_other(clone: Path) -> None:
    with (clone / "deploy" / "bootstrap.py").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        second = subprocess.Popen(
            [sys.executable, str(clone / "deploy" / "bootstrap.py")], stderr=subprocess.PIPE, text=True
        )
        assert second.stderr is not None
        assert second.stderr.readline() == "setup: another setup is at work; waiting for it.\n"
        assert not (clone / ".venv").exists()
        second.kill()
        second.communicate()


def test_no_network_is_said_in_a_sentence(clone: Path) -> None:
    (clone / "requirements.txt").write_text(f"six==1.17.0 --hash=sha256:{'0' * 64}\n")
    nowhere = "http://127.0.0.1:9/simple"
    done = set_up(
        clone, PIP_INDEX_URL=nowhere, PIP_EXTRA_INDEX_URL=nowhere, PIP_FIND_LINKS="", PIP_CONFIG_FILE=os.devnull,
        PIP_RETRIES="0", UV_DEFAULT_INDEX=nowhere, UV_HTTP_RETRIES="0", UV_CACHE_DIR=str(clone / "cache"),
    )  # fmt: skip
    assert done.returncode == 1
    assert "the package index cannot be reached" in done.stderr
    assert not (clone / ".venv" / "hedgerow.json").exists()


def test_an_older_python_can_read_it() -> None:
    """Else a person with an old Python would see a syntax error instead of the sentence that names what is needed."""
    ast.parse((ROOT / "deploy" / "bootstrap.py").read_text(), feature_version=(3, 7))


def test_every_documented_target_is_there() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    targets = {line.split()[1] for line in shown.stdout.splitlines()}
    assert {
        "setup",
        "run",
        "test",
        "check",
        "lint",
        "format",
        "types",
        "contracts",
        "lock",
        "bench",
        "clean",
    } <= targets
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert "make check" in (ROOT / ".ci" / "run").read_text()


def test_the_locks_name_no_package_index() -> None:
    for lock in ("requirements.txt", "requirements-dev.txt", "deploy/requirements-uv.txt"):
        assert "://" not in (ROOT / lock).read_text(), lock
