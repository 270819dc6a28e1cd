"""The totals of two sessions beside each other, in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from evdash.events.session.alignment import Contrast
from evdash.web.wording import milliseconds

_DURATIONS: Final[Mapping[str, str]] = {"latency (ms)": "latency", "length (ms)": "length"}


@dataclass(frozen=True, slots=True)
class Total:
    """One of the totals: a dash where nothing says it."""

    name: str
    a: str
    b: str
    difference: str  # of b from a
    differs: bool
    is_errors: bool


def totals(contrasts: Sequence[Contrast]) -> tuple[Total, ...]:
    """The contrasts as a table shows them."""
    return tuple(_total(contrast) for contrast in contrasts)


def _total(contrast: Contrast) -> Total:
    is_duration = contrast.name in _DURATIONS
    said: Callable[[float], str] = milliseconds if is_duration else _number
    return Total(
        name=_DURATIONS.get(contrast.name, contrast.name),
        a=_value(contrast.a, said),
        b=_value(contrast.b, said),
        difference=_difference(contrast, said),
        differs=contrast.differs,
        is_errors=contrast.name == "errors",
    )


def _number(value: float) -> str:
    return f"{value:,}"


def _value(value: str | float | None, said: Callable[[float], str]) -> str:
    return "–" if value is None else value if isinstance(value, str) else said(value)


def _difference(contrast: Contrast, said: Callable[[float], str]) -> str:
    a, b = contrast.a, contrast.b
    if not contrast.differs:
        return "="
    if isinstance(a, str) or isinstance(b, str):
        return "≠"
    if a is None or b is None:
        return "unknown"
    return f"{'+' if b > a else '−'}{said(abs(b - a))}"
