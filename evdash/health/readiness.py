"""The readiness of this process to serve pages, with one sentence for each requirement."""

from __future__ import annotations

from dataclasses import dataclass

from evdash.health.conditions import KINDS
from evdash.health.current import Health


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check. The sentence is public: it contains no address, no name and no password."""

    name: str
    passed: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Readiness:
    """The requirements of a process that serves pages, and the conditions that do not keep it from serving them."""

    checks: tuple[Check, ...]
    warnings: tuple[str, ...]

    @property
    def is_ready(self) -> bool:
        return all(check.passed for check in self.checks)


def readiness(health: Health) -> Readiness:
    """Return the readiness that follows from these conditions, without checks whose result is unknown."""
    found = {kind.name: health.of_kind(kind.name) for kind in KINDS}
    checks = []
    for kind in KINDS:
        if kind.check and not found.get(kind.unknown_with):
            conditions = found[kind.name]
            checks.append(Check(kind.check, not conditions, kind.in_words(conditions) if conditions else kind.passed))
    warnings = [kind.in_words(found[kind.name]) for kind in KINDS if found[kind.name] and not kind.check]
    return Readiness(tuple(checks), tuple(warnings))
