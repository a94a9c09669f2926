"""Links for what was issued: the last step of a cohort's run. The wire side of offers is `offers.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from node.services import offers
from node.services.configurations import configuration_of
from node.services.issuance import Issued
from node.services.issuer import Issuer
from node.services.offers import NewOffer
from node.storage.protocols.credentials import CredentialState
from node.storage.protocols.offers import OfferState
from node.storage.protocols.store import Transaction

# A transaction of so many takes a fraction of a second.
_CHUNK: Final = 1000


async def offer(
    issuer: Issuer, issued: Sequence[Issued], *, bearer: bool, with_tx_code: bool = False, again: bool = False
) -> list[NewOffer]:
    """Links for those who have none yet; with `again`, new ones for those who have not claimed theirs.

    A code is used once: where the answer to it was lost on its way, a new link is the way back, and the access
    token that somebody may have from the old one opens nothing any more.

    The secret of an offer is told once: what was made in an earlier run has to be made again to be told again.
    """
    made: list[NewOffer] = []
    for start in range(0, len(issued), _CHUNK):
        async with issuer.store.transaction() as transaction:
            due: dict[str, list[str]] = {}
            wanting = await _wanting(transaction, issued[start : start + _CHUNK], again=again)
            records = await transaction.credentials.load_many([one.credential_id for one in wanting])
            for one in wanting:
                is_bearer = bearer and one.subject_did is None
                name = configuration_of(records[one.credential_id], bearer=is_bearer)
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


async def _wanting(transaction: Transaction, issued: Sequence[Issued], *, again: bool) -> list[Issued]:
    """Those who get a link; what they may have of an earlier one opens nothing any more."""
    alive = [one for one in issued if one.state is not CredentialState.WITHDRAWN]
    made = await transaction.offers.of_credentials([one.credential_id for one in alive])
    wanting = []
    for one in alive:
        earlier = made.get(one.credential_id, ())
        unclaimed = [offer.id for offer in earlier if offer.state in (OfferState.OPEN, OfferState.REDEEMED)]
        is_claimed = any(offer.state is OfferState.CLAIMED for offer in earlier)
        if is_claimed or (unclaimed and not again):
            continue
        for offer_id in unclaimed:
            await transaction.offers.withdraw(offer_id)
        wanting.append(one)
    return wanting
