"""Base64url has one text for each byte string: the decoder takes what the encoder writes, and nothing else."""

from __future__ import annotations

import base64
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core.encoding import decode_base64url, encode_base64url
from node.core.errors import Malformed

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@given(st.binary(max_size=200))
def test_what_is_encoded_decodes(data: bytes) -> None:
    text = encode_base64url(data)
    assert text == base64.urlsafe_b64encode(data).decode().rstrip("=")
    assert decode_base64url(text) == data


@given(st.text(alphabet=LETTERS + "+/=. \n\0é", max_size=12))
def test_no_other_text_decodes_to_the_same_bytes(text: str) -> None:
    try:
        data = decode_base64url(text)
    except Malformed:
        return
    assert encode_base64url(data) == text


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_the_last_letters_that_are_taken_are_those_without_stray_bits(length: int) -> None:
    texts = {"A" * (length - 1) + last for last in LETTERS}
    spelled = {encode_base64url(bytes(data)) for data in itertools.product([0], repeat=length * 3 // 4)}
    taken = set()
    for text in texts:
        try:
            decode_base64url(text)
            taken.add(text)
        except Malformed:
            continue
    assert spelled <= taken | {""}
    assert len(taken) == {1: 0, 2: 4, 3: 16, 4: 64}[length]


@pytest.mark.parametrize(
    "text", ["A", "AA=", "AA==", "A+A", "A/A", "AA A", "AA\n", "AB", "AAB", "AAAé", "AAAAA", "\uff21"]
)
def test_refused(text: str) -> None:
    with pytest.raises(Malformed):
        decode_base64url(text)
