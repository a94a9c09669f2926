"""Base58btc: the decoder, which joins all digits at once, says what one digit after the other says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core.encoding import decode_base58btc, encode_base58btc
from node.core.errors import Malformed

LETTERS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def number_of(text: str) -> int:
    number = 0
    for letter in text:
        number = number * 58 + LETTERS.index(letter)
    return number


@given(st.text(alphabet=LETTERS, max_size=150))
def test_digits_are_worth_their_place(text: str) -> None:
    assert int.from_bytes(decode_base58btc(text), "big") == number_of(text)


@pytest.mark.parametrize("length", [0, 1, 2, 3, 63, 64, 65, 511, 512, 513, 1023, 1024])
def test_the_greatest_number_of_a_length_is_read(length: int) -> None:
    assert int.from_bytes(decode_base58btc("z" * length), "big") == 58**length - 1


@given(st.binary(max_size=150))
def test_what_is_encoded_decodes_with_its_leading_zeros(data: bytes) -> None:
    assert decode_base58btc(encode_base58btc(data)) == data
    assert decode_base58btc(encode_base58btc(bytes(3) + data)) == bytes(3) + data


@pytest.mark.parametrize("letter", ["0", "O", "I", "l", "+", "?", " ", "\0", "\x7f", "é", "\uff11", "\ud800"])
def test_no_other_letter_is_a_digit(letter: str) -> None:
    for text in (letter, f"{letter}2", f"2{letter}", f"2{letter}2"):
        with pytest.raises(Malformed):
            decode_base58btc(text)


def test_a_text_longer_than_any_key_or_signature_is_refused() -> None:
    with pytest.raises(Malformed):
        decode_base58btc("2" * 1025)
