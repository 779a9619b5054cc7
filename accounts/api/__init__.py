"""The REST API's routers of accounts, orders, fills, positions and the emergency stop; `hedgerow.api` mounts them."""
