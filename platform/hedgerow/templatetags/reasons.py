"""Why nothing was ordered, and what to do about an alert, in words."""

from django import template

from alerts.kinds import advice_of
from strategies.reasons import TEXTS

register = template.Library()


@register.filter
def said(reason: str) -> str:
    """The sentence of a reason's code, or the reason itself."""
    return next((text for code, text in TEXTS.items() if code.value == reason), reason)


@register.filter
def advice(kind: str) -> str:
    """What to do about an alert of this kind; empty for a kind of another build."""
    return advice_of(kind)
