"""User ids are exact and opaque; texts are checked before they are stored; hashes are keyed and unambiguous."""

from __future__ import annotations

import hashlib
import hmac
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semantic_memory.errors import InvalidInput, InvalidUserId
from semantic_memory.identity import check_text, check_user_id, keyed_digest, user_key

SECRET = b"an installation's own secret"
OTHER = b"another installation's secret"

EXACT_IDS = [
    "ada",
    "Ada",
    "аda",  # noqa: RUF001 - Cyrillic a
    "ａｄａ",  # noqa: RUF001 - fullwidth
    " ada",
    "ada ",
    "ada\n",
    "ad\u200ba",
    "\u202eada",
    "é",
    "e\u0301",
    "ß",
    "ss",
    "ı",  # noqa: RUF001 - a Turkish letter
    "i",
    "../x",
    "..",
    "/etc/passwd",
    "C:\\x",
    "con",
    "a" * 512,
    "é" * 256,
    "🦊" * 128,
    "'; DROP TABLE facts; --",
    '{"$ne": ""}',
    "%00",
    "\\x00",
    " ",
    "None",
    "0",
    "\U000e0041",
    "\ue000",
    "\uffff",
]

REFUSED_IDS = [
    "",
    "a\x00b",
    "\x00",
    "\ud800",
    "a\udfff",
    "a" * 513,
    "é" * 257,
    "🦊" * 129,
    b"ada",
    bytearray(b"ada"),
    {"$ne": ""},
    ["ada"],
    ("ada",),
    7,
    0,
    1.5,
    None,
    True,
    object(),
]


@pytest.mark.parametrize("user_id", EXACT_IDS)
def test_an_id_is_taken_as_it_is(user_id: str) -> None:
    assert check_user_id(user_id) == user_id


@pytest.mark.parametrize("value", REFUSED_IDS, ids=lambda value: repr(value)[:40].partition(" at 0x")[0])
def test_what_is_no_id_is_refused(value: object) -> None:
    with pytest.raises(InvalidUserId):
        check_user_id(value)


def test_a_refused_id_is_a_value_error_that_does_not_repeat_it() -> None:
    with pytest.raises(ValueError, match="not dict") as refusal:
        check_user_id({"$ne": "private"})
    assert "private" not in str(refusal.value)


def test_ids_that_look_alike_are_different_users() -> None:
    assert len({user_key(user_id, SECRET) for user_id in EXACT_IDS}) == len(EXACT_IDS)


def test_an_id_with_behaviour_of_its_own_becomes_a_plain_string() -> None:
    class Everyone(str):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = str.__hash__

        def __str__(self) -> str:
            return "bob"

    class Team(StrEnum):
        ADA = "ada"

    assert type(check_user_id(Everyone("ada"))) is str
    assert [check_user_id(Everyone("ada")), check_user_id(Team.ADA)] == ["ada", "ada"]


@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=128))
def test_any_short_text_is_an_id(user_id: str) -> None:
    assert check_user_id(user_id) == user_id


def test_a_key_fits_a_table_and_a_folder_name() -> None:
    key = user_key("../x", SECRET)
    assert len(key) == 32
    assert set(key) <= set("0123456789abcdef")
    assert key == user_key("../x", SECRET)


def test_a_key_says_nothing_without_the_secret() -> None:
    assert user_key("ada", SECRET) != user_key("ada", OTHER)
    assert user_key("ada", SECRET) not in hashlib.sha256(b"ada").hexdigest()


def test_the_digest_is_the_hmac_of_its_parts_with_their_lengths() -> None:
    message = b"\0\0\0\0\0\0\0\2ab\0\0\0\0\0\0\0\2\xc3\xa9"
    assert keyed_digest(SECRET, "ab", "é") == hmac.new(SECRET, message, "sha256").hexdigest()


def test_a_digest_of_a_user_id_is_not_that_users_key() -> None:
    assert not keyed_digest(SECRET, "ada").startswith(user_key("ada", SECRET))


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_only_the_same_parts_give_the_same_digest(some: list[str], others: list[str]) -> None:
    assert (keyed_digest(SECRET, *some) == keyed_digest(SECRET, *others)) == (some == others)


@given(st.text(min_size=1), st.data())
def test_moving_a_border_between_parts_changes_the_digest(text: str, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(text)))
    second = data.draw(st.integers(0, len(text)).filter(lambda border: border != first))
    assert keyed_digest(SECRET, text[:first], text[first:]) != keyed_digest(SECRET, text[:second], text[second:])


def test_a_message_with_half_a_surrogate_pair_has_a_digest_too() -> None:
    assert keyed_digest(SECRET, "\ud800") != keyed_digest(SECRET, "\udfff")


@pytest.mark.parametrize("secret", [b"", b"short"])
def test_a_short_secret_is_refused(secret: bytes) -> None:
    with pytest.raises(InvalidInput, match="16 bytes"):
        keyed_digest(secret, "ada")


@pytest.mark.parametrize(
    "text", ["Deploy target is Hetzner", " two  spaces ", "a\nb\tc", "👍", "مرحبا", "\u202eabc", "x" * 8000]
)
def test_text_is_kept_as_it_is(text: str) -> None:
    assert check_text(text) == text


@pytest.mark.parametrize(
    "value",
    ["", "  ", "\n\t", "\u200b", "\u00a0\u2003", "\u202e\u200d",
     "a\x00b", "\ud83d", "a\udfff", "x" * 8001, None, 7, b"text", ["text"]],
    ids=ascii,
)  # fmt: skip
def test_text_that_can_not_be_stored_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput):
        check_text(value)


def test_the_length_limit_can_be_lifted() -> None:
    assert check_text("x" * 8001, most=None) == "x" * 8001
