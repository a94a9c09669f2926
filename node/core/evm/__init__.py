"""What an Ethereum chain proves: headers, state proofs, the slots of our registry, the networks we know."""
