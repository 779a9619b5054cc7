"""The main navigation: every page that this installation has, and which of them is open."""

from dataclasses import dataclass

from django import template
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

register = template.Library()

PAGES = (
    ("desk", "Desk"),
    ("accounts", "Accounts"),
    ("strategies", "Strategies"),
    ("markets", "Markets"),
    ("orders", "Orders"),
    ("logs", "Logs"),
    ("telegram", "Telegram"),
    ("setup", "Setup"),
)
"""(the page's name, its label), in the order of the menu."""


@dataclass(frozen=True)
class Entry:
    """One line of the menu."""

    url: str
    label: str
    is_here: bool


@register.inclusion_tag("navigation.html", takes_context=True)
def navigation(context: template.Context) -> dict[str, list[Entry]]:
    """The menu's lines."""
    request = context.get("request")
    here = request.path if isinstance(request, HttpRequest) else ""
    entries = []
    for name, label in PAGES:
        try:
            url = reverse(name)
        except NoReverseMatch:
            continue
        is_here = here == url if url == "/" else here.startswith(url)
        entries.append(Entry(url, label, is_here))
    return {"entries": entries}
