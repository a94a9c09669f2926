"""Reading a chain, and handing it signed transactions: plain JSON-RPC over HTTP (Ethereum Execution APIs).

Every byte to or from a chain passes `ChainClient`. An endpoint belongs to the operator's configuration and
is never taken from a credential, so the address rule of FORMATS.md section 10 does not apply to it; limits on
bytes and time do. Nothing an endpoint says is believed beyond its form; `node/core/evm` proves it. Bodies
and URL paths (hosted endpoints keep their key there) are never logged; errors name the host alone.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import orjson
from yarl import URL

from node.core import problem
from node.core.encoding import encode_hex
from node.core.errors import Malformed, Misconfigured, NotVerified, Refused, Unavailable
from node.core.evm.header import Header, header_from_rpc
from node.core.evm.keccak import keccak256
from node.core.strict_json import Json, JsonObject, parse_json

BlockId = int | str | bytes
"""A block's number, a tag (`latest`, `safe`, `finalized`, `earliest`, `pending`), or its 32-byte hash."""

# A proof of 256 slots is under 1 MB; logs of a busy identity a few.
MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
TIMEOUT_SECONDS: Final = 20.0
# Hosted endpoints refuse longer batches.
MAX_BATCH: Final = 50
MAX_PROOF_SLOTS: Final = 256

TAGS: Final = frozenset({"latest", "safe", "finalized", "earliest", "pending"})

REVERTED: Final = problem.ours("call-reverted")
TRANSACTION_REFUSED: Final = problem.ours("transaction-refused")

# Of an endpoint's own words in its errors.
_READ_OF_MESSAGE: Final = 2000
_SHOWN_OF_MESSAGE: Final = 200
_LEAST_KEY_CHARS: Final = 8
_URL: Final = re.compile(r"(?:https?|wss?)://\S+", re.IGNORECASE)
_QUANTITY: Final = re.compile(r"0x(?:0|[1-9a-f][0-9a-f]{0,63})\Z")
_DATA: Final = re.compile(r"0x(?:[0-9a-fA-F]{2})*\Z")
_ERROR_SELECTOR: Final = bytes.fromhex("08c379a0")  # Error(string), Solidity and Vyper alike
# JSON-RPC 2.0 section 5.1
_METHOD_NOT_FOUND: Final = -32601
_EXECUTION_REVERTED: Final = 3


class RpcError(Unavailable):
    """An endpoint answered a request with a JSON-RPC error; `code` and `message` are its own words."""

    def __init__(self, host: str, method: str, code: int, message: str, data: Json = None) -> None:
        super().__init__(f"{host} answered {method} with error {code}: {message}", asked=host)
        self.code = code
        self.message = message
        self.data = data


class Reverted(Refused):
    """A contract refused a call; `reason` is its own text, empty where it gave none."""

    default_type = REVERTED

    def __init__(self, method: str, reason: str, data: bytes = b"") -> None:
        super().__init__(f"{method}: the contract refused: {reason or 'no reason given'}", code="reverted")
        self.reason = reason
        self.data = data


class TransactionRefused(Refused):
    """An endpoint does not take a transaction.

    `code` is `nonce_too_low`, `underpriced` (it must offer more than a replaced one, or than the base fee),
    `insufficient_funds` or `refused`.
    """

    default_type = TRANSACTION_REFUSED


@dataclass(frozen=True, slots=True)
class Fees:
    """Fees of an EIP-1559 transaction, wei per gas."""

    max_fee_per_gas: int
    max_priority_fee_per_gas: int


@dataclass(frozen=True, slots=True)
class GasPrice:
    """What a block asks now, wei per gas (EIP-1559): the newest base fee, and the tip that is usual."""

    base_fee: int
    tip: int

    @property
    def now(self) -> int:
        """What a transaction of the next block pays, about."""
        return self.base_fee + self.tip

    @property
    def fees(self) -> Fees:
        """Twice the base fee, which five full blocks in a row do not outgrow, plus the tip."""
        return Fees(max_fee_per_gas=2 * self.base_fee + self.tip, max_priority_fee_per_gas=self.tip)


