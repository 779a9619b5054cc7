"""The proof that a paper exchange makes and loses nothing. Called by audits and tests."""

from paper.records import State


def check_conservation(state: State) -> list[str]:
    """Every way in which money or shares don't add up; empty when all is well."""
    wrong: list[str] = []
    cash = sum(a.cash for a in state.accounts.values())
    locked = sum(m.collateral for m in state.markets.values())
    if cash + locked != state.issued:
        wrong.append(f"cash {cash} + collateral {locked} is not the {state.issued} issued")
    for market in state.markets.values():
        yes = sum(a.shares.get(market.yes_token, 0) for a in state.accounts.values())
        no = sum(a.shares.get(market.no_token, 0) for a in state.accounts.values())
        if market.payout is None and not yes == no == market.collateral:
            wrong.append(f"market {market.id}: yes {yes}, no {no}, collateral {market.collateral}")
        if market.payout is not None:
            owed = yes * market.payout + no * (state.unit - market.payout)
            if owed > market.collateral * state.unit:
                wrong.append(f"market {market.id}: owes {owed // state.unit}, holds {market.collateral}")
    reserved: dict[str, int] = {}
    for order in state.orders.values():
        if order.is_buy:
            reserved[order.address] = reserved.get(order.address, 0) + order.reserved
    for account in state.accounts.values():
        if account.cash < 0 or account.reserved_cash < 0 or account.pending_cash < 0 or account.free_cash < 0:
            wrong.append(f"{account.address}: negative cash")
        if account.reserved_cash != reserved.get(account.address, 0):
            wrong.append(f"{account.address}: reservations don't match its orders")
        for token, size in account.shares.items():
            if size < 0 or account.free_shares(token) < 0:
                wrong.append(f"{account.address}: negative shares of {token}")
    return wrong
