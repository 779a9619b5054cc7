"""Signatures: the official SDK's bytes are accepted unchanged, anything tampered with is refused."""

from typing import Any

import pytest
from eth_account import Account as EthAccount
from predict_sdk import ChainId, OrderBuilder, Side
from predict_sdk.constants import ADDRESSES_BY_CHAIN_ID
from predict_sdk.logger import Logger
from predict_sdk.types import (
    Book,
    BuildOrderInput,
    LimitHelperInput,
    MarketHelperInput,
    MarketHelperValueInput,
    OrderAmounts,
)

from paper.predict.signatures import Verifier, message_digest
from tests.paper.desk import VECTORS, WEI, Running, Start, Trader, fake_key

OWNER_KEY = fake_key(1)


@pytest.mark.parametrize("vector", VECTORS["order_vectors"], ids=lambda v: v["name"])
async def test_reference_order_is_accepted_unchanged(start: Start, vector: dict[str, Any]) -> None:
    async with start(chain_id=vector["chain_id"]) as venue:
        trader = await vector_trader(venue, vector)
        status, answer = await trader.call("POST", "/v1/orders", vector["rest_create_order_body"])
        assert (status, answer.get("error")) == (201, None)
        assert answer["data"]["orderHash"] == vector["order_hash"]
        shown = await trader.order(vector["order_hash"])
        assert shown["order"] == vector["rest_create_order_body"]["data"]["order"]


@pytest.mark.parametrize("vector", VECTORS["order_vectors"][:6:5], ids=lambda v: v["name"])
@pytest.mark.parametrize("field", ["salt", "signature", "hash", "makerAmount"])
async def test_tampered_reference_order_is_refused(start: Start, vector: dict[str, Any], field: str) -> None:
    async with start(chain_id=vector["chain_id"]) as venue:
        trader = await vector_trader(venue, vector)
        order = dict(vector["rest_create_order_body"]["data"]["order"])
        if field in ("salt", "makerAmount"):
            order[field] = str(int(order[field]) + 1)
        else:
            last = order[field][-40]
            order[field] = order[field][:-40] + ("0" if last != "0" else "1") + order[field][-39:]
        body = {"data": {**vector["rest_create_order_body"]["data"], "order": order}}
        status, answer = await trader.call("POST", "/v1/orders", body)
        wanted = "create_order_invalid_signature" if field == "signature" else "create_order_hash_mismatch"
        assert (status, answer["error"]) == (400, wanted)
        assert (await trader.truth())["orders"] == []


async def vector_trader(venue: Any, vector: dict[str, Any]) -> Trader:
    """The vector's wallet, logged in and rich, with the vector's token for sale."""
    inputs = vector["inputs"]
    decimals = 3 if int(inputs["price_per_share_wei"]) % 10**16 else 2
    market = {
        "title": "Vector",
        "question": "Does it verify?",
        "categorySlug": "vector",
        "yesTokenId": inputs["token_id"],
        "noTokenId": "7",
        "feeRateBps": inputs["fee_rate_bps"],
        "isNegRisk": inputs["is_neg_risk"],
        "isYieldBearing": inputs["is_yield_bearing"],
        "decimalPrecision": decimals,
    }
    trader = Trader(venue.base, venue.session, OWNER_KEY)
    status, opened = await trader.call("POST", "/paper/markets", market)
    assert status == 200, opened
    trader.verifier = Verifier(vector["chain_id"])
    if vector["predict_account"]:
        trader.address = vector["predict_account"]
        await trader.fund(100_000, owner=vector["owner_eoa"])
        await kernel_log_in(trader)
    else:
        await trader.fund(100_000)
        await trader.log_in()
    await trader.split(opened["id"], 2000)
    return trader


async def kernel_log_in(trader: Trader) -> None:
    """Log in as a Predict account with the official SDK's own wrapping."""
    _, answer = await trader.call("GET", "/v1/auth/message")
    message = answer["data"]["message"]
    builder = sdk_builder(trader.verifier.chain_id, trader.address)
    signature = builder.sign_predict_account_message(message)
    body = {"signer": trader.address, "message": message, "signature": signature}
    status, answer = await trader.call("POST", "/v1/auth", body)
    assert status == 200, answer
    trader.token = answer["data"]["token"]


def sdk_builder(chain_id: int, predict_account: str | None = None) -> OrderBuilder:
    """Built directly: `make` would ask the chain who owns the account."""
    chain = ChainId(chain_id)
    return OrderBuilder(
        chain,
        18,
        ADDRESSES_BY_CHAIN_ID[chain],
        lambda: "12345",
        Logger("ERROR"),
        signer=EthAccount.from_key(OWNER_KEY.secret),
        predict_account=predict_account,
    )


