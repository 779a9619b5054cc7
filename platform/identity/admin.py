"""People, their roles, their tokens, and the audit log. What is changed of a person here is audited like the rest."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.forms import AdminPasswordChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminTextInputWidget

from identity.admin_actions import Given, ReasonedAction
from identity.admin_panels import SHOWN, Panel
from identity.audit import record_audit
from identity.back_office import ADMIN_SOURCE, DeskModelAdmin, ReadOnlyAdmin, person_of
from identity.models import ApiToken, AuditEntry, User
from identity.roles import Role
from identity.tokens import revoke_token

admin.site.unregister(Group)


def reason_field(text: str) -> forms.CharField:
    """Why a person's rights or password change; what is written stands in the audit log."""
    widget = UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"})
    return forms.CharField(label="Reason", min_length=3, max_length=255, widget=widget, help_text=text)


class PersonForm(forms.ModelForm):  # type: ignore[type-arg]
    """A person without the password: not even a part of its hash is shown. `before` is what they might until now."""

    reason = reason_field("Why it is changed. Kept in the audit log.")

    class Meta:
        model = User
        fields = ("username", "first_name", "last_name", "email", "is_active", "is_staff", "is_superuser", "groups")
        widgets = {"account_tags": UnfoldAdminTextInputWidget}
        labels = {"groups": "Roles"}
        help_texts = {
            "groups": "",
            "is_active": "May sign in. Turn it off instead of deleting a person.",
            "is_staff": "May use this admin.",
            "is_superuser": "Has every right, whatever the roles.",
            "account_tags": "Separated by commas. Only accounts with one of these tags, over the API; empty means every"
            " account.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.before = rights_of(self.instance)


class WithPassword(forms.BaseForm):
    """Nobody is left without a password here: who may not sign in any more is not active."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields.pop("usable_password", None)


class NewPersonForm(WithPassword, UserCreationForm):
    """A name and a password; the rights are given on the person's page."""

    reason = reason_field("Why this person is let in. Kept in the audit log.")


class PasswordForm(WithPassword, AdminPasswordChangeForm):
    """A password somebody else sets."""

    reason = reason_field("Why another is set. Kept in the audit log; the password is not.")


@admin.register(User)
class PersonAdmin(UserAdmin, DeskModelAdmin):  # type: ignore[type-arg, misc]
    """Who may sign in. The role is a group: viewer, trader or admin. Nobody is deleted: what they did stays theirs."""

    form = PersonForm
    add_form = NewPersonForm
    add_fieldsets = ((None, {"fields": ("username", "password1", "password2", "reason")}),)
    change_password_form = PasswordForm
    list_display = ("username", "roles", "email", "is_active", "is_staff", "is_superuser", "last_login")
    list_filter = ("groups", "is_active", "is_staff", "is_superuser")
    search_fields = ("username", "email", "first_name", "last_name")
    readonly_fields = ("password_link", "last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("username", "password_link")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Rights", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "account_tags")}),
        (None, {"fields": ("reason",)}),
        ("Seen", {"fields": ("last_login", "date_joined")}),
    )
    filter_horizontal = ()
    panels = (
        Panel(
            "What they did",
            AuditEntry,
            ("at", "action", "object_name", "reason", "source"),
            lambda person: AuditEntry.objects.filter(user=person).order_by("-id")[:SHOWN],
            lambda person: {"user__id__exact": person.pk},
        ),
        Panel(
            "API tokens",
            ApiToken,
            ("name", "role", "created_at", "expires_at", "last_used_at", "revoked_at"),
            lambda person: ApiToken.objects.filter(user=person).order_by("-created_at")[:SHOWN],
            lambda person: {"user__id__exact": person.pk},
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        people: QuerySet[User] = super().get_queryset(request)
        return people.prefetch_related("groups")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Who may only look is not asked for a reason."""
        sections = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return sections
        return [section for section in sections if section[1]["fields"] != ("reason",)]

    @admin.display(description="roles")
    def roles(self, person: User) -> str:
        return ", ".join(group.name for group in person.groups.all()) or "none"

    @admin.display(description="password")
    def password_link(self, person: User) -> SafeString:
        return format_html('Never shown. <a class="desk-link" href="{}">Set another</a>', "../password/")

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """The password and its audit entry are saved together, or neither is."""
        with transaction.atomic():
            return super().user_change_password(request, id, form_url)

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        """Django's own history of it. Each form of a person comes by here once it is saved, with its reason: so the
        audit log is told here."""
        audit_person(person_of(request), form)
        return super().construct_change_message(request, form, formsets, add)


def audit_person(by: User, form: PersonForm | NewPersonForm | PasswordForm) -> None:
    """One entry for what the saved form did, in the transaction that saved it."""
    reason = form.cleaned_data["reason"]
    if isinstance(form, PasswordForm):
        record_audit("person.password_set", user=by, subject=form.user, reason=reason, source=ADMIN_SOURCE)
        return
    person, before = form.instance, form.before if isinstance(form, PersonForm) else None
    record_audit(
        "person.created" if before is None else "person.changed",
        user=by,
        subject=person,
        before=before,
        after=rights_of(person),
        reason=reason,
        source=ADMIN_SOURCE,
    )


def rights_of(person: User) -> dict[str, Any]:
    """What the audit log keeps of a person."""
    return {
        "is_active": person.is_active,
        "is_staff": person.is_staff,
        "is_superuser": person.is_superuser,
        "roles": sorted(person.groups.values_list("name", flat=True)),
        "account_tags": person.account_tags,
    }


@admin.register(Group)
class RoleAdmin(ReadOnlyAdmin):
    """The roles. `manage.py setup` gives each its permissions at every start, so nothing is changed here."""

    list_display = ("name", "people")
    search_fields = ("name",)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [*self.list_display]

    @admin.display(description="people")
    def people(self, role: Group) -> str:
        return ", ".join(person.username for person in role.user_set.all()) or "nobody"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        return super().get_queryset(request).prefetch_related("user_set")


def revoke(request: HttpRequest, token: ApiToken, given: Given) -> str:
    """An action's step for one token."""
    done = revoke_token(token, by=person_of(request), reason=given["reason"], now=timezone.now(), source=ADMIN_SOURCE)
    return f"{token.name} opens nothing any more." if done else f"{token.name} was revoked before."


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    """Programs' keys to the API: who has which, until when. Not even the hash is shown."""

    list_display = ("name", "user", "role", "created_at", "expires_at", "last_used_at", "revoked_at")
    list_filter = ("role", ("revoked_at", admin.EmptyFieldListFilter))
    search_fields = ("name", "user__username")
    list_select_related = ("user",)
    hidden = ("token_hash",)
    reasoned = (
        ReasonedAction(
            "revoke_tokens", "Revoke", revoke, role=Role.ADMIN, warning="Programs that use these are shut out at once."
        ),
    )


def search_audit(rows: QuerySet[AuditEntry], term: str) -> QuerySet[AuditEntry]:
    """By the person's name or by the object's id; both are indexed."""
    people = list(User.objects.filter(username__icontains=term).values_list("pk", flat=True)[:50])
    if people:
        return rows.filter(user_id__in=people)
    kinds = ContentType.objects.values_list("app_label", "model")
    return rows.filter(object_type__in=[f"{app}.{model}" for app, model in kinds], object_id=term)


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Who did what, when and why. A database trigger keeps it append-only."""

    list_display = ("at", "who", "action", "object_name", "reason", "source", "address")
    list_filter = ("source", ("at", admin.DateFieldListFilter))
    date_hierarchy = "at"
    search_fields = ("object_id",)
    search_help_text = "Person, or id of what was changed"
    search = staticmethod(search_audit)
    list_select_related = ()
    ordering = ("-id",)
