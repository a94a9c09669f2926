"""did:pkh of Ethereum accounts: the document that follows from a CAIP-10 account (W3C CCG, did:pkh Method).

The account's key is not in the identifier, only the hash of it: the one method is for recovery signatures of wallets,
which no suite here makes, so such a DID can be shown as issuer or subject and is linked by others, but signs no
document. What its account sent in a transaction is its all the same (Blockcerts).
"""

from __future__ import annotations

import re
from typing import Final

from node.core import problem
from node.core.did.document import (
    ASSERTION_METHOD,
    AUTHENTICATION,
    DID_CONTEXT,
    DidDocument,
    parse_did_document,
)
from node.core.did.syntax import parse_did
from node.core.errors import Malformed

_RECOVERY_CONTEXT: Final = "https://w3id.org/security/suites/secp256k1recovery-2020/v2"
# CAIP-10; the chain's number as CAIP-2 writes it for Ethereum.
_ACCOUNT: Final = re.compile(r"eip155:(?:0|[1-9][0-9]{0,31}):0x[0-9a-fA-F]{40}\Z")


def resolve_did_pkh(did: str) -> DidDocument:
    """The document of a did:pkh; Malformed with type INVALID_DID where it names no Ethereum account."""
    method, account = parse_did(did)
    if method != "pkh" or not _ACCOUNT.match(account):
        raise Malformed("not a did:pkh of an Ethereum account", type=problem.INVALID_DID)
    method_id = f"{did}#blockchainAccountId"
    document = {
        "@context": [DID_CONTEXT, _RECOVERY_CONTEXT],
        "id": did,
        "verificationMethod": [
            {
                "id": method_id,
                "type": "EcdsaSecp256k1RecoveryMethod2020",
                "controller": did,
                "blockchainAccountId": account,
            }
        ],
        AUTHENTICATION: [method_id],
        ASSERTION_METHOD: [method_id],
    }
    return parse_did_document(document, did)
