"""Links for what was issued: the last step of a cohort's run. The wire side of offers is `offers.py`."""

from __future__ import annotations

from collections.abc import Sequence

from node.services import offers
from node.services.configurations import configuration_of
from node.services.issuance import Issued, chunks
from node.services.issuer import Issuer
from node.services.offers import NewOffer
from node.storage.base import CredentialState, OfferState, Transaction


async def offer(
    issuer: Issuer, issued: Sequence[Issued], *, bearer: bool, with_tx_code: bool = False, again: bool = False
) -> list[NewOffer]:
    """Links for those who have none yet; with `again`, new ones for those who have not claimed theirs.

    A code is used once: where the answer to it was lost on its way, a new link is the way back, and the access
    token that somebody may have from the old one opens nothing any more.

    The secret of an offer is told once: what was made in an earlier run has to be made again to be told again.
    """
    made: list[NewOffer] = []
    for part in chunks(issued):
        async with issuer.store.transaction() as transaction:
            due: dict[str, list[str]] = {}
            for one in part:
                if await _needs_offer(transaction, one, again=again):
                    name = await _configuration(transaction, one, bearer=bearer)
                    due.setdefault(name, []).append(one.credential_id)
            for name, ids in due.items():
                made += await offers.create_offers(
                    transaction,
                    ids,
                    url=issuer.settings.url,
                    now=issuer.clock(),
                    with_tx_code=with_tx_code,
                    configuration_id=name,
                )
    return made


async def _configuration(transaction: Transaction, issued: Issued, *, bearer: bool) -> str:
    record = await transaction.credentials.load(issued.credential_id)
    assert record is not None  # noqa: S101 - it was issued
    return configuration_of(record, bearer=bearer and issued.subject_did is None)


async def _needs_offer(transaction: Transaction, issued: Issued, *, again: bool) -> bool:
    if issued.state is CredentialState.WITHDRAWN:
        return False
    made = await transaction.offers.of_credential(issued.credential_id)
    if any(one.state is OfferState.CLAIMED for one in made):
        return False
    alive = [one for one in made if one.state in (OfferState.OPEN, OfferState.REDEEMED)]
    if alive and not again:
        return False
    for one in alive:
        await transaction.offers.withdraw(one.id)
    return True
