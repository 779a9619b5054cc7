"""The ledger: the only writer of orders, fills and positions. Every function works inside its caller's transaction."""
