"""Strategies: typed configuration, pure handlers, risk checks, exposures, and the dispatch that runs them."""
