"""What callers may hand in as a user id or a text, the keyed hashes that stand for them on disk, and new ids."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable

from semantic_memory.errors import InvalidInput, InvalidUserId

MAX_USER_ID = 512  # bytes of UTF-8
MAX_TEXT = 8000  # characters of one fact
MIN_SECRET = 16  # bytes


ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: no letters that look like digits
NewId = Callable[[], str]


def new_id() -> str:
    """Twelve characters, 60 random bits: short enough to read aloud, unique within a user."""
    return "".join(ALPHABET[byte % len(ALPHABET)] for byte in secrets.token_bytes(12))


def check_user_id(value: object) -> str:
    """`value` as it is, if it is 1 to 512 bytes of UTF-8 without NUL; `InvalidUserId` otherwise.

    Ids are opaque and exact: nothing is trimmed, folded or normalised, so that "ada", "Ada" and a
    look-alike in other letters are three users.
    """
    if not isinstance(value, str):
        raise InvalidUserId(f"a user id is a string, not {type(value).__name__}")
    encoded = _utf8(value)
    if encoded is None or not 1 <= len(encoded) <= MAX_USER_ID or b"\x00" in encoded:
        raise InvalidUserId
    return str.__str__(value)  # a subclass could compare and hash as it likes


def check_text(value: object, *, most: int | None = MAX_TEXT) -> str:
    """`value` as it is, if it is text that can be stored; `InvalidInput` otherwise.

    It has something to read in it, at most `most` characters (None: any number), no NUL and no lone surrogate.
    """
    if not isinstance(value, str):
        raise InvalidInput(f"text is a string, not {type(value).__name__}")
    if most is not None and len(value) > most:
        raise InvalidInput(f"the text has {len(value)} characters, at most {most} are allowed")
    check_characters(value)
    if not any(character.isprintable() and not character.isspace() for character in value):
        raise InvalidInput("the text is empty")
    return str.__str__(value)


def check_characters(value: str) -> None:
    """Raise `InvalidInput` for characters that no ledger keeps: NUL, and lone surrogates."""
    if "\x00" in value or _utf8(value) is None:
        raise InvalidInput("the text holds NUL or half of a surrogate pair, which can't be stored")


def user_key(user_id: str, secret: bytes) -> str:
    """What stands for a user in tables and folder names: 32 hex characters, the same for the same secret."""
    return keyed_digest(secret, "user", user_id)[:32]


def keyed_digest(secret: bytes, *parts: str) -> str:
    """HMAC-SHA256 (RFC 2104) over `parts`: 64 hex characters.

    Each part is preceded by its length in bytes, so that ("ab", "c") and ("a", "bc") differ.
    """
    if len(secret) < MIN_SECRET:
        raise InvalidInput(f"a secret has at least {MIN_SECRET} bytes")
    digest = hmac.new(secret, digestmod=hashlib.sha256)
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8) + encoded)
    return digest.hexdigest()


def _utf8(text: str) -> bytes | None:
    """`text` encoded; None when it holds lone surrogates, which UTF-8 has no bytes for."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return None
