"""Credential status: what an entry points at, and what the lists of four standards say of it."""
