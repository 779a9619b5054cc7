"""The orders' filter by why we refused them, each reason with its count of the last day."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import Order
from accounts.order_lists import load_denied
from identity.back_office import person_of
from identity.callers import Caller
from identity.roles import Role
from trading.enums import OrderStatus


class DeniedBecause(admin.SimpleListFilter):
    """By reason code; the admin sees every account."""

    title = "denied within a day, because"
    parameter_name = "denied"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        seen = load_denied(timezone.now(), Caller(person_of(request), Role.VIEWER, None))
        return [(code, f"{code} ({count})") for code, count in seen]

    def queryset(self, request: HttpRequest, rows: QuerySet[Order]) -> QuerySet[Order]:
        code = self.value()
        if not code:
            return rows
        return rows.filter(Q(reason=code) | Q(reason__startswith=f"{code}:"), status=OrderStatus.DENIED.value)
