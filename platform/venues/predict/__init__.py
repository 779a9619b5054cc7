"""Predict.fun, on BNB chain: its wire formats stay in here; what leaves is in the kernel's words."""
