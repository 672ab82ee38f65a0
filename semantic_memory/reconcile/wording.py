"""How two statements differ in so many words: numbers, names, negation, whose fact it is, signs of change.

The words are in `wording.toml`. One that isn't there is an ordinary word, and ordinary words that differ keep
two statements apart, so a language it doesn't know gets duplicates rather than wrong merges.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property, lru_cache
from importlib import resources
from typing import Literal

_WORD = re.compile(r"\d+(?:[.,:/]\d+)*(?:\s?(?:[ap]m|[km%])(?!\w))?|[^\W\d_]+(?:'(?!s\b)[^\W\d_]+)*", re.IGNORECASE)
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_ORDINAL = re.compile(r"(?<=\d)(?:st|nd|rd|th)\b", re.IGNORECASE)
_QUOTE_MARKS = str.maketrans("’‘`´", "''''")  # noqa: RUF001
_STEM = 6  # letters of a stem that count: "allergy" meets "allergic", "violin" meets "violinist"
_SLOT = 5  # words that one place in a frame holds at most

Sort = Literal["name", "number", "date"]


@dataclass(frozen=True, slots=True)
class Wording:
    """A statement, read."""

    tokens: tuple[str, ...]  # in lower case, spelled numbers as digits
    terms: frozenset[str]  # stems of the words that carry meaning
    numbers: tuple[str, ...]  # in their order: 3 of 5 is not 5 of 3
    names: frozenset[str]  # capitalised words, in lower case
    opening: str | None  # the name that a statement begins with
    called: tuple[str, str] | None  # whom it begins with: "My trainer Mia" is ("trainer", "mia")
    people: frozenset[tuple[str, str]]  # (relation, name or ""): ("brother", "tom")
    negated: bool
    current: bool  # says that it holds now
    changed: bool  # says that something is no longer as it was
    passing: bool  # holds for a while only
    condition: bool  # holds under a condition only
    added: bool  # comes beside what is known
    single: bool  # speaks of something that has one answer at a time
    plural: bool  # speaks of something that may have many


class Difference:
    """What keeps a candidate apart from a known statement, each found when it is first asked for.

    Of most pairs the cheap parts decide, and a batch of thousands is held against its nearest one by one.
    """

    def __init__(self, known: Wording, candidate: Wording) -> None:
        self._known, self._candidate = known, candidate

    @property
    def identical(self) -> bool:
        """Whether they are the same, word for word."""
        return self._known.tokens == self._candidate.tokens

    @property
    def numbers(self) -> bool:
        """Whether their numbers differ."""
        return self._known.numbers != self._candidate.numbers

    @property
    def names(self) -> bool:
        """Whether one has a name that the other lacks."""
        return bool(self._lost or self._new)

    @property
    def negation(self) -> bool:
        """Whether one of the two is negated."""
        return self._known.negated != self._candidate.negated

    @property
    def people(self) -> bool:
        """Whether they are about different people."""
        return not _same_people(self._known, self._candidate)

    @cached_property
    def swapped(self) -> frozenset[Sort]:
        """The sorts of which each has a name, a number or a date that the other lacks."""
        return _values(self._lost, self._known, self._candidate) & self._new_values

    @property
    def new_value(self) -> bool:
        """Whether the candidate has one of a sort that the known statement has too, but not this one."""
        return bool(_values(self._known.names, self._known, None) & self._new_values)

    @property
    def leaves(self) -> bool:
        """Whether the candidate says that a word of the known statement is left behind."""
        return _leaves(self._known, self._candidate)

    @property
    def once_more(self) -> bool:
        """Whether the same happened to something else: "sold the tent" after "sold the bike"."""
        before = _happened(self._known)
        return any(sign in before and before[sign] != what for sign, what in _happened(self._candidate).items())

    @property
    def slots(self) -> int:
        """In how many places of the same frame stands something else."""
        return self._slots[0]

    @property
    def only_slot(self) -> bool:
        """Whether that is in one place, and the whole difference."""
        slots, rest, _ = self._slots
        return slots == 1 and not rest

    @property
    def tail(self) -> bool:
        """Whether there is a common word of meaning before all that differs."""
        return self._slots[2]

    @property
    def overlap(self) -> float:
        """The terms in common as a share of all terms, 0 to 1."""
        known, candidate = self._known.terms, self._candidate.terms
        return len(known & candidate) / max(1, len(known | candidate))

    @property
    def strange(self) -> int:
        """How many terms one of the two lacks."""
        return len(self._known.terms ^ self._candidate.terms)

    @cached_property
    def _lost(self) -> set[str]:
        return _strange(self._known.names, self._candidate)

    @cached_property
    def _new(self) -> set[str]:
        return _strange(self._candidate.names, self._known)

    @cached_property
    def _new_values(self) -> frozenset[Sort]:
        return _values(self._new, self._candidate, self._known)

    @cached_property
    def _slots(self) -> tuple[int, bool, bool]:
        return _slots(self._known, self._candidate)


@lru_cache(maxsize=8192)
def read(text: str) -> Wording:
    """The wording of a statement."""
    words = _words(text)
    tokens = _with_digits([word.casefold() for word in words])
    plain = " ".join(tokens)
    return Wording(
        tokens=tokens,
        terms=frozenset(_stem(token) for token in tokens if _carries_meaning(token)),
        numbers=tuple(token for token in tokens if token[0].isdigit()),
        names=frozenset(word.casefold() for word in words if _is_name(word)),
        opening=tokens[0] if tokens and words[0].casefold() == tokens[0] and _is_name(words[0]) else None,
        called=_called(words),
        people=_people(words),
        negated=_says("negation", plain),
        current=_says("now", plain),
        changed=_says("change", plain),
        passing=_says("passing", plain),
        condition=_says("condition", plain),
        added=_says("addition", plain),
        single=_is_single(tokens),
        plural=not _lexicon().plural.isdisjoint(tokens),
    )


def asks_to_delete(text: str) -> bool:
    """Whether somebody speaks of deleting or forgetting, in one of many languages."""
    return bool(_lexicon().deleting.search(unicodedata.normalize("NFKC", text).translate(_QUOTE_MARKS).casefold()))


def _values(names: Collection[str], statement: Wording, other: Wording | None) -> frozenset[Sort]:
    """The sorts of values among `names` and the numbers that the `other` statement lacks."""
    sorts: set[Sort] = {"date" if name in _lexicon().calendar else "name" for name in names}
    if set(statement.numbers) - set(other.numbers if other else ()):
        sorts.add("number")
    return frozenset(sorts)


def _leaves(known: Wording, candidate: Wording) -> bool:
    """Whether a word or number of `known` is the next one of meaning behind a sign that something is left."""
    for _, following in _behind("leaving", candidate):
        left = next((token for token in following if token not in _lexicon().function), "")
        if left in known.numbers or _stem(left) in known.terms:
            return True
    return False


def _happened(statement: Wording) -> dict[str, str]:
    """What each sign of change happened to: the stem of the next word of meaning, where the sign leads nowhere."""
    found = {}
    for sign, following in _behind("change", statement):
        what = next(filter(_carries_meaning, following), None)
        if what and following[0] not in _lexicon().leading:
            found[sign] = _stem(what)
    return found


def _behind(sort: str, statement: Wording) -> Iterator[tuple[str, list[str]]]:
    """The signs of a sort in a statement, each with the words behind it."""
    plain = " ".join(statement.tokens)
    for sign in _lexicon().signs[sort].finditer(plain):
        yield sign.group(), plain[sign.end() :].split()


def _says(sign: str, plain: str) -> bool:
    return bool(_lexicon().signs[sign].search(plain))


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKC", text).translate(_QUOTE_MARKS)
    plain = _ORDINAL.sub("", _THOUSANDS.sub("", plain))
    return _WORD.findall(plain)


def _with_digits(tokens: Sequence[str]) -> tuple[str, ...]:
    """Spelled numbers as digits: thirty, eight -> 38."""
    spelled, written = _lexicon().numbers, list[str]()
    for place, token in enumerate(tokens):
        value = spelled.get(token)
        if value is None or (value == 1 and _is_pronoun(tokens, place)):
            written.append(token)
        elif 0 < value < 10 and place and 20 <= spelled.get(tokens[place - 1], 0) < 100:
            written[-1] = str(int(written[-1]) + value)
        else:
            written.append(str(value))
    return tuple(written)


def _is_pronoun(tokens: Sequence[str], place: int) -> bool:
    before, after = tokens[max(0, place - 1) : place], tokens[place + 1 : place + 2]
    return after == ["of"] or bool({"the", "that", "this", "another", "which"} & set(before))


def _is_name(word: str) -> bool:
    return word[0].isupper() and word.casefold() not in _lexicon().function


def _called(words: Sequence[str]) -> tuple[str, str] | None:
    """Whose name comes right behind what they are to the user, where a statement begins with that."""
    owner, what, name = (*words[:3], "", "", "")[:3]
    mine = owner.casefold() in ("my", "our") and what.islower() and bool(name) and _is_name(name)
    return (what, name.casefold()) if mine else None


def _people(words: Sequence[str]) -> frozenset[tuple[str, str]]:
    """Who is spoken of beside the user: "my brother Tom", "Tom, my brother"."""
    found = set()
    for place, word in enumerate(words):
        relation = _lexicon().people.get(word.casefold())
        if relation:
            beside = [*words[place + 1 : place + 2], *words[max(0, place - 2) : max(0, place - 1)]]
            found.add((relation, next((name.casefold() for name in beside if _is_name(name)), "")))
    return frozenset(found)


def _same_people(known: Wording, candidate: Wording) -> bool:
    if known.opening and candidate.opening and known.opening != candidate.opening:
        return False
    if known.called and candidate.called and known.called[1] != candidate.called[1]:
        return False
    if bool(known.people) != bool(candidate.people):
        named, plain = (known, candidate) if known.people else (candidate, known)
        return plain.opening in named.names
    names = dict[str, set[str]]()
    for relation, name in known.people | candidate.people:
        names.setdefault(relation, set()).update({name} - {""})
    relations = {relation for relation, _ in known.people} == {relation for relation, _ in candidate.people}
    return relations and all(len(found) <= 1 for found in names.values())


def _strange(names: Iterable[str], other: Wording) -> set[str]:
    return {name for name in names if name not in other.tokens and _stem(name) not in other.terms}


def _slots(known: Wording, candidate: Wording) -> tuple[int, bool, bool]:
    """How many places of the frame are filled differently, if anything else differs, if all of it comes last."""
    slots, rest, tail = 0, False, True
    matcher = SequenceMatcher(None, known.tokens, candidate.tokens, autojunk=False)
    for operation, i, j, k, m in matcher.get_opcodes():
        if operation == "equal":
            continue
        left = _strangers(known.tokens[i:j], candidate)
        right = _strangers(candidate.tokens[k:m], known)
        if left or right:
            is_slot = 0 < left <= _SLOT and 0 < right <= _SLOT
            slots, rest = slots + is_slot, rest or not is_slot
            tail = tail and any(map(_carries_meaning, known.tokens[:i]))
    return slots, rest, tail


def _strangers(tokens: Sequence[str], other: Wording) -> int:
    """How many numbers and words of meaning among `tokens` the `other` statement lacks."""
    return sum(
        token not in other.tokens and (not _carries_meaning(token) or _stem(token) not in other.terms)
        for token in tokens
        if token[0].isdigit() or _carries_meaning(token)
    )


def _is_single(tokens: Sequence[str]) -> bool:
    definite = tokens[:1] in (("my",), ("our",), ("the",)) and not {"is", "are", "was"}.isdisjoint(tokens)
    return definite or not _lexicon().single.isdisjoint(tokens)


@lru_cache(maxsize=1 << 16)
def _carries_meaning(token: str) -> bool:
    return not (token[0].isdigit() or token in _lexicon().function or _says("negation", token))


@lru_cache(maxsize=1 << 16)
def _stem(word: str) -> str:
    from Stemmer import Stemmer  # type: ignore[import-not-found, unused-ignore]

    return str(Stemmer("english", 0).stemWord(_lexicon().synonyms.get(word, word)))[:_STEM]


@dataclass(frozen=True, slots=True)
class _Lexicon:
    function: frozenset[str]
    single: frozenset[str]
    plural: frozenset[str]
    calendar: frozenset[str]
    leading: frozenset[str]
    people: dict[str, str]  # word -> relation
    synonyms: dict[str, str]  # word -> the one that stands for it
    numbers: dict[str, int]
    signs: dict[str, re.Pattern[str]]
    deleting: re.Pattern[str]


@lru_cache(maxsize=1)
def _lexicon() -> _Lexicon:
    lists = tomllib.loads(resources.files(__package__).joinpath("wording.toml").read_text("utf-8"))
    signs = ("negation", "now", "change", "passing", "condition", "addition", "leaving")
    return _Lexicon(
        function=frozenset(lists["function"].split()),
        single=frozenset(lists["single"].split()),
        plural=frozenset(lists["plural"].split()),
        calendar=frozenset(lists["calendar"].split()),
        leading=frozenset(lists["leading"]),
        people={word: relation for relation, words in lists["people"].items() for word in words.split()},
        synonyms={word: group.split()[0] for group in lists["synonyms"].splitlines() for word in group.split()},
        numbers={word: int(value) for value, words in lists["numbers"].items() for word in words.split()},
        signs={sign: re.compile(rf"\b(?:{'|'.join(lists[sign])})\b") for sign in signs},
        deleting=re.compile(rf"(?<!\w)(?:{'|'.join(lists['deleting'])})(?!\w)"),
    )
