"""Time words in a query: the stretch of time that its answer was probably said or true in."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dateparser.date import DateDataParser

_MONTH = (
    r"(?:january|february|march|april|may|june|july|august|september|october|november|december"
    r"|(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\b\.?)"
)
_DAY = r"(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday)"
_YEAR = r"(?:19|20)\d\d"
_COUNT = r"(?:\d{1,3}|an?|one|two|three|four|five|six|seven|eight|nine|ten|a few|a couple of|few|couple of|several)"
_RELATION = r"(?P<relation>before|after|since|until|till|by)"
_PART = r"(?P<part>early|mid|late|beginning\s+of|start\s+of|middle\s+of|end\s+of)"
# Every phrase is one that the date parser reads; a bare month or year is one only where a word leads to it.
_NAMED = rf"""(?:
    \d{{4}}-\d\d-\d\d | \d{{1,2}}[./]\d{{1,2}}[./]{_YEAR}
  | \d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH}(?:,?\s+\d{{4}})?
  | {_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?\b(?:,?\s+\d{{4}})?
  | {_MONTH},?\s+(?:of\s+)?\d{{4}}
  | yesterday | today | last\s+night
  | (?:last|past|this)\s+(?:week|month|year)
  | (?:last|on)\s+{_DAY} | last\s+{_MONTH}
  | {_COUNT}\s+(?:day|week|month|year)s?\s+(?:ago|back)
)"""
_DATED = re.compile(
    rf"""\b(?:{_RELATION}\s+)?(?:(?:in|on|at|for|from|during|throughout|around|of)\s+)?(?:the\s+)?
    (?:{_PART}[\s-]+)?(?P<phrase>{_NAMED}|(?P<bare>{_MONTH}|{_YEAR}))(?!\w|\s*[*+/%])""",
    re.IGNORECASE | re.VERBOSE,
)
_RANGE = re.compile(
    rf"""\b(?:between\s+(?P<first>{_NAMED}|{_MONTH}|{_YEAR})\s+and
      | from\s+(?P<start>{_NAMED}|{_MONTH}|{_YEAR})\s+(?:to|until|till|through))
    \s+(?P<last>{_NAMED}|{_MONTH}|{_YEAR})\b""",
    re.IGNORECASE | re.VERBOSE,
)
_SPAN = re.compile(
    rf"""\b(?:{_RELATION}\s+)?(?:(?:in|during|over|at)\s+)?(?:the\s+)?(?:
      (?:last|past|previous)\s+(?P<count>{_COUNT})\s+(?P<unit>day|week|month|year)s
    | (?P<weekend>(?:last|this|past)\s+weekend)
    | (?P<today>this\s+(?:morning|afternoon|evening)|tonight|earlier\s+today)
    | (?P<recent>recently|lately|the\s+other\s+day)
    | (?:(?P<over>last|past)\s+|this\s+|(?<=in\s)|(?<=during\s)|(?<=the\s))
      (?P<season>spring|summer|autumn|winter|fall(?!\s+of\s+(?!{_YEAR})))(?:\s+(?:of\s+)?(?P<year>{_YEAR}))?
    | (?<=the\s)(?P<decade>(?:19|20)?[0-9]0)'?s
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)
_PAST = r"(?:was|were|had|did|went|got|left|began|bought|met|took|came|\w{2,}ed)"
_EVENT = re.compile(
    rf"""\b(?:(?P<relation>before|after|since|until|till)\s+(?:i|we|my|our|the)\b
      | (?:when|while)\s+(?:i|we)\s+(?={_PAST}\b))\s*(?P<event>[^,.?!]+)""",
    re.IGNORECASE | re.VERBOSE,
)
_PLAIN = {"a few": "3", "a couple of": "2", "past ": "last ", " of ": " ", " back": " ago"}
_COUNTS = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "a few": 3, "few": 3, "several": 4, "a couple of": 2, "couple of": 2,
}  # fmt: skip
_DAYS = {"day": 1.0, "week": 7.0, "month": 30.4, "year": 365.25}
_SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}  # the month in which each begins
_RECENT = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Interval:
    """A stretch of time, in seconds since 1970; either end may be infinite."""

    start: float
    end: float


def preferred(text: str, now: datetime, when: Callable[[str], float | None]) -> Interval | None:
    """The stretch of time that a query asks about; None where it names none.

    `when` tells the time of an event in the user's own life ("before I moved"), or None.
    """
    return _range(text, now) or _span(text, now) or _dated(text, now) or _event(text, when)


def _range(text: str, now: datetime) -> Interval | None:
    """Between two dates, months or years."""
    if (found := _RANGE.search(text)) is None:
        return None
    last = _stretch(found["last"], now)
    if last is None:
        return None
    # "Between October and May": the October before that May.
    first = _stretch(found["first"] or found["start"], _moment(last.end - 1, now))
    return Interval(first.start, last.end) if first and first.start < last.end else None


def _dated(text: str, now: datetime) -> Interval | None:
    """A date, a month or a year, or what is reckoned from today."""
    for found in _DATED.finditer(text):
        if found["bare"] and found.start("phrase") == found.start():
            continue  # nothing leads to it: "You may march on", "2024 * 2"
        if (named := _stretch(found["phrase"], now)) is not None:
            return _related(found["relation"], _part(found["part"], named))
    return None


