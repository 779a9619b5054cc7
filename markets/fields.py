"""Model fields shared by every app: exact amounts, and kernel enums as choices."""

from enum import StrEnum
from typing import Any

from django.db import models


def choices(values: type[StrEnum]) -> list[tuple[str, str]]:
    """A kernel enum as Django choices; the label is the value with a capital."""
    return [(item.value, item.value.replace("_", " ").capitalize()) for item in values]


class AmountField(models.DecimalField):  # type: ignore[type-arg]  # generic for the type checker only
    """NUMERIC(38,18): shares, prices and collateral alike."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("max_digits", 38)
        kwargs.setdefault("decimal_places", 18)
        super().__init__(**kwargs)
