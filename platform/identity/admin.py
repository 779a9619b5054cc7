"""People, their roles, and the audit log."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from identity.back_office import ADMIN_SOURCE, ReadOnlyAdmin, person_of, reasoned_action
from identity.models import ApiToken, AuditEntry, User
from identity.roles import Role
from identity.tokens import revoke_token

admin.site.unregister(Group)


@admin.register(User)
class PersonAdmin(UserAdmin, ModelAdmin):  # type: ignore[type-arg]
    """Who may sign in. The role is a group: viewer, trader or admin."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "roles", "is_active", "is_staff", "is_superuser", "last_login")
    list_filter = ("groups", "is_active", "is_staff", "is_superuser")
    search_fields = ("username", "email")

    def get_queryset(self, request):  # type: ignore[no-untyped-def]
        return super().get_queryset(request).prefetch_related("groups")

    @admin.display(description="roles")
    def roles(self, person: User) -> str:
        return ", ".join(group.name for group in person.groups.all()) or "none"


@admin.register(Group)
class RoleAdmin(GroupAdmin, ModelAdmin):
    """The roles. `manage.py setup` gives each its permissions."""


def revoke(model_admin: Any, request: HttpRequest, token: ApiToken, reason: str) -> str:
    """An action's step for one token."""
    done = revoke_token(token, by=person_of(request), now=timezone.now(), source=ADMIN_SOURCE)
    return f"{token.name} opens nothing any more." if done else f"{token.name} was revoked before."


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    """Programs' keys to the API: who has which, until when. Not even the hash is shown."""

    list_display = ("name", "user", "role", "created_at", "expires_at", "last_used_at", "revoked_at")
    list_filter = ("role", ("revoked_at", admin.EmptyFieldListFilter))
    search_fields = ("name", "user__username")
    list_select_related = ("user",)
    hidden = ("token_hash",)
    actions = (reasoned_action("revoke_tokens", "Revoke", revoke, role=Role.ADMIN),)


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Who did what, when and why. A database trigger keeps it append-only."""

    list_display = ("at", "who", "action", "object_name", "reason", "source", "address")
    list_filter = ("source", "action", ("at", admin.DateFieldListFilter))
    search_fields = ("who", "action", "object_name", "object_id", "reason")
    list_select_related = ()
    ordering = ("-id",)
