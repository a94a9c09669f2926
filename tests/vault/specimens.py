"""Reading the vault: editions, their specimens, and what an offline verifier makes of them today."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from node.commands.loading import load_checkpoints, load_networks, load_standards, load_trust
from node.core.dataintegrity.bbs_2023 import BoundHolder
from node.core.dataintegrity.bbs_binding import holder_of_json
from node.core.did.document import parse_did_document
from node.core.errors import Malformed
from node.core.strict_json import parse_json_object
from node.core.times import parse_datetime_stamp
from node.core.verify import engine
from node.core.verify.holder import Asked
from node.core.verify.intake import read_intake
from node.core.verify.materials import (
    Answer,
    DocumentAnswer,
    DocumentNeed,
    Materials,
    Missing,
    Mode,
    Need,
    StatusListAnswer,
    StatusListNeed,
    TransactionAnswer,
    TransactionNeed,
)
from node.core.verify.policy import named_policy
from node.core.verify.report import Report
from node.core.verify.verifier import Standards, Verifier

VAULT: Final = Path(__file__).parent
INDEX: Final = "index.json"

Json = dict[str, Any]


@cache
def standards() -> Standards:
    """Those of this build: contexts, schemas, networks."""
    return load_standards()


@cache
def _believed(edition: Path, policy: str, mode: str) -> Verifier:
    """The verifier that an edition was written for: its own networks, trust list and checkpoint, as files."""
    return Verifier.of(
        standards(),
        operator_networks=load_networks(edition / "networks.json"),
        trust=load_trust(edition / "trust.json"),
        checkpoints=load_checkpoints([edition / "checkpoint.json"]),
        policy=named_policy(policy),
        mode=Mode(mode),
    )


@dataclass(frozen=True)
class Specimen:
    """A file as somebody holds it, and the occasion on which it is judged; `entry` is its part of the index."""

    edition: Path
    entry: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Once in the whole vault."""
        return str(self.entry["name"])

    @cached_property
    def data(self) -> bytes:
        """The file."""
        return (self.edition / str(self.entry["file"])).read_bytes()

    @property
    def verifier(self) -> Verifier:
        """What its verifier believes and demands."""
        return _believed(self.edition, self.entry["policy"], self.entry["mode"])

    @property
    def now(self) -> datetime:
        """When it is judged."""
        return parse_datetime_stamp(self.entry["now"])

    def judge(
        self, data: bytes | None = None, *, verifier: Verifier | None = None, now: datetime | None = None
    ) -> Report:
        """The report of today's engine on the file, or on `data` in its place. Nothing is opened.

        By its own verifier and at its own time, where no others are given.
        """
        verifier, entry, now = verifier or self.verifier, self.entry, now or self.now
        try:
            intake = read_intake(self.data if data is None else data)
        except Malformed as error:
            return engine.unreadable(error, verifier, now=now)
        asked = entry.get("asked", {})
        domain = asked.get("domain")
        materials = Materials.none()
        while missing := engine.needs(intake, materials, verifier, now=now):
            materials = materials.extended({need: self._answer(need) for need in missing}, ())
        return engine.verify(
            intake,
            materials,
            verifier,
            now=now,
            asked=Asked(asked.get("challenge"), None if domain is None else (domain,)),
        )

    def _answer(self, need: Need) -> Answer | Missing:
        """What was told when the specimen was made, out of the files that its index names."""
        match need:
            case StatusListNeed(url) if url in self.entry.get("lists", {}):
                return StatusListAnswer(self._json(self.entry["lists"][url]), url)
            case DocumentNeed(did) if did in self.entry.get("documents", {}):
                told = parse_did_document(self._json(self.entry["documents"][did]), did)
                return DocumentAnswer(told, agreed=True, source="the vault")
            case TransactionNeed(chain_id, _) if "transaction" in self.entry:
                sent = self._json(self.entry["transaction"])
                if sent["chainId"] == chain_id:
                    time = parse_datetime_stamp(sent["time"])
                    return TransactionAnswer(sent["transaction"], sent["block"], time, "the vault")
        return Missing("nobody answers in the vault")

    def _json(self, name: str) -> Json:
        return parse_json_object((self.edition / name).read_bytes())

    @property
    def files(self) -> list[str]:
        """The files of its edition that it needs."""
        told = [*self.entry.get("lists", {}).values(), *self.entry.get("documents", {}).values()]
        single = [self.entry[name] for name in ("file", "transaction", "secrets") if name in self.entry]
        return [*single, *told]

    @property
    def secrets(self) -> BoundHolder | None:
        """What its holder's wallet keeps beside it, where it is bound to that."""
        return holder_of_json(self._json(self.entry["secrets"])) if "secrets" in self.entry else None


def editions() -> list[Path]:
    """The folders of the vault, each written once."""
    return sorted(file.parent for file in VAULT.glob(f"*/{INDEX}"))


def read_index(edition: Path) -> Json:
    """What an edition says of itself: digests of its files, and its specimens."""
    return parse_json_object((edition / INDEX).read_bytes())


def specimens() -> Iterator[Specimen]:
    """Everything in the vault."""
    for edition in editions():
        for entry in read_index(edition)["specimens"]:
            yield Specimen(edition, entry)


def outcomes(report: Report) -> Json:
    """What is compared: both answers, sixteen outcomes and a pseudonym, also of what is within."""
    body: Json = {
        "acceptance": str(report.acceptance),
        "verified": report.verified,
        "checks": {str(check.name): str(check.outcome) for check in report.checks},
    }
    if report.holder_secret is not None:
        body["holderSecret"] = report.holder_secret.to_json()
    for member, within in (("credentials", report.credentials), ("endorsements", report.endorsements)):
        if within:
            body[member] = [outcomes(one) for one in within]
    return body


def digest(data: bytes) -> str:
    """SHA-256 in hex."""
    return sha256(data).hexdigest()


def encode(value: Json) -> bytes:
    """JSON as the vault's own files are written."""
    return json.dumps(value, ensure_ascii=False, indent=1).encode() + b"\n"


def encode_index(index: Json) -> bytes:
    """The index, a specimen or paper a line."""
    lists = [name for name in ("specimens", "papers") if name in index]
    text = json.dumps({**index, **{name: [] for name in lists}}, ensure_ascii=False, indent=1)
    for name in lists:
        lines = ",\n".join(json.dumps(one, ensure_ascii=False) for one in index[name])
        text = text.replace(f'"{name}": []', f'"{name}": [\n{lines}\n]')
    return text.encode() + b"\n"
