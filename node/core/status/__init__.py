"""Credential status: Bitstring Status List 1.0, and its predecessor StatusList2021 for reading."""
