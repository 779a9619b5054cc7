"""Wallet events in the venue's JSON. Pure; called by the stream. Quantities here are rounded text, as on the wire."""

from typing import Any

from paper.curve import checksum_address
from paper.exchange import Event
from paper.predict.settings import UNIT
from paper.records import Market, Order


def wallet_event_json(event: Event, order: Order, market: Market) -> dict[str, Any]:
    filled = order.settled if event.leg is None else event.leg.size
    out: dict[str, Any] = {
        "type": event.kind,
        "orderId": str(order.id),
        "orderHash": order.hash,
        "walletAddress": checksum_address(order.address),
        "timestamp": event.at,
        "details": {
            "marketId": market.id,
            "outcomeIndex": 1 if order.is_yes else 2,
            "outcomeName": market.info["outcomes"][0 if order.is_yes else 1],
            "outcome": "YES" if order.is_yes else "NO",
            "marketQuestion": market.info["question"],
            "categorySlug": market.info["categorySlug"],
            "quoteType": "BID" if order.is_buy else "ASK",
            "strategyType": order.strategy,
            "quantity": decimal_text(order.size, 3),
            "quantityFilled": decimal_text(filled, 3),
            "price": decimal_text(order.price, 3),
            "value": decimal_text(order.price * order.size // UNIT, 2),
            "valueFilled": decimal_text(order.price * filled // UNIT, 2),
        },
    }
    if event.reason:
        out["reason"] = event.reason
    leg, match = event.leg, event.match
    if leg is None or match is None or event.kind == "orderMarketMatchPlan":
        return out
    out["settlementId"] = match.id
    out["kind"] = "PURCHASE" if leg.is_buy else "SALE"
    out["fill"] = {
        "executedPriceWei": str(leg.executed),
        "executedSizeWei": str(leg.size),
        "executedValueWei": str(leg.value),
    }
    if event.kind == "orderTransactionSuccess":
        out["isMaker"] = leg.is_maker
        out["fee"] = {"amountWei": str(leg.fee), "type": "SHARES" if leg.is_buy else "COLLATERAL"}
    return out


def decimal_text(wei: int, places: int) -> str:
    scaled = wei * 10**places // UNIT
    return f"{scaled // 10**places}.{scaled % 10**places:0{places}d}"
