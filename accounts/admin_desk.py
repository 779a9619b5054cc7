"""The emergency stop in the admin: every level with what it would touch, then a reason. Lifting needs an admin."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.http import HttpRequest

from accounts.levels import LEVELS
from accounts.models import Desk
from accounts.stop import lift_stop, pull_stop
from accounts.stop_preview import preview_stop
from identity.admin_actions import Given, ReasonedAction, ReasonForm
from identity.back_office import ADMIN_SOURCE, person_of, plain
from identity.roles import Role

TITLES = {
    "hedge_only": "Hedges only",
    "no_new": "No new orders",
    "cancel_all": "Cancel everything",
    "flatten": "Flatten: sell everything",
}


class LevelForm(ReasonForm):
    """How hard to stop. Nothing is chosen beforehand."""

    level = forms.ChoiceField(
        label="Level, from the mildest to the strictest",
        choices=[(level, TITLES.get(level, level)) for level in LEVELS],
        widget=forms.RadioSelect,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].widget.attrs.pop("autofocus", None)


def tell_levels(desk: Desk, given: Given) -> Iterable[str]:
    """What each level would do at this moment."""
    for level in LEVELS:
        told = preview_stop(level)
        touched = f"{told.held_back} orders held back, {told.resting} at the venue worth {plain(told.resting_value)}"
        if told.holdings:
            touched += f", {told.holdings} holdings of {plain(told.shares)} shares sold"
        if told.halted_holders:
            touched += f"; {', '.join(told.halted_holders)} too, though halted"
        if told.unreachable_holders:
            touched += f"; not yet {', '.join(told.unreachable_holders)}, without a key or a connection"
        yield f"{TITLES.get(level, level)}: {told.sentence} Now: {touched}."
    yield f"Waits for the word of: {', '.join(told.engines) or 'nobody, no engine is running'}"


def stop(request: HttpRequest, desk: Desk, given: Given) -> str:
    """Pull it. A milder level than the one in force is refused with a ValueError."""
    receipt = pull_stop(given["level"], person_of(request), given["reason"], source=ADMIN_SOURCE)
    told = f"Stopped at {receipt.level}: {len(receipt.confirmed)} engines confirmed after {receipt.waited_ms} ms."
    silent = ", ".join(receipt.expired)
    return f"{told} These gave no word, and their leases have run out: {silent}." if silent else told


def lift(request: HttpRequest, desk: Desk, given: Given) -> str:
    """Trade again."""
    generation = lift_stop(person_of(request), given["reason"], source=ADMIN_SOURCE)
    return f"The stop is lifted: the desk trades again, generation {generation}."


def tell_desk(desk: Desk, given: Given) -> Iterable[str]:
    """How it stands now."""
    yield f"{desk} {desk.level}; {desk.reason or 'no reason given'}, by {desk.changed_by or 'nobody'}".replace(
        "  ", " "
    )


DESK_ACTIONS = (
    ReasonedAction(
        "stop_desk", "Emergency stop", stop, form=LevelForm, preview=tell_levels,
        warning="When this has returned, nothing leaves that the level does not let out, from any process. It survives"
        " restarts, and only an admin lifts it.",
    ),
    ReasonedAction(
        "lift_stop", "Lift the stop", lift, role=Role.ADMIN, preview=tell_desk,
        warning="Orders leave again at once, and what is owed is hedged.",
    ),
)  # fmt: skip
