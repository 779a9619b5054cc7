"""What the repository may hold and what it must say: variables, make targets, no secrets."""

import re
from pathlib import Path

from hedgerow.settings import env

VARIABLE = re.compile(r"^#?\s?([A-Z][A-Z0-9_]+)=", re.MULTILINE)
MAKE_WORD = re.compile(r"`make ([a-z][a-z-]*)|^\s*(?:\$ )?make ([a-z][a-z-]*)", re.MULTILINE)
MAKE_TARGET = re.compile(r"^([a-z][a-z-]*):", re.MULTILINE)
SECRETS = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    re.compile(r"\bAKIA[0-9A-Z]{16}\b"),
    re.compile(r"\bghp_[A-Za-z0-9]{36}\b"),
    re.compile(r"\b\d{8,10}:AA[\w-]{33}\b"),  # a Telegram bot's token
)
#: 32 bytes that are assigned to something called a key. Fakes repeat one byte.
HEX_KEY = re.compile(r"(?:private|secret|signing)_?key\W{1,6}(?:0x)?([0-9a-f]{64})\b", re.IGNORECASE)
READABLE = {".py", ".md", ".toml", ".yml", ".yaml", ".json", ".html", ".css", ".js", ".txt", ".in", ".cfg", ".sh", ""}


def test_example_file_lists_every_variable(root: Path) -> None:
    documented = VARIABLE.findall((root / ".env.example").read_text(encoding="utf-8"))
    assert len(documented) == len(set(documented))
    assert set(documented) == env.names


def test_documented_make_targets_exist(root: Path, committed: list[Path]) -> None:
    targets = set(MAKE_TARGET.findall((root / "Makefile").read_text(encoding="utf-8")))
    missing = {
        f"{path.relative_to(root)}: make {word}"
        for path in committed
        if path.suffix == ".md" or path.name == ".env.example"
        for pair in MAKE_WORD.findall(path.read_text(encoding="utf-8"))
        for word in pair
        if word and word not in targets
    }
    assert not missing


def test_no_secret_lies_in_the_repository(root: Path, committed: list[Path]) -> None:
    found = []
    for path in committed:
        if path.suffix not in READABLE or path.name.startswith("requirements"):
            continue
        text = path.read_text(encoding="utf-8", errors="ignore")
        found += [str(path.relative_to(root)) for pattern in SECRETS if pattern.search(text)]
        found += [
            str(path.relative_to(root))
            for key in HEX_KEY.findall(text)
            if len(set(bytes.fromhex(key))) > 4 and path.name != "predict_vectors.json"
        ]
    assert not found


def test_no_environment_or_state_is_committed(root: Path, committed: list[Path]) -> None:
    names = {path.relative_to(root).as_posix() for path in committed}
    assert not [
        name for name in names if name.startswith(("var/", ".venv/")) or name == ".env" or name.endswith(".key")
    ]
