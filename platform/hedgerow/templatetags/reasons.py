"""Codes in words: why nothing was ordered, what woke a decision, what a person did, what to do about an alert."""

from django import template

from alerts.kinds import advice_of
from strategies.causes import cause_words
from strategies.reasons import TEXTS

register = template.Library()
register.filter("cause_words", cause_words)


@register.filter
def said(reason: str) -> str:
    """The sentence of a reason's code, or the reason itself."""
    return next((text for code, text in TEXTS.items() if code.value == reason), reason)


@register.filter
def spaced(code: str) -> str:
    """A code as words: `fill_settled` is `fill settled`."""
    return code.replace("_", " ")


@register.filter
def deed(action: str) -> str:
    """What was done, of the audit log's word for it: `account.connection_tested` is `connection tested`."""
    return spaced(action.rpartition(".")[2])


@register.filter
def advice(kind: str) -> str:
    """What to do about an alert of this kind; empty for a kind of another build."""
    return advice_of(kind)
