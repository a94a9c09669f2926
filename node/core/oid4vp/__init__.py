"""OpenID for Verifiable Presentations 1.0: messages and rules for both sides, no transport."""
