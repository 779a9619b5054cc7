"""The markets a fresh paper Predict.fun opens with, and how any paper market is described."""

from typing import Any

import msgspec

from paper.curve import checksum_address, keccak256
from paper.entries import OpenMarket
from paper.predict.settings import UNIT


class MarketSpec(msgspec.Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """What is asked for when a market is opened; ids and hashes left out follow from the id."""

    id: int | None = None
    title: str
    question: str
    category_slug: str
    category_title: str | None = None
    tags: list[str] = []
    outcomes: tuple[str, str] = ("Yes", "No")
    decimal_precision: int = 2
    fee_rate_bps: int = 200
    is_neg_risk: bool = False
    is_yield_bearing: bool = False
    market_variant: str = "DEFAULT"
    yes_token_id: str | None = None
    no_token_id: str | None = None
    fair_price: str = "0.50"
    polymarket_condition_ids: list[str] = []
    ends_at: str = "2027-12-31T00:00:00.000Z"


def open_market(spec: MarketSpec, market_id: int, at: int) -> OpenMarket:
    seed = market_id.to_bytes(32, "big")
    condition = keccak256(b"paper condition" + seed)
    info: dict[str, Any] = {
        "title": spec.title,
        "question": spec.question,
        "description": f"{spec.question} A paper market: no money changes hands.",
        "categorySlug": spec.category_slug,
        "categoryTitle": spec.category_title or spec.title,
        "tags": spec.tags,
        "outcomes": list(spec.outcomes),
        "decimalPrecision": spec.decimal_precision,
        "isNegRisk": spec.is_neg_risk,
        "isYieldBearing": spec.is_yield_bearing,
        "marketVariant": spec.market_variant,
        "conditionId": "0x" + condition.hex(),
        "oracleQuestionId": "0x" + keccak256(b"paper question" + seed).hex(),
        "resolverAddress": checksum_address("0x" + keccak256(b"paper resolver")[-20:].hex()),
        "questionIndex": 0 if spec.is_neg_risk else None,
        "fairPrice": spec.fair_price,
        "polymarketConditionIds": spec.polymarket_condition_ids,
        "endsAt": spec.ends_at,
    }
    return OpenMarket(
        at=at,
        id=market_id,
        yes_token=spec.yes_token_id or str(int.from_bytes(keccak256(condition + b"\x01"), "big")),
        no_token=spec.no_token_id or str(int.from_bytes(keccak256(condition + b"\x02"), "big")),
        tick=UNIT // 10**spec.decimal_precision,
        fee_bps=spec.fee_rate_bps,
        info=info,
    )


FIRST_MARKETS = [
    MarketSpec(
        id=9001,
        title="BTC above $150k",
        question="Will Bitcoin close above $150,000 on 31 December 2027?",
        category_slug="bitcoin-end-of-2027",
        tags=["Crypto"],
        fair_price="0.46",
    ),
    MarketSpec(
        id=9002,
        title="ETH above $8k",
        question="Will Ether trade above $8,000 before July 2027?",
        category_slug="ether-mid-2027",
        tags=["Crypto"],
        fair_price="0.31",
        ends_at="2027-07-01T00:00:00.000Z",
    ),
    MarketSpec(
        id=9003,
        title="BTC Up or Down",
        question="Bitcoin up or down in the first week of December?",
        category_slug="btc-updown-week-49",
        tags=["Crypto"],
        outcomes=("Up", "Down"),
        market_variant="CRYPTO_UP_DOWN",
        fair_price="0.50",
    ),
    MarketSpec(
        id=9004,
        title="Northport vs Eastvale",
        question="Will Northport beat Eastvale in the cup final?",
        category_slug="cup-final",
        tags=["Sports"],
        outcomes=("Northport", "Eastvale"),
        market_variant="SPORTS_MATCH",
        fair_price="0.58",
    ),
    MarketSpec(
        id=9005,
        title="The incumbent",
        question="Will the incumbent win the 2027 election?",
        category_slug="election-2027",
        category_title="Who wins the 2027 election?",
        tags=["Politics"],
        is_neg_risk=True,
        fair_price="0.38",
    ),
    MarketSpec(
        id=9006,
        title="Rate cut in March",
        question="Will the central bank cut rates in March 2027?",
        category_slug="rates-march-2027",
        tags=["Politics", "Economy"],
        is_yield_bearing=True,
        fair_price="0.64",
        ends_at="2027-04-01T00:00:00.000Z",
    ),
    MarketSpec(
        id=9007,
        title="A long shot",
        question="Will the token list on a top exchange this year?",
        category_slug="token-listing",
        tags=["Crypto"],
        decimal_precision=3,
        fair_price="0.085",
    ),
    MarketSpec(
        id=9008,
        title="The challenger",
        question="Will the challenger win the 2027 election?",
        category_slug="election-2027",
        category_title="Who wins the 2027 election?",
        tags=["Politics"],
        is_neg_risk=True,
        fair_price="0.55",
    ),
]
