"""Our signed orders against the official SDK's: every published vector, and random orders side by side."""

import json
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from Crypto.Hash import keccak
from eth_account import Account
from hypothesis import given, settings
from hypothesis import strategies as st
from predict_sdk import OrderBuilder
from predict_sdk.constants import ADDRESSES_BY_CHAIN_ID, ChainId, Side
from predict_sdk.logger import Logger
from predict_sdk.types import BuildOrderInput, LimitHelperInput

from trading.enums import Action, MarketStatus, OrderType, Outcome, Platform, SignerKind
from trading.errors import InvalidValue
from trading.instruments import MarketSpec
from trading.values import from_base_units
from venues.contract import Credentials, OrderTicket
from venues.predict.addresses import checksummed
from venues.predict.eip712 import exchange_domain, keccak256
from venues.predict.signing import NO_EXPIRY_S, PredictSigner, owner_address

FAKE_KEY = bytes.fromhex("11" * 32)
FAKE_ACCOUNT = "0x2222222222222222222222222222222222222222"
OWNER = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
ORDER_ID = UUID(int=1)


def credentials(kind: SignerKind = SignerKind.EOA, address: str = OWNER) -> Credentials:
    return Credentials(account_id="a", address=address, signer_kind=kind, private_key=FAKE_KEY)


def ticket(market: MarketSpec, **changes: Any) -> OrderTicket:
    order = OrderTicket(
        client_order_id=ORDER_ID,
        market=market,
        outcome=Outcome.YES,
        action=Action.BUY,
        price=Decimal("0.57"),
        size=Decimal("10"),
        salt=1234567890,
    )
    return msgspec.structs.replace(order, **changes)


@given(st.binary(max_size=500))
def test_keccak_is_what_another_library_says(data: bytes) -> None:
    assert keccak256(data) == keccak.new(digest_bits=256, data=data).digest()


def test_every_published_order_is_signed_byte_for_byte(vectors: Any) -> None:
    assert len(vectors["order_vectors"]) == 7
    for vector in vectors["order_vectors"]:
        inputs, account = vector["inputs"], vector["predict_account"]
        kind = SignerKind.PREDICT_ACCOUNT if account else SignerKind.EOA
        key = bytes.fromhex(vector["private_key"][2:])
        signer = PredictSigner(
            Credentials(account_id="a", address=account or vector["owner_eoa"], signer_kind=kind, private_key=key),
            vector["chain_id"],
        )
        spec = MarketSpec(
            platform=Platform.PREDICT,
            market_id="1",
            title="",
            question="",
            status=MarketStatus.OPEN,
            yes_token=inputs["token_id"],
            no_token="0",
            tick=Decimal("0.001"),
            lot=Decimal("0.01"),
            min_size=Decimal("0.01"),
            min_value=Decimal("0.9"),
            fee_rate_bps=inputs["fee_rate_bps"],
            is_neg_risk=inputs["is_neg_risk"],
            is_yield_bearing=inputs["is_yield_bearing"],
        )
        signed = signer.sign(
            ticket(
                spec,
                action=Action.BUY if inputs["side"] == "BUY" else Action.SELL,
                price=from_base_units(int(inputs["price_per_share_wei"])),
                size=from_base_units(int(vector["amounts"]["amount"])),
                salt=int(inputs["salt"]),
                expires_at_s=None if inputs["expiration"] == NO_EXPIRY_S else inputs["expiration"],
            )
        )
        expected = json.dumps(vector["rest_create_order_body"], separators=(",", ":")).encode()
        assert signed.body == expected, vector["name"]
        assert signed.order_hash == vector["order_hash"], vector["name"]
        separator = exchange_domain(vector["chain_id"], inputs["is_neg_risk"], inputs["is_yield_bearing"])
        assert "0x" + separator.hex() == vector["domain_separator"]


def test_logins_are_signed_as_published(vectors: Any) -> None:
    auth = vectors["auth_vectors"]
    eoa = PredictSigner(credentials(), 56)
    assert eoa.sign_login(auth["message"]) == auth["eoa_signature"]
    for chain_id, name in ((56, "predict_account_signature_mainnet"), (97, "predict_account_signature_testnet")):
        account = PredictSigner(credentials(SignerKind.PREDICT_ACCOUNT, auth["predict_account"]), chain_id)
        assert account.sign_login(auth["message"]) == auth[name]


