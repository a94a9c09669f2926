"""Error codes of OpenID4VCI 1.0, and reading the error that a server answered."""

from __future__ import annotations

from typing import Final

from node.core.errors import BonafidesError, Malformed, Refused, Unavailable
from node.core.strict_json import parse_json_object

# Section 6.3 and RFC 6749 section 5.2
INVALID_REQUEST: Final = "invalid_request"
INVALID_GRANT: Final = "invalid_grant"
UNSUPPORTED_GRANT_TYPE: Final = "unsupported_grant_type"
# RFC 6750 section 3.1
INVALID_TOKEN: Final = "invalid_token"  # noqa: S105 - an error code
# Section 8.3.1.2
INVALID_CREDENTIAL_REQUEST: Final = "invalid_credential_request"
UNKNOWN_CREDENTIAL_CONFIGURATION: Final = "unknown_credential_configuration"
UNKNOWN_CREDENTIAL_IDENTIFIER: Final = "unknown_credential_identifier"
INVALID_PROOF: Final = "invalid_proof"
INVALID_NONCE: Final = "invalid_nonce"
INVALID_ENCRYPTION_PARAMETERS: Final = "invalid_encryption_parameters"
CREDENTIAL_REQUEST_DENIED: Final = "credential_request_denied"
# Section 9.3 and 11.3
INVALID_TRANSACTION_ID: Final = "invalid_transaction_id"
INVALID_NOTIFICATION_ID: Final = "invalid_notification_id"
INVALID_NOTIFICATION_REQUEST: Final = "invalid_notification_request"

_MAX_ERROR_BYTES: Final = 16 * 1024
_MAX_SHOWN: Final = 300


def parse_error(status: int, body: bytes, *, asked: str) -> BonafidesError:
    """What to raise for an answer of the server `asked` that is none of the successes of its endpoint.

    Refused with the server's own code where it gave one; Unavailable for its own faults, which may pass.
    """
    try:
        answer = parse_json_object(body, max_bytes=_MAX_ERROR_BYTES)
    except Malformed:
        answer = {}
    code, words = answer.get("error"), answer.get("error_description")
    if status >= 500 or status == 429 or not isinstance(code, str):
        return Unavailable(f"the issuer answered with status {status}", asked=asked)
    shown = f": {_printable(words)}" if isinstance(words, str) else ""
    return Refused(f"the issuer refused ({_printable(code)}){shown}", code=code)


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text[:_MAX_SHOWN])
