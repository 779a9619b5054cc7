"""What every app's admin is made of: rows only read, exact amounts, what belongs to a row shown below it.

Actions are in `admin_actions`, the panels below a row in `admin_panels`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from functools import cache
from typing import Any

from django.contrib import admin
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.paginator import InfinitePaginator

from identity.admin_actions import ReasonedActionsMixin
from identity.admin_panels import EMPTY, Panel, is_figure, render_panels
from identity.models import AuditEntry, User
from trading import values
from trading.values import MINUS, cents_text

Display = Callable[[Any], str]
Search = Callable[[QuerySet[Any], str], QuerySet[Any]]

STATE_COLOURS = {"active": "good", "reducing": "warn", "halted": "bad"}
"""A TradingState's, as on the desk's own pages."""


class DeskModelAdmin(ReasonedActionsMixin, ModelAdmin):
    """The defaults of every list: newest pages fast at any size, nothing counted that nobody asked for."""

    empty_value_display = EMPTY
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = InfinitePaginator
    list_filter_submit = False
    list_disable_select_all = True
    list_fullwidth = True
    compressed_fields = True
    warn_unsaved_form = True
    change_form_outer_after_template = "admin/panels.html"

    panels: tuple[Panel, ...] = ()
    """What belongs to a row; apps of higher floors add theirs."""
    search: Search | None = None
    """How a large table is searched: by indexed columns only. `search_fields` then only shows the box."""

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """With every field that holds a number as a column of figures, so that it is aligned like the amounts."""
        columns = super().get_list_display(request)
        return [
            whole(one, str(self.model._meta.get_field(one).verbose_name))
            if isinstance(one, str) and is_figure(one, self.model)
            else one
            for one in columns
        ]

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> Any:
        if self.search is None:
            return super().get_search_results(request, queryset, search_term)
        term = search_term.strip().replace("\x00", "")[:160]
        return (self.search(queryset, term) if term else queryset), False

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        row = kwargs.get("obj")
        if row is not None and not row._state.adding:
            context["panels"] = render_panels(self.admin_site, request, self.panels, row)
        answer: HttpResponse = super().render_change_form(request, context, *args, **kwargs)
        return answer


class ReadOnlyAdmin(DeskModelAdmin):
    """Rows only code writes: nothing is added, changed, removed. Shows every field but `hidden` ones and bytes."""

    hidden: tuple[str, ...] = ()
    told: Mapping[str, Display | str] = {}
    """What stands for a field on the row's page, where its bare value says little to a person."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        fields = [field for field in self.model._meta.fields if is_shown(field, self.hidden)]
        return [self.told.get(field.name) or shown(field) for field in fields]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return self.get_fields(request, obj)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        secret = [field.name for field in self.model._meta.fields if not is_shown(field, self.hidden)]
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.defer(*secret) if secret else rows


def is_shown(field: Any, hidden: Iterable[str]) -> bool:
    """False for bytes (sealed secrets, signed orders) and for what the admin says to hide."""
    return not isinstance(field, models.BinaryField) and field.name not in hidden


def shown(field: Any) -> str | Display:
    """How a read-only field stands on its row's page: decimals without empty digits, yes or no as a word. Either keeps
    the field's name, so that its help text, often its unit, stands below it."""
    if isinstance(field, models.DecimalField):
        return worded_field(field.name, str(field.verbose_name), plain)
    return yes_no(field.name) if isinstance(field, models.BooleanField) else field.name


def worded_field(name: str, label: str, words: Callable[[Any], str], ending: str = "") -> Display:
    """A column, or what stands for a field on its row's page, by the field's own name and an ending."""

    def write(row: Any) -> str:
        return words(getattr(row, name))

    write.__name__ = f"{name}{ending}"
    return admin.display(description=label, ordering=name)(write)


def yes_no(name: str) -> Display:
    """A yes or no in a word: a tick or a cross would call the one good and the other bad, whatever is asked."""
    label = name.removeprefix("is_").replace("_", " ")
    return worded_field(name, label, lambda value: EMPTY if value is None else "yes" if value else "no")


def amount(name: str, label: str = "") -> Display:
    """A column for an exact decimal: every digit that counts, no others, sortable."""
    return worded_field(name, label or name.replace("_", " "), plain, "_plain")


def worded(words: Callable[[str], str]) -> type[admin.AllValuesFieldListFilter]:
    """A filter by a field's values that calls each what the column does."""

    class WordedFilter(admin.AllValuesFieldListFilter):
        def choices(self, changelist: Any) -> Iterator[Any]:
            for choice in super().choices(changelist):
                yield {**choice, "display": words(str(choice["display"]))}

    return WordedFilter


@cache
def whole(name: str, label: str) -> Display:
    """A column for a count. The same one for the same name, as Django looks for it among the sortable ones."""
    return worded_field(name, label, lambda value: EMPTY if value is None else str(value), "_plain")


def money(name: str, label: str = "") -> Display:
    """A list's column for an amount of collateral, in cents; the row's own page has every digit."""
    return worded_field(name, label or f"{name.replace('_', ' ')}, collateral", cents, "_money")


def marked(name: str, colours: Mapping[str, str], label: str = "") -> Display:
    """A column for a choice, in its own words. `colours` gives a value bad, warn or good; any other has none."""

    def write(row: Any) -> str:
        words, colour = getattr(row, f"get_{name}_display")() or EMPTY, colours.get(getattr(row, name))
        return format_html('<span class="desk-mark {}">{}</span>', colour, words) if colour else words

    write.__name__ = f"{name}_marked"
    return admin.display(description=label or name.replace("_", " "), ordering=name)(write)


def plain(value: Decimal | None) -> str:
    """The decimal as a person writes it: 0.55, 1,250, −3; a dash for nothing."""
    if value is None:
        return EMPTY
    text = f"{value:,f}".replace("-", MINUS)
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def trimmed(value: Decimal | None) -> Decimal | None:
    """The same decimal without empty digits, as an input begins with it: 500, not 500.000 nor 5E+2."""
    return None if value is None else values.plain(value)


def cents(value: Decimal | None) -> str:
    """Collateral with two decimals, so that they stand below each other: 1,013.00, −3.21; a dash for nothing."""
    return EMPTY if value is None else cents_text(value)


def counted(number: int, noun: str) -> str:
    """How many there are, in words that fit: "1 order", "2 orders", "0 orders"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def person_of(request: HttpRequest) -> User:
    """The signed-in person; the admin lets nobody else in."""
    if not isinstance(request.user, User):
        raise PermissionError("nobody is signed in")
    return request.user


ADMIN_SOURCE = AuditEntry.Source.ADMIN
