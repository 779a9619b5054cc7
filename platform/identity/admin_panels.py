"""Panels below a row in the admin: the newest few of what belongs to it, and where to find all of it.

Not Django's inlines: those make a form of every row there is. A panel is one bounded query, and posts nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.contrib.admin.utils import display_for_field, display_for_value, label_for_field, lookup_field
from django.db.models import DecimalField, IntegerField, Model
from django.http import HttpRequest
from django.urls import reverse

from identity.models import AuditEntry

EMPTY = "–"
SHOWN = 10
FIGURES = ("_plain", "_money")
"""How the names of columns of figures end; the style sheet goes by them too."""

Column = str | Callable[[Any], Any]


@dataclass(frozen=True)
class Panel:
    """`load` gives at most `SHOWN` rows of `model`; `where` is the filter of that model's list that gives them all."""

    title: str
    model: type[Model]
    columns: tuple[Column, ...]
    load: Callable[[Any], Iterable[Any]]
    where: Callable[[Any], Mapping[str, Any]] | None = None


def audit_panel(object_type: str) -> Panel:
    """What people and programs did to a row of `object_type` ("app.model")."""
    return Panel(
        "Who did what to it",
        AuditEntry,
        ("at", "who", "action", "reason", "source"),
        lambda row: AuditEntry.objects.filter(object_type=object_type, object_id=str(row.pk)).order_by("-id")[:SHOWN],
        lambda row: {"q": row.pk},
    )


@dataclass(frozen=True)
class RenderedPanel:
    """A panel as the template writes it. Each row: its page, and its cells."""

    title: str
    headings: list[tuple[str, bool]]
    """What each column is called, and whether it is of figures."""
    rows: list[tuple[str, list[tuple[Any, bool]]]]
    all_url: str


def render_panels(site: AdminSite, request: HttpRequest, panels: Iterable[Panel], row: Any) -> list[RenderedPanel]:
    """Those whose model this person may see."""
    rendered = []
    for panel in panels:
        model_admin = site._registry.get(panel.model)
        if model_admin is None or not model_admin.has_view_permission(request):
            continue
        page = f"admin:{panel.model._meta.app_label}_{panel.model._meta.model_name}"
        columns = [(column, is_figure(column, panel.model)) for column in panel.columns]
        found = [
            (
                reverse(f"{page}_change", args=[item.pk]),
                [(cell(column, item, model_admin), figure) for column, figure in columns],
            )
            for item in panel.load(row)
        ]
        query = urlencode(panel.where(row)) if panel.where else ""
        rendered.append(
            RenderedPanel(
                panel.title,
                [(heading(column, panel.model, model_admin), figure) for column, figure in columns],
                found,
                f"{reverse(f'{page}_changelist')}?{query}" if query else "",
            )
        )
    return rendered


def heading(column: Column, model: type[Model], model_admin: Any) -> str:
    """The column's words, as the model's own list has them."""
    return str(label_for_field(column, model, model_admin))


def is_figure(column: Column, model: type[Model]) -> bool:
    """Whether a column's cells are numbers, to stand right-aligned below each other."""
    if callable(column):
        return column.__name__.endswith(FIGURES)
    fields = {field.name: field for field in model._meta.fields}
    field = fields.get(column)
    return isinstance(field, IntegerField | DecimalField) and not field.primary_key and not field.choices


def cell(column: Column, item: Any, model_admin: Any) -> Any:
    """One value, written as the model's own list writes it."""
    field, _, value = lookup_field(column, item, model_admin)
    if field is None:
        return display_for_value(value, EMPTY, boolean=False)
    return display_for_field(value, field, EMPTY)
