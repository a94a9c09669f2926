"""What a Signer with a BLS12-381 key is given: not one message but all that goes into a BBS signature, as bytes.

A Signer of any other kind signs the bytes themselves. The key stays where it is; nothing else is secret here but the
statements of the credential, and the entropy that goes to the holder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from node.core.bbs.blind import BLIND_BBS, PSEUDONYM_BBS, blind_sign
from node.core.bbs.signatures import sign
from node.core.cbor import decode_cbor, encode_cbor
from node.core.errors import Malformed


@dataclass(frozen=True, slots=True, repr=False)
class SigningRequest:
    """One signature to be made; with a commitment a blind one, with entropy (32 bytes) one for pseudonyms."""

    public_key: bytes
    header: bytes
    messages: Sequence[bytes]
    commitment_with_proof: bytes = b""
    signer_nym_entropy: bytes = b""

    def encode(self) -> bytes:
        """The request as the bytes that `Signer.sign` takes."""
        return encode_cbor(
            [
                self.public_key,
                self.header,
                list(self.messages),
                self.commitment_with_proof,
                self.signer_nym_entropy,
            ]
        )


def sign_request(secret_key: int, request: bytes) -> bytes:
    """The signature, 80 bytes, that an encoded request asks for.

    Malformed: it is no request. NotVerified: it holds a commitment whose maker did not know what is in it.
    """
    asked = _parse(request)
    if not asked.commitment_with_proof:
        return sign(secret_key, asked.public_key, asked.header, asked.messages)
    entropy = int.from_bytes(asked.signer_nym_entropy, "big") if asked.signer_nym_entropy else None
    return blind_sign(
        secret_key,
        asked.public_key,
        asked.commitment_with_proof,
        asked.header,
        asked.messages,
        signer_nym_entropy=entropy,
        interface=BLIND_BBS if entropy is None else PSEUDONYM_BBS,
    )


def _parse(request: bytes) -> SigningRequest:
    items = decode_cbor(request)
    if type(items) is not list or len(items) != 5 or type(items[2]) is not list:
        raise Malformed("a BLS12-381 key signs requests for BBS signatures alone")
    texts = [item for item in (*items[:2], *items[3:], *items[2]) if type(item) is bytes]
    if len(texts) != 4 + len(items[2]):
        raise Malformed("a request for a BBS signature is made of byte strings")
    public_key, header, commitment, entropy, *messages = texts
    if entropy and (len(entropy) != 32 or not commitment):
        raise Malformed("entropy for pseudonyms is 32 bytes beside a commitment")
    return SigningRequest(public_key, header, messages, commitment, entropy)
