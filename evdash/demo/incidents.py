"""Error bursts: for some minutes of every half hour, one tool or one model fails most of the time."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

PERIOD_S = 30 * 60


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault and its error text. `at` is a tool, or the model of an agent."""

    at: str
    error: str
    code: str
    severity: str


FAULTS = (
    Fault("track_parcel", "Carrier API answered 503 Service Unavailable after 3 attempts", "upstream_503", "error"),
    Fault(
        "issue_refund", "Payment amount does not add up: {amount} EUR booked, 0.00 EUR open", "amount_mismatch", "error"
    ),
    Fault("run_tests", "Runner lost: no free executor within 120 s", "no_executor", "error"),
    Fault("run_query", "canceling statement due to statement timeout", "57014", "error"),
    Fault("gpt-4o-mini", "Rate limit reached: 450,000 tokens per minute", "rate_limit_exceeded", "critical"),
    Fault("claude-sonnet-4", "Overloaded", "overloaded_error", "critical"),
)
# Occasional faults outside incidents.
STRAY_FAULTS = (
    Fault("", "connection reset by peer", "ECONNRESET", "error"),
    Fault("", "timed out after 10000 ms", "timeout", "error"),
    Fault("", "invalid argument: expected a number", "invalid_argument", "warning"),
)
STRAY_SHARE = 0.005


def fault_at(seed: int, time_s: float, place: str, random: Random) -> Fault | None:
    """Return the fault of a call to `place` (a tool or a model) at that Unix time, or None.

    The times of incidents follow from the seed and the time alone, so a whole fleet meets the same incident.
    """
    number = int(time_s // PERIOD_S)
    incident = Random(f"{seed} {number}")
    start = number * PERIOD_S + incident.uniform(0, PERIOD_S * 0.6)
    end = start + incident.uniform(6 * 60, 11 * 60)
    fault = incident.choice(FAULTS)
    if start <= time_s <= end and fault.at == place and random.random() < 0.85:
        return fault
    return random.choice(STRAY_FAULTS) if random.random() < STRAY_SHARE else None
