"""The addresses of markets."""

from django.urls import path

from markets import views

urlpatterns = [
    path("", views.show_markets, name="markets"),
    path("<str:key>/", views.show_market, name="market"),
]
