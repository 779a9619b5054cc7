"""The REST API's routers of strategies, their exposures and decisions; `hedgerow.api` mounts them."""
