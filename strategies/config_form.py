"""The form a strategy is configured with, made from its configuration's own struct: a field there is a field here.

Each type has its widget; the sentence below a field is the struct's own docstring. What is typed becomes the same JSON
that the engine parses, and the parser's words come back at the field they are about.
"""

import ast
import inspect
import textwrap
from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import Enum
from functools import cache
from itertools import pairwise
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
from django import forms
from django.utils.datastructures import MultiValueDict

from strategies.config import KINDS, ConfigError, config_json, parse_config
from trading.values import text

SPARE_ROWS = 2
Choices = Sequence[tuple[str, str]]


class ConfigForm(forms.Form):
    """One configuration. `accounts` and `markets` are what its pickers offer, as (value, label)."""

    def __init__(
        self,
        kind: str,
        *,
        data: MultiValueDict[str, str] | None = None,
        config: Mapping[str, Any] | None = None,
        accounts: Choices = (),
        markets: Choices = (),
    ) -> None:
        self.kind = kind
        self.struct = KINDS[kind]
        self.lists: dict[str, RowSet] = {}
        self.config: dict[str, Any] = {}
        initial = dict(config_json(self.struct())) | dict(config or {})
        super().__init__(data, prefix="config", initial=initial)
        for name, hint in hints(self.struct).items():
            row = row_struct(hint)
            if row is None:
                self.fields[name] = make_field(self.struct, name, hint, accounts, markets)
            else:
                self.lists[name] = RowSet(name, row, data, initial.get(name) or [], accounts, markets)

    @property
    def row_sets(self) -> list["RowSet"]:
        """The fields that are lists, in order."""
        return list(self.lists.values())

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        may_be_none = {name for name, hint in hints(self.struct).items() if unwrapped(hint)[1]}
        raw = {name: plain(value) for name, value in given.items() if value not in (None, "") or name in may_be_none}
        for name, rows in self.lists.items():
            if not rows.is_valid():
                raise forms.ValidationError(f"{rows.label}: {rows.first_error}")
            raw[name] = rows.raw
        if self.errors:
            return given
        try:
            self.config = config_json(parse_config(self.kind, raw))
        except ConfigError as error:
            if error.field in self.lists:
                self.lists[error.field].error = error.message
                raise forms.ValidationError(str(error)) from error
            self.add_error(error.field if error.field in self.fields else None, error.message)
        return given


class RowSet:
    """A field that is a list of structs: a row of inputs for each, and spare ones. A row left empty is not there."""

    def __init__(
        self,
        name: str,
        struct: type[msgspec.Struct],
        data: MultiValueDict[str, str] | None,
        rows: Sequence[Mapping[str, Any]],
        accounts: Choices,
        markets: Choices,
    ) -> None:
        self.name, self.label, self.error = name, label_of(name), ""
        self.raw: list[dict[str, Any]] = []
        self.first_error = ""
        count = len(rows) + SPARE_ROWS
        if data is not None:
            asked = data.get(f"{name}-count", "0")
            count = min(int(asked), 40) if asked.isdecimal() else 0
        self.forms = [
            RowForm(struct, data, f"{name}-{n}", rows[n] if n < len(rows) else {}, accounts, markets)
            for n in range(count)
        ]
        self.headings = [(field.label, field.help_text) for field in self.forms[0].fields.values()] if count else []

    def is_valid(self) -> bool:
        """True when every filled row can be read; `raw` holds them then."""
        self.raw = []
        for number, form in enumerate(self.forms, start=1):
            valid = form.is_valid()
            filled = {key: plain(value) for key, value in form.cleaned_data.items() if value not in (None, "", [])}
            if not valid:
                self.first_error = self.error = f"row {number}: {next(iter(form.errors.values()))[0]}"
                return False
            if filled:
                self.raw.append(filled)
        return True


class RowForm(forms.Form):
    """One row. Nothing in it is required: the parser says what is missing."""

    def __init__(
        self,
        struct: type[msgspec.Struct],
        data: MultiValueDict[str, str] | None,
        prefix: str,
        initial: Mapping[str, Any],
        accounts: Choices,
        markets: Choices,
    ) -> None:
        super().__init__(data, prefix=prefix, initial=dict(initial))
        for name, hint in hints(struct).items():
            self.fields[name] = make_field(struct, name, hint, accounts, markets, blank=True)


class TitledSelect(forms.SelectMultiple):
    """A list that tells an option's whole name to who points at it, for names too long for the list."""

    def create_option(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        made: dict[str, Any] = super().create_option(*args, **kwargs)
        made["attrs"]["title"] = made["label"]
        return made


def make_field(
    struct: type[msgspec.Struct], name: str, hint: Any, accounts: Choices, markets: Choices, *, blank: bool = False
) -> forms.Field:
    """The form field of one struct field, by its type. TypeError for a type no widget is known for."""
    kind, optional = unwrapped(hint)
    words: dict[str, Any] = {"label": label_of(name), "help_text": docs_of(struct).get(name, "")}
    required = not (optional or blank)
    if kind is bool:
        return forms.BooleanField(required=False, **words)
    if kind is Decimal:
        return forms.DecimalField(required=required, max_digits=38, decimal_places=18, **words)
    if kind is int:
        return forms.IntegerField(required=required, **words)
    if isinstance(kind, type) and issubclass(kind, Enum):
        options = [(str(item.value), label_of(str(item.value))) for item in kind]
        return forms.ChoiceField(required=required, choices=options if required else [("", "–"), *options], **words)
    if kind is str and name == "account":
        return forms.ChoiceField(required=False, choices=[("", "–"), *accounts], **words)
    if kind is str:
        return forms.CharField(required=False, max_length=255, **words)
    if get_origin(kind) is tuple and get_args(kind)[0] is str:
        return forms.MultipleChoiceField(
            required=False,
            choices=markets,
            widget=TitledSelect(attrs={"size": min(8, max(3, len(markets)))}),
            **words,
        )
    raise TypeError(f"{struct.__name__}.{name}: no form field is known for {hint}")


def hints(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """Field → type, in the struct's order."""
    found = get_type_hints(struct)
    return {name: found[name] for name in struct.__struct_fields__}


def unwrapped(hint: Any) -> tuple[Any, bool]:
    """The type without `None`, and whether None was allowed."""
    if isinstance(hint, UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not NoneType]
        return kinds[0], len(kinds) < len(get_args(hint))
    return hint, False


def row_struct(hint: Any) -> type[msgspec.Struct] | None:
    """The struct of a list of structs; None for any other type."""
    kind, _ = unwrapped(hint)
    inner = get_args(kind)[0] if get_origin(kind) in (tuple, list) else None
    return inner if isinstance(inner, type) and issubclass(inner, msgspec.Struct) else None


def plain(value: Any) -> Any:
    """A typed value as the configuration's JSON has it: decimals as strings."""
    return text(value) if isinstance(value, Decimal) else value


def label_of(name: str) -> str:
    """`max_order` as a person reads it."""
    words = name.removesuffix("_s").replace("_", " ")
    return f"{words.capitalize()} (s)" if name.endswith("_s") else words.capitalize()


@cache
def docs_of(struct: type[msgspec.Struct]) -> dict[str, str]:
    """Field → the docstring below it in the source."""
    (made,) = ast.parse(textwrap.dedent(inspect.getsource(struct))).body
    body = made.body if isinstance(made, ast.ClassDef) else []
    found = {}
    for field, below in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            told = ast.literal_eval(below.value) if isinstance(below.value, ast.Constant) else ""
            found[field.target.id] = " ".join(str(told).split())
    return found
