"""Where the key of a verification method comes from, and how far that is to be believed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from node.core import problem
from node.core.did.address import identifier_of, is_address, origin_of
from node.core.did.document import Account, DidDocument, MethodEnded, VerificationMethod
from node.core.did.ethr_identity import ethereum_address
from node.core.did.resolution import resolve_self_certifying
from node.core.did.syntax import is_did_ethr
from node.core.errors import Malformed, NotVerified
from node.core.jose import key_set
from node.core.keys import PublicKey
from node.core.verify.materials import (
    DocumentAnswer,
    DocumentNeed,
    Inquiry,
    KeySetAnswer,
    KeySetNeed,
    Missing,
)
from node.core.verify.report import Reason
from node.core.verify.snapshot import WITNESSED_METHODS, Uncounted, Witnessed

_INVALID_RELATIONSHIP: Final = problem.INVALID_RELATIONSHIP_FOR_VERIFICATION_METHOD


@dataclass(frozen=True, slots=True)
class KeyFound:
    """A key for a verification method.

    `confirmed`: it certifies itself, or a slot or several voices confirm it; a wrong signature then counts against the
    document. `doubt`: why a right signature does not count for it either. `fit`: the method may be used for the proof's
    purpose.
    """

    key: PublicKey
    source: str
    confirmed: bool = True
    doubt: Reason | None = None
    fit: bool = True


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sent a transaction: the key of secp256k1 that signed it, on the chain with that number."""

    key: PublicKey
    chain_id: int

    @property
    def account(self) -> Account:
        """The account that sent it."""
        return Account(self.chain_id, ethereum_address(self.key))


@dataclass(frozen=True, slots=True)
class KeyNamed:
    """What a signature says of its key: a verification method, and what it is used for.

    `method` is a bare DID where a token does not say which of its signer's keys it was: then it is the one that is
    listed for the purpose and `shown` in the token's header, or the only one that is listed. `proof_value` tells an
    embedded proof from others of the same document; a token has one signature and none. `sender` is whoever signed by
    a transaction: then a method may name its account in place of a key. `publisher` is the issuer of a token that is
    named by an https address: then the method is the address of a key, where it else is one in the document there.
    """

    method: str
    purpose: str
    proof_value: str | None = None
    shown: PublicKey | None = None
    sender: Sender | None = None
    publisher: str | None = None


@dataclass(frozen=True, slots=True)
class KeyMissing:
    """No key for a verification method, and why. `refused` where the DID document says that there is none."""

    reason: Reason
    detail: str
    refused: bool = False


KeyFinder = Callable[[KeyNamed], KeyFound | KeyMissing]


def _no_snapshot(_: str) -> None:
    return None


def find_key(
    named: KeyNamed,
    inquiry: Inquiry,
    *,
    as_of: datetime,
    may_fetch: Callable[[str], bool],
    confirm: Callable[[PublicKey], bool],
    snapshot: Callable[[str], Witnessed | Uncounted | None] = _no_snapshot,
) -> KeyFound | KeyMissing:
    """The key of a verification method: by itself, from a chain's events, (mode full) from the web, or by a snapshot.

    From the web is what a did:web, a did:webvh or an https address itself says: each speaks for its own methods alone.

    What the site itself says now goes before what a witness saw of it, unless newer entries are withheld there. A key
    that its document says had ended at the time `as_of` is nobody's: when a signature was made is its signer's word.
    """
    if named.publisher is not None:
        return _at_address(named, named.publisher, inquiry, may_fetch)
    try:
        did = identifier_of(named.method)
    except Malformed as error:
        reason = Reason.KEY_NOT_LOOKED_UP if is_address(named.method) else Reason.KEY_UNKNOWN
        return KeyMissing(reason, f"its verification method cannot be looked up: {error.detail}")
    if (own := _self_certified(did, named, as_of)) is not None:
        return own
    on_chain = is_did_ethr(did)
    answer: DocumentAnswer | Missing = Missing(
        "it is not fetched for somebody who is not listed", forbidden=True
    )
    if on_chain or may_fetch(did):
        answer = inquiry.document(DocumentNeed(did), on_chain=on_chain)
    shown = snapshot(did)
    if isinstance(shown, Witnessed) and (isinstance(answer, Missing) or shown.is_newer_than(answer)):
        return _witnessed(shown, named, answer, as_of)
    if isinstance(answer, Missing):
        return _not_at_hand(did, answer, shown if isinstance(shown, Uncounted) else None)
    found = _in_document(answer.document, named, answer.source, as_of)
    if answer.agreed:
        return found
    if isinstance(found, KeyMissing):
        return replace(found, refused=False)  # one voice says so, which is no proof of it
    return found if confirm(found.key) else replace(found, confirmed=False, doubt=Reason.KEY_SOURCE_WEAK)


def _self_certified(did: str, named: KeyNamed, as_of: datetime) -> KeyFound | KeyMissing | None:
    """The key that is in the identifier itself; None where a document has to be had."""
    if is_address(did):
        return None
    try:
        own = resolve_self_certifying(did)
    except Malformed as error:
        return KeyMissing(Reason.KEY_UNKNOWN, error.detail, refused=True)
    return None if own is None else _in_document(own, named, "its own identifier", as_of)


