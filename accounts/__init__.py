"""Venue accounts: sealed keys, orders, fills, positions, the ledger, the executor, the listener, the stop."""
