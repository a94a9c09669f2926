"""Metadata of credential issuer and authorization server (OpenID4VCI 1.0 section 12.2, RFC 8414).

Only the members that this project writes or reads are named; `raw` keeps the rest. Signed metadata
(`application/jwt`) is neither asked for nor read: TLS says who answers, and the credential says who issued.
`bonafides_bundle_endpoint` is ours: below it stands the bundle of a credential under its digest. So are
`bonafides_proof_endpoint`, below which holders renew state proofs, and `bonafides_bbs_commitment`, which others pass
over; they are then told what their request lacks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from node.core.dataintegrity.bbs_binding import Binding
from node.core.errors import Malformed, NotVerified
from node.core.members import within
from node.core.oid4vci.offer import checked_issuer, checked_url
from node.core.strict_json import Json, JsonObject

ISSUER_WELL_KNOWN: Final = "/.well-known/openid-credential-issuer"
SERVER_WELL_KNOWN: Final = "/.well-known/oauth-authorization-server"
# Formats (appendix A). The standard names none for VC-JOSE-COSE: a `vc+jwt` goes by `jwt_vc_json`, as is the custom,
# the others by the subtype of their media type. In a response COSE is an EnvelopedVerifiableCredential, other tokens
# are texts.
LDP_VC: Final = "ldp_vc"
JWT_VC_JSON: Final = "jwt_vc_json"
DC_SD_JWT: Final = "dc+sd-jwt"
VC_SD_JWT: Final = "vc+sd-jwt"
VC_COSE: Final = "vc+cose"
FORMATS: Final = (LDP_VC, JWT_VC_JSON, DC_SD_JWT, VC_SD_JWT, VC_COSE)
BUNDLE_ENDPOINT: Final = "bonafides_bundle_endpoint"
PROOF_ENDPOINT: Final = "bonafides_proof_endpoint"
COMMITMENT: Final = "bonafides_bbs_commitment"
"""Ours: in a configuration what a credential is bound to, in a request the commitment for that, in base64url."""
MAX_CONFIGURATIONS: Final = 1000


@dataclass(frozen=True, slots=True)
class CredentialConfiguration:
    """One entry of `credential_configurations_supported`.

    `proof_types` maps each proof type to its signing algorithms (for `di_vp`: cryptosuites); empty: no holder binding.
    `signing_algorithms` are cryptosuites for `ldp_vc`, JOSE algorithms for tokens. `vct` is of `dc+sd-jwt` alone, whose
    credentials have neither contexts nor types. `binding` is what the request has to bring a commitment for (bbs-2023).
    """

    id: str
    format: str
    contexts: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    binding_methods: tuple[str, ...] = ()
    proof_types: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    signing_algorithms: tuple[str, ...] = ()
    display_name: str | None = None
    vct: str | None = None
    binding: Binding | None = None
    raw: JsonObject | None = None

    def to_json(self) -> JsonObject:
        """The configuration as metadata write it."""
        body: JsonObject = {
            "format": self.format,
            "scope": self.id,
            "credential_signing_alg_values_supported": list(self.signing_algorithms),
        }
        if self.format == DC_SD_JWT:
            body["vct"] = self.vct
        elif self.format == JWT_VC_JSON:  # appendix A.1.1.2 knows the types alone
            body["credential_definition"] = {"type": list(self.types)}
        else:
            body["credential_definition"] = {"@context": list(self.contexts), "type": list(self.types)}
        if self.proof_types:
            # Section 12.2.4: these two are both there or both absent.
            body["cryptographic_binding_methods_supported"] = list(self.binding_methods)
            body["proof_types_supported"] = {
                name: {"proof_signing_alg_values_supported": list(algorithms)}
                for name, algorithms in self.proof_types.items()
            }
        if self.binding is not None:
            body[COMMITMENT] = self.binding
        if self.display_name is not None:
            body["credential_metadata"] = {"display": [{"name": self.display_name, "locale": "en"}]}
        return body


@dataclass(frozen=True, slots=True)
class IssuerMetadata:
    """The credential issuer's metadata (section 12.2.4)."""

    credential_issuer: str
    credential_endpoint: str
    configurations: Mapping[str, CredentialConfiguration]
    authorization_servers: tuple[str, ...] = ()
    nonce_endpoint: str | None = None
    deferred_endpoint: str | None = None
    notification_endpoint: str | None = None
    bundle_endpoint: str | None = None
    proof_endpoint: str | None = None
    display_name: str | None = None
    raw: JsonObject | None = None

    def to_json(self) -> JsonObject:
        """The metadata object."""
        endpoints = {
            "nonce_endpoint": self.nonce_endpoint,
            "deferred_credential_endpoint": self.deferred_endpoint,
            "notification_endpoint": self.notification_endpoint,
            BUNDLE_ENDPOINT: self.bundle_endpoint,
            PROOF_ENDPOINT: self.proof_endpoint,
        }
        body: JsonObject = {
            "credential_issuer": self.credential_issuer,
            "credential_endpoint": self.credential_endpoint,
            **{name: url for name, url in endpoints.items() if url is not None},
        }
        if self.authorization_servers:
            body["authorization_servers"] = list(self.authorization_servers)
        if self.display_name is not None:
            body["display"] = [{"name": self.display_name, "locale": "en"}]
        body["credential_configurations_supported"] = {
            name: configuration.to_json() for name, configuration in self.configurations.items()
        }
        return body


