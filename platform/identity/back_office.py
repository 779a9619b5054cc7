"""What every app's admin is made of: rows only read, exact amounts, and actions that ask for a typed reason."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.admin import ModelAdmin
from unfold.paginator import InfinitePaginator
from unfold.widgets import UnfoldAdminTextInputWidget

from identity.models import AuditEntry, User
from identity.roles import Role, has_role

Display = Callable[[Any], str]
Apply = Callable[[Any, HttpRequest, Any, str], str]


class DeskModelAdmin(ModelAdmin):
    """The defaults of every list: newest pages fast at any size, nothing counted that nobody asked for."""

    list_per_page = 50
    show_full_result_count = False
    paginator = InfinitePaginator
    list_filter_submit = False
    compressed_fields = True
    warn_unsaved_form = True


class ReadOnlyAdmin(DeskModelAdmin):
    """Rows only code writes: nothing is added, changed, removed. Shows every field but `hidden` ones and bytes."""

    hidden: tuple[str, ...] = ()

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [shown(field) for field in self.model._meta.fields if is_shown(field, self.hidden)]

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
    """How a read-only field is named in an admin: decimals by a column that writes them without empty digits."""
    return amount(field.name) if isinstance(field, models.DecimalField) else field.name


def amount(name: str, label: str = "") -> Display:
    """A column for an exact decimal: every digit that counts, no others, sortable."""

    def write(row: Any) -> str:
        return plain(getattr(row, name))

    write.__name__ = f"{name}_plain"
    return admin.display(description=label or name.replace("_", " "), ordering=name)(write)


def plain(value: Decimal | None) -> str:
    """The decimal as a person writes it: 0.55, 1,250, −3; a dash for nothing."""
    if value is None:
        return "–"
    text = f"{value:,f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


class ReasonForm(forms.Form):
    """The reason a person types before an action is carried out."""

    reason = forms.CharField(min_length=3, max_length=255, widget=UnfoldAdminTextInputWidget(attrs={"autofocus": True}))


def reasoned_action(
    name: str, description: str, apply: Apply, *, role: Role = Role.TRADER, warning: str = ""
) -> Callable[[Any, HttpRequest, QuerySet[Any]], HttpResponse | None]:
    """A list action in two steps: what it touches and a typed reason, then done.

    `apply(admin, request, row, reason)` does it to one row and gives a sentence; what it raises as ValueError is shown.
    """

    def act(model_admin: Any, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        if not has_role(request.user, role):
            messages.error(request, f"This needs the role {role.value}.")
            return None
        form = ReasonForm(request.POST if "confirmed" in request.POST else None)
        if form.is_valid():
            for row in rows:
                try:
                    messages.success(request, apply(model_admin, request, row, form.cleaned_data["reason"]))
                except ValueError as error:
                    messages.error(request, f"{row}: {error}")
            return None
        context = {
            **model_admin.admin_site.each_context(request),
            "title": description,
            "warning": warning,
            "rows": rows,
            "form": form,
            "action": name,
            "checkbox_name": helpers.ACTION_CHECKBOX_NAME,
            "opts": model_admin.model._meta,
        }
        return TemplateResponse(request, "admin/reasoned_action.html", context)

    act.__name__ = name
    return admin.action(description=description)(act)


def person_of(request: HttpRequest) -> User:
    """The signed-in person; the admin lets nobody else in."""
    if not isinstance(request.user, User):
        raise PermissionError("nobody is signed in")
    return request.user


ADMIN_SOURCE = AuditEntry.Source.ADMIN