@dataclass(slots=True)
class EndpointIdentity:
    """Which chain an endpoint said to be of, as far as it was asked. Clients of one endpoint may share it."""

    chain_id: int | None = None
    genesis: bytes | None = None


def _is_of_json_rpc(answer: Json) -> bool:
    """Whether it is a response or a batch of them, and no body of a gateway's own."""
    return type(answer) is list or (
        type(answer) is dict and ("result" in answer or type(answer.get("error")) is dict)
    )


class ChainClient:
    """One endpoint of one chain.

    `contacted` holds each host with its port to which a request was sent, for the report. With a `session` of
    the caller, the caller closes it; without, the client opens its own at the first request, and `close` ends
    it.
    """

    def __init__(
        self,
        url: str,
        *,
        session: aiohttp.ClientSession | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        identity: EndpointIdentity | None = None,
    ) -> None:
        self._url = _endpoint(url)
        self.host = f"{self._url.host}:{self._url.port}"
        self._keys = _key_parts(self._url)
        self.contacted: set[str] = set()
        self._given = session
        self._own: aiohttp.ClientSession | None = None
        self._timeout_seconds = timeout_seconds
        self._max_answer_bytes = max_answer_bytes
        self._ids = itertools.count(1)
        self._identity = EndpointIdentity() if identity is None else identity

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the client's own session, if it opened one."""
        if self._own is not None:
            await self._own.close()
            self._own = None

    # --- requests ---

    async def request(self, method: str, params: Sequence[Json] = ()) -> Json:
        """The `result` of one JSON-RPC request; RpcError where the endpoint answers with an error."""
        return self._result(method, await self.exchange(method, params))

    async def exchange(self, method: str, params: Sequence[Json] = ()) -> JsonObject:
        """The whole response object to one request, an error object included: what a web3 provider needs."""
        request = self._request(method, params)
        return self._response(await self._post(request), request["id"])

    async def batch(self, requests: Sequence[tuple[str, Sequence[Json]]]) -> list[Json]:
        """The results of several requests, in their order; the first that failed raises RpcError."""
        results: list[Json] = []
        for at in range(0, len(requests), MAX_BATCH):
            results += await self._batch(requests[at : at + MAX_BATCH])
        return results

    async def _batch(self, requests: Sequence[tuple[str, Sequence[Json]]]) -> list[Json]:
        if len(requests) == 1:
            return [await self.request(*requests[0])]
        bodies = [self._request(method, params) for method, params in requests]
        answers = await self._post(bodies)
        if type(answers) is not list:
            # A batch that is refused as a whole comes back as one error object.
            raise self._wrong("a batch was not answered with a list")
        by_id = {answer["id"]: answer for answer in answers if type(answer) is dict and "id" in answer}
        if len(answers) != len(bodies):
            raise self._wrong("a batch was answered in part")
        return [
            self._result(body["method"], self._response(by_id.get(body["id"]), body["id"])) for body in bodies
        ]

    def _request(self, method: str, params: Sequence[Json]) -> JsonObject:
        return {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)}

    async def _post(self, body: Json) -> Json:
        session = self._given or self._own
        if session is None:
            # No proxy from the environment, no cookies: an endpoint is reached as configured or not at all.
            session = self._own = aiohttp.ClientSession(trust_env=False, cookie_jar=aiohttp.DummyCookieJar())
        self.contacted.add(self.host)
        try:
            async with session.post(
                self._url,
                data=orjson.dumps(body),
                headers={"Content-Type": "application/json", "Accept": "application/json"},
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=self._timeout_seconds),
            ) as response:
                data = await self._read(response)
                status = response.status
        except TimeoutError as error:
            raise self._unavailable(f"gave no answer within {self._timeout_seconds:g} seconds") from error
        except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
            raise self._unavailable(f"could not be asked: {_reason(error)}") from error
        try:
            answer = parse_json(data, max_bytes=self._max_answer_bytes)
        except Malformed as error:
            if status != 200:
                raise self._unavailable(f"answered with HTTP status {status}") from error
            raise self._wrong(f"the answer is {error.detail}") from error
        if status != 200 and not _is_of_json_rpc(answer):
            raise self._unavailable(f"answered with HTTP status {status}")
        return answer

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.content.iter_chunked(64 * 1024):
            size += len(chunk)
            if size > self._max_answer_bytes:
                raise self._wrong(f"the answer has more than {self._max_answer_bytes:,} bytes")
            chunks.append(chunk)
        return b"".join(chunks)

    def _response(self, answer: Json, request_id: int) -> JsonObject:
        if type(answer) is dict and "error" in answer and answer.get("id") is None:
            return answer  # an endpoint that could not even read the id: its error says why
        if type(answer) is not dict or answer.get("id") != request_id:
            raise self._wrong("the answer is to no request of ours")
        if "result" not in answer and type(answer.get("error")) is not dict:
            raise self._wrong("the answer has neither result nor error")
        return answer

    def _unavailable(self, what: str) -> Unavailable:
        return Unavailable(f"chain endpoint {self.host} {what}", asked=self.host)

    def _wrong(self, what: str) -> Unavailable:
        return Unavailable(f"chain endpoint {self.host} is at fault: {what}", asked=self.host)

    def _result(self, method: str, response: JsonObject) -> Json:
        error = response.get("error")
        if error is None:
            return response.get("result")
        if type(error) is not dict:
            raise RpcError(self.host, method, 0, "an error without form")
        code = error.get("code")
        message = self._without_key(str(error.get("message", ""))[:_READ_OF_MESSAGE])[:_SHOWN_OF_MESSAGE]
        raise RpcError(self.host, method, code if type(code) is int else 0, message, error.get("data"))

    def _without_key(self, text: str) -> str:
        """An endpoint's own words, for others to read: some repeat the URL or the key by which they were asked."""
        text = _URL.sub("…", "".join(char if char.isprintable() else " " for char in text))
        for part in self._keys:
            text = text.replace(part, "…")
        return text

    # --- the chain ---

    async def chain_id(self) -> int:
        """The chain's number (EIP-155), asked once."""
        if self._identity.chain_id is None:
            self._identity.chain_id = self._number(await self.request("eth_chainId"), "eth_chainId")
        return self._identity.chain_id

    async def genesis_hash(self) -> bytes:
        """The 32-byte hash of block 0, asked once."""
        if self._identity.genesis is None:
            self._identity.genesis = self._bytes((await self.block(0)).get("hash"), "the genesis hash", 32)
        return self._identity.genesis

    async def block(self, block: BlockId = "latest", *, full_transactions: bool = False) -> JsonObject:
        """The block as `eth_getBlockByNumber` writes it; Unavailable where the endpoint has none."""
        if isinstance(block, bytes):
            answer = await self.request("eth_getBlockByHash", [encode_hex(block), full_transactions])
        else:
            answer = await self.request("eth_getBlockByNumber", [_number_or_tag(block), full_transactions])
        if answer is None:
            raise self._unavailable(f"has no block {_shown(block)}")
        return self._object(answer, "a block")

    async def header(self, block: BlockId = "latest") -> Header:
        """The block's header, encoded again and found to have the hash that the endpoint claims for it.

        Asked by number or hash, a header of another is the endpoint's fault.
        """
        return self._header(await self.block(block), block)

    def _header(self, content: JsonObject, asked: BlockId) -> Header:
        try:
            header = header_from_rpc(content)
        except (Malformed, NotVerified) as error:
            raise self._wrong(error.detail) from error
        if (isinstance(asked, int) and header.number != asked) or (
            isinstance(asked, bytes) and header.hash != asked
        ):
            raise self._wrong(f"asked for block {_shown(asked)} it gave another")
        return header

    async def headers(self, numbers: Sequence[int]) -> dict[int, Header]:
        """The headers of blocks by their numbers, as `header` reads one; those that there are none of are left out."""
        blocks = await self.batch([("eth_getBlockByNumber", [hex(number), False]) for number in numbers])
        found = {}
        for number, block in zip(numbers, blocks, strict=True):
            if block is not None:
                found[number] = self._header(self._object(block, "a block"), number)
        return found

    async def finalized(self) -> Header:
        """The newest header that the endpoint calls final."""
        return await self.header("finalized")

    async def block_number(self) -> int:
        """The number of the newest block."""
        return self._number(await self.request("eth_blockNumber"), "eth_blockNumber")

    async def proof(
        self, address: bytes, slots: Sequence[bytes], block: BlockId, *, at_once: int = MAX_PROOF_SLOTS
    ) -> JsonObject:
        """The answer of `eth_getProof` (EIP-1186), unproven; `slots` are at most `at_once` of 32 bytes."""
        if len(slots) > at_once:
            raise ValueError(f"at most {at_once} slots in one proof")
        keys = [encode_hex(slot) for slot in slots]
        answer = await self.request("eth_getProof", [encode_hex(address), keys, _block_parameter(block)])
        return self._object(answer, "eth_getProof")

    async def proof_nodes(
        self, address: bytes, slots: Sequence[bytes], block: BlockId, *, at_once: int = MAX_PROOF_SLOTS
    ) -> tuple[bytes, ...]:
        """The trie nodes of `proof`, each once, in the order they came: the pool of FORMATS.md section 8.

        Any number of slots, `at_once` in one request. Nodes under 32 bytes are left out, since they stand inside their
        parents.
        """
        pool: dict[bytes, None] = {}
        parts = [slots[at : at + at_once] for at in range(0, len(slots), at_once)] or [[]]
        for part in parts:
            answer = await self.proof(address, part, block, at_once=at_once)
            proofs = [answer.get("accountProof")]
            proofs += [
                entry.get("proof") for entry in self._objects(answer.get("storageProof"), "storageProof")
            ]
            for nodes in proofs:
                if type(nodes) is not list:
                    raise self._wrong("a proof without its nodes")
                for node in nodes:
                    data = self._bytes(node, "a proof node")
                    if len(data) >= 32:
                        pool[data] = None
        return tuple(pool)

    async def call(
        self, to: bytes, data: bytes, block: BlockId = "latest", *, sender: bytes | None = None
    ) -> bytes:
        """What the contract at `to` returns for `data`; Reverted where it refuses."""
        message = {"to": encode_hex(to), "data": encode_hex(data)}
        if sender is not None:
            message["from"] = encode_hex(sender)
        return self._bytes(await self._execute("eth_call", [message, _block_parameter(block)]), "eth_call")

    async def estimate_gas(self, sender: bytes, to: bytes | None, data: bytes, value: int = 0) -> int:
        """Gas that the transaction will need by the endpoint's count; Reverted where it would fail."""
        message = {"from": encode_hex(sender), "data": encode_hex(data), "value": hex(value)}
        if to is not None:
            message["to"] = encode_hex(to)
        return self._number(await self._execute("eth_estimateGas", [message]), "eth_estimateGas")

    async def _execute(self, method: str, params: Sequence[Json]) -> Json:
        try:
            return await self.request(method, params)
        except RpcError as error:
            data = error.data if isinstance(error.data, str) and _DATA.match(error.data) else None
            if error.code == _EXECUTION_REVERTED or "revert" in error.message.lower():
                raw = bytes.fromhex(data[2:]) if data else b""
                raise Reverted(method, _revert_reason(raw), raw) from error
            raise

    async def logs(
        self,
        address: bytes,
        topics: Sequence[bytes | Sequence[bytes] | None] = (),
        *,
        from_block: BlockId = 0,
        to_block: BlockId = "latest",
        block_hash: bytes | None = None,
    ) -> list[JsonObject]:
        """Logs of `address` by `eth_getLogs`.

        A topic is 32 bytes, or several of which one must match, or None for any. With `block_hash`, the
        logs of that block alone.
        """
        query: JsonObject = {
            "address": encode_hex(address),
            "topics": [
                None
                if topic is None
                else encode_hex(topic)
                if isinstance(topic, bytes)
                else [*map(encode_hex, topic)]
                for topic in topics
            ],
        }
        if block_hash is not None:
            query["blockHash"] = encode_hex(block_hash)
        else:
            query |= {"fromBlock": _number_or_tag(from_block), "toBlock": _number_or_tag(to_block)}
        return self._objects(await self.request("eth_getLogs", [query]), "eth_getLogs")

    async def code(self, address: bytes, block: BlockId = "latest") -> bytes:
        """The code deployed at `address`, empty where there is none."""
        params = [encode_hex(address), _block_parameter(block)]
        return self._bytes(await self.request("eth_getCode", params), "eth_getCode")

    async def storage_at(self, address: bytes, slot: bytes, block: BlockId = "latest") -> int:
        """The word in a 32-byte storage slot, unproven."""
        params = [encode_hex(address), encode_hex(slot), _block_parameter(block)]
        return int.from_bytes(
            self._bytes(await self.request("eth_getStorageAt", params), "eth_getStorageAt"), "big"
        )

    async def storage_words(
        self, address: bytes, slots: Sequence[bytes], block: BlockId = "latest"
    ) -> list[int]:
        """The words in several storage slots, unproven."""
        asked = [
            ("eth_getStorageAt", [encode_hex(address), encode_hex(slot), _block_parameter(block)])
            for slot in slots
        ]
        return [
            int.from_bytes(self._bytes(word, "eth_getStorageAt"), "big") for word in await self.batch(asked)
        ]

    async def nonce(self, address: bytes, block: BlockId = "latest") -> int:
        """Transactions that `address` has sent; with `pending`, those in the endpoint's pool too."""
        params = [encode_hex(address), _block_parameter(block)]
        return self._number(await self.request("eth_getTransactionCount", params), "eth_getTransactionCount")

    async def balance(self, address: bytes, block: BlockId = "latest") -> int:
        """Wei held by `address`."""
        params = [encode_hex(address), _block_parameter(block)]
        return self._number(await self.request("eth_getBalance", params), "eth_getBalance")

    async def gas_price(self) -> GasPrice:
        """The newest base fee and the usual tip, by the endpoint's word."""
        block, tip = await self.batch(
            [("eth_getBlockByNumber", ["latest", False]), ("eth_maxPriorityFeePerGas", [])]
        )
        base = self._number(self._object(block, "a block").get("baseFeePerGas", "0x0"), "baseFeePerGas")
        return GasPrice(base, self._number(tip, "eth_maxPriorityFeePerGas"))

    async def fees(self) -> Fees:
        """Fees with which a transaction is likely to come into one of the next blocks."""
        return (await self.gas_price()).fees

    async def send_raw(self, raw: bytes) -> bytes:
        """Hand over a signed transaction and return its 32-byte hash.

        One that the endpoint knows already is no fault. TransactionRefused where the endpoint does not take
        it.
        """
        try:
            answer = await self.request("eth_sendRawTransaction", [encode_hex(raw)])
        except RpcError as error:
            code = _refusal(error.message)
            if code == "already_known":
                return keccak256(raw)
            if error.code == _METHOD_NOT_FOUND:
                raise
            raise TransactionRefused(
                f"{self.host} refused the transaction: {error.message}", code=code
            ) from error
        if self._bytes(answer, "eth_sendRawTransaction", 32) != (expected := keccak256(raw)):
            raise self._wrong("it gave a transaction another hash")
        return expected

    async def receipt(self, transaction_hash: bytes) -> JsonObject | None:
        """The receipt of a transaction that is in a block of the endpoint's chain, else None."""
        answer = await self.request("eth_getTransactionReceipt", [encode_hex(transaction_hash)])
        return None if answer is None else self._object(answer, "a receipt")

    async def transaction(self, transaction_hash: bytes) -> JsonObject | None:
        """A transaction that the endpoint knows, pending or in a block, else None."""
        answer = await self.request("eth_getTransactionByHash", [encode_hex(transaction_hash)])
        return None if answer is None else self._object(answer, "a transaction")

    async def final_transaction(self, transaction_hash: bytes, newest: int) -> tuple[JsonObject, Header]:
        """A transaction, unproven, and the header of the final block in which the endpoint says that it is.

        `newest` is the number of the newest final block. Unavailable where the endpoint does not know the transaction,
        or in no final block of its chain.
        """
        found = await self.transaction(transaction_hash)
        if found is None:
            raise self._unavailable("knows no such transaction")
        if found.get("blockNumber") is None:
            raise self._unavailable("has the transaction in no block yet")
        number = self._number(found["blockNumber"], "the number of a block")
        if number > newest:
            raise self._unavailable("has the transaction in no final block yet")
        header = await self.header(number)
        if found.get("blockHash") != encode_hex(header.hash):
            raise self._wrong("the transaction is in a block that is none of its chain")
        return found, header

    async def client_version(self) -> str:
        """What the endpoint calls its software."""
        return str(await self.request("web3_clientVersion"))

    # --- forms of answers ---

    def _number(self, value: Json, what: str) -> int:
        if not isinstance(value, str) or not _QUANTITY.match(value):
            raise self._wrong(f"{what} is no quantity")
        return int(value, 16)

    def _bytes(self, value: Json, what: str, length: int | None = None) -> bytes:
        if not isinstance(value, str) or not _DATA.match(value):
            raise self._wrong(f"{what} is no hex data")
        data = bytes.fromhex(value[2:])
        if length is not None and len(data) != length:
            raise self._wrong(f"{what} has {len(data)} bytes, not {length}")
        return data

    def _object(self, value: Json, what: str) -> JsonObject:
        if type(value) is not dict:
            raise self._wrong(f"{what} is no object")
        return value

    def _objects(self, value: Json, what: str) -> list[JsonObject]:
        if type(value) is not list or not all(type(item) is dict for item in value):
            raise self._wrong(f"{what} is no list of objects")
        return value


