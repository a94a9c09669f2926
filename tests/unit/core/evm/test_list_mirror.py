"""A status list as a contract's code: a zero byte and the list, and nothing else is read as one."""

from __future__ import annotations

import pytest

from node.core.errors import Malformed, Refused
from node.core.evm.list_mirror import MAX_CODE_BYTES, code_hash, deployment, mirror_code, read_mirror

LIST = bytes(range(256)) * 64  # 2^17 entries of one bit


def test_what_is_published_is_read() -> None:
    code = mirror_code(LIST)
    assert code[0] == 0, "STOP: a call runs nothing"
    assert read_mirror(code, 17, 1) == LIST


def test_the_address_follows_from_the_content_alone() -> None:
    assert deployment(LIST) == deployment(LIST)
    assert deployment(LIST)[1] != deployment(LIST[:-1] + b"\x00")[1]
    assert code_hash(LIST) != code_hash(LIST[:-1] + b"\x00")


@pytest.mark.parametrize(
    "code",
    [b"", b"\x00", LIST, b"\x01" + LIST, b"\x00" + LIST[:-1], b"\x00" + LIST + b"\x00"],
    ids=["none", "empty", "bare", "runs", "short", "long"],
)
def test_other_code_is_no_mirror(code: bytes) -> None:
    with pytest.raises(Malformed):
        read_mirror(code, 17, 1)


def test_a_list_that_no_contract_holds_is_refused() -> None:
    assert len(mirror_code(bytes(MAX_CODE_BYTES - 1))) == MAX_CODE_BYTES
    with pytest.raises(Refused, match="24,575"):
        mirror_code(bytes(MAX_CODE_BYTES))
