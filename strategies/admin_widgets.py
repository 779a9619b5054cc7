"""Gives the strategy form's inputs the admin's looks. The fields, their words and their checks stay the form's own."""

from django import forms
from unfold.widgets import CHECKBOX_CLASSES, INPUT_CLASSES, SELECT_CLASSES

from identity.admin_actions import point_down
from strategies.strategy_form import StrategyForm


def dress(form: StrategyForm) -> None:
    """Every input of the form, its configuration's, its rows' and its pairs'."""
    parts = [form, form.config_form, *form.pair_forms]
    parts += [row for rows in form.config_form.row_sets for row in rows.forms]
    for part in parts:
        for field in part.fields.values():
            field.widget.attrs["class"] = " ".join(classes_of(field.widget))
            point_down(field.widget)


def classes_of(widget: forms.Widget) -> list[str]:
    """Unfold's own, by the kind of input."""
    if isinstance(widget, forms.CheckboxInput):
        return list(CHECKBOX_CLASSES)
    return list(SELECT_CLASSES if isinstance(widget, forms.Select) else INPUT_CLASSES)
