"""Where one Predict.fun is: the real one, its testnet, or a paper venue on loopback. Made from settings."""

import msgspec


class PredictEndpoints(msgspec.Struct, frozen=True, kw_only=True):
    """Base addresses without `/v1`. Its repr shows no key (an RPC address may hold one too)."""

    api_url: str
    ws_url: str
    rpc_url: str
    """A BNB chain JSON-RPC endpoint, for balances."""
    chain_id: int
    api_key: str | None = None
    """Used by accounts that have none of their own. Mainnet needs one for every request."""

    def __repr__(self) -> str:
        return f"PredictEndpoints(api_url={self.api_url!r}, chain_id={self.chain_id})"

    @property
    def base_url(self) -> str:
        """What paths like `/v1/orders` are appended to."""
        return self.api_url.rstrip("/").removesuffix("/v1")


MAINNET = PredictEndpoints(
    api_url="https://api.predict.fun",
    ws_url="wss://ws.predict.fun/ws",
    rpc_url="https://bsc-dataseed.bnbchain.org/",
    chain_id=56,
)
"""Source: venues/predict.md, 1 and 8. The testnet (97) has no WebSocket officially, so it cannot be traded on here."""
