"""The strategies' pages, below /strategies/."""

from django.urls import path, re_path

from strategies import pages

urlpatterns = [
    path("", pages.show_strategies, name="strategies"),
    path("new", pages.make_strategy, name="strategy-new"),
    path("<uuid:strategy_id>/", pages.show_strategy, name="strategy"),
    path("<uuid:strategy_id>/edit", pages.change_strategy, name="strategy-edit"),
    re_path(
        r"^(?P<strategy_id>[0-9a-f-]{36})/(?P<what>start|stop|reduce)$", pages.control_strategy, name="strategy-control"
    ),
]
