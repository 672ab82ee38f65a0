"""Everything this library raises.

SemanticMemoryError
├── InvalidInput        what you passed can't be used (also a ValueError); nothing was stored
│   ├── InvalidUserId
│   └── SecretRefused   the text holds a credential
├── NotFound            no such fact, receipt or user for this user (foreign ids look the same)
├── Conflict            the fact changed under you: its status is no longer the one you acted on
├── VerificationFailed  a new generation does not hold what it should; the old one stays the active one
├── Erased              the user was erased while you were writing
├── MemoryUnavailable   memory was required and could not answer (deadline, store, model)
│   ├── EmbeddingFailed the embedding model is missing, broken or returned unusable vectors
│   ├── LedgerFailed    the SQL ledger refused or could not be reached
│   ├── IndexFailed     the Chroma index refused, is damaged or could not be reached
│   │   └── IndexLocked another process owns this user's index folder
│   └── ExtractionFailed the extractor raised, timed out or returned junk
└── MissingExtra        an optional dependency is not installed; the message names the extra
"""

from __future__ import annotations


class SemanticMemoryError(Exception):
    """Base class of everything this library raises; the docstring is the default message."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or type(self).__name__).strip())


class InvalidInput(SemanticMemoryError, ValueError):
    """The input can't be used; nothing was stored."""


class InvalidUserId(InvalidInput):
    """A user id is a string of 1 to 512 bytes of UTF-8 without NUL or lone surrogates."""


class SecretRefused(InvalidInput):
    """The text holds what looks like a credential; credentials are never stored as facts."""


class NotFound(SemanticMemoryError, LookupError):
    """There is no such fact for this user."""


class Conflict(SemanticMemoryError):
    """The fact changed meanwhile; read it again before you act on it."""


class VerificationFailed(SemanticMemoryError):
    """The new generation does not hold what it should; the old one stays the active one."""


class Erased(SemanticMemoryError):
    """The user was erased; the write was dropped."""


class MemoryUnavailable(SemanticMemoryError):
    """Memory could not answer in time."""


class EmbeddingFailed(MemoryUnavailable):
    """The embedding model could not be loaded or returned unusable vectors."""


class LedgerFailed(MemoryUnavailable):
    """The ledger could not be read or written."""


class IndexFailed(MemoryUnavailable):
    """The index could not be read or written; the ledger still answers."""


class IndexLocked(IndexFailed):
    """Another process owns this user's index folder."""


class ExtractionFailed(MemoryUnavailable):
    """The extractor failed; the messages stay unlearned and are tried again."""


class MissingExtra(SemanticMemoryError, ImportError):
    """An optional dependency is not installed."""

    @classmethod
    def named(cls, package: str, extra: str) -> MissingExtra:
        """The error for a `package` that the extra `extra` would have installed."""
        return cls(f"{package} is not installed: pip install 'semantic-memory[{extra}]'")
