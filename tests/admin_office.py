"""What tests of the admin share: addresses, planted secrets, and a strategy's form as a browser would send it."""

from django.db import models
from django.test import Client

from accounts.models import Account
from strategies.config_form import RowSet
from strategies.models import Strategy
from strategies.strategy_form import StrategyForm

FAKE_KEY = "0x" + "11" * 32
"""An obviously fake private key."""
FAKE_ADDRESS = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
PROXY = "socks5://someone:swordfish-of-the-tests@proxy.invalid:1080"
API_KEY = "an-api-key-of-the-tests"
SECRETS = ("11" * 32, "swordfish", API_KEY)


def address_of(model: type[models.Model], tail: str = "") -> str:
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/{tail}"


def add_account(office: Client, **fields: str):  # type: ignore[no-untyped-def]
    data = {"name": "first", "platform": "predict", "signer_kind": "eoa", "private_key": FAKE_KEY, **fields}
    return office.post(address_of(Account, "add/"), data)


def strategy_data(strategy: Strategy, **fields: object) -> dict[str, object]:
    """Every input of the strategy's form with what it holds now."""
    form = StrategyForm(strategy)
    data: dict[str, object] = {"reason": "a test", "version": strategy.version, "pair-count": len(form.pair_forms)}
    for pair in form.pair_forms:
        data |= {pair.add_prefix(name): pair.initial.get(name, "") for name in ("primary", "hedge")}
    config = form.config_form
    data |= {config.add_prefix(name): written(config.initial.get(name)) for name in config.fields}
    rows: RowSet
    for rows in config.row_sets:
        data[f"{rows.name}-count"] = len(rows.forms)
        for row in rows.forms:
            data |= {row.add_prefix(name): written(row.initial.get(name)) for name in row.fields}
    return {name: value for name, value in data.items() if value is not None} | fields


def written(value: object) -> object:
    """As an input sends it; None for a box that is not ticked."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "on" if value else None
    return value
