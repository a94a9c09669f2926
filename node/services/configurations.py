"""Credential configurations of OpenID4VCI: one for each kind of credential, each way to secure it, bound or not.

Names are stable, since offers carry them: the type of the credential, then how it is secured unless that is the
default, then what of its holder's it is bound to under bbs-2023, then `Bearer` where no key of a holder is asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

from node.core.dataintegrity.bbs_binding import Binding
from node.core.jose.jws import algorithm_of
from node.core.keys import KeyKind
from node.core.oid4vci.key_proof import BINDING_METHODS, CRYPTOSUITES, DI_VP, JWT, JWT_ALGORITHMS
from node.core.oid4vci.metadata import (
    DC_SD_JWT,
    JWT_VC_JSON,
    LDP_VC,
    VC_COSE,
    VC_SD_JWT,
    CredentialConfiguration,
)
from node.core.securing import BBS, DEFAULT_SECURING, KINDS, TOKENS
from node.core.securing import VC_JWT as VC_JWT_SECURING
from node.services.preparing import CONTEXTS, Prepared
from node.services.securing import read_issued, securing_of, types_of_issued, vct_of
from node.services.template import ACHIEVEMENT, CLR, ENDORSEMENT
from node.storage.protocols.credentials import CredentialRecord

BADGE: Final = "OpenBadgeCredential"
"""The configuration of badges that are bound to their holder's key, secured as is usual."""
_BEARER: Final = "Bearer"
_CONTEXTS: Final = {BADGE: CONTEXTS[ACHIEVEMENT], ENDORSEMENT: CONTEXTS[ENDORSEMENT], CLR: CONTEXTS[CLR]}
_NAMES: Final = {BADGE: "Badge", ENDORSEMENT: "Endorsement", CLR: "Learner record"}
_FORMATS: Final = {
    VC_JWT_SECURING: JWT_VC_JSON,
    VC_SD_JWT: VC_SD_JWT,
    VC_COSE: VC_COSE,
    DC_SD_JWT: DC_SD_JWT,
}
_PROOF_TYPES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {JWT: JWT_ALGORITHMS, DI_VP: CRYPTOSUITES}
)


def configuration_of(record: CredentialRecord, *, bearer: bool) -> str:
    """The configuration that a credential, signed or not, is offered as."""
    binding = binding_of(record)
    if record.signed is not None:
        issued = read_issued(record.signed.document)
        securing, types = securing_of(issued), types_of_issued(issued)
    else:
        prepared = Prepared.of(record.intent)
        securing, types = prepared.securing, tuple(prepared.credential["type"])
    named = [name for name in types if name in _NAMES]
    return _id(named[0] if named else BADGE, securing, binding, bearer=bearer)


def binding_of(record: CredentialRecord) -> Binding | None:
    """What of its holder's a credential, signed or not, is bound to beside his key."""
    return Prepared.of(record.intent).binding if record.intent.body else None


def proof_types_of(configuration_id: str) -> Mapping[str, tuple[str, ...]]:
    """The key proofs that a configuration asks for, with their algorithms; none where a holder is not bound."""
    return {} if configuration_id.endswith(_BEARER) else _PROOF_TYPES


def offered(kinds: Collection[KeyKind], url: str) -> Mapping[str, CredentialConfiguration]:
    """What an issuer at `url` that has keys of these kinds can issue."""
    found = {}
    for kind in _NAMES:
        for securing, fitting in KINDS.items():
            if able := [one for one in fitting if one in kinds]:
                for bearer in (False, True):
                    made = _configuration(kind, securing, able, url, bearer=bearer)
                    found[made.id] = made
                for binding in Binding if (kind, securing) == (BADGE, BBS) else ():
                    made = _configuration(kind, securing, able, url, binding, bearer=False)
                    found[made.id] = made
    return found


def _id(kind: str, securing: str, binding: Binding | None = None, *, bearer: bool) -> str:
    way = "" if securing == DEFAULT_SECURING else f".{securing}"
    bound = "" if binding is None else f".{binding}"
    return f"{kind}{way}{bound}{_BEARER if bearer else ''}"


def _configuration(
    kind: str,
    securing: str,
    kinds: Collection[KeyKind],
    url: str,
    binding: Binding | None = None,
    *,
    bearer: bool,
) -> CredentialConfiguration:
    name = _id(kind, securing, binding, bearer=bearer)
    return CredentialConfiguration(
        id=name,
        format=_FORMATS.get(securing, LDP_VC),
        contexts=_CONTEXTS[kind],
        types=("VerifiableCredential", kind),
        binding_methods=() if bearer else BINDING_METHODS,
        proof_types=proof_types_of(name),
        signing_algorithms=tuple(sorted(map(algorithm_of, kinds))) if securing in TOKENS else (securing,),
        display_name=f"{_NAMES[kind]} without a holder's key" if bearer else _NAMES[kind],
        vct=vct_of(url, (kind,)) if securing == DC_SD_JWT else None,
        binding=binding,
    )