@dataclass(frozen=True, slots=True)
class ServerMetadata:
    """The authorization server's metadata (RFC 8414), as far as the pre-authorized code flow needs them."""

    issuer: str
    token_endpoint: str
    anonymous_access: bool
    """Whether a wallet without client_id may redeem a pre-authorized code."""

    def to_json(self) -> JsonObject:
        """The metadata object of a server that knows this one grant."""
        return {
            "issuer": self.issuer,
            "token_endpoint": self.token_endpoint,
            "grant_types_supported": ["urn:ietf:params:oauth:grant-type:pre-authorized_code"],
            "token_endpoint_auth_methods_supported": ["none"],
            "pre-authorized_grant_anonymous_access_supported": self.anonymous_access,
        }


def issuer_metadata_url(credential_issuer: str) -> str:
    """Where a credential issuer's metadata stand (section 12.2.2)."""
    return _well_known(credential_issuer, ISSUER_WELL_KNOWN)


def server_metadata_url(authorization_server: str) -> str:
    """Where an authorization server's metadata stand (RFC 8414 section 3.1)."""
    return _well_known(authorization_server, SERVER_WELL_KNOWN)


def parse_issuer_metadata(body: Json, expected_issuer: str) -> IssuerMetadata:
    """The metadata in `body`; NotVerified unless they are of `expected_issuer`, byte for byte (section 12.2.3).

    Configurations of unknown formats are kept, with what of them is understood.
    """
    members = _object(body, "metadata")
    if members.get("credential_issuer") != expected_issuer:
        raise NotVerified("the metadata are of another credential issuer", path=("credential_issuer",))
    configurations = _object(
        members.get("credential_configurations_supported"), "credential_configurations_supported"
    )
    if len(configurations) > MAX_CONFIGURATIONS:
        raise Malformed(f"more than {MAX_CONFIGURATIONS} credential configurations")
    read = {}
    for name, value in configurations.items():
        with within("credential_configurations_supported", name):
            read[name] = _configuration(name, _object(value, "a credential configuration"))
    servers = _texts(members, "authorization_servers")
    return IssuerMetadata(
        credential_issuer=expected_issuer,
        credential_endpoint=_required_url(members, "credential_endpoint"),
        configurations=MappingProxyType(read),
        authorization_servers=tuple(checked_issuer(server) for server in servers),
        nonce_endpoint=_url(members, "nonce_endpoint"),
        deferred_endpoint=_url(members, "deferred_credential_endpoint"),
        notification_endpoint=_url(members, "notification_endpoint"),
        bundle_endpoint=_url(members, BUNDLE_ENDPOINT),
        proof_endpoint=_url(members, PROOF_ENDPOINT),
        display_name=_display_name(members),
        raw=members,
    )


