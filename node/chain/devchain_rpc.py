"""JSON-RPC over HTTP for the embedded chain, and the clock that makes its blocks.

Methods, parameters and answers: Ethereum Execution APIs (`execution-apis`), EIP-1186 (`eth_getProof`), EIP-1898
(blocks by hash); `evm_mine` as Anvil has it. There is no method that holds keys, moves time or changes state by hand.
For development there are two that make the chain waver, as real ones do: `anvil_reorg` as Anvil has it, but never of a
block that is final, and `bonafides_holdFinality`, while which nothing more becomes final.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final

import orjson
from aiohttp import web

from node.chain.devchain import CallReverted, DevChain, effective_gas_price
from node.chain.devchain_store import MinedLog, MinedTransaction
from node.chain.pyevm import Header, PragueVM, Transaction, rlp
from node.core.encoding import encode_hex
from node.core.errors import BonafidesError, Malformed, Refused
from node.core.strict_json import Json, JsonObject, parse_json

_LOG = logging.getLogger(__name__)

BLOCK_TIME_SECONDS: Final = 1
# Else nothing that lags becomes final, and a quiet chain grows stale.
IDLE_BLOCK_TIME_SECONDS: Final = 60
# So that transactions sent together share a block and those behind the first need not wait a second.
_GATHER_SECONDS: Final = 0.02

_MAX_BODY_BYTES: Final = 4 * 1024 * 1024
_MAX_BATCH: Final = 200
_MAX_LOGS: Final = 20_000
_MAX_SLOTS: Final = 1024
_MAX_FEE_HISTORY: Final = 1024
_MAX_MINED_AT_ONCE: Final = 10_000
_TIP_WEI: Final = 10**9
_CLIENT_VERSION: Final = "bonafides-devchain/1"

# JSON-RPC 2.0 section 5.1, and the codes that other nodes use beside them
_PARSE_ERROR: Final = -32700
_INVALID_REQUEST: Final = -32600
_METHOD_NOT_FOUND: Final = -32601
_INVALID_PARAMS: Final = -32602
_INTERNAL_ERROR: Final = -32603
_SERVER_ERROR: Final = -32000
_RESOURCE_NOT_FOUND: Final = -32001
_LIMIT_EXCEEDED: Final = -32005
_REVERTED: Final = 3

_QUANTITY: Final = re.compile(r"0x(?:0|[1-9a-fA-F][0-9a-fA-F]{0,63})\Z")
_DATA: Final = re.compile(r"0x(?:[0-9a-fA-F]{2})*\Z")
_ERROR_SELECTOR: Final = bytes.fromhex("08c379a0")


class _RpcFault(Exception):
    def __init__(self, code: int, message: str, data: Json = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


class ChainServer:
    """Answers requests on one chain, and writes its blocks: `run` until cancelled.

    `finality_lag_blocks` is how far `finalized` and `safe` stay behind `latest`; `block_time_seconds` the least time
    between blocks while transactions wait, at least 1.
    """

    def __init__(
        self,
        chain: DevChain,
        *,
        finality_lag_blocks: int = 0,
        block_time_seconds: int = BLOCK_TIME_SECONDS,
        idle_block_time_seconds: int = IDLE_BLOCK_TIME_SECONDS,
    ) -> None:
        self.chain = chain
        self.finality_lag_blocks = finality_lag_blocks
        self.block_time_seconds = max(block_time_seconds, 1)
        self.idle_block_time_seconds = max(idle_block_time_seconds, 1)
        self._submitted = asyncio.Event()
        self._mining = asyncio.Lock()
        self._held_at: int | None = None
        self._methods = self._table()

    # --- blocks ---

    async def run(self) -> None:
        """Write a block when transactions wait and time allows, and an empty one when it was quiet for long."""
        while True:
            self._submitted.clear()
            head_time = self.chain.head.timestamp
            ready = self.chain.has_ready()
            due = head_time + (self.block_time_seconds if ready else self.idle_block_time_seconds)
            if self.chain.now() >= due:
                if ready:
                    await asyncio.sleep(_GATHER_SECONDS)
                await self._mine_now()
            elif ready:
                await asyncio.sleep(self._seconds_until(due))
            else:
                await self._wait_for_submission(self._seconds_until(due))

    def wake(self) -> None:
        """Make `run` look at pool and clock again now."""
        self._submitted.set()

    async def _mine_now(self) -> None:
        async with self._mining:
            now = self.chain.now()
            if now > self.chain.head.timestamp:
                header = self.chain.mine(now)
                _LOG.debug("block %d at %d", header.block_number, header.timestamp)

    async def _wait_for_submission(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._submitted.wait()
        except TimeoutError:
            pass

    def _seconds_until(self, due: int) -> float:
        # A clock that was set back must not stop the chain for longer than a look every minute.
        return min(max(due - self.chain.clock(), 0.005), 60.0)

    async def mine(self, count: int) -> int:
        """Write `count` blocks and return the number of the last.

        Blocks are a second apart and none is later than the clock, so that this takes as many seconds as the time
        since the head does not hold. What waits in the pool goes only into blocks of the present second: an older
        one would date it back.
        """
        async with self._mining:
            for left in range(count, 0, -1):
                while self.chain.now() <= self.chain.head.timestamp:  # noqa: ASYNC110 - the clock decides, no event
                    await asyncio.sleep(self._seconds_until(self.chain.head.timestamp + 1))
                now = self.chain.now()
                timestamp = max(self.chain.head.timestamp + 1, now - (left - 1))
                self.chain.mine(timestamp, with_pool=timestamp == now)
                await asyncio.sleep(0)
        return int(self.chain.head.block_number)

    # --- requests ---

    async def handle(self, request: web.Request) -> web.Response:
        """`POST /`: one JSON-RPC request or a batch."""
        # A page in a browser can send other content types here without asking; this one it cannot.
        if request.content_type != "application/json":
            raise web.HTTPUnsupportedMediaType(text="expected application/json\n")
        try:
            body = parse_json(await request.read(), max_bytes=_MAX_BODY_BYTES)
        except Malformed as error:
            return _json(_error(None, _RpcFault(_PARSE_ERROR, error.detail)))
        if type(body) is not list:
            return _json(await self._answer(body))
        if not 0 < len(body) <= _MAX_BATCH:
            return _json(
                _error(None, _RpcFault(_INVALID_REQUEST, f"a batch holds 1 to {_MAX_BATCH} requests"))
            )
        return _json([await self._answer(item) for item in body])

    async def _answer(self, body: Json) -> JsonObject:
        if type(body) is not dict or not isinstance(body.get("method"), str):
            return _error(None, _RpcFault(_INVALID_REQUEST, "not a JSON-RPC request"))
        request_id = body.get("id")
        try:
            return {"jsonrpc": "2.0", "id": request_id, "result": await self._dispatch(body)}
        except _RpcFault as error:
            fault = error
        except CallReverted as error:
            reason = _revert_reason(error.data)
            message = f"execution reverted: {reason}" if reason else "execution reverted"
            fault = _RpcFault(_REVERTED, message, encode_hex(error.data))
        except Refused as error:
            fault = _RpcFault(_SERVER_ERROR, error.detail)
        except BonafidesError as error:
            fault = _RpcFault(_INVALID_PARAMS, error.detail)
        except Exception:  # noqa: BLE001 - logged whole and answered
            # Whatever a request ran into, the chain goes on and the other requests of a batch are answered.
            _LOG.exception("method %s failed", body["method"][:64])
            fault = _RpcFault(_INTERNAL_ERROR, "internal error")
        return _error(request_id, fault)

    async def _dispatch(self, body: JsonObject) -> Json:
        method = self._methods.get(body["method"])
        if method is None:
            raise _RpcFault(_METHOD_NOT_FOUND, f"no method {body['method'][:64]}")
        params = body.get("params", [])
        if type(params) is not list:
            raise _RpcFault(_INVALID_PARAMS, "params must be a list")
        result = method(params)
        return await result if isinstance(result, Awaitable) else result

    def _table(self) -> dict[str, Callable[[list[Json]], Any]]:
        return {
            "anvil_reorg": self._reorganise,
            "bonafides_holdFinality": self._hold_finality,
            "eth_accounts": lambda _: [],
            "eth_blockNumber": lambda _: hex(self.chain.head.block_number),
            "eth_call": self._call,
            "eth_chainId": lambda _: hex(self.chain.chain_id),
            "eth_estimateGas": self._estimate_gas,
            "eth_feeHistory": self._fee_history,
            "eth_gasPrice": lambda _: hex(self._next_base_fee(self.chain.head) + _TIP_WEI),
            "eth_getBalance": lambda p: hex(self._state(p, 1).get_balance(_address(p, 0))),
            "eth_getBlockByHash": lambda p: self._block(self._by_hash(_data(p, 0, 32)), _at(p, 1, False)),
            "eth_getBlockByNumber": lambda p: self._block(
                self._by_tag(_at(p, 0, "latest")), _at(p, 1, False)
            ),
            "eth_getBlockReceipts": self._block_receipts,
            "eth_getCode": lambda p: encode_hex(self._state(p, 1).get_code(_address(p, 0))),
            "eth_getLogs": self._logs,
            "eth_getProof": self._proof,
            "eth_getStorageAt": self._storage_at,
            "eth_getTransactionByHash": self._transaction_by_hash,
            "eth_getTransactionCount": self._transaction_count,
            "eth_getTransactionReceipt": self._receipt,
            "eth_maxPriorityFeePerGas": lambda _: hex(_TIP_WEI),
            "eth_sendRawTransaction": self._send_raw,
            "eth_syncing": lambda _: False,
            "evm_mine": self._evm_mine,
            "net_listening": lambda _: True,
            "net_version": lambda _: str(self.chain.chain_id),
            "web3_clientVersion": lambda _: _CLIENT_VERSION,
        }

    # --- which block ---

    def _final_number(self) -> int:
        final = max(int(self.chain.head.block_number) - self.finality_lag_blocks, 0)
        return final if self._held_at is None else min(final, self._held_at)

    def _number(self, value: Json) -> int:
        """The number that a tag stands for, or that is written out; it may lie beyond the head."""
        head, final = int(self.chain.head.block_number), self._final_number()
        tags = {"latest": head, "pending": head, "safe": final, "finalized": final, "earliest": 0}
        if isinstance(value, str) and value in tags:
            return tags[value]
        if not isinstance(value, str) or not _QUANTITY.match(value):
            raise _RpcFault(_INVALID_PARAMS, "expected a block number in hex or a tag")
        return int(value, 16)

    def _by_tag(self, value: Json) -> Header | None:
        number = self._number(value)
        return self.chain.header(number) if number <= self.chain.head.block_number else None

    def _by_hash(self, block_hash: bytes) -> Header | None:
        number = self.chain.store.block_number(block_hash)
        return None if number is None else self.chain.header(number)

    def _header(self, params: Sequence[Json], index: int) -> Header:
        value = _at(params, index, "latest")
        if type(value) is dict:
            header = (
                self._by_hash(_data([value["blockHash"]], 0, 32))
                if "blockHash" in value
                else self._by_tag(value.get("blockNumber"))
            )
        else:
            header = self._by_tag(value)
        if header is None:
            raise _RpcFault(_RESOURCE_NOT_FOUND, "header not found")
        return header

    def _state(self, params: Sequence[Json], index: int) -> Any:
        return self.chain.state(self._header(params, index))

    def _next_base_fee(self, header: Header) -> int:
        child: int = PragueVM.create_header_from_parent(
            header, timestamp=header.timestamp + 1
        ).base_fee_per_gas
        return child

    # --- methods ---

    def _call(self, params: list[Json]) -> str:
        sender, to, data, value = _message(params)
        header = self._header(params, 1)
        if to is None:
            raise _RpcFault(_INVALID_PARAMS, "a call needs `to`")
        return encode_hex(self.chain.call(header, sender, to, data, value))

    def _estimate_gas(self, params: list[Json]) -> str:
        return hex(self.chain.estimate_gas(*_message(params)))

    def _send_raw(self, params: list[Json]) -> str:
        transaction_hash = self.chain.submit(_data(params, 0))
        self.wake()
        return encode_hex(transaction_hash)

    async def _evm_mine(self, params: list[Json]) -> str:
        options = _at(params, 0, {})
        count = options.get("blocks", 1) if type(options) is dict else 1
        if isinstance(count, str) and _QUANTITY.match(count):
            count = int(count, 16)
        if type(count) is not int or not 1 <= count <= _MAX_MINED_AT_ONCE:
            raise _RpcFault(_INVALID_PARAMS, f"blocks must be 1 to {_MAX_MINED_AT_ONCE:,}")
        await self.mine(count)
        return "0x0"

    async def _reorganise(self, params: list[Json]) -> None:
        depth = _at(params, 0)
        if _at(params, 1, None):
            raise _RpcFault(_INVALID_PARAMS, "what replaces a block here is empty")
        async with self._mining:
            unsettled = int(self.chain.head.block_number) - self._final_number()
            if type(depth) is not int or not 1 <= depth <= unsettled:
                raise _RpcFault(_INVALID_PARAMS, f"depth must be 1 to {unsettled}: blocks before are final")
            self.chain.reorganise(depth)

    def _hold_finality(self, params: list[Json]) -> None:
        hold = _at(params, 0)
        if type(hold) is not bool:
            raise _RpcFault(_INVALID_PARAMS, "expected true or false")
        self._held_at = self._final_number() if hold else None

    def _storage_at(self, params: list[Json]) -> str:
        value = self._state(params, 2).get_storage(_address(params, 0), _slot(_at(params, 1)))
        return encode_hex(value.to_bytes(32, "big"))

    def _transaction_count(self, params: list[Json]) -> str:
        address = _address(params, 0)
        if _at(params, 1, "latest") == "pending":
            return hex(self.chain.pending_nonce(address))
        return hex(self._state(params, 1).get_nonce(address))

    def _proof(self, params: list[Json]) -> JsonObject:
        address = _address(params, 0)
        keys = _at(params, 1, [])
        if type(keys) is not list or len(keys) > _MAX_SLOTS:
            raise _RpcFault(_INVALID_PARAMS, f"expected a list of at most {_MAX_SLOTS} storage keys")
        proof = self.chain.proof(self._header(params, 2), address, [_slot(key) for key in keys])
        return {
            "address": encode_hex(address),
            "accountProof": [encode_hex(node) for node in proof.nodes],
            "balance": hex(proof.balance),
            "codeHash": encode_hex(proof.code_hash),
            "nonce": hex(proof.nonce),
            "storageHash": encode_hex(proof.storage_root),
            "storageProof": [
                {"key": key, "value": hex(value), "proof": [encode_hex(node) for node in nodes]}
                for key, (_, value, nodes) in zip(keys, proof.slots, strict=True)
            ],
        }

    def _logs(self, params: list[Json]) -> list[JsonObject]:
        query = _at(params, 0)
        if type(query) is not dict:
            raise _RpcFault(_INVALID_PARAMS, "expected a filter object")
        if "blockHash" in query:
            header = self._by_hash(_data([query["blockHash"]], 0, 32))
            if header is None:
                raise _RpcFault(_RESOURCE_NOT_FOUND, "unknown block")
            first = last = header.block_number
        else:
            first, last = (self._number(query.get(name) or "latest") for name in ("fromBlock", "toBlock"))
            last = min(last, int(self.chain.head.block_number))
        topics = query.get("topics") or []
        if type(topics) is not list or len(topics) > 4:
            raise _RpcFault(_INVALID_PARAMS, "expected at most four topics")
        found_logs = self.chain.store.logs(
            first,
            last,
            _one_or_many(query.get("address"), 20),
            [_one_or_many(topic, 32) for topic in topics],
            _MAX_LOGS + 1,
        )
        if len(found_logs) > _MAX_LOGS:
            raise _RpcFault(_LIMIT_EXCEEDED, f"query returned more than {_MAX_LOGS:,} results")
        return [self._log_json(log) for log in found_logs]

    def _fee_history(self, params: list[Json]) -> JsonObject:
        count = _at(params, 0)
        count = int(count, 16) if isinstance(count, str) and _QUANTITY.match(count) else count
        percentiles = _at(params, 2, None) or []
        if type(count) is not int or not 1 <= count <= _MAX_FEE_HISTORY or type(percentiles) is not list:
            raise _RpcFault(_INVALID_PARAMS, f"expected a count of 1 to {_MAX_FEE_HISTORY} blocks")
        newest = self._header(params, 1)
        oldest = max(newest.block_number - count + 1, 0)
        headers = [self.chain.header(number) for number in range(oldest, newest.block_number + 1)]
        fees = [header.base_fee_per_gas for header in headers] + [self._next_base_fee(newest)]
        answer = {
            "oldestBlock": hex(oldest),
            "baseFeePerGas": [hex(fee) for fee in fees],
            "gasUsedRatio": [header.gas_used / header.gas_limit for header in headers],
        }
        if percentiles:
            answer["reward"] = [self._rewards(header, percentiles) for header in headers]
        return answer

    def _rewards(self, header: Header, percentiles: list[Json]) -> list[str]:
        mined = sorted(
            self.chain.store.transactions_in(header.block_number), key=lambda entry: entry.gas_price
        )
        rewards = []
        for percentile in percentiles:
            if not isinstance(percentile, int | float) or not 0 <= percentile <= 100:
                raise _RpcFault(_INVALID_PARAMS, "percentiles lie between 0 and 100")
            left = math.ceil(header.gas_used * percentile / 100)
            tip = 0
            for entry in mined:
                tip = entry.gas_price - header.base_fee_per_gas
                left -= entry.gas_used
                if left <= 0:
                    break
            rewards.append(hex(tip))
        return rewards

    # --- answers ---

    def _block(self, header: Header | None, full: Json) -> JsonObject | None:
        if header is None:
            return None
        mined = self.chain.store.transactions_in(header.block_number)
        size = len(rlp.encode(header)) + sum(len(entry.raw) for entry in mined) + 8
        return {
            "hash": encode_hex(header.hash),
            "parentHash": encode_hex(header.parent_hash),
            "sha3Uncles": encode_hex(header.uncles_hash),
            "miner": encode_hex(header.coinbase),
            "stateRoot": encode_hex(header.state_root),
            "transactionsRoot": encode_hex(header.transaction_root),
            "receiptsRoot": encode_hex(header.receipt_root),
            "logsBloom": encode_hex(header.bloom.to_bytes(256, "big")),
            "difficulty": hex(header.difficulty),
            "number": hex(header.block_number),
            "gasLimit": hex(header.gas_limit),
            "gasUsed": hex(header.gas_used),
            "timestamp": hex(header.timestamp),
            "extraData": encode_hex(header.extra_data),
            "mixHash": encode_hex(header.mix_hash),
            "nonce": encode_hex(header.nonce),
            "baseFeePerGas": hex(header.base_fee_per_gas),
            "withdrawalsRoot": encode_hex(header.withdrawals_root),
            "blobGasUsed": hex(header.blob_gas_used),
            "excessBlobGas": hex(header.excess_blob_gas),
            "parentBeaconBlockRoot": encode_hex(header.parent_beacon_block_root),
            "requestsHash": encode_hex(header.requests_hash),
            "size": hex(size),
            "uncles": [],
            "withdrawals": [],
            "transactions": [
                self._mined_json(entry, header) if full is True else encode_hex(entry.hash) for entry in mined
            ],
        }

    def _transaction_by_hash(self, params: list[Json]) -> JsonObject | None:
        transaction_hash = _data(params, 0, 32)
        entry = self.chain.store.transaction_of(transaction_hash)
        if entry is not None:
            return self._mined_json(entry, self.chain.header(entry.block))
        pending = self.chain.pending(transaction_hash)
        if pending is None:
            return None
        return _transaction_json(pending, pending.sender, self.chain.chain_id) | {
            "blockHash": None,
            "blockNumber": None,
            "transactionIndex": None,
            "gasPrice": hex(effective_gas_price(pending, self._next_base_fee(self.chain.head))),
        }

    def _mined_json(self, entry: MinedTransaction, header: Header) -> JsonObject:
        transaction = PragueVM.get_transaction_builder().decode(entry.raw)
        return _transaction_json(transaction, entry.sender, self.chain.chain_id) | {
            "blockHash": encode_hex(header.hash),
            "blockNumber": hex(entry.block),
            "transactionIndex": hex(entry.position),
            "gasPrice": hex(entry.gas_price),
        }

    def _receipt(self, params: list[Json]) -> JsonObject | None:
        entry = self.chain.store.transaction_of(_data(params, 0, 32))
        return None if entry is None else self._receipt_json(entry)

    def _block_receipts(self, params: list[Json]) -> list[JsonObject]:
        header = self._header(params, 0)
        return [self._receipt_json(entry) for entry in self.chain.store.transactions_in(header.block_number)]

    def _receipt_json(self, entry: MinedTransaction) -> JsonObject:
        header = self.chain.header(entry.block)
        transaction = PragueVM.get_transaction_builder().decode(entry.raw)
        receipt = self.chain.receipt(header, entry.position)
        return {
            "type": hex(transaction.type_id or 0),
            "status": hex(int(entry.succeeded)),
            "transactionHash": encode_hex(entry.hash),
            "transactionIndex": hex(entry.position),
            "blockHash": encode_hex(header.hash),
            "blockNumber": hex(entry.block),
            "from": encode_hex(entry.sender),
            "to": encode_hex(transaction.to) if transaction.to else None,
            "contractAddress": encode_hex(entry.created) if entry.created else None,
            "cumulativeGasUsed": hex(entry.cumulative_gas_used),
            "gasUsed": hex(entry.gas_used),
            "effectiveGasPrice": hex(entry.gas_price),
            "logsBloom": encode_hex(receipt.bloom.to_bytes(256, "big")),
            "logs": [self._log_json(log) for log in self.chain.store.logs_of(entry)],
        }

    def _log_json(self, log: MinedLog) -> JsonObject:
        header = self.chain.header(log.block)
        return {
            "address": encode_hex(log.address),
            "topics": [encode_hex(topic) for topic in log.topics],
            "data": encode_hex(log.data),
            "blockHash": encode_hex(header.hash),
            "blockNumber": hex(log.block),
            "blockTimestamp": hex(header.timestamp),
            "transactionHash": encode_hex(log.transaction_hash),
            "transactionIndex": hex(log.transaction_position),
            "logIndex": hex(log.position),
            "removed": False,
        }


CHAIN_SERVER: Final = web.AppKey("chain_server", ChainServer)


def make_app(server: ChainServer) -> web.Application:
    """The chain's HTTP service: `POST /` for JSON-RPC, `GET /health`; blocks are made while it runs."""
    app = web.Application(client_max_size=_MAX_BODY_BYTES)
    app[CHAIN_SERVER] = server
    app.router.add_post("/", server.handle)
    app.router.add_get("/health", _health)
    app.cleanup_ctx.append(_blocks)
    return app


