"""The folder `platform/` must not hide the standard library's module of that name."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def test_platform_folder_is_not_a_package() -> None:
    assert not (ROOT / "platform" / "__init__.py").exists()


@pytest.mark.parametrize("way", [["-c"], ["-P", "-c"]])
def test_import_platform_is_the_standard_library(way: list[str]) -> None:
    code = "import platform; print(platform.__file__)"
    shown = subprocess.run([sys.executable, *way, code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not Path(shown.stdout.strip()).is_relative_to(ROOT / "platform")
