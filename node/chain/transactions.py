"""Transactions: what the contracts are told, signed, sent and followed until they are final.

The one place that uses web3 and eth-account: for the ABI, for signing, and through `ChainProvider` for those who
want web3's own interface; its bytes pass `node/outbound/chain.py` like all others. A transaction is signed first and
sent in a step of its own, so that the caller stores it in between: after a crash the same bytes are sent again, and
nothing is sent twice (DESIGN.md, property 6). Keys are 32-byte secp256k1 private keys of the caller.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import coincurve

from contracts import DEPLOYMENT_SALT, deployed_code, deployment_code, load_artifact
from node.core import problem
from node.core.did.ethr_identity import ethereum_address
from node.core.encoding import encode_hex
from node.core.errors import Malformed, Misconfigured, Refused, Unavailable
from node.core.evm.keccak import keccak256
from node.core.evm.network import Finality, Network, NetworkClass
from node.core.evm.registry import CREATE2_DEPLOYER, HISTORY_ADDRESS, create2_address
from node.core.keys import KeyKind, PublicKey
from node.core.strict_json import JsonObject
from node.outbound.chain import ChainClient, Fees, TransactionRefused

TRANSACTION_FAILED: Final = problem.ours("transaction-failed")

_GAS_MARGIN_PERCENT: Final = 125
# What pools ask of a replacement is a tenth more of both fees, some an eighth.
_RAISE_BY: Final = 8
_POLL_SECONDS: Final = 0.25
_INCLUSION_TIMEOUT_SECONDS: Final = 180.0
# The embedded chain makes at least one block a minute; fewer blocks make the rule of FORMATS.md section 3 stricter.
_DEVELOPMENT_BLOCKS_IN_31_DAYS: Final = 31 * 24 * 60


class TransactionFailed(Refused):
    """A transaction is in a block, and the contract refused it there."""

    default_type = TRANSACTION_FAILED


# --- what contracts are told ---


@dataclass(frozen=True, slots=True)
class Call:
    """A message to an account: 20-byte address, ABI-encoded data, wei; `what` names it for people."""

    to: bytes
    data: bytes
    what: str
    value: int = 0


@dataclass(frozen=True, slots=True)
class WordChange:
    """Bits of one 256-bit word of a status list to set and to clear (FORMATS.md section 6)."""

    word: int
    set_bits: int
    clear_bits: int = 0


class _Contract:
    name: str

    def __init__(self, address: bytes) -> None:
        self.address = address
        self._functions = {
            entry["name"]: entry for entry in load_artifact(self.name)["abi"] if entry["type"] == "function"
        }

    def _call(self, function: str, *arguments: Any) -> Call:
        # Here and not above: most commands of an issuer send nothing, and these take their time to import.
        from eth_abi.abi import encode  # noqa: PLC0415
        from eth_utils.abi import function_abi_to_4byte_selector, get_abi_input_types  # noqa: PLC0415

        abi = self._functions[function]
        data = function_abi_to_4byte_selector(abi) + encode(get_abi_input_types(abi), arguments)
        return Call(self.address, data, f"{self.name}.{function}")

    def read(self, data: bytes) -> tuple[str, tuple[Any, ...]]:
        """The function that a call is of, and its arguments; Malformed for a call of none of them."""
        from eth_abi.abi import decode  # noqa: PLC0415
        from eth_abi.exceptions import DecodingError  # noqa: PLC0415
        from eth_utils.abi import function_abi_to_4byte_selector, get_abi_input_types  # noqa: PLC0415

        for name, abi in self._functions.items():
            if function_abi_to_4byte_selector(abi) == data[:4]:
                try:
                    return name, decode(get_abi_input_types(abi), data[4:])
                except DecodingError as error:
                    raise Malformed(f"the arguments of {self.name}.{name} cannot be read") from error
        raise Malformed(f"no function of {self.name} is called so")


class CredentialRegistryCalls(_Contract):
    """Calls of the CredentialRegistry at `address`. Identities and writers are 20-byte addresses."""

    name = "CredentialRegistry"

    def anchor(self, identity: bytes, commitment: bytes) -> Call:
        """Record that the 32-byte commitment exists; a repeat is quiet."""
        return self._call("anchor", identity, commitment)

    def add_key(self, identity: bytes, key: bytes, purposes: int) -> Call:
        """Open the window of `key` (multicodec prefix ‖ raw public key) for the purposes, a bit field."""
        return self._call("add_key", identity, key, purposes)

    def retire_key(self, identity: bytes, key: bytes) -> Call:
        """Close the window of `key` (multicodec prefix ‖ raw public key) at this block."""
        return self._call("retire_key", identity, keccak256(key))

    def compromise_key(self, identity: bytes, key: bytes, since: int) -> Call:
        """Declare `key` (multicodec prefix ‖ raw public key) stolen since that block."""
        return self._call("compromise_key", identity, keccak256(key), since)

    def open_list(
        self, identity: bytes, list_id: bytes, mode: int, log2_entries: int, status_size: int = 1
    ) -> Call:
        """Open a status list of 2^log2_entries entries, in mode 1 (OR-only) or 2 (settable)."""
        return self._call("open_list", identity, list_id, mode, log2_entries, status_size)

    def publish_list(self, identity: bytes, list_id: bytes, pointer: bytes) -> Call:
        """Point from a list to an account that mirrors it; no verdict reads the mirror."""
        return self._call("publish_list", identity, list_id, pointer)

    def set_status(self, identity: bytes, list_id: bytes, changes: Sequence[WordChange]) -> Call:
        """Change words of an open list, at most 256 in one call; a single one by the call that is cheaper for it."""
        words = [(change.word, change.set_bits, change.clear_bits) for change in changes]
        if len(words) == 1:
            return self._call("set_status_word", identity, list_id, words[0])
        return self._call("set_status", identity, list_id, words)

    def set_writer(self, identity: bytes, writer: bytes, roles: int, until: int) -> Call:
        """Give a writer its roles, a bit field, until that Unix time; no roles end it."""
        return self._call("set_writer", identity, writer, roles, until)

    def close(self, identity: bytes) -> Call:
        """Close the identity for good."""
        return self._call("close", identity)


class DidRegistryCalls(_Contract):
    """Calls of an ERC-1056 registry at `address`, ours or the one that did:ethr publishes for the chain."""

    name = "DIDRegistry"

    def set_attribute(self, identity: bytes, name: str, value: bytes, validity_seconds: int) -> Call:
        """Add an attribute to the DID document, `did/pub/Multikey/veriKey` for an assertion key."""
        return self._call("setAttribute", identity, _bytes32(name), value, validity_seconds)

    def revoke_attribute(self, identity: bytes, name: str, value: bytes) -> Call:
        """Take an attribute out of the DID document."""
        return self._call("revokeAttribute", identity, _bytes32(name), value)

    def change_owner(self, identity: bytes, new_owner: bytes) -> Call:
        """Make another address the owner of the identity."""
        return self._call("changeOwner", identity, new_owner)

    def add_delegate(
        self, identity: bytes, delegate_type: str, delegate: bytes, validity_seconds: int
    ) -> Call:
        """Let another address act for the identity, `veriKey` or `sigAuth`."""
        return self._call("addDelegate", identity, _bytes32(delegate_type), delegate, validity_seconds)

    def revoke_delegate(self, identity: bytes, delegate_type: str, delegate: bytes) -> Call:
        """End what `add_delegate` began."""
        return self._call("revokeDelegate", identity, _bytes32(delegate_type), delegate)


def transfer(to: bytes, wei: int) -> Call:
    """Send ether."""
    return Call(to, b"", "transfer", wei)


def _bytes32(text: str) -> bytes:
    data = text.encode("ascii")
    if len(data) > 32:
        raise Malformed(f"a name of an ERC-1056 registry has at most 32 letters: {text[:40]}")
    return data.ljust(32, b"\0")


# --- signing and sending ---


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """A transaction ready to be sent: the bytes, their 32-byte hash, and what is needed to replace it."""

    raw: bytes
    hash: bytes
    sender: bytes
    nonce: int
    gas_limit: int
    fees: Fees
    call: Call


@dataclass(frozen=True, slots=True)
class Inclusion:
    """The block that a transaction is in, at the time of asking: until it is final, it may change."""

    block_number: int
    block_hash: bytes
    succeeded: bool
    gas_used: int
    gas_price: int
    """Wei per gas that were paid (`effectiveGasPrice`)."""


def address_of(key: bytes) -> bytes:
    """The 20-byte address of a 32-byte private key."""
    point = coincurve.PrivateKey(key).public_key.format()
    return ethereum_address(PublicKey(KeyKind.SECP256K1, point))


def with_margin(estimate: int) -> int:
    """The gas limit for a call that was estimated to take so much gas.

    Between the estimate and the block, others may write to slots that the call reads.
    """
    return estimate * _GAS_MARGIN_PERCENT // 100


def raised(fees: Fees) -> Fees:
    """Fees with which a stuck transaction can be replaced by one with the same nonce: an eighth more of both."""
    return Fees(_raised(fees.max_fee_per_gas), _raised(fees.max_priority_fee_per_gas))


def _raised(fee: int) -> int:
    return fee + fee // _RAISE_BY + 1


def _stored_number(text: str) -> int:
    number = int(text, 16)
    if not 0 <= number < 1 << 63:
        raise ValueError("no database column holds it")
    return number


OnSigned = Callable[[SignedTransaction], Awaitable[None]]


class Transactions:
    """Signs and sends on one chain. Nonces are given out one at a time for each sender of this process."""

    def __init__(self, client: ChainClient) -> None:
        self.client = client
        self._locks: dict[bytes, asyncio.Lock] = {}

    async def sign(
        self,
        call: Call,
        key: bytes,
        *,
        nonce: int | None = None,
        fees: Fees | None = None,
        gas_limit: int | None = None,
    ) -> SignedTransaction:
        """An EIP-1559 transaction with `call`, signed and not sent. Reverted if the contract would refuse it.

        Without `nonce` the next after those in the endpoint's pool; without `gas_limit` the endpoint's estimate and
        a quarter.
        """
        from eth_account import Account  # noqa: PLC0415 - a second that only those who sign should pay

        account = Account.from_key(key)
        sender = address_of(key)
        if gas_limit is None:
            estimate = await self.client.estimate_gas(sender, call.to, call.data, call.value)
            gas_limit = with_margin(estimate)
        if fees is None:
            fees = await self.client.fees()
        if nonce is None:
            nonce = await self.client.nonce(sender, "pending")
        signed = account.sign_transaction(
            {
                "type": 2,
                "chainId": await self.client.chain_id(),
                "nonce": nonce,
                "to": call.to,
                "value": call.value,
                "data": call.data,
                "gas": gas_limit,
                "maxFeePerGas": fees.max_fee_per_gas,
                "maxPriorityFeePerGas": fees.max_priority_fee_per_gas,
            }
        )
        raw = bytes(signed.raw_transaction)
        return SignedTransaction(raw, keccak256(raw), sender, nonce, gas_limit, fees, call)

    async def broadcast(self, raw: bytes) -> None:
        """Send the bytes; no fault if they were sent before, are in the pool, or in a block already."""
        try:
            await self.client.send_raw(raw)
        except TransactionRefused as error:
            # After inclusion an endpoint says that the nonce is used up: by this one, or by another?
            if error.code != "nonce_too_low" or await self.client.receipt(keccak256(raw)) is None:
                raise

    async def inclusion(self, transaction_hash: bytes) -> Inclusion | None:
        """Where the transaction is now, None while it is in no block."""
        receipt = await self.client.receipt(transaction_hash)
        if receipt is None or receipt.get("blockNumber") is None:
            return None
        try:
            return Inclusion(
                block_number=_stored_number(receipt["blockNumber"]),
                block_hash=bytes.fromhex(receipt["blockHash"].removeprefix("0x")),
                succeeded=int(receipt["status"], 16) == 1,
                gas_used=_stored_number(receipt["gasUsed"]),
                gas_price=_stored_number(receipt["effectiveGasPrice"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            host = self.client.host
            raise Unavailable(f"chain endpoint {host} gave a receipt without form", asked=host) from error

    async def wait_for_inclusion(
        self, transaction_hash: bytes, *, timeout_seconds: float = _INCLUSION_TIMEOUT_SECONDS
    ) -> Inclusion:
        """Wait until the transaction is in a block; Unavailable when it takes too long."""
        try:
            async with asyncio.timeout(timeout_seconds):
                while (found := await self.inclusion(transaction_hash)) is None:  # noqa: ASYNC110 - asked, not told
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError as error:
            raise Unavailable(
                f"transaction {encode_hex(transaction_hash)} is in no block after {timeout_seconds:g} seconds",
                asked=self.client.host,
            ) from error
        return found

    async def send(
        self,
        call: Call,
        key: bytes,
        *,
        on_signed: OnSigned | None = None,
        gas_limit: int | None = None,
        timeout_seconds: float = _INCLUSION_TIMEOUT_SECONDS,
    ) -> Inclusion:
        """Sign, let `on_signed` store it, send, and wait for a block; TransactionFailed if refused in it."""
        inclusions = await self.send_all(
            [call],
            key,
            on_signed=on_signed,
            gas_limits=None if gas_limit is None else [gas_limit],
            timeout_seconds=timeout_seconds,
        )
        return inclusions[0]

    async def send_all(
        self,
        calls: Sequence[Call],
        key: bytes,
        *,
        on_signed: OnSigned | None = None,
        gas_limits: Sequence[int] | None = None,
        timeout_seconds: float = _INCLUSION_TIMEOUT_SECONDS,
    ) -> list[Inclusion]:
        """As `send`, for calls of one sender in their order, which may share a block.

        Gas is estimated on the state before them all: a call that needs an earlier one has to be given its limit.
        """
        sender = address_of(key)
        async with self._locks.setdefault(sender, asyncio.Lock()):
            fees = await self.client.fees()
            first = await self.client.nonce(sender, "pending")
            # All are signed, hence known to succeed, before the first is sent.
            signed = [
                await self.sign(
                    call,
                    key,
                    nonce=first + index,
                    fees=fees,
                    gas_limit=gas_limits[index] if gas_limits else None,
                )
                for index, call in enumerate(calls)
            ]
            for transaction in signed:
                if on_signed is not None:
                    await on_signed(transaction)
                await self.broadcast(transaction.raw)
        inclusions = []
        for transaction in signed:
            found = await self.wait_for_inclusion(transaction.hash, timeout_seconds=timeout_seconds)
            if not found.succeeded:
                raise TransactionFailed(
                    f"{transaction.call.what} was refused in block {found.block_number}", code="reverted"
                )
            inclusions.append(found)
        return inclusions


# --- deployment ---


@dataclass(frozen=True, slots=True)
class Deployments:
    """Where the two registries of a chain are, 20-byte addresses."""

    did_registry: bytes
    credential_registry: bytes

    @classmethod
    def expected(cls, did_registry: bytes | None = None) -> Deployments:
        """The addresses that CREATE2 gives on every chain.

        `did_registry` is the ERC-1056 registry that did:ethr publishes for the chain; ours where there is none.
        """
        ours = did_registry or create2_address(DEPLOYMENT_SALT, deployment_code("DIDRegistry"))
        return cls(ours, create2_address(DEPLOYMENT_SALT, deployment_code("CredentialRegistry", ours)))

    @property
    def did_registry_calls(self) -> DidRegistryCalls:
        """Calls of the DID registry."""
        return DidRegistryCalls(self.did_registry)

    @property
    def credential_registry_calls(self) -> CredentialRegistryCalls:
        """Calls of the credential registry."""
        return CredentialRegistryCalls(self.credential_registry)


async def ensure_deployed(
    transactions: Transactions,
    key: bytes,
    *,
    did_registry: bytes | None = None,
    on_signed: OnSigned | None = None,
) -> Deployments:
    """Deploy what is missing of the registries, paid by `key`, and check the code of both; idempotent.

    Misconfigured where the chain has no CREATE2 deployer or other code stands at an address.
    """
    client = transactions.client
    deployments = Deployments.expected(did_registry)
    missing = []
    if did_registry is None and not await client.code(deployments.did_registry):
        missing.append(("DIDRegistry", deployment_code("DIDRegistry")))
    if not await client.code(deployments.credential_registry):
        code = deployment_code("CredentialRegistry", deployments.did_registry)
        missing.append(("CredentialRegistry", code))
    if missing:
        if not await client.code(CREATE2_DEPLOYER):
            raise Misconfigured(f"the chain has no contract at {encode_hex(CREATE2_DEPLOYER)} to deploy with")
        calls = [Call(CREATE2_DEPLOYER, DEPLOYMENT_SALT + code, f"deploy {name}") for name, code in missing]
        # The second needs the first on chain, so that no endpoint could estimate it: the cost is known by its parts.
        limits = [_deployment_gas(len(call.data)) for call in calls]
        # It fails when somebody else deployed the same code at the same time; the check below tells.
        with contextlib.suppress(TransactionFailed):
            await transactions.send_all(calls, key, on_signed=on_signed, gas_limits=limits)
    await _check_code(client, deployments, ours=did_registry is None)
    return deployments


def _deployment_gas(size: int) -> int:
    # Calldata 16 a byte or, as a floor, 40 (EIP-7623); code 200 a byte and init code 2 a word (EIP-3860); a call and
    # a creation; a fifth more.
    return (21_000 + 32_000 + 60_000 + (16 + 200 + 2) * size) * 6 // 5


async def _check_code(client: ChainClient, deployments: Deployments, *, ours: bool) -> None:
    if not await client.code(deployments.did_registry):
        raise Misconfigured(f"there is no ERC-1056 registry at {encode_hex(deployments.did_registry)}")
    expected = [
        (deployments.credential_registry, deployed_code("CredentialRegistry", deployments.did_registry))
    ]
    if ours:
        expected.append((deployments.did_registry, deployed_code("DIDRegistry")))
    for address, code in expected:
        if await client.code(address) != code:
            raise Misconfigured(f"the code at {encode_hex(address)} is not that of our registry")


async def deployment_block(client: ChainClient, address: bytes) -> int:
    """The first block after which `address` has code, which it keeps; 0 where that cannot be asked any more."""
    first, last = 0, await client.block_number()
    try:
        while first < last:
            middle = (first + last) // 2
            if await client.code(address, middle):
                last = middle
            else:
                first = middle + 1
    except Unavailable:
        return 0
    return first


async def network_entry(
    client: ChainClient,
    deployments: Deployments,
    *,
    name: str = "development chain",
    finality: Finality = Finality.NONE,
) -> JsonObject:
    """The entry of `networks.json` for a development chain, as `node.core.evm.network` reads it."""
    network = Network(
        chain_id=await client.chain_id(),
        name=name,
        genesis=await client.genesis_hash(),
        network_class=NetworkClass.DEVELOPMENT,
        did_registry=deployments.did_registry,
        credential_registry=deployments.credential_registry,
        code_hash=keccak256(await client.code(deployments.credential_registry)),
        did_registry_code_hash=keccak256(await client.code(deployments.did_registry)),
        finality=finality,
        eip2935=bool(await client.code(HISTORY_ADDRESS)),
        header_age_limit_seconds=None,
        deployed=await deployment_block(client, deployments.credential_registry),
        step=1,
        blocks_in_31_days=_DEVELOPMENT_BLOCKS_IN_31_DAYS,
    )
    return network.to_json()
