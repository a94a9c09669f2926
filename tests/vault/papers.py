"""What is issued beside credentials, each read as its reader does: a signed checkpoint file, what an issuer says it
wrote to the chain, and what its web site says of its DID.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from vault.specimens import editions, read_index

from node.core.did.document import DidDocument, parse_did_document
from node.core.did.ethr_identity import parse_did_ethr
from node.core.encoding import decode_hex
from node.core.errors import BonafidesError, NotVerified
from node.core.evm.checkpoint import parse_checkpoint, parse_checkpoint_key
from node.core.evm.claim import differences, parse_claim
from node.core.evm.events import decode_registry_log
from node.core.evm.history import History, read_history
from node.core.jose.domain_linkage import linked_origins, read_did_configuration
from node.core.strict_json import parse_json, parse_json_object
from node.core.times import parse_datetime_stamp

Json = dict[str, Any]


@dataclass(frozen=True)
class Paper:
    """A file, and what it is held against; `entry` is its part of the index."""

    edition: Path
    entry: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Once in the whole vault."""
        return str(self.entry["name"])

    @property
    def kind(self) -> str:
        """Which of the three."""
        return str(self.entry["kind"])

    @cached_property
    def data(self) -> bytes:
        """The file."""
        return (self.edition / str(self.entry["file"])).read_bytes()

    @property
    def files(self) -> list[str]:
        """The files of its edition that it needs."""
        return [str(self.entry[name]) for name in ("file", "chain", "document") if name in self.entry]

    def judge(self, data: bytes | None = None) -> Json:
        """Whether the file, or `data` in its place, holds; of one that does what it says, else why not."""
        read = {
            "checkpoint": self._checkpoint,
            "audit": self._audit,
            "did-configuration": self._configuration,
        }
        try:
            return {"holds": True, **read[self.kind](self.data if data is None else data)}
        except BonafidesError as error:
            return {"holds": False, "why": error.detail}

    def _checkpoint(self, data: bytes) -> Json:
        """Signed by the operator's key."""
        found = parse_checkpoint(parse_json(data))
        found.verify_signature(parse_checkpoint_key(self.entry["key"]))
        return {"chain": found.chain, "sequence": found.sequence, "headers": len(found.headers)}

    def _audit(self, data: bytes) -> Json:
        """Of the DID, and the same as what the chain shows."""
        claim = parse_claim(parse_json(data))
        history = self._history()
        if claim.did != self.entry["did"] or parse_did_ethr(claim.did).identity != history.identity:
            raise NotVerified("the claim of another DID")
        if found := differences(claim, history):
            raise NotVerified(found[0].detail)
        return {"writes": len(history.events), "anchors": len(claim.anchors), "keys": len(claim.keys)}

    def _history(self) -> History:
        """What an endpoint told, and the state proved."""
        told = parse_json_object((self.edition / self.entry["chain"]).read_bytes())
        events = [event for log in told["logs"] if (event := decode_registry_log(log)) is not None]
        times = {int(number): time for number, time in told["times"].items()}
        history = read_history(decode_hex(told["identity"]), told["head"], events, times)
        history.check_words({decode_hex(slot): int(word, 16) for slot, word in told["slots"].items()})
        return history

    def _configuration(self, data: bytes) -> Json:
        """By the key of the DID, whose document says the same of the origin."""
        document, origin = self._document(), self.entry["origin"]
        if origin not in linked_origins(document):
            raise NotVerified("the DID document does not name the origin")
        linked = read_did_configuration(parse_json(data))
        if not linked:
            raise NotVerified("it links nothing")
        for one in linked:
            one.verify(document, origin, parse_datetime_stamp(self.entry["now"]))
        return {"linked": [one.did for one in linked]}

    def _document(self) -> DidDocument:
        told = parse_json_object((self.edition / self.entry["document"]).read_bytes())
        return parse_did_document(told, told["id"])


def papers() -> Iterator[Paper]:
    """All in the vault."""
    for edition in editions():
        for entry in read_index(edition).get("papers", []):
            yield Paper(edition, entry)