def _endpoint(text: str) -> URL:
    try:
        url = URL(text)
    except ValueError as error:
        raise Misconfigured("the chain endpoint is no URL") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise Misconfigured("the chain endpoint must be an http or https URL with a host")
    return url


def _key_parts(url: URL) -> tuple[str, ...]:
    """What of a URL may be a key, the longest first: hosted endpoints have it in path or query, or as user info."""
    parts = {
        *url.parts,
        *url.raw_parts,
        *url.query.values(),
        *url.raw_query_string.split("&"),
        url.user,
        url.password,
    }
    return tuple(
        sorted((part for part in parts if part and len(part) >= _LEAST_KEY_CHARS), key=len, reverse=True)
    )


def _number_or_tag(block: BlockId) -> str:
    if isinstance(block, bytes):
        raise TypeError("a block number or a tag is needed here, not a hash")
    if isinstance(block, int):
        return hex(block)
    if block not in TAGS:
        raise ValueError(f"no block tag: {block}")
    return block


def _block_parameter(block: BlockId) -> Any:
    # EIP-1898. `requireCanonical`, so that an endpoint whose chain has moved on says so instead of answering.
    if isinstance(block, bytes):
        return {"blockHash": encode_hex(block), "requireCanonical": True}
    return _number_or_tag(block)


def _shown(block: BlockId) -> str:
    return encode_hex(block) if isinstance(block, bytes) else str(block)


def _reason(error: Exception) -> str:
    # The text of aiohttp's errors can hold the whole URL, and with it a hosted endpoint's key.
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or "no connection"
    return type(error).__name__


def _revert_reason(data: bytes) -> str:
    if data[:4] != _ERROR_SELECTOR or len(data) < 68:
        return ""
    length = int.from_bytes(data[36:68], "big")
    return data[68 : 68 + min(length, 256)].decode("utf-8", errors="replace")


def _refusal(message: str) -> str:
    text = message.lower()
    for part, code in (
        ("already known", "already_known"),
        ("already imported", "already_known"),
        ("known transaction", "already_known"),
        ("nonce too low", "nonce_too_low"),
        ("underpriced", "underpriced"),
        ("less than block base fee", "underpriced"),
        ("insufficient funds", "insufficient_funds"),
    ):
        if part in text:
            return code
    return "refused"
