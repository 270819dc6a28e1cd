"""The filter grammar: `type:error.occurred user:mia_li_3668 tool:search* "payment amount" -severity:info since:2h`.

    query   = { term }                      terms are separated by spaces and must all hold
    term    = [ "-" ] ( text | key ":" value )
    key     = one of FILTER_KEYS (keys.py) | is | since | until | text | field.NAME | field.quoted
    value   = word | word "*" | quoted      star: any value that starts with the word; alone: any value
            | ( ">" | ">=" | "<" | "<=" ) number      keys of numbers, and field.NAME
    text    = word | quoted                 anywhere in any value, without regard to case
    quoted  = '"' characters '"'            with \\" and \\\\ inside

Terms of the same key are alternatives (`type:a type:b`). Texts and negated terms must each hold. `"field.any name":` is
the same as `field."any name":`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Final

from evdash.events.filters.keys import BY_NAME, COMPARISONS, FIELD_PREFIX, IS, TEXT, Condition, Keys
from evdash.events.filters.search_text import NUMBER
from evdash.events.filters.time_range import InvalidTimeBound, TimeBound

MAX_QUERY_CHARS = 4_000
MAX_CONDITIONS = 50
TIME_KEYS = ("since", "until")


def names(keys: Keys) -> tuple[str, ...]:
    """Return the names that a condition can have in front of its colon."""
    return (*keys, IS, *TIME_KEYS, TEXT)


KEYS = names(BY_NAME)

_NAME = r"[A-Za-z_][\w.\-]*"
_KEY = re.compile(_NAME + "(?=:)")
_PLAIN_TEXT = re.compile(r"(?!-)[\w./@~+#$%&=?!;,<>|{}\[\]()^-]+")
_PLAIN_VALUE = re.compile(r"(?![<>])[\w./@~+#$%&=?!;,<>|{}\[\]()^:-]+")


class FilterError(ValueError):
    """Invalid filter. The message is a sentence, `text` the input, `position` the place of the fault.

    `suggestion` is a text that is valid at this place, and probably meant; "" without one.
    """

    def __init__(self, message: str, text: str, position: int = 0, suggestion: str = "") -> None:
        super().__init__(message)
        self.text = text
        self.position = position
        self.suggestion = suggestion


@dataclass(frozen=True, slots=True)
class Parsed:
    """Conditions and time range of a query text."""

    conditions: tuple[Condition, ...]
    since: TimeBound | None
    until: TimeBound | None


def parse(text: str, keys: Keys = BY_NAME) -> Parsed:
    """Return the conditions and time range of a query with these keys. Raise FilterError."""
    if len(text) > MAX_QUERY_CHARS:
        raise FilterError(f"The filter has {len(text):,} characters; the limit is {MAX_QUERY_CHARS:,}.", text)
    conditions: list[Condition] = []
    times: dict[str, TimeBound] = {}
    for term in _terms(text):
        if term.key in TIME_KEYS:
            times[term.key] = _time(term, text, times)
        else:
            conditions.append(_condition(term, text, keys))
        if len(conditions) > MAX_CONDITIONS:
            raise FilterError(
                f"The filter has more than {MAX_CONDITIONS} conditions, which is the limit. Remove some.",
                text,
                term.position,
            )
    return Parsed(tuple(conditions), times.get("since"), times.get("until"))


def write(condition: Condition) -> str:
    """Return the condition as a term that parses to the same condition."""
    sign = "-" if condition.negated else ""
    if condition.key == TEXT:
        return sign + (condition.value if _PLAIN_TEXT.fullmatch(condition.value) else _quote(condition.value))
    key = condition.key if re.fullmatch(_NAME, condition.key) else _quote(condition.key)
    if condition.comparison:
        return f"{sign}{key}:{condition.comparison.removeprefix('=')}{condition.value}"
    plain = _PLAIN_VALUE.fullmatch(condition.value) or (condition.prefix and not condition.value)
    star = "*" if condition.prefix else ""
    return f"{sign}{key}:{condition.value if plain else _quote(condition.value)}{star}"


@dataclass(frozen=True, slots=True)
class _Term:
    position: int
    negated: bool
    key: str
    value: str
    prefix: bool
    value_position: int
    end: int


def _terms(text: str) -> Iterator[_Term]:
    position = 0
    while True:
        while position < len(text) and text[position].isspace():
            position += 1
        if position == len(text):
            return
        start = position
        negated = text[position] == "-"
        position += int(negated)
        key = ""
        if written := _KEY.match(text, position):
            key, position = written[0], written.end() + 1
        elif text.startswith((f'"{FIELD_PREFIX}', f'{FIELD_PREFIX}"'), position):
            before = FIELD_PREFIX if text[position] != '"' else ""
            after_key = _quoted_key(text, position + len(before))
            if after_key is not None:
                key, position = before + after_key[0], after_key[1]
        value_position = position
        value, prefix, position = _value(text, position)
        if key == "" and value == "" and position == value_position:
            raise FilterError("Write a condition after the minus sign.", text, start)
        yield _Term(start, negated, key, value, prefix, value_position, position)


def _quoted_key(text: str, position: int) -> tuple[str, int] | None:
    """Return the quoted name of a field and the start of its value; None for a quoted text."""
    key, _, after = _value(text, position, is_key=True)
    return (key, after + 1) if text[after : after + 1] == ":" else None


def _value(text: str, position: int, *, is_key: bool = False) -> tuple[str, bool, int]:
    """Return the value of the word or quoted text at this position, whether a star ends it, and its end."""
    if text[position : position + 1] != '"':
        end = position
        while end < len(text) and not text[end].isspace():
            end += 1
        word = text[position:end]
        return (word[:-1], True, end) if word.endswith("*") else (word, False, end)
    characters: list[str] = []
    index = position + 1
    while index < len(text) and text[index] != '"':
        if text[index] == "\\" and index + 1 < len(text):
            index += 1
        characters.append(text[index])
        index += 1
    if index == len(text):
        suggestion = f"{text[:position]}{_quote(''.join(characters))}"
        raise FilterError("Closing quotation mark missing.", text, position, suggestion)
    index += 1
    prefix = text[index : index + 1] == "*"
    index += prefix
    if not is_key and text[index : index + 1] == ":" and text[position - 1 : position] != ":":
        name = "".join(characters)
        suggestion = f"{text[:position]}{_probable_key(name)}{text[index:]}" if name else ""
        raise FilterError("Only the name of a field may have quotation marks.", text, position, suggestion)
    if index < len(text) and not text[index].isspace() and not (is_key and text[index] == ":"):
        suggestion = f"{text[:index]} {text[index:]}"
        raise FilterError("Add a space after the quotation mark.", text, index, suggestion)
    return "".join(characters), prefix, index


def _condition(term: _Term, text: str, keys: Keys) -> Condition:
    key, value = term.key, term.value
    if key in ("", TEXT):
        if not value and term.prefix and not key:
            reason = "A star needs a key, such as user:* for the events that have a user."
            raise FilterError(reason, text, term.position)
        if not value:
            raise FilterError("The search text is empty.", text, term.position)
        # A text matches anywhere in a value, so a star at its end has no effect.
        return Condition(TEXT, value, term.negated)
    if key == "field" or (key.startswith(FIELD_PREFIX) and key == FIELD_PREFIX):
        raise FilterError("Write a field name after field. such as field.channel:chat.", text, term.position)
    if key not in keys and key != IS and not key.startswith(FIELD_PREFIX):
        raise _unknown_key(term, text, keys)
    if term.value_position == len(text) or (not value and text[term.value_position] != '"' and not term.prefix):
        raise FilterError(f'{key}: needs a value. For an empty value write {key}:"".', text, term.value_position)
    if key == IS and value != "error":
        suggestion = f"{text[: term.value_position]}error{text[term.end :]}"
        raise FilterError(f"is: accepts only error, not {value[:40]!r}.", text, term.value_position, suggestion)
    if (compared := _comparison(term, text, keys)) is not None:
        return compared
    if key in keys:
        value = keys[key].normalized(value, is_prefix=term.prefix)
        if (allowed := keys[key].values) and (term.prefix or value not in allowed):
            reason = f"{key}: accepts only {' or '.join(allowed)}, not {value[:40]!r}."
            raise FilterError(reason, text, term.value_position)
    return Condition(key, value, term.negated, term.prefix and key != IS)


def _unknown_key(term: _Term, text: str, keys: Keys) -> FilterError:
    key = term.key
    start = term.position + term.negated
    written = text[start : term.end]
    is_url = term.value.startswith("//")
    probable = _quote(written) if is_url else f"{_probable_key(key, keys)}{written[len(key) :]}"
    return FilterError(
        f"Unknown key {key!r}. Keys: {', '.join(names(keys))}. For another field write field.{key}:… "
        "Quote text that contains a colon.",
        text,
        term.position,
        f"{text[:start]}{probable}{text[term.end :]}",
    )


def _probable_key(name: str, keys: Keys = BY_NAME) -> str:
    """Return the key that a name was probably meant as, at least that of a field."""
    close = get_close_matches(name.lower(), names(keys), n=1, cutoff=0.6)
    field = f"{FIELD_PREFIX}{name}" if re.fullmatch(_NAME, name) else f"{FIELD_PREFIX}{_quote(name)}"
    return _ALIASES.get(name.lower()) or (close[0] if close else field)


def hint(conditions: Sequence[Condition]) -> str:
    """Return a sentence on a condition that is valid but was probably meant otherwise; "" without one."""
    for condition in conditions:
        value = condition.value
        if condition.key != TEXT:
            if value.endswith("*") and not condition.prefix and not condition.comparison:
                meant = write(replace(condition, value=value[:-1], prefix=True))
                return f"A star inside quotation marks is part of the value. For a prefix write {meant}"
        elif value in _WORDS:
            return f"{value} is searched as text. {_WORDS[value]}"
        elif value.startswith("(") or (value.endswith(")") and "(" not in value):
            return f"Parentheses are searched as text. {_WORDS['OR']}"
        elif (assigned := re.fullmatch(f"({'|'.join(KEYS)})=(\\S+)", value)) is not None:
            return f"{value} is searched as text. For a condition write {assigned[1]}:{assigned[2]}"
    return ""


_WORDS: Final = {
    "OR": "For OR, repeat the key: type:a type:b",
    "AND": "Different keys are AND.",
    "NOT": "A minus excludes a term: -type:a",
}
"""Words of other query languages, with what this one has instead."""

_ALIASES: Final = {"user_id": "user", "session_id": "session", "level": "severity", "version": "agent_version"}
"""Names that people write for a key, although they do not resemble it."""


def _comparison(term: _Term, text: str, keys: Keys) -> Condition | None:
    """Return the comparison of numbers that the term is, or None. Raise FilterError."""
    key, written = term.key, text[term.value_position : term.end]
    is_number = key in keys and keys[key].is_number
    sign = next((sign for sign in COMPARISONS if written.startswith(sign) and sign != "="), "")
    if not sign and not is_number:
        return None
    if term.prefix and not term.value:
        return Condition(key, "0", term.negated, comparison=">=")  # any number: no latency or count is below 0
    if sign and not is_number and not key.startswith(FIELD_PREFIX):
        raise FilterError(
            f"{key}: is not numeric. Quote a value that starts with {sign[0]}.",
            text,
            term.value_position,
            f"{text[: term.value_position]}{_quote(term.value)}{text[term.end :]}",
        )
    number = written.removeprefix(sign).lower()
    if not re.fullmatch(NUMBER, number):
        raise FilterError(
            f"{number[:40]!r} is not a number such as 500, 0.5 or 1e3.",
            text,
            term.value_position + len(sign),
            "" if is_number else f"{text[: term.value_position]}{_quote(written)}{text[term.end :]}",
        )
    return Condition(key, number, term.negated, comparison=sign or "=")


def _time(term: _Term, text: str, times: dict[str, TimeBound]) -> TimeBound:
    if term.negated:
        raise FilterError(f"{term.key}: cannot be excluded.", text, term.position)
    if term.key in times:
        raise FilterError(f"{term.key}: is given twice.", text, term.position)
    try:
        return TimeBound.parse(term.value)
    except InvalidTimeBound as error:
        raise FilterError(f"{error}.", text, term.value_position) from None


def _quote(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
