"""Events and commands: the seed's JSON in and out, digit for digit; what cannot be is refused with a reason."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.commands import CancelOrder, PlaceOrder, decode_command, encode_command
from trading.enums import Action, Outcome, Platform
from trading.errors import InvalidValue
from trading.events import Event, ExposureChanged, Fill, decode, encode
from trading.ids import SALT_BOUND, deterministic_uuid, event_id, hedge_order_id, order_salt, trade_id

D = Decimal

SEED_FILL = b"""{
  "type": "fill", "platform": "predict", "timestamp": "2026-02-05T01:00:00Z",
  "data": {"account_id": "uuid", "account_name": "account1", "market_id": "123", "side": "yes",
           "price": 0.55, "shares": 100, "order_hash": "0x..."}
}"""
SEED_COMMAND = b"""{"type": "place_order", "platform": "predict", "account_id": "account2", "market_id": "123",
                    "side": "no", "price": 0.55, "shares": 100}"""


def fill(**changes: object) -> bytes:
    message = json.loads(SEED_FILL)
    message["data"] |= changes
    return json.dumps(message).encode()


def test_seeds_fill_reads_and_writes_back() -> None:
    event = decode(SEED_FILL)
    assert isinstance(event.data, Fill)
    assert (event.data.price, event.data.shares, event.data.side) == (D("0.55"), D(100), Outcome.YES)
    assert (event.platform, event.timestamp) == (Platform.PREDICT, datetime(2026, 2, 5, 1, tzinfo=UTC))
    written = json.loads(encode(event), parse_float=str, parse_int=str)
    seed = json.loads(SEED_FILL, parse_float=str, parse_int=str)
    assert {key: written[key] for key in ("type", "platform", "timestamp")} == {
        key: seed[key] for key in ("type", "platform", "timestamp")
    }
    assert {key: written["data"][key] for key in seed["data"]} == seed["data"]
    assert decode(encode(event)) == event


def test_seeds_command_reads_and_writes_back() -> None:
    command = decode_command(SEED_COMMAND)
    assert isinstance(command, PlaceOrder)
    assert (command.action, command.price) == (Action.BUY, D("0.55"))
    written = json.loads(encode_command(command), parse_float=str, parse_int=str)
    seed = json.loads(SEED_COMMAND, parse_float=str, parse_int=str)
    assert {key: written[key] for key in seed} == seed
    cancel = CancelOrder(platform=Platform.PREDICT, account_id="a", client_order_id=UUID(int=1))
    assert decode_command(encode_command(cancel)) == cancel


@pytest.mark.parametrize(
    "number",
    [
        "0.55",
        "100",
        "1E-18",
        "0.1",
        "100.0",
        "36.846153846153846152",
        "12345678901234567890.123456789012345678",
        "-5E-9",
        "0.12345678901234567890123456789012345678",
    ],
)
def test_numbers_keep_every_digit(number: str) -> None:
    event = Event(
        id=UUID(int=1),
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
        data=ExposureChanged(
            strategy_id="s", exposure_id="e", market_id="m", primary=D(number), hedged=D(0), in_flight=D(0), need=D(0)
        ),
    )
    message = encode(event)
    assert f'"primary":{number},'.encode() in message
    assert decode(message) == event


@given(number=st.decimals(allow_nan=False, allow_infinity=False, places=18, min_value=0, max_value=10**20))
def test_any_amount_survives_the_bus(number: Decimal) -> None:
    message = fill().replace(b'"shares": 100', b'"shares": ' + str(number).encode())
    data = decode(message).data
    assert isinstance(data, Fill)
    assert data.shares.as_tuple() == number.as_tuple()


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"rubbish",
        b"\xff\x00",
        b"[]",
        b"{}",
        SEED_FILL[:-5],
        SEED_FILL.replace(b'"fill"', b'"no_such_type"'),
        SEED_FILL.replace(b"01:00:00Z", b"01:00:00"),
        SEED_FILL.replace(b"predict", b"kalshi"),
        fill(price="NaN"),
        fill(price="Infinity"),
        fill(price=1.01),
        fill(price=-0.01),
        fill(shares=-1),
        fill(shares="many"),
        fill(side="maybe"),
        fill(market_id=None),
        fill(fee=-1),
    ],
)
def test_what_is_no_event_is_refused(message: bytes) -> None:
    with pytest.raises(InvalidValue):
        decode(message)


@pytest.mark.parametrize(
    "message",
    [b"", b"wake", b'{"type":"launch"}', SEED_COMMAND.replace(b"100", b'"NaN"'), SEED_COMMAND.replace(b"0.55", b"1.5")],
)
def test_what_is_no_command_is_refused(message: bytes) -> None:
    with pytest.raises(InvalidValue):
        decode_command(message)


def test_unknown_type_names_the_known_ones() -> None:
    with pytest.raises(InvalidValue, match=r"no_such_type.*known: .*fill"):
        decode(SEED_FILL.replace(b'"fill"', b'"no_such_type"'))


def test_message_without_id_gets_a_stable_one() -> None:
    assert decode(SEED_FILL).id == decode(SEED_FILL).id
    assert decode(SEED_FILL).id != decode(SEED_FILL.replace(b"0.55", b"0.56")).id


def test_fields_of_a_later_version_are_ignored() -> None:
    assert decode(fill(a_later_field=1)) is not None


def test_hedge_order_ids_are_pure_and_distinct() -> None:
    arguments = [UUID(int=1), UUID(int=2), "123", "fill:1", 0, 0]
    one = hedge_order_id(*arguments)  # type: ignore[arg-type]
    assert one == hedge_order_id(*arguments)  # type: ignore[arg-type]
    others = {UUID(int=3), "124", 1}
    changed = [
        hedge_order_id(*[*arguments[:index], other, *arguments[index + 1 :]])  # type: ignore[arg-type]
        for index, argument in enumerate(arguments)
        for other in others
        if type(other) is type(argument)
    ]
    assert len({one, *changed}) == len(changed) + 1
    assert order_salt(one) == order_salt(UUID(str(one)))


@given(parts=st.lists(st.text(max_size=6), max_size=4), others=st.lists(st.text(max_size=6), max_size=4))
def test_different_parts_give_different_ids(parts: list[str], others: list[str]) -> None:
    assert (deterministic_uuid(*parts) == deterministic_uuid(*others)) == (parts == others)
    assert event_id(*parts) != deterministic_uuid(*parts)


def test_parts_are_kept_apart() -> None:
    assert deterministic_uuid("ab", "c") != deterministic_uuid("a", "bc")
    assert deterministic_uuid("a").version == 8


@given(order=st.uuids())
def test_salts_stay_within_their_bounds(order: UUID) -> None:
    assert 1 <= order_salt(order) < SALT_BOUND == 10**13


def test_trade_id_is_one_for_both_sources() -> None:
    assert trade_id("s1", "0xABCD") == trade_id("s1", "0xabcd") == "s1:0xabcd"
