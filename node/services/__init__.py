"""Use cases of the issuer and the verifier, one a file."""
