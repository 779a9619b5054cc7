"""Every address of the product: the pages, the admin, the API, signing in, health and metrics, static assets."""

from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.urls import include, path

from accounts import vault_page
from hedgerow import (
    admin_dead_letters,
    admin_replay,
    assets,
    charts,
    controls,
    faults_page,
    health,
    log_page,
    metrics,
    pages,
    setup_page,
    trace,
)
from hedgerow.api import api, refuse_unknown

urlpatterns = [
    path("", pages.show_desk, name="desk"),
    path("equity.json", charts.answer_equity, name="equity"),
    path("desk/stop", controls.stop, name="stop"),
    path("desk/lift", controls.lift, name="lift"),
    path("faults/", faults_page.show_faults, name="faults"),
    path("setup/", setup_page.show_setup, name="setup"),
    path("", include("accounts.urls")),
    path("markets/", include("markets.urls")),
    path("strategies/", include("strategies.urls")),
    path("logs/", log_page.show_logs, name="logs"),
    path("logs.csv", log_page.export_logs, name="logs-export"),
    path("fills/<int:fill_id>/trace", trace.show_trace, name="trace"),
    path("telegram/", include("bot.urls")),
    path("admin/dead-letters/", admin.site.admin_view(admin_dead_letters.show_dead_letters), name="admin-dead-letters"),
    path("admin/dead-letters/<str:token>/", admin.site.admin_view(admin_replay.show_replay), name="admin-replay"),
    path("admin/vault/", admin.site.admin_view(vault_page.show_vault), name="admin-vault"),
    path("admin/", admin.site.urls),
    path("login/", auth_views.LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", auth_views.LogoutView.as_view(), name="logout"),
    path("api/", api.urls),
    path("api/<path:path>", refuse_unknown),
    path("healthz", health.answer_health, name="health"),
    path("readyz", health.answer_ready, name="ready"),
    path("metrics", metrics.answer_metrics, name="metrics"),
    path("static/<path:path>", assets.serve_asset, name="asset"),
    path("favicon.ico", assets.serve_asset, {"path": "icons/hedgerow.svg"}),
]
