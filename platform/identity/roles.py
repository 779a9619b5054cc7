"""Roles: viewer sees, trader acts, admin configures. Each is a Django group; each includes the ones before it.

Pages, the API, the bot and the admin ask `has_role`; only an active user has any role, and without one nothing opens.
"""

from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AnonymousUser, Group, Permission
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from identity.models import User

View = Callable[..., HttpResponseBase]


class Role(StrEnum):
    """In rising order of what they may do."""

    VIEWER = "viewer"
    TRADER = "trader"
    ADMIN = "admin"


RANKS = {role.value: rank for rank, role in enumerate(Role)}

#: What a trader may change in the admin, beyond seeing. Ledger rows are nobody's to change.
TRADER_CHANGES = frozenset(
    {
        "accounts.change_account",
        "alerts.change_alert",
        "strategies.add_strategy",
        "strategies.change_strategy",
        "strategies.add_pair",
        "strategies.change_pair",
    }
)


def load_role(user: User | AnonymousUser) -> Role | None:
    """The highest role of an active `user`; None for whoever has none. A superuser has the highest there is."""
    if not user.is_active:
        return None
    if user.is_superuser:
        return Role.ADMIN
    held = [name for name in user.groups.values_list("name", flat=True) if name in RANKS]
    return Role(max(held, key=RANKS.__getitem__)) if held else None


def includes(held: Role | None, wanted: Role) -> bool:
    """True when `held` is `wanted` or one above it."""
    return held is not None and RANKS[held.value] >= RANKS[wanted.value]


def has_role(user: User | AnonymousUser, role: Role) -> bool:
    """True when an active `user` has `role` or one above it. A superuser has all."""
    return includes(load_role(user), role)


def require_role(role: Role) -> Callable[[View], View]:
    """A view decorator: visitors are sent to the login page, people without the role get 403."""

    def decorate(view: View) -> View:
        @login_required
        @wraps(view)
        def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not has_role(request.user, role):
                raise PermissionDenied(f"This needs the role {role.value}.")
            return view(request, *args, **kwargs)

        return checked

    return decorate


def record_role_permissions() -> None:
    """Give the roles' groups their admin permissions; `manage.py setup` runs it at each start, so new models follow."""
    permissions = {
        f"{permission.content_type.app_label}.{permission.codename}": permission
        for permission in Permission.objects.select_related("content_type")
    }
    views = {name for name in permissions if name.split(".")[1].startswith("view_")}
    wanted = {
        Role.VIEWER: views,
        Role.TRADER: views | (TRADER_CHANGES & permissions.keys()),
        Role.ADMIN: set(permissions),
    }
    for role, names in wanted.items():
        group, _ = Group.objects.get_or_create(name=role.value)
        group.permissions.set([permissions[name] for name in names])
