"""What woke a decision, as a person reads it."""

import pytest

from strategies.causes import cause_words


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        ("fill:01a2:0x89:matched", "fill, matched"),
        ("fill:new", "fill"),
        ("order:6f0c2a5e:partially_filled:9a:12", "order, partially filled"),
        ("sweep:9a3d:12", "looked at again"),
        ("swept:9a3d:12", "late fills asked for"),
        ("book:9a3d:12", "book fetched"),
        ("rejected:9a3d:12", "refused by the venue"),
        ("user:quoter", "asked by quoter"),
        ("flatten:3", "stop 3"),
        ("something:new", "something"),
        ("", ""),
    ],
)
def test_cause_is_told_in_words(cause: str, words: str) -> None:
    assert cause_words(cause) == words