def parse_server_metadata(body: Json, expected_issuer: str) -> ServerMetadata:
    """The metadata in `body`; NotVerified unless `issuer` is `expected_issuer` (RFC 8414 section 3.3)."""
    members = _object(body, "metadata")
    if members.get("issuer") != expected_issuer:
        raise NotVerified("the metadata are of another authorization server", path=("issuer",))
    anonymous = members.get("pre-authorized_grant_anonymous_access_supported", False)
    if not isinstance(anonymous, bool):
        raise Malformed("expected true or false", path=("pre-authorized_grant_anonymous_access_supported",))
    return ServerMetadata(expected_issuer, _required_url(members, "token_endpoint"), anonymous)


def _well_known(identifier: str, name: str) -> str:
    parts = urlsplit(checked_issuer(identifier))
    # RFC 8414 section 3.1: between host and path, and a lone slash is no path.
    return f"{parts.scheme}://{parts.netloc}{name}{parts.path.rstrip('/')}"


def _configuration(name: str, members: JsonObject) -> CredentialConfiguration:
    form = members.get("format")
    if not isinstance(form, str):
        raise Malformed("expected the name of a format", path=("format",))
    if form == DC_SD_JWT and not isinstance(members.get("vct"), str):
        raise Malformed("dc+sd-jwt has a vct", path=("vct",))
    definition = members.get("credential_definition", {})
    if form == LDP_VC and not isinstance(definition, dict):
        raise Malformed("ldp_vc has a credential_definition", path=("credential_definition",))
    definition = definition if isinstance(definition, dict) else {}
    contexts = definition.get("@context", [])
    proofs = _object(members.get("proof_types_supported", {}), "proof_types_supported")
    read = {}
    for kind, value in proofs.items():
        with within("proof_types_supported", kind):
            read[kind] = _texts(_object(value, "a proof type"), "proof_signing_alg_values_supported")
    described = members.get("credential_metadata", {})
    return CredentialConfiguration(
        id=name,
        format=form,
        contexts=tuple(item for item in contexts if isinstance(item, str))
        if isinstance(contexts, list)
        else (),
        types=_texts(definition, "type"),
        binding_methods=_texts(members, "cryptographic_binding_methods_supported"),
        proof_types=MappingProxyType(read),
        signing_algorithms=_algorithms(members),
        display_name=_display_name(described) if isinstance(described, dict) else None,
        vct=members["vct"] if form == DC_SD_JWT else None,
        binding=next((one for one in Binding if one == members.get(COMMITMENT)), None),
        raw=members,
    )


def _algorithms(members: JsonObject) -> tuple[str, ...]:
    """The names among the algorithms: formats that are not ours have numbers (appendix A.2)."""
    value = members.get("credential_signing_alg_values_supported", [])
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _display_name(members: JsonObject) -> str | None:
    display = members.get("display")
    if not isinstance(display, list):
        return None
    names = [entry.get("name") for entry in display if isinstance(entry, dict)]
    return next((name for name in names if isinstance(name, str)), None)


def _object(value: Json, what: str) -> JsonObject:
    if not isinstance(value, dict):
        raise Malformed(f"{what} must be a JSON object")
    return value


def _texts(members: JsonObject, name: str) -> tuple[str, ...]:
    value = members.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Malformed("expected a list of texts", path=(name,))
    return tuple(value)


def _url(members: JsonObject, name: str) -> str | None:
    return _required_url(members, name) if name in members else None


def _required_url(members: JsonObject, name: str) -> str:
    with within(name):
        return checked_url(members.get(name))
