"""The shape of the source tree: what keeps it readable, and `platform/` from shadowing the standard library."""

import ast
import platform as standard_platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

LEAST_SAYING_NAMES = re.compile(r"(^|_)(utils?|helpers?|common|services?|managers?|misc)(_|$)")
LONGEST = 400


def test_platform_folder_is_no_package(root: Path) -> None:
    assert not (root / "platform" / "__init__.py").exists()
    assert standard_platform.python_version().startswith("3.")


def test_every_import_contract_is_kept(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
        cwd=root, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_file_is_longer_than_400_lines(everything: list[Any]) -> None:
    long = {str(source): lines for source in everything if (lines := source.text.count("\n")) > LONGEST}
    assert not long


def test_every_file_is_named_after_something(product: list[Any]) -> None:
    vague = [str(source) for source in product if any(map(LEAST_SAYING_NAMES.search, source.module.split(".")))]
    assert not vague


def test_every_product_module_says_what_it_is(product: list[Any]) -> None:
    silent = [
        str(source)
        for source in product
        if source.text.strip() and source.path.name != "__init__.py" and not ast.get_docstring(source.tree)
    ]
    assert not silent


def test_no_import_hides_in_a_function(product: list[Any]) -> None:
    hidden = [
        f"{source}:{inner.lineno}"
        for source in product
        for node in ast.walk(source.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for inner in ast.walk(node)
        if isinstance(inner, ast.Import | ast.ImportFrom)
        or (isinstance(inner, ast.Call) and ast.unparse(inner.func) in {"__import__", "importlib.import_module"})
    ]
    assert not hidden


def test_tests_are_free_functions(everything: list[Any]) -> None:
    classes = [
        f"{source}:{node.lineno}"
        for source in everything
        if source.path.name.startswith("test_")
        for node in source.tree.body
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test")
    ]
    assert not classes


def test_no_relative_or_star_imports(product: list[Any]) -> None:
    loose = [
        f"{source}:{node.lineno}"
        for source in product
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ImportFrom) and (node.level or any(name.name == "*" for name in node.names))
    ]
    assert not loose
