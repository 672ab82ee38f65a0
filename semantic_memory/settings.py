"""What can be set, and the only reader of the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from semantic_memory.errors import InvalidInput
from semantic_memory.facts import Origin, Role
from semantic_memory.limits import LIMITS, check_count, check_limits

PREFIX = "SEMANTIC_MEMORY_"
LearnMode = Literal["background", "wait", "off"]
Placement = Literal["instructions", "input"]
EmbeddingPrecision = Literal["auto", "float32"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a memory can be told; the defaults suit one process on one machine.

    Each field can also be set by an environment variable of its name in capitals behind
    `SEMANTIC_MEMORY_`, for `Settings.from_environment` and the command line.
    """

    path: Path = Path("memory")  # the folder of the ledger and the index
    ledger_url: str | None = None  # SQLAlchemy URL with an async driver; None: a SQLite file in `path`
    chroma_url: str | None = None  # a `chroma run` server; None: folders in `path`
    embedding_model: str | None = None  # sentence-transformers name or path; None: the bundled all-MiniLM-L6-v2
    embedding_precision: EmbeddingPrecision = "auto"  # float32: questions are embedded as exactly as facts, and slower
    extraction_model: str | None = None  # a model name for the SDK; None: sentences, without a model
    namespace: str = ""  # keeps equal session ids of different applications apart
    deadline: float = 0.3  # seconds a run may wait for its recall
    load_timeout: float = 30.0  # seconds that opening waits for the embedding model
    limit: int = 8  # facts in a context block
    max_tokens: int = 450  # tokens in a context block, all of it, by the embedding model's tokenizer
    min_relevance: float | None = None  # 0..1; None: the calibrated threshold
    min_share: float | None = (
        None  # 0..1, of the best fact's odds; None: the calibrated one, or 0 with a threshold given
    )
    calibration: Path | None = None  # a file that `evaluate --fit` wrote; None: the one that ships
    rerank_model: str | None = None  # a sentence-transformers CrossEncoder, by name or path; None: no second opinion
    rerank_within: float = 0.1  # seconds a recall waits for it
    learn: LearnMode = "background"  # what `run` does when the run has returned
    learn_from: tuple[Role, ...] = ("user",)  # whose messages teach; add "assistant" with care
    trusted: tuple[Origin, ...] = ("user", "operator", "import")  # whose statements are recalled; others wait aside
    learn_tries: int = 3  # before a message that fails to be learned is a dead letter
    learn_timeout: float = 120.0  # seconds one extraction may take
    expiry: Mapping[str, timedelta] = field(default_factory=dict)  # by kind: how long after it was said a fact holds
    placement: Placement = "instructions"  # where the hook puts the block
    open_folders: int = 24  # Chroma folders held open, about nineteen file handles each
    cached_bytes: int = 256 * 2**20  # of vectors and facts held in memory
    receipts_kept: timedelta = timedelta(days=30)
    generations_kept: timedelta = timedelta(days=14)  # how long after a change of model there is a way back

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, **given: Any) -> Settings:
        """Settings from `SEMANTIC_MEMORY_*` variables; what is `given` wins.

        Raises `InvalidInput` naming the variable that can't be used.
        """
        return _from_environment(cls, PREFIX, os.environ if environment is None else environment, given)

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))
        check_limits(**{name: getattr(self, name) for name in LIMITS})
        for name in ("learn_tries", "open_folders"):
            check_count(name, getattr(self, name))
        for name in ("deadline", "load_timeout", "rerank_within", "learn_timeout"):
            if not getattr(self, name) > 0:
                raise InvalidInput(f"{name} must be above 0, not {getattr(self, name)}")
        self._check_words()
        if over := [kind for kind, time in self.expiry.items() if time <= timedelta()]:
            raise InvalidInput(f"expiry must be above 0, not {self.expiry[over[0]]} for {over[0]}")
        for name, words in _WORDS.items():
            if getattr(self, name) not in words:
                raise InvalidInput(f"{name} is {', '.join(words[:-1])} or {words[-1]}, not {getattr(self, name)!r}")
        if not isinstance(self.namespace, str):
            raise InvalidInput(f"namespace is a text, not {self.namespace!r}")

    def _check_words(self) -> None:
        """A word that is misspelt here would let nobody teach, or keep aside what everybody says."""
        for name, words, known in (("learn_from", self.learn_from, Role), ("trusted", self.trusted, Origin)):
            if isinstance(words, str) or not set(words) <= set(get_args(known)):
                raise InvalidInput(f"{name} holds some of {', '.join(get_args(known))}; not {words!r}")
        spans = {"receipts_kept": self.receipts_kept, "generations_kept": self.generations_kept}
        spans |= {f"expiry of {kind}": span for kind, span in self.expiry.items()}
        for name, span in spans.items():
            if not isinstance(span, timedelta) or span < timedelta():
                raise InvalidInput(f"{name} is a time span from 0 on, not {span!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """What the server can be told; the variables are `SEMANTIC_MEMORY_SERVER_*`."""

    host: str = "127.0.0.1"
    port: int = 8321
    max_body: int = 8 * 2**20  # bytes of a request
    rate: str = "6000/minute"  # requests of one key; of one address without a key that is known
    rate_storage: str = "memory://"  # redis://... where several servers count together
    drain_patience: float = 25.0  # seconds that shutting down takes at most for requests and learn passes together
    mcp_trusted: bool = False  # whether agents on MCP write in the user's name; else what they remember waits aside

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, **given: Any) -> ServerSettings:
        """Settings from `SEMANTIC_MEMORY_SERVER_*`; what is `given` wins. Raises `InvalidInput`."""
        return _from_environment(cls, PREFIX + "SERVER_", os.environ if environment is None else environment, given)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535 or self.max_body <= 0 or self.drain_patience <= 0:
            raise InvalidInput("port, max_body or drain_patience is out of range")
        _check_rate(self.rate)
        if not self.rate_storage.startswith(("memory://", "redis://", "rediss://", "unix://")):
            raise InvalidInput("rate_storage is memory://, redis://, rediss:// or unix://")


def _check_rate(rate: str) -> None:
    """Raise `InvalidInput` for what is no rate; asked of the package that counts."""
    from limits import parse

    try:
        parse(rate)
    except ValueError:
        raise InvalidInput(f"rate is like 6000/minute, not {rate!r}") from None


_WORDS: dict[str, tuple[str, ...]] = {
    "learn": get_args(LearnMode),
    "placement": get_args(Placement),
    "embedding_precision": get_args(EmbeddingPrecision),
}
_PARSERS: dict[str, Any] = {
    "path": Path,
    "deadline": float,
    "load_timeout": float,
    "limit": int,
    "max_tokens": int,
    "min_relevance": float,
    "min_share": float,
    "calibration": Path,
    "rerank_within": float,
    "learn_tries": int,
    "learn_timeout": float,
    "open_folders": int,
    "cached_bytes": int,
    "port": int,
    "max_body": int,
    "drain_patience": float,
    "mcp_trusted": lambda text: _yes_or_no(text),
    "trusted": lambda text: tuple(text.replace(",", " ").split()),
    "learn_from": lambda text: tuple(text.replace(",", " ").split()),
    "receipts_kept": lambda text: timedelta(days=float(text)),
    "generations_kept": lambda text: timedelta(days=float(text)),
    "expiry": lambda text: _days_by_kind(text),
}


def _yes_or_no(text: str) -> bool:
    if text.lower() not in ("1", "true", "yes", "0", "false", "no"):
        raise ValueError("it is yes or no")
    return text.lower() in ("1", "true", "yes")


def _days_by_kind(text: str) -> dict[str, timedelta]:
    """`plan=30, event=365`."""
    pairs = (part.partition("=") for part in text.replace(",", " ").split())
    return {kind: timedelta(days=float(days)) for kind, _, days in pairs}


def _from_environment(kind: type[T], prefix: str, environment: Mapping[str, str], given: Mapping[str, Any]) -> T:
    """Settings of a `kind` from the variables with a prefix; what is `given` wins."""
    found = {
        field.name: _parsed(prefix, field.name, environment[prefix + field.name.upper()])
        for field in fields(kind)  # type: ignore[arg-type]
        if environment.get(prefix + field.name.upper())
    }
    return kind(**(found | {name: value for name, value in given.items() if value is not None}))


def _parsed(prefix: str, name: str, text: str) -> Any:
    try:
        return _PARSERS.get(name, str)(text)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(f"{prefix}{name.upper()}={text!r}: {error}") from error


def keep_ray_quiet() -> None:
    """Have a Ray that this process starts tell its makers nothing, unless the environment says otherwise."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