def sdk_body(
    builder: OrderBuilder, amounts: OrderAmounts, strategy: str, order: BuildOrderInput, **options: Any
) -> Any:
    """The SDK's signed order in the shape the REST API wants, with its bytes untouched."""
    typed = builder.build_typed_data(
        builder.build_order(strategy, order),  # type: ignore[arg-type]
        is_neg_risk=False,
        is_yield_bearing=False,
    )
    signed = builder.sign_typed_data_order(typed)
    wire = {
        "salt": signed.salt,
        "maker": signed.maker,
        "signer": signed.signer,
        "taker": signed.taker,
        "tokenId": signed.token_id,
        "makerAmount": signed.maker_amount,
        "takerAmount": signed.taker_amount,
        "expiration": int(signed.expiration),
        "nonce": signed.nonce,
        "feeRateBps": signed.fee_rate_bps,
        "side": int(signed.side),
        "signatureType": int(signed.signature_type),
        "hash": builder.build_typed_data_hash(typed),
        "signature": signed.signature,
    }
    price = str(amounts.price_per_share)
    return {"data": {"order": wire, "pricePerShare": price, "strategy": strategy, **options}}


async def test_fresh_sdk_limit_order_rests(venue: Running) -> None:
    trader = await venue.trader(1)
    market = await trader.market(9001)
    builder = sdk_builder(56)
    amounts = builder.get_limit_order_amounts(LimitHelperInput(Side.BUY, 46 * WEI // 100, 10 * WEI))
    order = BuildOrderInput(
        Side.BUY, market["outcomes"][0]["onChainId"], str(amounts.maker_amount), str(amounts.taker_amount), 200
    )
    body = sdk_body(builder, amounts, "LIMIT", order)
    status, answer = await trader.call("POST", "/v1/orders", body)
    assert status == 201, answer
    assert (await trader.order(answer["data"]["orderHash"]))["status"] == "OPEN"


@pytest.mark.parametrize("by_value", [False, True])
@pytest.mark.parametrize("slippage", [0, 100])
@pytest.mark.parametrize("min_out", [False, True])
async def test_sdk_market_order_sweeps_two_levels(venue: Running, by_value: bool, slippage: int, min_out: bool) -> None:
    maker, taker = await venue.trader(2), await venue.trader(1)
    await maker.accepted(9001, "buy", "no", "0.54", "10")
    await maker.accepted(9001, "buy", "no", "0.53", "25")
    book = Book(9001, 0, asks=[(0.46, 10.0), (0.47, 25.0)], bids=[])
    builder = sdk_builder(56)
    wanted: Any = MarketHelperInput(Side.BUY, 20 * WEI, slippage, min_out)
    if by_value:
        wanted = MarketHelperValueInput(Side.BUY, 9 * WEI, slippage, min_out)
    amounts = builder.get_market_order_amounts(wanted, book)
    token = (await taker.market(9001))["outcomes"][0]["onChainId"]
    order = BuildOrderInput(Side.BUY, token, str(amounts.maker_amount), str(amounts.taker_amount), 200)
    body = sdk_body(builder, amounts, "MARKET", order, isMinAmountOut=min_out)
    status, answer = await taker.call("POST", "/v1/orders", body)
    assert status == 201, answer
    truth = await taker.truth()
    matched = int(truth["orders"][0]["matched"])
    spent = sum(int(leg["value"]) for leg in truth["matches"][0]["legs"] if not leg["isMaker"])
    assert len(truth["matches"][0]["legs"]) == 3
    assert matched >= amounts.taker_amount
    assert spent <= amounts.maker_amount
    if not min_out:
        assert matched == amounts.taker_amount


async def test_predict_account_without_owner_is_refused(venue: Running) -> None:
    trader = await venue.trader(1)
    trader.address = "0x" + "2" * 40
    _, answer = await trader.call("GET", "/v1/auth/message")
    message = answer["data"]["message"]
    signature = sdk_builder(56, trader.address).sign_predict_account_message(message)
    body = {"signer": trader.address, "message": message, "signature": signature}
    status, answer = await trader.call("POST", "/v1/auth", body)
    assert (status, answer["error"]) == (401, "unauthorized")


def test_reference_login_signatures_verify_offline() -> None:
    vector = VECTORS["auth_vectors"]
    digest = message_digest(vector["message"])
    signer, account = vector["signer_eoa"].lower(), vector["predict_account"]
    mainnet, testnet = Verifier(56), Verifier(97)
    assert mainnet.signed_by(signer, None, digest, vector["eoa_signature"])
    assert mainnet.signed_by(account, signer, digest, vector["predict_account_signature_mainnet"])
    assert testnet.signed_by(account, signer, digest, vector["predict_account_signature_testnet"])
    assert not mainnet.signed_by(account, signer, digest, vector["predict_account_signature_testnet"])
    assert not mainnet.signed_by(account, "0x" + "3" * 40, digest, vector["predict_account_signature_mainnet"])