async def _health(request: web.Request) -> web.Response:
    return _json({"status": "ok", "block": int(request.app[CHAIN_SERVER].chain.head.block_number)})


async def _blocks(app: web.Application) -> AsyncIterator[None]:
    task = asyncio.create_task(_run_until_failure(app[CHAIN_SERVER]))
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _run_until_failure(server: ChainServer) -> None:
    try:
        await server.run()
    except Exception:
        # A full disk, say. The chain stays as it was; who reads it still may, who sends waits.
        _LOG.exception("no more blocks are made")
        raise


def _json(body: Json) -> web.Response:
    return web.Response(body=orjson.dumps(body), content_type="application/json")


def _error(request_id: Json, fault: _RpcFault) -> JsonObject:
    error: JsonObject = {"code": fault.code, "message": fault.message}
    if fault.data is not None:
        error["data"] = fault.data
    return {"jsonrpc": "2.0", "id": request_id, "error": error}


def _transaction_json(transaction: Transaction, sender: bytes, chain_id: int) -> JsonObject:
    kind = transaction.type_id or 0
    body: JsonObject = {
        "type": hex(kind),
        "hash": encode_hex(transaction.hash),
        "from": encode_hex(sender),
        "to": encode_hex(transaction.to) if transaction.to else None,
        "nonce": hex(transaction.nonce),
        "value": hex(transaction.value),
        "gas": hex(transaction.gas),
        "input": encode_hex(transaction.data),
        "chainId": hex(chain_id),
        "r": hex(transaction.r),
        "s": hex(transaction.s),
        "v": hex(transaction.y_parity if kind else transaction.v),
    }
    if kind:
        body["yParity"] = hex(transaction.y_parity)
        body["accessList"] = [
            {
                "address": encode_hex(address),
                "storageKeys": [encode_hex(key.to_bytes(32, "big")) for key in keys],
            }
            for address, keys in transaction.access_list
        ]
    if kind == 2:
        body["maxFeePerGas"] = hex(transaction.max_fee_per_gas)
        body["maxPriorityFeePerGas"] = hex(transaction.max_priority_fee_per_gas)
    return body


