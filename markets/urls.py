"""The addresses of markets."""

from django.urls import path

from markets import sync_page, views

urlpatterns = [
    path("", views.show_markets, name="markets"),
    path("sync", sync_page.sync_now, name="markets-sync"),
    path("picks", views.show_picks, name="market-picks"),
    path("<str:key>/", views.show_market, name="market"),
    path("<str:key>/history.json", views.answer_history, name="market-history"),
]
