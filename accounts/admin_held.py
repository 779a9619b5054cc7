"""The filter of positions by whether anything is held: at first only what is, and what was sold when asked for."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import SEARCH_VAR
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.models import Position

HELD = "held"
EVERY = "every"
NONE = "none"


class Held(admin.SimpleListFilter):
    """Positions with shares, unless others are asked or searched for. A sold one keeps its result, and stays a row."""

    title = "shares"
    parameter_name = HELD

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(NONE, "None any more"), (EVERY, "Held or not")]

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Django's own first choice means everything; here it means what is held."""
        first, *others = super().choices(changelist)
        yield {**first, "display": "Held, or found by a search"}
        yield from others

    def queryset(self, request: HttpRequest, queryset: QuerySet[Position]) -> QuerySet[Position]:
        asked = self.value()
        if asked == NONE:
            return queryset.filter(size=0)
        return queryset if asked == EVERY or request.GET.get(SEARCH_VAR) else queryset.exclude(size=0)
