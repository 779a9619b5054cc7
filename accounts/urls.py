"""The addresses of accounts and orders."""

from django.urls import path

from accounts import close_page, connection_page, import_views, order_views, resolve_page, views

urlpatterns = [
    path("accounts/", views.show_fleet, name="accounts"),
    path("accounts/add", views.add_account, name="account-add"),
    path("accounts/import", import_views.import_many, name="account-import"),
    path("accounts/import/progress", import_views.show_progress, name="account-import-progress"),
    path("accounts/state", views.change_states, name="account-states"),
    path("accounts/close", close_page.close_accounts, name="accounts-close"),
    path("accounts/<uuid:account_id>/test", connection_page.test_account, name="account-test"),
    path("accounts/<uuid:account_id>/", views.show_account, name="account"),
    path("orders/", order_views.show_orders, name="orders"),
    path("orders/new", order_views.order_something, name="order-new"),
    path("orders/<uuid:order_id>/", order_views.show_order, name="order"),
    path("orders/<uuid:order_id>/resolve", resolve_page.resolve_order, name="order-resolve"),
    path("orders/<uuid:order_id>/cancel", order_views.cancel, name="order-cancel"),
]