def _span(text: str, now: datetime) -> Interval | None:
    """What the date parser has no word for."""
    if (found := _SPAN.search(text)) is None:
        return None
    if found["count"]:
        days = _count(found["count"].lower()) * _DAYS[found["unit"].lower()]
        named = Interval((now - timedelta(days=days)).timestamp(), now.timestamp())
    elif found["weekend"]:
        named = _weekend(found["weekend"].lower(), now)
    elif found["today"]:
        named = _days(_begin(now, "day"), 1)
    elif found["recent"]:
        named = Interval((now - _RECENT).timestamp(), now.timestamp())
    elif found["season"]:
        named = _season(found["season"].lower(), found["year"], now, over=bool(found["over"]))
    else:
        named = _decade(found["decade"], now)
    return _related(found["relation"], named)


def _event(text: str, when: Callable[[str], float | None]) -> Interval | None:
    """What happened in the user's own life."""
    if (found := _EVENT.search(text)) is None or (moment := when(found["event"])) is None:
        return None
    return _related(found["relation"], Interval(moment, moment))


def _stretch(phrase: str, now: datetime) -> Interval | None:
    """The stretch that a phrase names, as the date parser reads it."""
    phrase = phrase.lower()
    for word, plain in _PLAIN.items():
        phrase = phrase.replace(word, plain)
    found = _parser(now, day_first="." in phrase).get_date_data(phrase)
    if found.date_obj is None:
        return None
    start = _begin(found.date_obj, found.period).replace(tzinfo=now.tzinfo)
    return Interval(start.timestamp(), _end(start, found.period).timestamp())


def _part(part: str | None, named: Interval) -> Interval:
    """The third of a stretch that "early", "mid" or "the end of" means."""
    if part is None:
        return named
    third = (named.end - named.start) / 3
    place = {"e": 0, "b": 0, "s": 0, "m": 1, "l": 2}[part[0].lower()] if not part.lower().startswith("end") else 2
    return Interval(named.start + place * third, named.start + (place + 1) * third)


def _weekend(words: str, now: datetime) -> Interval:
    """Saturday and Sunday: those of this week, or the last that are over."""
    saturday = _begin(now, "week") + timedelta(days=5)
    if words.startswith("this"):
        return _days(saturday, 2)
    return _days(saturday - timedelta(days=7), 2)


def _season(season: str, year: str | None, now: datetime, *, over: bool) -> Interval:
    """The three months of a season, in the north: in a year, or the last that has begun, or is over."""
    years = [int(year)] if year else [now.year, now.year - 1, now.year - 2]
    named = [_months(datetime(number, _SEASONS[season], 1, tzinfo=now.tzinfo), 3) for number in years]
    return next((one for one in named if (one.end if over else one.start) <= now.timestamp()), named[0])


def _decade(digits: str, now: datetime) -> Interval:
    """Ten years; of "the 90s", the last that have begun."""
    year = int(digits)
    if year < 100:
        year += 2000 if 2000 + year <= now.year else 1900
    begin = datetime(year, 1, 1, tzinfo=now.tzinfo)
    return Interval(begin.timestamp(), begin.replace(year=year + 10).timestamp())


def _months(begin: datetime, count: int) -> Interval:
    years, month = divmod(begin.month - 1 + count, 12)
    return Interval(begin.timestamp(), begin.replace(year=begin.year + years, month=month + 1).timestamp())


def _days(begin: datetime, count: int) -> Interval:
    return Interval(begin.timestamp(), (begin + timedelta(days=count)).timestamp())


def _count(word: str) -> int:
    return int(word) if word.isdigit() else _COUNTS[word]


def _moment(seconds: float, like: datetime) -> datetime:
    return datetime.fromtimestamp(seconds, tz=like.tzinfo)


def _parser(now: datetime, *, day_first: bool = False) -> DateDataParser:
    from dateparser.date import DateDataParser  # a quarter of a second, and only for those who name a time

    plain = now.replace(tzinfo=None)
    return DateDataParser(
        languages=["en"],
        settings={
            "RELATIVE_BASE": plain,
            "PREFER_DATES_FROM": "past",
            "PREFER_DAY_OF_MONTH": "first",
            "PREFER_MONTH_OF_YEAR": "first",
            "DATE_ORDER": "DMY" if day_first else "MDY",
        },
    )


def _begin(moment: datetime, period: str) -> datetime:
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    match period:
        case "week":
            return midnight - timedelta(days=midnight.weekday())
        case "month":
            return midnight.replace(day=1)
        case "year":
            return midnight.replace(month=1, day=1)
    return midnight


def _end(start: datetime, period: str) -> datetime:
    match period:
        case "week":
            return start + timedelta(days=7)
        case "month":
            return (start + timedelta(days=31)).replace(day=1)
        case "year":
            return start.replace(year=start.year + 1)
    return start + timedelta(days=1)


def _related(relation: str | None, named: Interval) -> Interval:
    match (relation or "").lower():
        case "before" | "until" | "till" | "by":
            return Interval(-inf, named.start)
        case "after":
            return Interval(named.end, inf)
        case "since":
            return Interval(named.start, inf)
    return named