# --- parameters ---

_REQUIRED: Final = object()


def _at(params: Sequence[Json], index: int, default: Json = _REQUIRED) -> Json:
    if index < len(params):
        return params[index]
    if default is _REQUIRED:
        raise _RpcFault(_INVALID_PARAMS, f"missing parameter {index}")
    return default


def _data(params: Sequence[Json], index: int, length: int | None = None) -> bytes:
    value = _at(params, index)
    if not isinstance(value, str) or not _DATA.match(value):
        raise _RpcFault(_INVALID_PARAMS, "expected hex data")
    data = bytes.fromhex(value[2:])
    if length is not None and len(data) != length:
        raise _RpcFault(_INVALID_PARAMS, f"expected {length} bytes, got {len(data)}")
    return data


def _address(params: Sequence[Json], index: int) -> bytes:
    return _data(params, index, 20)


def _slot(value: Json) -> int:
    # Clients write slots as quantities and as padded words.
    if not isinstance(value, str) or not re.match(r"0x[0-9a-fA-F]{1,64}\Z", value):
        raise _RpcFault(_INVALID_PARAMS, "expected a storage key of at most 32 bytes")
    return int(value, 16)


def _one_or_many(value: Json, length: int) -> list[bytes]:
    if value is None:
        return []
    values = value if type(value) is list else [value]
    return [_data(values, index, length) for index in range(len(values))]


def _message(params: Sequence[Json]) -> tuple[bytes, bytes | None, bytes, int]:
    message = _at(params, 0)
    if type(message) is not dict:
        raise _RpcFault(_INVALID_PARAMS, "expected a transaction object")
    data = message.get("input") or message.get("data") or "0x"
    value = message.get("value") or "0x0"
    if not isinstance(value, str) or not _QUANTITY.match(value):
        raise _RpcFault(_INVALID_PARAMS, "value must be a quantity")
    to = message.get("to")
    sender = message.get("from")
    return (
        _data([sender], 0, 20) if sender else bytes(20),
        _data([to], 0, 20) if to else None,
        _data([data], 0),
        int(value, 16),
    )


def _revert_reason(data: bytes) -> str:
    if data[:4] != _ERROR_SELECTOR or len(data) < 68:
        return ""
    return data[68 : 68 + int.from_bytes(data[36:68], "big")].decode("utf-8", errors="replace")[:200]