def _at_address(
    named: KeyNamed, publisher: str, inquiry: Inquiry, may_fetch: Callable[[str], bool]
) -> KeyFound | KeyMissing:
    """The key that the issuer of a token publishes, in mode full, at the origin of its own identifier.

    There the host speaks for itself, as it does for a did:web; what another host says of an issuer counts for nothing.
    """
    try:
        if origin_of(named.method) != origin_of(publisher):
            raise Malformed("its key is at another host than its issuer, who alone can say whose it is")
        if not may_fetch(publisher):
            return KeyMissing(Reason.KEY_NOT_ASKED, "the key of somebody who is not listed is not fetched")
        return _published(named, publisher, inquiry)
    except Malformed as error:
        return KeyMissing(Reason.KEY_NOT_LOOKED_UP, error.detail)


def _published(named: KeyNamed, publisher: str, inquiry: Inquiry) -> KeyFound | KeyMissing:
    """The key at the address that the token names, or by its issuer's metadata where it names none beside the issuer's.

    Malformed where what is there is not what it should be, or leaves a choice.
    """
    address, _, fragment = named.method.partition("#")
    by_metadata = address == publisher
    url = key_set.metadata_url(publisher) if by_metadata else address
    answer = inquiry.key_set(KeySetNeed(url))
    if by_metadata and isinstance(answer, KeySetAnswer):
        place = key_set.place_in_metadata(answer.content, publisher)
        answer = answer if place is None else inquiry.key_set(KeySetNeed(place))
    if isinstance(answer, Missing):
        reason = Reason.KEY_NOT_ASKED if answer.forbidden else Reason.KEY_UNREACHABLE
        return KeyMissing(reason, f"the key is not at hand: {answer.reason}")
    names = {fragment, named.method} - {"", publisher}
    key = key_set.choose(key_set.parse_keys(answer.content), names, named.shown)
    if key is None:
        raise Malformed("at the address of its issuer's keys it cannot be told which of them is meant")
    return KeyFound(key, f"its issuer's own site, {answer.source}")


def _not_at_hand(did: str, answer: Missing, shown: Uncounted | None) -> KeyMissing:
    """What keeps the document of a DID or of an address away, told as what would help."""
    detail = f"the key is not at hand: {answer.reason}"
    if shown is not None:
        detail += f"; the snapshot in its bundle does not count: {shown.detail}"
    if is_did_ethr(did):
        reason = Reason.KEY_UNKNOWN  # a bundle has it
    elif not (is_address(did) or did.startswith(WITNESSED_METHODS)):
        reason = Reason.KEY_NOT_LOOKED_UP
    else:
        reason = Reason.KEY_NOT_ASKED if answer.forbidden else Reason.KEY_UNREACHABLE
    return KeyMissing(reason, detail)


def _witnessed(
    shown: Witnessed, named: KeyNamed, answer: DocumentAnswer | Missing, as_of: datetime
) -> KeyFound | KeyMissing:
    """A method that is not in a snapshot may have been added since, unless the DID was ended in it."""
    if shown.doubt is not None and isinstance(answer, Missing):
        detail = f"the key is not at hand: {answer.reason}; and there is only {shown.source}"
        return KeyMissing(shown.doubt, detail)
    if shown.doubt is not None:
        detail = f"the log that its site serves lacks an entry that is in {shown.source}"
        return KeyMissing(Reason.KEY_UNREACHABLE, detail)
    found = _in_document(shown.seen.document, named, shown.source, as_of)
    if isinstance(found, KeyFound):
        return found
    return replace(
        found, detail=f"{found.detail}, by {shown.source}", refused=found.refused and shown.seen.ended
    )


def _in_document(
    document: DidDocument, named: KeyNamed, source: str, as_of: datetime
) -> KeyFound | KeyMissing:
    method = named.method if named.method != document.id else _only_listed(document, named)
    if method is None:
        return KeyMissing(Reason.KEY_UNKNOWN, "it does not say with which of its signer's keys it was signed")
    try:
        found, fit = document.method(method, named.purpose, at=as_of), True
    except MethodEnded as error:
        return KeyMissing(Reason.KEY_ENDED, error.detail, refused=True)
    except NotVerified as error:
        if error.problem.type != _INVALID_RELATIONSHIP:
            return KeyMissing(Reason.KEY_UNKNOWN, error.detail, refused=True)
        listed, fit = find_in(document, method), False
        if listed is None:
            return KeyMissing(Reason.KEY_UNKNOWN, error.detail, refused=True)
        found = listed
    if found.public_key is not None:
        return KeyFound(found.public_key, source, fit=fit)
    if named.sender is None or found.account is None:
        return KeyMissing(Reason.UNKNOWN_SUITE, f"a key of type {found.type} does not sign documents here")
    if named.sender.account != found.account:
        detail = f"the transaction was sent by another account than that of the method, by {source}"
        return KeyMissing(Reason.CHANGED, detail, refused=True)
    return KeyFound(named.sender.key, source, fit=fit)


def _only_listed(document: DidDocument, named: KeyNamed) -> str | None:
    """The method that is meant where none is named, if there is no choice."""
    listed = document.relationships.get(named.purpose, frozenset())
    fitting = [
        one.id
        for one in document.methods
        if one.id in listed and (named.shown is None or one.public_key == named.shown)
    ]
    return fitting[0] if len(fitting) == 1 else None


def find_in(document: DidDocument, method: str) -> VerificationMethod | None:
    """The method of that id, whatever it may be used for."""
    return next((one for one in document.methods if one.id == method), None)
