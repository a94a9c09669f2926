"""Decentralized identifiers: their syntax, their documents and the rules of the methods spoken here."""
