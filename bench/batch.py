"""Issue 100,000 different badges as `issuer issue` and the anchor worker do it; SQLite on disk, commits synced.

The issuer has an identity on a chain, so that digests wait for a batch and every credential has a status entry; the
chain itself is not spoken to. Ratios are to the bare work: a libsodium signature of the 64 bytes that a suite signs and
the SHA-256 of a document as long as the badges are. Two processes: one writes while the other signs. The processor time
of both is told too, since the time by the clock holds what else the machine does.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import json
import os
import random
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nacl.signing

from bench.rows import Row
from node.commands.loading import load_standards
from node.core.did.ethr_identity import did_ethr
from node.core.did.key import did_key_of
from node.core.keys import KeyKind, PublicKey
from node.core.status.entry import REVOCATION
from node.services import issuance, sealing
from node.services.cohort import load_cohort
from node.services.issuer import Issuer, Keyring
from node.services.preparing import Terms
from node.services.rotation import make_key
from node.storage.database import Database, open_database, sqlite_url
from node.storage.protocols.credentials import CredentialState
from node.storage.protocols.issuer import IssuerKey, IssuerSettings, KeyRole, KeyState
from node.storage.protocols.status_lists import ListMode, StatusList

BADGES = 100_000
_LIMITS = {"eddsa-rdfc-2022": 10, "eddsa-jcs-2022": 20}
_DOCUMENT_BYTES = 2_200
_MAKING = ("intended, signed and stored", "trees, inclusion proofs, stored")
PASSPHRASE = "bench"  # noqa: S105 - opens nothing that lasts
IDENTITY = bytes(range(20))
_KEY_URI = "file:keys/assertion-1.json"
_ACHIEVEMENT = "urn:uuid:5e1a2c7e-94ab-4d0c-8b39-3a1d0c5f7a20"
TEMPLATE: dict[str, Any] = {
    "template": 1,
    "name": "Data structures",
    "achievement": {
        "id": _ACHIEVEMENT,
        "name": "Data structures",
        "description": "Implements and tests lists, trees and hash tables",
        "criteria": {"narrative": "All tests of the final task pass and a reviewer has read the code"},
        "resultDescription": [
            {
                "id": f"urn:uuid:00000000-0000-4000-8000-00000000000{number}",
                "type": ["ResultDescription"],
                "name": name,
                "resultType": "RawScore",
                "valueMin": "0",
                "valueMax": "100",
            }
            for number, name in enumerate(("tests", "style", "report"))
        ],
    },
    "results": [
        {
            "resultDescription": f"urn:uuid:00000000-0000-4000-8000-00000000000{number}",
            "value": f"{{{name}:optional}}",
        }
        for number, name in enumerate(("tests", "style", "report"))
    ],
    "subject": {"narrative": "{note:optional}", "activityEndDate": "{assessed_at}"},
    "awardedDate": "{assessed_at}",
    "validDays": 730,
}


@dataclass(frozen=True, slots=True)
class _Lap:
    """Seconds by the clock and of the processor."""

    clock: float
    processor: float

    @classmethod
    def now(cls) -> _Lap:
        used = os.times()  # of children too, once they have ended
        return cls(
            time.perf_counter(), sum((used.user, used.system, used.children_user, used.children_system))
        )


def measure(badges: int = BADGES) -> Iterator[Row]:
    """Both suites; what is made of the rows counts, the time before that is told."""
    for suite, at_least in _LIMITS.items():
        before = _bare(badges)
        stages = asyncio.run(_issue(suite, badges))
        bare = min(before, _bare(badges))
        work = f"{badges:,} badges by {suite}"

        def percent(taken: Iterable[float], bare: float = bare) -> float:
            return 100 * bare / sum(taken)

        made = [stages[stage] for stage in _MAKING]
        unit = "% of bare sign + SHA-256"
        yield Row(f"issue {work}", percent(lap.clock for lap in made), unit, at_least)
        yield Row(f"  {work}, processor time", percent(lap.processor for lap in made), unit)
        yield Row(f"  {work}, with reading", percent(lap.clock for lap in stages.values()), unit)
        yield Row(f"  {suite}: bare sign + SHA-256", bare / badges * 1e6, "µs a badge")
        for stage, lap in stages.items():
            yield Row(f"  {suite}: {stage}", lap.clock / badges * 1e6, "µs a badge")
            yield Row(f"  {suite}: {stage}, processor", lap.processor / badges * 1e6, "µs a badge")


def _bare(badges: int) -> float:
    key = nacl.signing.SigningKey(bytes(32))
    document = bytes(_DOCUMENT_BYTES)
    started = time.process_time()
    for number in range(badges):
        hashlib.sha256(document).digest()
        key.sign(number.to_bytes(64, "big"))
    return time.process_time() - started


async def _issue(suite: str, count: int) -> dict[str, _Lap]:
    with tempfile.TemporaryDirectory(prefix="bonafides-bench-") as name:
        folder = Path(name)
        template, cohort = folder / "template.json", folder / "cohort.csv"
        template.write_text(json.dumps(TEMPLATE))
        write_cohort(cohort, count)
        database = await open_database(sqlite_url(folder / "issuer.db"))
        try:
            return await _stages(await _issuer(folder, database), template, cohort, suite)
        finally:
            await database.close()


async def _stages(issuer: Issuer, template: Path, cohort: Path, suite: str) -> dict[str, _Lap]:
    stages = {}
    begun = _Lap.now()

    def lap(stage: str) -> None:
        nonlocal begun
        now = _Lap.now()
        stages[stage] = _Lap(now.clock - begun.clock, now.processor - begun.processor)
        begun = now

    loaded = load_cohort(template, cohort)
    lap("cohort read")
    plan = await issuance.plan(issuer, loaded, Terms(suite))
    lap("shapes checked as a verifier would")
    await issuance.issue(issuer, plan)
    lap(_MAKING[0])
    sealed = await _seal(issuer)
    lap(_MAKING[1])
    async with issuer.store.reading() as reading:
        counts = await reading.credentials.counts()
    assert counts[CredentialState.SIGNED] == sealed == len(loaded.rows)
    return stages


async def _seal(issuer: Issuer) -> int:
    """Batches as the anchor worker closes them, less the call to the contract."""
    done = 0
    while True:
        async with issuer.store.transaction() as transaction:
            items = await transaction.batches.load_waiting(issuer.anchoring.batch_size)
            if not items:
                return done
            await sealing.seal(transaction, items, issuer.clock())
            done += len(items)


async def _issuer(folder: Path, database: Database) -> Issuer:
    """An issuer whose key and status list stand on a chain, as far as its database knows."""
    now = datetime.now(UTC)
    did = did_ethr(1, IDENTITY)
    settings = IssuerSettings(
        did=did,
        name="School of Examples",
        url="https://school.example",
        chain="eip155:1",
        identity=IDENTITY,
        did_registry=IDENTITY,
        credential_registry=IDENTITY,
        created_at=now,
    )
    multibase = make_key(KeyKind.ED25519, folder, _KEY_URI, PASSPHRASE)
    key = IssuerKey(
        multibase=multibase,
        role=KeyRole.ASSERTION,
        uri=_KEY_URI,
        verification_method=f"{did}#delegate-1",
        delegate=1,
        state=KeyState.ACTIVE,
        valid_from=1,
        valid_until=None,
        created_at=now,
    )
    lists = [_status_list(number, now) for number in (1, 2)]  # half of 2^17 entries are given out of each
    async with database.transaction() as transaction:
        await transaction.issuer.save(settings)
        await transaction.keys.add(key)
        for status_list in lists:
            await transaction.status_lists.add(status_list)
            await transaction.status_lists.mark_open(status_list.list_id, 1)
    return Issuer(database, settings, Keyring(folder, PASSPHRASE), load_standards())


def _status_list(number: int, now: datetime) -> StatusList:
    return StatusList(
        list_id=bytes([number]) * 32,
        purpose=REVOCATION,
        url=f"https://school.example/status/{number}",
        mode=ListMode.OR_ONLY,
        log2_entries=17,
        status_size=1,
        transaction_id=None,
        opened_block=None,
        is_open=False,
        allocated=0,
        created_at=now,
    )


def write_cohort(file: Path, count: int) -> None:
    """Rows of different lengths, marks and letters; some cells are empty."""
    chance = random.Random(count)  # noqa: S311 - the same cohort every time
    notes = ("", "", "with distinction", "avec mention très bien", "mit Auszeichnung", "优秀")
    with file.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["id", "subject_did", "tests", "style", "report", "note", "assessed_at"])
        for number in range(count):
            marks = [chance.choice(["", str(chance.randrange(101))]) for _ in range(2)]
            day = f"2026-01-{1 + chance.randrange(28):02d}T10:00:00Z"
            # Any 32 bytes are the form of an Ed25519 key; nobody signs with these.
            learner = did_key_of(PublicKey(KeyKind.ED25519, hashlib.sha256(b"%d" % number).digest()))
            table.writerow([number, learner, chance.randrange(101), *marks, chance.choice(notes), day])
