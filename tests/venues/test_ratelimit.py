"""Rate-limit budgets: what the venue's headers say is believed, and asked before each request."""

import pytest

from trading.errors import RetryLater
from venues.backoff import Backoff
from venues.priority import Priority, current_priority, prioritised
from venues.ratelimit import RateBudget


class Clock:
    """A clock the test turns."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def headers(limit: int, remaining: int, reset: int) -> dict[str, str]:
    return {"RateLimit-Limit": str(limit), "RateLimit-Remaining": str(remaining), "RateLimit-Reset": str(reset)}


def test_nothing_is_assumed_before_the_venue_speaks() -> None:
    budget = RateBudget(Clock())
    for _ in range(10_000):
        budget.spend("trading")
    assert budget.remaining("trading") is None


@pytest.mark.parametrize(
    ("priority", "requests"),
    [(Priority.READ, 60), (Priority.RECONCILE, 75), (Priority.CANCEL, 90), (Priority.HEDGE, 100)],
)
def test_each_leaves_to_those_above_it(priority: Priority, requests: int) -> None:
    budget = RateBudget(Clock())
    budget.learn("trading", headers(100, 100, 30))
    for _ in range(requests):
        budget.spend("trading", priority)
    with pytest.raises(RetryLater) as refused:
        budget.spend("trading", priority)
    assert refused.value.after_s == 30


def test_priority_holds_inside_its_block_only() -> None:
    assert current_priority() is Priority.READ
    with prioritised(Priority.RECONCILE):
        assert current_priority(Priority.HEDGE) is Priority.RECONCILE
        with prioritised(Priority.HEDGE):
            assert current_priority() is Priority.HEDGE
        assert current_priority() is Priority.RECONCILE
    assert current_priority(Priority.HEDGE) is Priority.HEDGE


def test_answers_that_overtook_each_other_never_add_budget() -> None:
    budget = RateBudget(Clock())
    budget.learn("trading", headers(100, 50, 30))
    budget.learn("trading", headers(100, 53, 30))
    assert budget.remaining("trading") == 50


def test_a_new_window_starts_afresh() -> None:
    clock = Clock()
    budget = RateBudget(clock)
    budget.learn("trading", headers(100, 0, 5))
    with pytest.raises(RetryLater):
        budget.spend("trading", Priority.HEDGE)
    clock.now_s += 5
    budget.spend("trading")
    budget.learn("trading", headers(100, 99, 60))
    assert budget.remaining("trading") == 99


def test_budgets_of_route_classes_are_apart() -> None:
    budget = RateBudget(Clock())
    budget.learn("other", headers(100, 0, 5))
    budget.spend("trading")
    with pytest.raises(RetryLater):
        budget.spend("other")


@pytest.mark.parametrize(
    ("said", "waited"),
    [
        # The window is not spent: a shorter limit than it was meant.
        ({"RateLimit-Limit": "500", "RateLimit-Remaining": "400", "RateLimit-Reset": "48"}, 1.0),
        ({"RateLimit-Limit": "500", "RateLimit-Remaining": "0", "RateLimit-Reset": "48"}, 48.0),
        ({"Retry-After": "7", "RateLimit-Reset": "3"}, 7),
        ({"RateLimit-Reset": "3"}, 3),
        ({}, 1),
        ({"Retry-After": "soon"}, 1),
    ],
)
def test_a_refusal_closes_the_class_as_advised(said: dict[str, str], waited: float) -> None:
    clock = Clock()
    budget = RateBudget(clock)
    assert budget.refuse("trading", said) == waited
    with pytest.raises(RetryLater):
        budget.spend("trading", Priority.HEDGE)
    clock.now_s += waited
    budget.spend("trading", Priority.HEDGE)


def test_unreadable_headers_change_nothing() -> None:
    budget = RateBudget(Clock())
    budget.learn("trading", {"RateLimit-Limit": "many", "RateLimit-Remaining": "", "RateLimit-Reset": "-1"})
    assert budget.remaining("trading") is None


def test_delays_grow_to_the_cap_with_full_jitter() -> None:
    asked: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        asked.append((low, high))
        return high

    backoff = Backoff(base_s=1, cap_s=10, uniform=uniform)
    assert [backoff.next_delay_s() for _ in range(6)] == [1, 2, 4, 8, 10, 10]
    assert {low for low, _ in asked} == {0}
    backoff.reset()
    assert backoff.next_delay_s() == 1
    many = Backoff(base_s=1, cap_s=10, uniform=uniform)
    assert [many.next_delay_s() for _ in range(5000)][-1] == 10
