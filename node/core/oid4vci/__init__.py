"""Messages and rules of OpenID for Verifiable Credential Issuance 1.0, for issuer and wallet alike.

Parsers of what a wallet sends raise Refused with the code that the issuer answers; parsers of what an issuer sends
raise Malformed. Nothing here opens a connection, keeps a state or knows the time.
"""
