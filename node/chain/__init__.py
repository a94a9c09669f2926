"""Transactions, and the embedded development chain."""
