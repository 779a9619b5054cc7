"""Actions in the admin, in two steps: what they touch and what would come of it, then a typed reason, then done.

Every step of an action is one of the product's own functions, which checks, writes and audits; nothing here changes a
row by itself. The role is asked for in both steps, in lists and on a row's own page.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from unfold.decorators import action
from unfold.widgets import INPUT_CLASSES, SELECT_CLASSES, UnfoldAdminTextInputWidget

from identity.roles import Role, has_role, includes, load_role

Given = Mapping[str, Any]
Apply = Callable[[HttpRequest, Any, Given], str]
Preview = Callable[[Any, Given], Iterable[str]]
Begin = Callable[[Any], Given]

BOXES = (forms.Select, forms.TextInput, forms.NumberInput)
"""Widgets that are invisible without Unfold's classes."""
MOST_ROWS = 100
"""More than a page of a list has."""


class ReasonForm(forms.Form):
    """The reason a person types before an action is carried out. Other forms add what else the action must know."""

    looks_again = False
    """Whether what is typed changes the preview, so that one may look again before confirming."""

    reason = forms.CharField(
        label="Why?",
        min_length=3,
        max_length=255,
        widget=UnfoldAdminTextInputWidget(attrs={"autofocus": True, "autocomplete": "off"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.order_fields([*(name for name in self.fields if name != "reason"), "reason"])
        for field in self.fields.values():
            if isinstance(field.widget, BOXES) and "class" not in field.widget.attrs:
                looks = SELECT_CLASSES if isinstance(field.widget, forms.Select) else INPUT_CLASSES
                field.widget.attrs["class"] = " ".join(looks)
                point_down(field.widget)

    def given_so_far(self) -> dict[str, Any]:
        """What a preview goes by: what was typed as far as it is valid, else what the form begins with."""
        data = {name: self.get_initial_for_field(field, name) for name, field in self.fields.items()}
        if self.is_bound:
            self.is_valid()
            data |= self.cleaned_data
        return data


def point_down(widget: forms.Widget) -> None:
    """Give a drop-down its arrow: Unfold's classes take the browser's own away, its template draws another."""
    if type(widget) is forms.Select:
        widget.template_name = "unfold/widgets/select.html"


@dataclass(frozen=True)
class ReasonedAction:
    """What a person may do to rows, with a reason. `apply(request, row, given)` does it to one row and gives a
    sentence; a ValueError is shown. `preview(row, given)` says what would come of it, and changes nothing.
    `begin(row)` is what the form begins with when one row is chosen, so that confirming it as it is changes nothing."""

    name: str
    title: str
    apply: Apply
    role: Role = Role.TRADER
    warning: str = ""
    form: type[ReasonForm] = ReasonForm
    preview: Preview | None = None
    begin: Begin | None = None
    in_lists: bool = True
    on_pages: bool = True
    is_grave: bool = False
    """Whether its button is red."""

    def for_list(self) -> Callable[[Any, HttpRequest, QuerySet[Any]], HttpResponse | None]:
        """As Django's admin wants an action of a list."""

        def act(model_admin: Any, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
            chosen = list(rows[: MOST_ROWS + 1])
            if request.POST.get("select_across") == "1" or len(chosen) > MOST_ROWS:
                messages.error(request, f"At most {MOST_ROWS} at a time: mark them on the page. Nothing was done.")
                return None
            if not has_role(request.user, self.role):
                messages.error(request, f"This needs the role {self.role.value}.")
                return None
            return self.answer(model_admin, request, chosen)

        act.__name__ = self.name
        act.needs_role = self.role  # type: ignore[attr-defined]
        return admin.action(description=f"{self.title}…")(act)

    def for_page(self) -> Callable[..., HttpResponse]:
        """As Unfold wants an action of one row's page: an address of its own below that page."""

        def act(model_admin: Any, request: HttpRequest, object_id: str) -> HttpResponse:
            # As Django's own decorator does, which does not take methods: nothing typed here is in an error's report.
            request.sensitive_post_parameters = "__ALL__"  # type: ignore[attr-defined]
            row = model_admin.get_object(request, unquote(object_id))
            if row is None:
                raise Http404
            if not model_admin.has_view_permission(request, row) or not has_role(request.user, self.role):
                raise PermissionDenied(f"This needs the role {self.role.value}.")
            return self.answer(model_admin, request, [row]) or redirect("../change/")

        act.__name__ = self.name
        path = self.name.replace("_", "-")
        made: Callable[..., HttpResponse] = action(description=f"{self.title}…", url_path=path)(act)
        made.needs_role = self.role  # type: ignore[attr-defined]
        return made

    def answer(self, model_admin: Any, request: HttpRequest, rows: list[Any]) -> HttpResponse | None:
        """The confirmation page; None once it is done and told by messages."""
        begins = self.begin(rows[0]) if self.begin and len(rows) == 1 else None
        typed = self.form(request.POST if "confirmed" in request.POST else None, initial=begins)
        if typed.is_valid() and "again" not in request.POST:
            for row in rows:
                try:
                    messages.success(request, self.apply(request, row, typed.cleaned_data))
                except ValueError as error:
                    messages.error(request, f"{row}: {error}")
            return None
        given = typed.given_so_far()
        opts = model_admin.model._meta
        context = {
            **model_admin.admin_site.each_context(request),
            "title": self.title,
            "step": self.title,
            "original": rows[0] if len(rows) == 1 else None,
            "warning": self.warning,
            "noun": opts.verbose_name if len(rows) == 1 else opts.verbose_name_plural,
            "rows": [(row, list(self.preview(row, given)) if self.preview else []) for row in rows],
            "form": typed,
            "is_grave": self.is_grave,
            "action": self.name,
            "checkbox_name": helpers.ACTION_CHECKBOX_NAME,
            "opts": opts,
        }
        return TemplateResponse(request, "admin/reasoned_action.html", context)


class ReasonedActionsMixin:
    """Puts an admin's `reasoned` actions into its list and into a menu on its rows' pages; `add_reasoned` adds more.

    Who lacks an action's role is not offered it, and could not carry it out by its address either.
    """

    reasoned: tuple[ReasonedAction, ...] = ()
    actions: Any = ()
    actions_detail: Any = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.actions, self.menu = [*(self.actions or ())], [*self.actions_detail]
        self.add_reasoned(*self.reasoned)

    def add_reasoned(self, *wanted: ReasonedAction) -> None:
        """Apps of higher floors add theirs, before the first request."""
        for one in wanted:
            if one.in_lists:
                self.actions.append(one.for_list())
            if one.on_pages:
                # On the class, as Unfold looks the method up and binds it.
                setattr(type(self), f"{one.name}_here", one.for_page())
                self.menu.append(f"{one.name}_here")
        self.actions_detail = [{"title": "Actions", "icon": "bolt", "items": self.menu}] if self.menu else []

    def get_actions(self, request: HttpRequest) -> Any:
        """Without Django's own bulk removal: nothing is deleted from a list."""
        held = load_role(request.user)
        found = super().get_actions(request)  # type: ignore[misc]
        return {
            name: one
            for name, one in found.items()
            if name != "delete_selected" and includes(held, getattr(one[0], "needs_role", Role.VIEWER))
        }

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> Any:
        held = load_role(request.user)
        found = super().get_actions_detail(request, object_id)  # type: ignore[misc]
        return [one for one in found if includes(held, getattr(one.method, "needs_role", Role.VIEWER))]
