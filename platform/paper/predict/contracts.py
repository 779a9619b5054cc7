"""Predict.fun's contract addresses on BNB Chain (56) and its testnet (97). Facts, read by signatures and rpc."""

import msgspec


class Contracts(msgspec.Struct, frozen=True):
    exchange: str
    neg_risk_exchange: str
    yield_exchange: str
    yield_neg_risk_exchange: str
    usdt: str
    conditional_tokens: str
    yield_conditional_tokens: str
    yield_neg_risk_conditional_tokens: str

    def exchange_for(self, is_neg_risk: bool, is_yield_bearing: bool) -> str:
        if is_yield_bearing:
            return self.yield_neg_risk_exchange if is_neg_risk else self.yield_exchange
        return self.neg_risk_exchange if is_neg_risk else self.exchange

    def tokens_for(self, is_neg_risk: bool, is_yield_bearing: bool) -> str:
        if is_yield_bearing:
            return self.yield_neg_risk_conditional_tokens if is_neg_risk else self.yield_conditional_tokens
        return self.conditional_tokens


CONTRACTS = {
    56: Contracts(
        exchange="0x8BC070BEdAB741406F4B1Eb65A72bee27894B689",
        neg_risk_exchange="0x365fb81bd4A24D6303cd2F19c349dE6894D8d58A",
        yield_exchange="0x6bEb5a40C032AFc305961162d8204CDA16DECFa5",
        yield_neg_risk_exchange="0x8A289d458f5a134bA40015085A8F50Ffb681B41d",
        usdt="0x55d398326f99059fF775485246999027B3197955",
        conditional_tokens="0x22DA1810B194ca018378464a58f6Ac2B10C9d244",
        yield_conditional_tokens="0x9400F8Ad57e9e0F352345935d6D3175975eb1d9F",
        yield_neg_risk_conditional_tokens="0xF64b0b318AAf83BD9071110af24D24445719A07F",
    ),
    97: Contracts(
        exchange="0x2A6413639BD3d73a20ed8C95F634Ce198ABbd2d7",
        neg_risk_exchange="0xd690b2bd441bE36431F6F6639D7Ad351e7B29680",
        yield_exchange="0x8a6B4Fa700A1e310b106E7a48bAFa29111f66e89",
        yield_neg_risk_exchange="0x95D5113bc50eD201e319101bbca3e0E250662fCC",
        usdt="0xB32171ecD878607FFc4F8FC0bCcE6852BB3149E0",
        conditional_tokens="0x2827AAef52D71910E8FBad2FfeBC1B6C2DA37743",
        yield_conditional_tokens="0x38BF1cbD66d174bb5F3037d7068E708861D68D7f",
        yield_neg_risk_conditional_tokens="0x26e865CbaAe99b62fbF9D18B55c25B5E079A93D5",
    ),
}
ECDSA_VALIDATOR = "0x845ADb2C711129d4f3966735eD98a9F09fC4cE57"
EXCHANGE_NAME = "predict.fun CTF Exchange"
ZERO_ADDRESS = "0x" + "0" * 40
