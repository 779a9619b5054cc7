"""Roles: each includes the ones before it, and nobody has one by accident."""

import pytest
from django.contrib.auth.models import AnonymousUser, Group

from identity.models import User
from identity.roles import Role, has_role, record_role_permissions


def test_trader_may_not_do_what_admins_do(trader: User) -> None:
    assert [has_role(trader, role) for role in Role] == [True, True, False]


def test_person_without_role_may_do_nothing(db: None) -> None:
    person = User.objects.create_user("newcomer")
    assert not any(has_role(person, role) for role in Role)


def test_deactivated_superuser_has_no_role(operator: User) -> None:
    operator.is_active = False
    assert not any(has_role(operator, role) for role in Role)


def test_visitor_without_login_has_no_role(db: None) -> None:
    assert not has_role(AnonymousUser(), Role.VIEWER)


@pytest.mark.django_db
def test_role_permissions_never_let_traders_change_ledger_rows() -> None:
    record_role_permissions()
    record_role_permissions()
    trader = set(Group.objects.get(name="trader").permissions.values_list("codename", flat=True))
    viewer = set(Group.objects.get(name="viewer").permissions.values_list("codename", flat=True))
    assert all(name.startswith("view_") for name in viewer)
    assert viewer < trader
    assert not trader & {"change_order", "change_fill", "change_position", "change_user", "delete_account"}
