"""What a text must look like before a tokenizer or a provider may see it."""

from __future__ import annotations

BLANK = "."  # stands for a text of nothing but white space, which some models and providers refuse
CHARACTERS_PER_TOKEN = 4  # of English prose, by the providers' rule of thumb


def encodable(text: str, limit: int | None = None) -> str:
    """`text` without NUL and lone surrogates, never blank, cut to `limit` characters."""
    text = text[:limit].replace("\0", " ")
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    return text if text.strip() else BLANK


def estimated_tokens(text: str) -> int:
    """About how many tokens `text` has, where no tokenizer is at hand: a quarter of its UTF-8 bytes, rounded up.

    Bytes rather than characters, because scripts other than Latin take more tokens a character.
    """
    size = len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
    return -(-size // CHARACTERS_PER_TOKEN)
