"""The whole form of a strategy's page: its name, its typed configuration, its pairs of accounts, the reason."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.datastructures import MultiValueDict

from accounts.models import Account
from markets.models import Market
from strategies.config import KINDS
from strategies.config_form import ConfigForm, label_of
from strategies.control import ControlError, check_pairs
from strategies.models import Pair, Strategy
from trading.enums import MarketStatus

SPARE_PAIRS = 3
MOST_PAIRS = 300
MARKETS_OFFERED = 500


class ControlForm(forms.Form):
    """Why a strategy is started or stopped."""

    reason = forms.CharField(
        min_length=3, max_length=255, widget=forms.TextInput(attrs={"autocomplete": "off", "autofocus": True})
    )


class StrategyForm(forms.Form):
    """`config` and `pairs` hold what was typed once `is_valid` is true."""

    name = forms.CharField(max_length=64, help_text="Short and unique: it stands on every order's trace.")
    reason = forms.CharField(min_length=3, max_length=255, help_text="Why it is changed; kept in the audit log.")
    version = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, strategy: Strategy | None = None, data: MultiValueDict[str, str] | None = None) -> None:
        initial = {"version": strategy.version} if strategy else {}
        super().__init__(data, initial=initial)
        self.kind = strategy.kind if strategy else next(iter(KINDS))
        if strategy:
            del self.fields["name"]
            self.fields["reason"].required = data is None or "try" not in data
        else:
            del self.fields["reason"], self.fields["version"]
        self.accounts = {str(account.pk): account for account in Account.objects.defer("notes").order_by("name")}
        by_name = [(account.name, account.name) for account in self.accounts.values()]
        config = strategy.config if strategy else {}
        self.config_form = ConfigForm(
            self.kind,
            data=data,
            config=config,
            accounts=by_name,
            markets=offered_markets([*config.get("markets", [])]),
        )
        known = Pair.objects.filter(strategy=strategy, enabled=True) if strategy else Pair.objects.none()
        self.known_pairs = [
            (str(p), str(h)) for p, h in known.order_by("primary__name").values_list("primary", "hedge")
        ]
        options = [(key, f"{account.name} ({account.platform})") for key, account in self.accounts.items()]
        count = len(self.known_pairs) + SPARE_PAIRS
        if data is not None:
            asked = data.get("pair-count", "0")
            count = min(int(asked), MOST_PAIRS) if asked.isdecimal() else 0
        self.pair_forms = [PairForm(options, data, n, self.known_pairs) for n in range(count)]
        self.pairs: list[tuple[Account, Account]] = []

    @property
    def config(self) -> dict[str, Any]:
        return self.config_form.config

    @property
    def pairs_changed(self) -> bool:
        """True when the pairs typed are not the strategy's."""
        return {(str(p.pk), str(h.pk)) for p, h in self.pairs} != set(self.known_pairs)

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        self.title = given.get("name", "")
        for row in self.pair_forms:
            if not row.is_valid():
                raise forms.ValidationError("A pair names an account that is not there.")
            primary, hedge = row.cleaned_data["primary"], row.cleaned_data["hedge"]
            if bool(primary) != bool(hedge):
                raise forms.ValidationError("A pair needs both accounts, the primary and the hedge.")
            if primary:
                self.pairs.append((self.accounts[primary], self.accounts[hedge]))
        try:
            check_pairs(self.pairs)
        except ControlError as error:
            raise forms.ValidationError(str(error)) from error
        if not self.config_form.is_valid():
            raise forms.ValidationError("The configuration cannot be used as it is: see below.")
        return given

    def described(self) -> list[tuple[str, str]]:
        """(label, value) of every configuration field as saved."""
        initial = self.config_form.initial
        rows = [
            (str(f.label), written(initial.get(name), dict(getattr(f, "choices", ()))))
            for name, f in self.config_form.fields.items()
        ]
        for rows_of in self.config_form.row_sets:
            told = [row_words(row) for row in initial.get(rows_of.name) or []]
            rows.append((rows_of.label, " → ".join(told) or "none"))
        return rows


class PairForm(forms.Form):
    """One pair of accounts; both empty is no pair."""

    primary = forms.ChoiceField(required=False)
    hedge = forms.ChoiceField(required=False)

    def __init__(
        self,
        options: list[tuple[str, str]],
        data: MultiValueDict[str, str] | None,
        number: int,
        known: list[tuple[str, str]],
    ) -> None:
        pair = known[number] if number < len(known) else ("", "")
        super().__init__(data, prefix=f"pair-{number}", initial={"primary": pair[0], "hedge": pair[1]})
        for name in ("primary", "hedge"):
            field = forms.ChoiceField(required=False, choices=[("", "–"), *options], label=f"Pair {number + 1}, {name}")
            field.widget.attrs["aria-label"] = f"Pair {number + 1}, {name}"
            self.fields[name] = field


def offered_markets(chosen: list[str]) -> list[tuple[str, str]]:
    """Markets a strategy may name: the chosen ones first, then those that take orders."""
    rows = Market.objects.filter(status=MarketStatus.OPEN.value).order_by("title", "id")
    found = dict(rows.values_list("market_id", "title")[:MARKETS_OFFERED])
    named = dict(Market.objects.filter(market_id__in=chosen).values_list("market_id", "title"))
    first = {market_id: named.get(market_id, "") for market_id in chosen}
    return [(key, f"{title or 'unnamed market'} ({key})") for key, title in {**first, **found, **first}.items()]


def row_words(row: Mapping[str, Any]) -> str:
    """A row of a list as a person reads it: `wider, seconds 10, max loss 0.12`."""
    return ", ".join(
        str(value) if name == "kind" else f"{label_of(name).lower()} {value}" for name, value in row.items()
    )


def written(value: Any, labels: Mapping[Any, str]) -> str:
    """A configuration value as a person reads it; `labels` are those of its choices, if it has any."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value in (None, "", [], ()):
        return "not set"
    if isinstance(value, list | tuple):
        return "; ".join(str(labels.get(item, item)) for item in value)
    return str(labels.get(value, value))
