"""Strategy configuration: comes back digit for digit, and says what is wrong with it."""

import json
from decimal import Decimal

import pytest

from strategies.config import ConfigError, DeltaNeutralConfig, PricePolicy, config_json, parse_config


def test_decimals_come_back_digit_for_digit():
    raw = {"ratio": "1.10", "price_policy": "book", "max_loss": "0.0100", "markets": ["9001"], "max_order": "250"}
    config = parse_config("delta_neutral", raw)
    stored = json.loads(json.dumps(config_json(config)))
    assert {name: stored[name] for name in raw} == raw
    assert parse_config("delta_neutral", stored) == config
    assert (config.max_loss, config.price_policy) == (Decimal("0.0100"), PricePolicy.BOOK)


def test_none_where_the_default_is_a_number_is_kept():
    config = parse_config("delta_neutral", {"imbalance_threshold": None})
    assert config.imbalance_threshold is None
    assert config_json(config)["imbalance_threshold"] is None
    assert parse_config("delta_neutral", config_json(config)) == config
    assert "max_order" not in config_json(config)


def test_empty_configuration_is_the_default():
    assert parse_config("delta_neutral", {}) == DeltaNeutralConfig()


@pytest.mark.parametrize(
    ("raw", "field", "advice"),
    [
        ({"ratio": 0.5}, "ratio", '"0.5"'),
        ({"ratio": "0"}, "ratio", "above 0"),
        ({"ratio": "NaN"}, "ratio", "decimal"),
        ({"ratio": True}, "ratio", "bool"),
        ({"max_los": "0.01"}, "max_los", "max_loss"),
        ({"max_loss": "1"}, "max_loss", "below 1"),
        ({"price_policy": "guess"}, "price_policy", "guess"),
        ({"price_policy": "mirror", "max_loss": "0.01"}, "max_loss", "mirror"),
        ({"price_adjustment": "0.01"}, "price_adjustment", "mirror"),
        ({"max_order": "-5"}, "max_order", "null"),
        ({"max_order": "Infinity"}, "max_order", "decimal"),
        ({"min_price": "0.9", "max_price": "0.1"}, "min_price", "band"),
        ({"dust_deadline_s": -1}, "dust_deadline_s", "negative"),
        ({"markets": ["1", "1"]}, "markets", "twice"),
        ({"markets": [1]}, "markets", "str"),
        ({"ladders": []}, "ladders", "known"),
    ],
)
def test_error_names_the_field_and_the_way_out(raw, field, advice):
    with pytest.raises(ConfigError) as caught:
        parse_config("delta_neutral", raw)
    assert caught.value.field == field
    assert advice in str(caught.value)


def test_unknown_kind_names_the_known_ones():
    with pytest.raises(ConfigError, match="delta_neutral"):
        parse_config("astrology", {})


def test_market_filter_covers_only_what_it_names():
    assert DeltaNeutralConfig().covers("1")
    assert DeltaNeutralConfig(markets=("1",)).covers("1")
    assert not DeltaNeutralConfig(markets=("1",)).covers("2")
