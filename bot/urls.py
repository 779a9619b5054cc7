"""The bot's addresses, below /telegram/."""

from django.urls import path

from bot import views

urlpatterns = [
    path("", views.show, name="telegram"),
    path("link", views.link, name="telegram-link"),
    path("unlink/<int:chat_id>", views.end_link, name="telegram-unlink"),
    path("say", views.say, name="telegram-say"),
    path("file/<str:file_id>", views.show_file, name="telegram-file"),
]
