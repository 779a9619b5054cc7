"""Why nothing was ordered, in words."""

from django import template

from strategies.reasons import TEXTS

register = template.Library()


@register.filter
def said(reason: str) -> str:
    """The sentence of a reason's code, or the reason itself."""
    return next((text for code, text in TEXTS.items() if code.value == reason), reason)
