"""A ladder's configuration: what it may say, and how a mistake in it explains itself."""

import json

import pytest

from strategies.config import ConfigError, config_json, parse_config
from strategies.rungs import RungKind

FULL = [
    {"kind": "join", "seconds": 5},
    {"kind": "cross", "seconds": 5, "max_loss": "0.01"},
    {"kind": "wider", "seconds": 10, "max_loss": "0.03"},
    {"kind": "alternate", "seconds": 10, "account": "spare", "max_loss": "0.02"},
    {"kind": "unwind", "seconds": 20, "max_loss": "0.05"},
    {"kind": "pause"},
]


def test_whole_ladder_comes_back_digit_for_digit():
    config = parse_config("delta_neutral", {"ladder": FULL})
    assert [rung.kind for rung in config.ladder] == list(RungKind)
    stored = json.loads(json.dumps(config_json(config)))
    assert stored["ladder"] == FULL
    assert parse_config("delta_neutral", stored) == config


@pytest.mark.parametrize(
    ("ladder", "advice"),
    [
        ([{"kind": "jump", "seconds": 1}], "jump"),
        ([{"kind": "pause"}, {"kind": "join"}], "must be the last rung"),
        ([{"kind": "join", "seconds": 5}, {"kind": "pause", "seconds": 5}], "takes no other field"),
        ([{"kind": "join"}, {"kind": "pause"}], "join needs seconds"),
        ([{"kind": "join", "seconds": 5}], "end the ladder with pause"),
        ([{"kind": "join", "seconds": 0}, {"kind": "pause"}], "at least 1"),
        ([{"kind": "wider", "max_loss": "0.02"}], "must follow"),
        ([{"kind": "join", "seconds": 1}, {"kind": "wider"}], "wider needs max_loss"),
        ([{"kind": "join", "seconds": 1, "max_loss": "0.02"}, {"kind": "wider", "max_loss": "0.02"}], "above"),
        ([{"kind": "join", "seconds": 1, "max_loss": "0.02"}, {"kind": "cross", "max_loss": "0.01"}], "only widens"),
        ([{"kind": "join", "seconds": 1}, {"kind": "alternate"}], "needs account"),
        ([{"kind": "join", "account": "spare"}], "only alternate"),
        ([{"kind": "unwind"}], "unwind needs max_loss"),
        ([{"kind": "cross", "max_loss": "1"}], "below 1"),
        ([{"kind": "cross", "max_loss": 0.5}], '"0.5"'),
        ([{"kind": "cross", "max_los": "0.5"}], "max_los"),
        ([{"kind": "cross", "seconds": 1}] * 12 + [{"kind": "pause"}], "at most 12"),
    ],
)
def test_mistake_in_a_ladder_explains_itself(ladder, advice):
    with pytest.raises(ConfigError) as caught:
        parse_config("delta_neutral", {"ladder": ladder})
    assert caught.value.field == "ladder"
    assert advice in str(caught.value)


@pytest.mark.parametrize("rung", [{"kind": "wider", "max_loss": "0.1"}, {"kind": "cross", "max_loss": "0.1"}])
def test_mirror_has_no_bound_to_move(rung):
    ladder = [{"kind": "join", "seconds": 5}, rung]
    with pytest.raises(ConfigError, match="mirror does not bound"):
        parse_config("delta_neutral", {"price_policy": "mirror", "ladder": ladder})


def test_mirror_may_unwind_and_pause():
    ladder = [{"kind": "join", "seconds": 5}, {"kind": "unwind", "seconds": 5, "max_loss": "0.05"}, {"kind": "pause"}]
    assert len(parse_config("delta_neutral", {"price_policy": "mirror", "ladder": ladder}).ladder) == 3


def test_halt_below_the_alert_is_refused():
    with pytest.raises(ConfigError, match="alert before halting"):
        parse_config("delta_neutral", {"imbalance_threshold": "10", "imbalance_halt": "5"})
