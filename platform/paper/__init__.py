"""Paper venues: honest servers that speak a real venue's wire protocol over a real matching engine.

Nothing in the product imports this package; it is a peer on the network. It keeps money, shares and orders exact.
"""
