"""Who may write the ledger, send orders and open keys. Read from the source itself, so that no path is forgotten."""

import ast
import re
from typing import Any

LEDGER_TABLES = re.compile(
    r"\b(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM|MERGE\s+INTO|TRUNCATE(?:\s+TABLE)?|COPY)\s+"
    r"[\"']?accounts_(?:order|fill|position)\b",
    re.IGNORECASE,
)
LEDGER_MODELS = {"Order", "Fill", "Position"}
WRITES = {
    "create", "acreate", "bulk_create", "abulk_create", "update", "aupdate", "bulk_update", "abulk_update", "delete",
    "adelete", "get_or_create", "aget_or_create", "update_or_create", "aupdate_or_create",
}  # fmt: skip
SENDERS = re.compile(r"^accounts\.(executor|executor_\w+|lanes|sending|submission|evidence|cancellation)(\.|$)")
KEY_HOLDERS = re.compile(
    r"^accounts\.(executor\w*|lanes|listener\w*|reconcile\w*|connection_check|rotation|credentials)(\.|$)"
)
KEY_HOLDER_COMMANDS = re.compile(
    r"^(accounts\.management\.commands\.(listener|reconcile)|accounts\.tasks|strategies\.(worker|engine))$"
)


def writes_rows(node: ast.AST) -> bool:
    """True for `Order.objects….create(…)` and its like: a writing call at the end of a chain from a ledger model."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRITES):
        return False
    chain: ast.AST = node.func.value
    while isinstance(chain, ast.Call | ast.Attribute):
        chain = chain.func if isinstance(chain, ast.Call) else chain.value
    return isinstance(chain, ast.Name) and chain.id in LEDGER_MODELS


def makes_row(node: ast.AST) -> bool:
    """True for `Order(…)`: only useful to save it."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in LEDGER_MODELS


def test_only_the_ledger_writes_orders_fills_positions(product: list[Any]) -> None:
    others = [source for source in product if not source.module.startswith("accounts.ledger")]
    in_sql = [str(source) for source in others if LEDGER_TABLES.search(source.text)]
    from_models = [source for source in others if "accounts.models" in set(source.imports())]
    in_orm = [
        f"{source}:{node.lineno}"
        for source in from_models
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and (writes_rows(node) or makes_row(node))
    ]
    assert not in_sql
    assert not in_orm


def test_only_the_executor_sends_orders(product: list[Any]) -> None:
    senders = [
        f"{source}:{node.lineno}"
        for source in product
        if source.module.split(".")[0] in {"accounts", "strategies", "markets", "hedgerow", "bot", "alerts"}
        and not SENDERS.match(source.module)
        and any(name.startswith("venues.") for name in source.imports())
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"submit", "begin", "cancel"}
        and "client" in ast.unparse(node.func.value).lower()
    ]
    assert not senders


def test_only_executor_listener_reconciler_open_keys(product: list[Any]) -> None:
    curious = [
        str(source)
        for source in product
        if {"accounts.credentials", "accounts.vault.Opener"} & set(source.imports())
        and not KEY_HOLDERS.match(source.module)
        and not KEY_HOLDER_COMMANDS.match(source.module)
    ]
    assert not curious


def test_rules_recognise_what_they_forbid() -> None:
    """These rules read text; here they are shown what they must catch."""
    for code in (
        "Order.objects.filter(id=1).update(status='x')",
        "Fill.objects.create()",
        "Position.objects.all().delete()",
    ):
        assert any(writes_rows(node) for node in ast.walk(ast.parse(code)))
    assert not any(writes_rows(node) for node in ast.walk(ast.parse("Order.objects.filter(id=1).first()")))
    assert LEDGER_TABLES.search("insert  into accounts_fill (id) values (1)")
    assert not LEDGER_TABLES.search("SELECT * FROM accounts_order FOR UPDATE OF accounts_order")
