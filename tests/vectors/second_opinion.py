"""Computes the vectors of our own formats a second time, from FORMATS.md alone.

    python tests/vectors/second_opinion.py [folder]

Written to share no code with the project: it imports the standard library and pycryptodome, has its own JSON
canonicalization, tree, RLP and trie walk, each in the plainest form, and says nothing about hostile input. It
prints the cases that differ and exits with 1 if there are any.
"""

from __future__ import annotations

import base64
import json
import sys
from hashlib import sha256
from pathlib import Path

from Crypto.Hash import keccak as crypto_keccak
from Crypto.PublicKey import ECC
from Crypto.Signature import eddsa


def H(data):  # noqa: N802 - FORMATS.md calls it so
    return sha256(data).digest()


def keccak(data):
    digest = crypto_keccak.new(digest_bits=256)
    digest.update(data)
    return digest.digest()


def u(count, value):
    return value.to_bytes(count, "big")


def b64u(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def jcs(value):
    """RFC 8785 for the values that occur in the vectors."""
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join(jcs(name) + ":" + jcs(value[name]) for name in names) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(jcs, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value)


# Section 4: trees, by the recursion of RFC 9162 ------------------------------------------------------------


def split(entries):
    k = 1
    while k * 2 < len(entries):
        k *= 2
    return entries[:k], entries[k:]


def mth(entries):
    if len(entries) == 1:
        return H(b"\0" + entries[0])
    left, right = split(entries)
    return H(b"\1" + mth(left) + mth(right))


def path(m, entries):
    if len(entries) == 1:
        return []
    left, right = split(entries)
    if m < len(left):
        return [*path(m, left), mth(right)]
    return [*path(m - len(left), right), mth(left)]


def subproof(m, entries, whole):
    if m == len(entries):
        return [] if whole else [mth(entries)]
    left, right = split(entries)
    if m <= len(left):
        return [*subproof(m, left, whole), mth(right)]
    return [*subproof(m - len(left), right, False), mth(left)]


def fold(leaf, index, size, digests):
    """From a leaf to the root: RFC 9162 section 2.1.3.2."""
    fn, sn, r = index, size - 1, leaf
    for p in digests:
        if fn % 2 == 1 or fn == sn:
            r = H(b"\1" + p + r)
            while fn % 2 == 0 and fn != 0:
                fn //= 2
                sn //= 2
        else:
            r = H(b"\1" + r + p)
        fn //= 2
        sn //= 2
    assert sn == 0
    return r


def commitment(size, root):
    return H(b"\2" + u(8, size) + root)


def tree_case(given):
    entries = [bytes.fromhex(entry) for entry in given["entries"]]
    size = len(entries)
    return {
        "leaves": [H(b"\0" + entry).hex() for entry in entries],
        "root": mth(entries).hex(),
        "paths": [[digest.hex() for digest in path(m, entries)] for m in range(size)],
        "consistency": [[digest.hex() for digest in subproof(m, entries, True)] for m in range(1, size + 1)],
        "commitment": commitment(size, mth(entries)).hex(),
    }


# Section 3: digests ----------------------------------------------------------------------------------------


def credential_digest(document, proof_value=None):
    proofs = document["proof"] if isinstance(document["proof"], list) else [document["proof"]]
    (chosen,) = [proof for proof in proofs if proof_value in (None, proof["proofValue"])]
    return H(jcs({**document, "proof": chosen}).encode())


def digest_case(given):
    if given["kind"] == "credential":
        digest = credential_digest(given["document"], given.get("proofValue"))
    elif given["kind"] == "token":
        digest = H(given["token"].split("~")[0].encode())
    else:
        did = given["did"].encode()
        digest = H(b"\4" + u(2, len(did)) + did + H(bytes.fromhex(given["bytes"])))
    return {"digest": digest.hex()}


def batch_case(given):
    items = [(kind, bytes.fromhex(digest)) for kind, digest in given["items"]]
    padding = [(0xFF, bytes.fromhex(digest)) for digest in given["paddingDigests"]]
    salts = [bytes.fromhex(salt) for salt in given["salts"]]
    size = 64
    while size < len(items):
        size *= 2
    placed = {}
    for (kind, digest), salt, index in zip(items + padding, salts, given["order"], strict=True):
        placed[index] = b"\1" + u(1, kind) + salt + digest
    entries = [placed[index] for index in range(size)]
    return {
        "size": size,
        "root": mth(entries).hex(),
        "commitment": commitment(size, mth(entries)).hex(),
        "places": [
            {"salt": salt.hex(), "index": index, "path": [digest.hex() for digest in path(index, entries)]}
            for _, salt, index in zip(items, salts, given["order"], strict=False)
        ],
    }


# Section 5: evidence ---------------------------------------------------------------------------------------


def evidence_entry(salt, name, media_type, genre, data):
    members = {"name": name, "mediaType": media_type, "length": len(data), "genre": genre}
    return b"\x01\x11" + salt + H(jcs(members).encode()) + H(data)


def evidence_case(given):
    entries = [
        evidence_entry(
            bytes.fromhex(salt), item["name"], item["mediaType"], item["genre"], bytes.fromhex(item["bytes"])
        )
        for item, salt in zip(given["items"], given["salts"], strict=True)
    ]
    sized = b"\2" + u(8, len(entries)) + mth(entries)
    multihash = base64.urlsafe_b64encode(b"\x12\x20" + H(sized)).decode().rstrip("=")
    return {
        "entries": [entry.hex() for entry in entries],
        "root": mth(entries).hex(),
        "commitment": H(sized).hex(),
        "id": "data:application/vnd.bonafides.evidence-root;base64," + base64.b64encode(sized).decode(),
        "digestMultibase": "u" + multihash,
        "paths": [[digest.hex() for digest in path(m, entries)] for m in range(len(entries))],
    }


# Section 6: slots ------------------------------------------------------------------------------------------


def slot(base, *keys):
    at = u(32, base)
    for key in keys:
        at = keccak(at + key.rjust(32, b"\0"))
    return at


def list_digest(purpose, url):
    return H(b"\3" + u(1, len(purpose.encode())) + purpose.encode() + url.encode())


def slot_case(given):
    identity, writer = bytes.fromhex(given["identity"]), bytes.fromhex(given["writer"])
    which = list_digest(given["purpose"], given["url"])
    p = given["index"] * given["statusSize"]
    bits = f"{int(given['word'], 16):0256b}"
    code = bytes.fromhex(given["initcode"])
    deployer = bytes.fromhex("4e59b44847b379578588920ca78fbf26c0b4956c")
    return {
        "list": which.hex(),
        "heads": slot(0, identity).hex(),
        "anchors": slot(1, identity, bytes.fromhex(given["commitment"])).hex(),
        "keys": slot(2, identity, keccak(bytes.fromhex(given["key"]))).hex(),
        "lists": slot(3, identity, which).hex(),
        "status": slot(4, identity, which, u(32, p // 256)).hex(),
        "writers": slot(5, identity, bytes.fromhex(given["owner"]), writer).hex(),
        "closed": slot(6, identity).hex(),
        "wordNumber": p // 256,
        "value": int(bits[p % 256 : p % 256 + given["statusSize"]], 2),
        "history": u(32, given["block"] % 8191).hex(),
        "create2": keccak(b"\xff" + deployer + bytes.fromhex(given["salt"]) + keccak(code))[12:].hex(),
    }


# Sections 7 and 8: a bundle --------------------------------------------------------------------------------


def rlp(data):
    """The first item of `data`, and the rest."""
    first = data[0]
    if first < 0x80:
        return data[:1], data[1:]
    base = 0x80 if first < 0xC0 else 0xC0
    if first - base <= 55:
        length, start = first - base, 1
    else:
        width = first - base - 55
        length, start = int.from_bytes(data[1 : 1 + width], "big"), 1 + width
    payload, rest = data[start : start + length], data[start + length :]
    if base == 0x80:
        return payload, rest
    items = []
    while payload:
        item, payload = rlp(payload)
        items.append(item)
    return items, rest


def lookup(nodes, root, key):
    """The value under the hashed key, or None."""
    nibbles = keccak(key).hex()
    want = root
    while True:
        items = rlp(nodes[want])[0] if isinstance(want, bytes) else want
        if len(items) == 17:
            want, nibbles = items[int(nibbles[0], 16)], nibbles[1:]
            if want == b"":
                return None
            continue
        flag, piece = items[0].hex()[0], items[0].hex()[1:]
        piece = piece if flag in "13" else piece[1:]
        if not nibbles.startswith(piece):
            return None
        nibbles = nibbles[len(piece) :]
        if flag in "23":
            return items[1]
        want = items[1]


def read(header, nodes, address, slots):
    by_hash = {keccak(node): node for node in map(b64u, nodes)}
    fields = rlp(b64u(header))[0]
    _, _, storage_root, code_hash = rlp(lookup(by_hash, fields[3], address))[0]
    values = {}
    for at in slots:
        value = lookup(by_hash, storage_root, at)
        values[at] = int.from_bytes(rlp(value)[0], "big") if value else 0
    return fields, code_hash, values


def unhex(text):
    assert text.startswith("0x")
    return bytes.fromhex(text[2:])


def base58(text):
    number = 0
    for letter in text:
        number = number * 58 + "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz".index(letter)
    return u((number.bit_length() + 7) // 8, number)


def bundle_case(given):
    bundle = given["bundle"]
    assert next(iter(bundle)) == "version"
    document, anchor, state = bundle["credential"], bundle["anchor"], bundle["state"]
    digest = credential_digest(document)
    leaf = H(b"\0" + b"\x01\x01" + b64u(anchor["salt"]) + digest)
    root = fold(leaf, anchor["index"], anchor["size"], [unhex(digest) for digest in anchor["path"]])
    committed = commitment(anchor["size"], root)
    identity = unhex("0x" + document["issuer"][-40:])
    status = document["credentialStatus"]
    which = list_digest(status["statusPurpose"], status["statusListCredential"])
    key = base58(bundle["key"]["publicKeyMultibase"][1:])
    wanted = [
        slot(1, identity, committed),
        slot(2, identity, keccak(key)),
        slot(6, identity),
        slot(3, identity, which),
        slot(4, identity, which, u(32, int(status["statusListIndex"]) // 256)),
    ]
    fields, code_hash, values = read(state["header"], state["nodes"], unhex(anchor["registry"]), wanted)
    header_hash, number = keccak(b64u(state["header"])), int.from_bytes(fields[8], "big")
    hop = state["hop"]
    at = u(32, number % 8191)
    history = bytes.fromhex("0000f90827f1c53a10cb7a02335b175320002935")
    newer, _, named = read(hop["header"], hop["nodes"], history, [at])
    assert u(32, named[at]) == header_hash
    return {
        "credentialDigest": digest.hex(),
        "commitment": committed.hex(),
        "headerHash": header_hash.hex(),
        "stateRoot": fields[3].hex(),
        "number": number,
        "timestamp": int.from_bytes(fields[11], "big"),
        "newestHash": keccak(b64u(hop["header"])).hex(),
        "newestNumber": int.from_bytes(newer[8], "big"),
        "codeHash": code_hash.hex(),
        "values": {at.hex(): u(32, value).hex() for at, value in values.items()},
        "evidenceShown": shown(document["evidence"][0], bundle["evidence"]),
    }


def shown(member, items):
    sized = base64.b64decode(member["id"].partition(",")[2])
    assert b64u(member["digestMultibase"][1:]) == b"\x12\x20" + H(sized)
    for item in items:
        data = b64u(item["bytes"])
        assert item["length"] == len(data)
        entry = evidence_entry(b64u(item["salt"]), item["name"], item["mediaType"], item["genre"], data)
        digests = [unhex(digest) for digest in item["path"]]
        size = int.from_bytes(sized[1:9], "big")
        assert fold(H(b"\0" + entry), item["index"], size, digests) == sized[9:]
    return [item["index"] for item in items]


def checkpoint_case(given):
    file = {name: value for name, value in given["file"].items() if name != "signature"}
    text = jcs(file)
    key = ECC.construct(curve="Ed25519", seed=bytes.fromhex(given["seed"]))
    raw = key.public_key().export_key(format="raw")
    number = int.from_bytes(b"\xed\x01" + raw, "big")
    letters = ""
    while number:
        number, digit = divmod(number, 58)
        letters = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"[digit] + letters
    signature = eddsa.new(key, "rfc8032").sign(text.encode())
    assert signature == b64u(given["file"]["signature"])
    return {
        "signedBytes": text,
        "signature": signature.hex(),
        "publicKey": raw.hex(),
        "publicKeyMultibase": "z" + letters,
    }


CASES = {
    "trees": tree_case,
    "digests": digest_case,
    "batches": batch_case,
    "evidence": evidence_case,
    "slots": slot_case,
    "bundles": bundle_case,
    "checkpoints": checkpoint_case,
}


def main(folder):
    differ = total = 0
    for name, compute in CASES.items():
        cases = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))["cases"]
        for number, case in enumerate(cases):
            total += 1
            found = compute(case["input"])
            if found != case["expected"]:
                differ += 1
                members = [
                    member for member in case["expected"] if found.get(member) != case["expected"][member]
                ]
                what = ", ".join(members) or "members beyond those expected"
                sys.stdout.write(f"{name} {number}: differs in {what}\n")
    sys.stdout.write(f"{total - differ} of {total} cases agree\n")
    return 1 if differ else 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "bonafides"))
