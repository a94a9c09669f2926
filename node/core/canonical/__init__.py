"""Canonical forms: what exactly is hashed and signed, and that it is what was read."""