@settings(max_examples=60, deadline=None)
@given(
    cents=st.integers(1, 999),
    hundredths=st.integers(1, 99_999),
    side=st.sampled_from([Side.BUY, Side.SELL]),
    flags=st.tuples(st.booleans(), st.booleans()),
    chain=st.sampled_from([ChainId.BNB_MAINNET, ChainId.BNB_TESTNET]),
    smart=st.booleans(),
    token=st.integers(1, 2**256 - 1),
    salt=st.integers(1, 10**13 - 1),
    fee=st.integers(0, 1000),
    key=st.integers(1, 2**250),
)
def test_random_orders_match_the_official_sdk(
    cents: int,
    hundredths: int,
    side: Side,
    flags: tuple[bool, bool],
    chain: ChainId,
    smart: bool,
    token: int,
    salt: int,
    fee: int,
    key: int,
) -> None:
    private_key = key.to_bytes(32, "big")
    owner = Account.from_key(private_key)
    address = FAKE_ACCOUNT if smart else owner.address
    builder = OrderBuilder(
        chain,
        18,
        ADDRESSES_BY_CHAIN_ID[chain],
        lambda: "1",
        Logger("ERROR"),
        owner,
        FAKE_ACCOUNT if smart else None,
    )
    amounts = builder.get_limit_order_amounts(
        LimitHelperInput(side=side, price_per_share_wei=cents * 10**15, quantity_wei=hundredths * 10**16)
    )
    order = builder.build_order(
        "LIMIT",
        BuildOrderInput(
            side=side,
            token_id=str(token),
            maker_amount=str(amounts.maker_amount),
            taker_amount=str(amounts.taker_amount),
            fee_rate_bps=fee,
            salt=str(salt),
        ),
    )
    typed = builder.build_typed_data(order, is_neg_risk=flags[0], is_yield_bearing=flags[1])
    theirs = builder.sign_typed_data_order(typed)

    signer = PredictSigner(
        Credentials(
            account_id="a",
            address=address,
            signer_kind=SignerKind.PREDICT_ACCOUNT if smart else SignerKind.EOA,
            private_key=private_key,
        ),
        int(chain),
    )
    spec = MarketSpec(
        platform=Platform.PREDICT,
        market_id="1",
        title="",
        question="",
        status=MarketStatus.OPEN,
        yes_token="7",
        no_token=str(token),
        tick=Decimal("0.001"),
        lot=Decimal("0.01"),
        min_size=Decimal("0.01"),
        min_value=Decimal("0.9"),
        fee_rate_bps=fee,
        is_neg_risk=flags[0],
        is_yield_bearing=flags[1],
    )
    signed = signer.sign(
        ticket(
            spec,
            outcome=Outcome.NO,
            action=Action.BUY if side is Side.BUY else Action.SELL,
            price=Decimal(cents).scaleb(-3),
            size=Decimal(hundredths).scaleb(-2),
            salt=salt,
        )
    )
    ours = json.loads(signed.body)["data"]["order"]
    assert signed.order_hash == builder.build_typed_data_hash(typed)
    assert ours["signature"].removeprefix("0x") == theirs.signature.removeprefix("0x")
    assert (ours["makerAmount"], ours["takerAmount"]) == (theirs.maker_amount, theirs.taker_amount)
    assert (ours["maker"], ours["tokenId"]) == (theirs.maker, theirs.token_id)


def test_fifty_seven_cents_is_exactly_that(market: MarketSpec) -> None:
    body = json.loads(PredictSigner(credentials(), 56).sign(ticket(market, size=Decimal(100))).body)
    assert body["data"]["pricePerShare"] == "570000000000000000"
    assert body["data"]["order"]["makerAmount"] == "57000000000000000000"


def test_same_ticket_signed_twice_is_one_order(market: MarketSpec) -> None:
    first = PredictSigner(credentials(), 56).sign(ticket(market))
    second = PredictSigner(credentials(), 56).sign(ticket(market))
    assert first == second
    assert PredictSigner(credentials(), 56).sign(ticket(market, salt=2)).order_hash != first.order_hash


def test_no_is_bought_with_its_own_token(market: MarketSpec) -> None:
    body = json.loads(PredictSigner(credentials(), 56).sign(ticket(market, outcome=Outcome.NO)).body)
    assert body["data"]["order"]["tokenId"] == market.no_token
    assert body["data"]["order"]["side"] == 0


def test_post_only_and_market_orders_say_so(market: MarketSpec) -> None:
    signer = PredictSigner(credentials(), 56)
    assert json.loads(signer.sign(ticket(market, post_only=True)).body)["data"]["isPostOnly"] is True
    assert "isPostOnly" not in json.loads(signer.sign(ticket(market)).body)["data"]
    assert json.loads(signer.sign(ticket(market, order_type=OrderType.MARKET)).body)["data"]["strategy"] == "MARKET"


@pytest.mark.parametrize(
    "changes",
    [
        {"price": Decimal("0.575")},
        {"price": Decimal("0")},
        {"price": Decimal("1")},
        {"size": Decimal("1234.56")},
        {"size": Decimal("0.001")},
        {"size": Decimal("0")},
        {"salt": 0},
        {"post_only": True, "order_type": OrderType.MARKET},
    ],
)
def test_what_the_venue_cannot_express_is_refused(market: MarketSpec, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        PredictSigner(credentials(), 56).sign(ticket(market, **changes))


def test_owner_and_account_address_cannot_be_mixed_up() -> None:
    assert owner_address(FAKE_KEY) == OWNER
    with pytest.raises(InvalidValue, match="signs as"):
        PredictSigner(credentials(SignerKind.EOA, FAKE_ACCOUNT), 56)
    with pytest.raises(InvalidValue, match="owner's own"):
        PredictSigner(credentials(SignerKind.PREDICT_ACCOUNT, OWNER), 56)
    with pytest.raises(InvalidValue):
        PredictSigner(credentials(SignerKind.POLY_SAFE, FAKE_ACCOUNT), 56)
    with pytest.raises(InvalidValue, match="chain 1"):
        PredictSigner(credentials(SignerKind.PREDICT_ACCOUNT, FAKE_ACCOUNT), 1)


def test_no_key_shows_in_any_repr() -> None:
    shown = f"{credentials()!r} {credentials()} {PredictSigner(credentials(), 56)!r}"
    assert FAKE_KEY.hex() not in shown
    assert "\\x11" not in shown


@given(st.binary(min_size=20, max_size=20))
def test_checksums_agree_with_the_reference_library(raw: bytes) -> None:
    from_library = Account.from_key(FAKE_KEY).address
    assert checksummed(from_library.lower()) == from_library
    assert checksummed("0x" + raw.hex()).lower() == "0x" + raw.hex()
