"""What an operator may say of light clients."""

from __future__ import annotations

import pytest

from node.core.errors import Misconfigured
from node.core.evm.light_client.settings import LightClientSettings, light_client_settings

ROOT = "0x" + "aB" * 32
URL = "https://beacon.example/key"


def test_without_a_chain_named_it_is_mainnet():
    found = light_client_settings([URL, URL + "2"], [ROOT], with_endpoints=True)
    assert found == (LightClientSettings(1, (URL, URL + "2"), b"\xab" * 32),)
    assert light_client_settings([], [], with_endpoints=False) == ()


def test_each_chain_has_its_own():
    found = light_client_settings(
        [f"@100={URL}?a=@1=b", URL], [ROOT, f"@100={ROOT.replace('a', 'c')}"], with_endpoints=True
    )
    assert {one.chain_id: one.checkpoint[0] for one in found} == {100: 0xCB, 1: 0xAB}
    assert found[0].servers == (f"{URL}?a=@1=b",)


def test_a_key_in_a_url_is_not_shown():
    assert "key" not in repr(light_client_settings([URL], [ROOT], with_endpoints=True))


WRONG = {
    "a server without a checkpoint": ([URL], [], "eip155:1 needs a checkpoint"),
    "a checkpoint without a server": ([], [f"@100={ROOT}"], "eip155:100 needs a beacon server"),
    "of two chains": ([URL], [f"@100={ROOT}"], "eip155:1 needs a checkpoint"),
    "two checkpoints": ([URL], [ROOT, ROOT], "two checkpoints"),
    "no URL": (["beacon.example"], [ROOT], "http or https URL"),
    "another scheme": (["ftp://beacon.example"], [ROOT], "http or https URL"),
    "a broken URL": (["http://[::1"], [ROOT], "http or https URL"),
    "a chain beyond 2^53": ([f"@9007199254740992={URL}"], [ROOT], "@CHAIN="),
    "nothing": ([""], [ROOT], "@CHAIN="),
    "a short root": ([URL], ["0xab"], "64 hex digits"),
    "a root without 0x": ([URL], ["ab" * 32], "64 hex digits"),
    "a block number": ([URL], ["12345"], "64 hex digits"),
    "seventeen servers": ([URL] * 17, [ROOT], "at most 16"),
}


@pytest.mark.parametrize(("servers", "checkpoints", "told"), WRONG.values(), ids=WRONG)
def test_what_is_incomplete_or_unreadable_is_a_fault_of_the_configuration(servers, checkpoints, told):
    with pytest.raises(Misconfigured, match=told) as caught:
        light_client_settings(servers, checkpoints, with_endpoints=True)
    assert "beacon.example" not in caught.value.detail


def test_a_light_client_needs_an_endpoint_for_headers():
    with pytest.raises(Misconfigured, match="JSON-RPC endpoint"):
        light_client_settings([URL], [ROOT], with_endpoints=False)
