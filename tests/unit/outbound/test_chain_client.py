"""The client against endpoints that lie, lag, babble or are not there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from node.core.errors import Misconfigured, Unavailable
from node.core.evm.keccak import keccak256
from node.outbound.chain import ChainClient, Reverted, RpcError, TransactionRefused

Answer = Callable[[Any], Any]
Serve = Callable[[Answer], Any]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """A client of an endpoint that answers every request with what the test says."""
    opened: list[Any] = []

    async def start(answer: Answer, **options: Any) -> ChainClient:
        async def handle(request: web.Request) -> web.StreamResponse:
            result = answer(json.loads(await request.read()))
            return result if isinstance(result, web.StreamResponse) else web.json_response(result)

        app = web.Application()
        app.router.add_post("/key/{secret}", handle)
        server = TestServer(app)
        await server.start_server()
        client = ChainClient(str(server.make_url("/key/very-secret")), **options)
        opened.extend([client, server])
        return client

    yield start
    for each in opened:
        await each.close()


def result(value: Any) -> Answer:
    return lambda request: {"jsonrpc": "2.0", "id": request["id"], "result": value}


def error(code: int, message: str, data: Any = None) -> Answer:
    return lambda request: {
        "jsonrpc": "2.0",
        "id": request["id"],
        "error": {"code": code, "message": message, "data": data},
    }


FAULTS: dict[str, Answer] = {
    "not_json": lambda _: web.Response(text="<html>busy</html>"),
    "an_error_status": lambda _: web.Response(status=503, text="busy"),
    "a_redirect": lambda _: web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}),
    "another_id": lambda request: {"jsonrpc": "2.0", "id": request["id"] + 1, "result": "0x1"},
    "a_list": lambda _: [],
    "neither_result_nor_error": lambda request: {"jsonrpc": "2.0", "id": request["id"]},
    "a_member_twice": lambda request: web.Response(
        text=f'{{"id":{request["id"]},"result":"0x1","result":"0x2"}}'
    ),
    "a_number": result(1),
    "hex_with_a_leading_zero": result("0x01"),
    "an_empty_quantity": result("0x"),
    "null": result(None),
}


@pytest.mark.parametrize("answer", FAULTS.values(), ids=FAULTS)
async def test_an_answer_without_form_is_unavailable_and_names_the_host_alone(
    serve: Serve, answer: Answer
) -> None:
    client = await serve(answer)
    with pytest.raises(Unavailable) as failed:
        await client.chain_id()
    assert failed.value.asked == client.host
    assert client.host in failed.value.detail
    assert "very-secret" not in failed.value.detail
    assert client.contacted == {client.host}


@pytest.mark.parametrize(
    "body",
    [{"error": "too many requests"}, {"message": "slow down"}, "slow down"],
    ids=["an error that is a text", "no error", "a text"],
)
async def test_a_status_is_told_where_the_body_is_json_and_no_json_rpc(serve: Serve, body: Any) -> None:
    client = await serve(lambda _: web.json_response(body, status=429))
    with pytest.raises(Unavailable, match="HTTP status 429"):
        await client.block_number()


async def test_an_error_of_json_rpc_is_told_whatever_the_status(serve: Serve) -> None:
    body = {"jsonrpc": "2.0", "id": None, "error": {"code": -32005, "message": "quota used up"}}
    client = await serve(lambda _: web.json_response(body, status=429))
    with pytest.raises(RpcError, match="quota used up"):
        await client.block_number()


async def test_an_endpoint_that_is_not_there_is_unavailable() -> None:
    async with ChainClient("http://127.0.0.1:1/very-secret") as client:
        with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1") as failed:
            await client.block_number()
    assert "very-secret" not in failed.value.detail


async def test_an_answer_beyond_the_limit_is_not_read_to_its_end(serve: Serve) -> None:
    client = await serve(result("0x" + "00" * 5000), max_answer_bytes=4000)
    with pytest.raises(Unavailable, match="more than 4,000 bytes"):
        await client.code(bytes(20))


async def test_an_endpoint_that_takes_too_long_is_unavailable() -> None:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(never, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, ChainClient(f"http://127.0.0.1:{port}", timeout_seconds=0.1) as client:
        with pytest.raises(Unavailable, match="no answer within"):
            await client.block_number()


async def test_an_error_keeps_the_endpoint_s_words(serve: Serve) -> None:
    client = await serve(error(-32000, "missing trie node", "0x"))
    with pytest.raises(RpcError, match="missing trie node") as failed:
        await client.proof(bytes(20), [], 1)
    assert failed.value.code == -32000


@pytest.mark.parametrize(
    "words",
    [
        "the key very-secret is over its limit",
        "no access: see HTTPS://rpc.example/key/very-secret?x=1 or pay",
        f"{'x' * 195} very-secret",
        "\x1b[2J\nvery-secret",
    ],
)
async def test_an_error_never_repeats_the_key_in_the_url(serve: Serve, words: str) -> None:
    client = await serve(error(-32000, words))
    with pytest.raises(RpcError) as failed:
        await client.block_number()
    assert "very" not in failed.value.detail
    assert failed.value.detail.isprintable()
    with pytest.raises(TransactionRefused) as refused:
        await client.send_raw(b"\x02")
    assert "very" not in refused.value.detail


async def test_a_revert_is_told_with_the_contract_s_reason(serve: Serve) -> None:
    reason = b"DIDRegistry: bad_actor"
    data = (
        bytes.fromhex("08c379a0")
        + (32).to_bytes(32, "big")
        + len(reason).to_bytes(32, "big")
        + reason.ljust(32)
    )
    client = await serve(error(3, "execution reverted", "0x" + data.hex()))
    with pytest.raises(Reverted) as refused:
        await client.call(bytes(20), b"")
    assert refused.value.reason == reason.decode()


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("nonce too low: next nonce 3, tx nonce 1", "nonce_too_low"),
        ("replacement transaction underpriced", "underpriced"),
        ("Insufficient funds for gas * price + value", "insufficient_funds"),
        ("exceeds block gas limit", "refused"),
    ],
)
async def test_a_refused_transaction_has_a_code_that_callers_act_on(
    serve: Serve, message: str, code: str
) -> None:
    client = await serve(error(-32000, message))
    with pytest.raises(TransactionRefused) as refused:
        await client.send_raw(b"\x02")
    assert refused.value.code == code


async def test_a_transaction_that_is_known_already_was_sent(serve: Serve) -> None:
    client = await serve(error(-32000, "already known"))
    assert await client.send_raw(b"\x02") == keccak256(b"\x02")


async def test_a_transaction_under_another_hash_is_the_endpoint_s_fault(serve: Serve) -> None:
    client = await serve(result("0x" + "11" * 32))
    with pytest.raises(Unavailable, match="at fault"):
        await client.send_raw(b"\x02")


async def test_a_batch_is_put_in_order_and_must_be_whole(serve: Serve) -> None:
    def reversed_answers(requests: Any) -> Any:
        return [{"jsonrpc": "2.0", "id": each["id"], "result": each["method"]} for each in reversed(requests)]

    client = await serve(reversed_answers)
    assert await client.batch([("a", []), ("b", []), ("c", [])]) == ["a", "b", "c"]
    for broken in (lambda requests: reversed_answers(requests)[1:], lambda _: {}, lambda _: [{}, {}, {}]):
        with pytest.raises(Unavailable):
            await (await serve(broken)).batch([("a", []), ("b", []), ("c", [])])


async def test_a_header_that_does_not_hash_to_its_hash_is_the_endpoint_s_fault(serve: Serve) -> None:
    client = await serve(result(_block()))
    assert (await client.header()).number == 5
    for member, value in (("timestamp", "0x6"), ("stateRoot", "0x" + "33" * 32), ("hash", "0x" + "44" * 32)):
        with pytest.raises(Unavailable, match="at fault"):
            await (await serve(result(_block() | {member: value}))).header()


async def test_another_header_than_the_one_asked_for_is_the_endpoint_s_fault(serve: Serve) -> None:
    client = await serve(result(_block()))
    for block in (4, bytes(32)):
        with pytest.raises(Unavailable, match="gave another"):
            await client.header(block)


async def test_proof_nodes_come_once_and_without_those_inside_their_parents(serve: Serve) -> None:
    long, other, short = "0x" + "aa" * 40, "0x" + "bb" * 40, "0x" + "cc" * 31
    proof = {"accountProof": [long], "storageProof": [{"proof": [long, other, short]}, {"proof": [other]}]}
    client = await serve(result(proof))
    assert await client.proof_nodes(bytes(20), [bytes(32)] * 2, 1) == (b"\xaa" * 40, b"\xbb" * 40)


@pytest.mark.parametrize("url", ["", "ftp://host", "http://", "host:8545", "http://[::1"])
def test_an_endpoint_must_be_an_http_url(url: str) -> None:
    with pytest.raises(Misconfigured):
        ChainClient(url)


def _block() -> dict[str, Any]:
    block = {
        "parentHash": "0x" + "11" * 32,
        "sha3Uncles": "0x" + "12" * 32,
        "miner": "0x" + "00" * 20,
        "stateRoot": "0x" + "13" * 32,
        "transactionsRoot": "0x" + "14" * 32,
        "receiptsRoot": "0x" + "15" * 32,
        "logsBloom": "0x" + "00" * 256,
        "difficulty": "0x0",
        "number": "0x5",
        "gasLimit": "0x1c9c380",
        "gasUsed": "0x0",
        "timestamp": "0x5",
        "extraData": "0x",
        "mixHash": "0x" + "00" * 32,
        "nonce": "0x0000000000000000",
    }
    import rlp

    numbers = {"difficulty", "number", "gasLimit", "gasUsed", "timestamp"}
    fields = [
        int(value, 16) if name in numbers else bytes.fromhex(value[2:]) for name, value in block.items()
    ]
    return block | {"hash": "0x" + keccak256(rlp.encode(fields)).hex()}
