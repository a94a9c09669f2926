"""The Bonafides node: issuer and verifier roles around one public chain."""
