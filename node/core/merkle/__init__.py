"""The RFC 9162 Merkle tree: building it, and checking its proofs."""
