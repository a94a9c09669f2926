"""Signed transactions as an endpoint tells them, proven by their own hash and signature (EIP-155, EIP-2930, EIP-1559).

An endpoint that lies about a transaction is found out here: the fields it gave must encode to the hash that was asked
for, and the signature over them names the sender. That it stands in a block is the endpoint's word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import coincurve

from node.core.encoding import decode_hex
from node.core.errors import Malformed, NotVerified
from node.core.evm import rlp
from node.core.evm.keccak import keccak256
from node.core.strict_json import Json, JsonObject

MAX_INPUT_BYTES: Final = 128 * 1024
_QUANTITY: Final = re.compile(r"0x[0-9a-fA-F]{1,64}\Z")
_HALF_ORDER: Final = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
_LEGACY, _ACCESS_LIST, _DYNAMIC_FEE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """A transaction whose hash and signature were checked; addresses have 20 bytes, `to` is None for a deployment.

    `public_key` is the sender's, a compressed point of secp256k1 (33 bytes), as the signature gives it away.
    """

    hash: bytes
    chain_id: int
    sender: bytes
    public_key: bytes
    to: bytes | None
    data: bytes


def verify_transaction(value: Json, expected_hash: bytes) -> SignedTransaction:
    """The transaction that `eth_getTransactionByHash` answered with.

    Malformed: not a transaction of the three types; NotVerified: its fields have another hash, or its signature is
    none. A legacy transaction that names no chain could be replayed on any and is refused.
    """
    if not isinstance(value, dict):
        raise Malformed("a transaction is an object")
    kind = _quantity(value, "type") if "type" in value else _LEGACY
    if kind == _LEGACY:
        chain_id, parity = _legacy_chain(_quantity(value, "v"))
        unsigned = [*_legacy_fields(value), *(rlp.encode_integer(chain_id), b"", b"")]
        signed = [*_legacy_fields(value), *map(rlp.encode_integer, _signature(value, "v"))]
        prefix = b""
    elif kind in (_ACCESS_LIST, _DYNAMIC_FEE):
        chain_id = _quantity(value, "chainId")
        parity_name = "yParity" if "yParity" in value else "v"
        parity = _quantity(value, parity_name)
        unsigned = [rlp.encode_integer(chain_id), *_typed_fields(value, kind)]
        signed = [*unsigned, *map(rlp.encode_integer, _signature(value, parity_name))]
        prefix = bytes([kind])
    else:
        raise Malformed(f"transactions of type {kind} are not read here")
    found = keccak256(prefix + rlp.encode(signed))
    if found != expected_hash:
        raise NotVerified("the transaction has another hash than the one asked for")
    key = _recover(keccak256(prefix + rlp.encode(unsigned)), value, parity)
    sender = keccak256(key.format(compressed=False)[1:])[12:]
    to = None if value.get("to") is None else _bytes(value, "to", 20)
    return SignedTransaction(found, chain_id, sender, key.format(), to, _bytes(value, "input"))


def _legacy_fields(value: JsonObject) -> list[rlp.Encodable]:
    integers = [rlp.encode_integer(_quantity(value, name)) for name in ("nonce", "gasPrice", "gas")]
    return [*integers, *_target(value)]


def _typed_fields(value: JsonObject, kind: int) -> list[rlp.Encodable]:
    fees = ("gasPrice",) if kind == _ACCESS_LIST else ("maxPriorityFeePerGas", "maxFeePerGas")
    integers = [rlp.encode_integer(_quantity(value, name)) for name in ("nonce", *fees, "gas")]
    return [*integers, *_target(value), _access_list(value)]


def _target(value: JsonObject) -> list[rlp.Encodable]:
    to = b"" if value.get("to") is None else _bytes(value, "to", 20)
    return [to, rlp.encode_integer(_quantity(value, "value")), _bytes(value, "input")]


def _access_list(value: JsonObject) -> list[rlp.Encodable]:
    listed = value.get("accessList", [])
    if not isinstance(listed, list) or len(listed) > 256:
        raise Malformed("expected a list of at most 256 accounts", path=("accessList",))
    found: list[rlp.Encodable] = []
    for item in listed:
        keys = item.get("storageKeys") if isinstance(item, dict) else None
        if not isinstance(item, dict) or not isinstance(keys, list) or len(keys) > 1024:
            raise Malformed("expected accounts with their storage keys", path=("accessList",))
        found.append([_bytes(item, "address", 20), [_bytes({"key": key}, "key", 32) for key in keys]])
    return found


def _legacy_chain(v: int) -> tuple[int, int]:
    if v < 37:
        raise Malformed("a transaction that names no chain (EIP-155)", path=("v",))
    return (v - 35) // 2, (v - 35) % 2


def _signature(value: JsonObject, first: str) -> tuple[int, int, int]:
    return _quantity(value, first), _quantity(value, "r"), _quantity(value, "s")


def _recover(digest: bytes, value: JsonObject, parity: int) -> coincurve.PublicKey:
    r, s = _quantity(value, "r"), _quantity(value, "s")
    if parity > 1 or s > _HALF_ORDER:  # EIP-2: the high s is the same signature in other words
        raise NotVerified("the transaction's signature is none")
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([parity])
    try:
        return coincurve.PublicKey.from_signature_and_message(signature, digest, hasher=None)
    except Exception as error:
        raise NotVerified("the transaction's signature is none") from error


def _quantity(value: JsonObject, name: str) -> int:
    """A JSON-RPC quantity below 2^256. Leading zeros do no harm: the hash is over what is encoded anew."""
    text = value.get(name)
    if not isinstance(text, str) or not _QUANTITY.match(text):
        raise Malformed("expected a quantity", path=(name,))
    return int(text, 16)


def _bytes(value: JsonObject, name: str, length: int | None = None) -> bytes:
    text = value.get(name)
    if not isinstance(text, str) or len(text) > 2 * MAX_INPUT_BYTES + 2:
        raise Malformed("expected bytes in hex", path=(name,))
    try:
        return decode_hex(text.lower(), length)
    except Malformed as error:
        raise Malformed(error.detail, path=(name,)) from error
