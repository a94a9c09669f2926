"""JSON Object Signing: compact JWS and what is built on it."""
