"""The kernel imports the standard library and msgspec, and nothing that speaks to the world."""

import ast
import sys
from pathlib import Path

import trading

FORBIDDEN = {"asyncio", "http", "logging", "os", "random", "socket", "subprocess", "threading", "time", "urllib"}


def test_kernel_imports_only_stdlib_and_msgspec() -> None:
    files = sorted(Path(trading.__path__[0]).glob("**/*.py"))
    assert len(files) >= 10
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{file.name}: relative import"
                modules = [node.module or ""]
            else:
                continue
            for root in (module.split(".")[0] for module in modules):
                assert root in {"trading", "msgspec"} or root in sys.stdlib_module_names, f"{file.name} imports {root}"
                assert root not in FORBIDDEN, f"{file.name} imports {root}: the kernel does no I/O and reads no clock"
            assert not (isinstance(node, ast.Import | ast.ImportFrom) and node.col_offset), f"{file.name}: late import"


def test_kernel_writes_no_floats() -> None:
    for file in Path(trading.__path__[0]).glob("**/*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            is_float = isinstance(node, ast.Constant) and isinstance(node.value, float)
            # The one float: the seconds a venue asks us to wait.
            assert not is_float or file.name == "errors.py", f"{file.name} line {getattr(node, 'lineno', 0)}"
