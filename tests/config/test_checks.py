"""System checks: every combination that cannot work is told, and nothing else."""

from dataclasses import replace
from typing import Any

import pytest
from django.conf import settings
from django.core.checks import run_checks
from pytest_django import Settings


def found(settings: Settings, **values: Any) -> list[str | None]:
    settings.EVDASH = replace(settings.EVDASH, **values)
    messages = run_checks(tags=["evdash"])
    assert all(message.hint for message in messages)
    return [message.id for message in messages]


def test_the_defaults_work() -> None:
    assert run_checks() == []
    assert settings.EVDASH.host == "127.0.0.1"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"streams": ("a", "b", "a")}, ["evdash.E001"]),
        ({"host": "0.0.0.0", "https": True}, ["evdash.E002"]),
        ({"host": "0.0.0.0", "https": True, "allowed_hosts": ("evdash.example",)}, []),
        ({"host": "192.0.2.7", "https": True}, []),
        ({"host": "::1"}, []),
        ({"embedded": True}, ["evdash.E003"]),
        ({"embedded": True, "redis_url": "redis://localhost:7000"}, []),
        ({"debug": True}, []),
        ({"debug": True, "host": "192.0.2.7", "https": True}, ["evdash.E004"]),
        ({"secret_key": "too short"}, ["evdash.E005"]),
        ({"host": "192.0.2.7"}, ["evdash.W001"]),
        ({"debug_group": "evdash-audit"}, ["evdash.E006"]),
        ({"analytics_group": "one", "debug_group": "one", "audit_group": "one"}, ["evdash.E006"]),
        ({"streams": ("a", "b", "a:parked")}, ["evdash.E007"]),
        ({"streams": ("a:parked",)}, []),
        ({"block_ms": 2000, "claim_idle_ms": 5999}, ["evdash.E008"]),
        ({"block_ms": 2000, "claim_idle_ms": 6000}, []),
        ({"max_length_exact": True}, ["evdash.E009"]),
        ({"max_length_exact": True, "max_length": 1000}, []),
    ],
)
def test_what_cannot_work_together_is_told(settings: Settings, values: dict[str, Any], expected: list[str]) -> None:
    assert found(settings, **values) == expected


def test_groups_of_one_name_are_told_with_their_variables(settings: Settings) -> None:
    settings.EVDASH = replace(settings.EVDASH, debug_group="evdash-audit")

    [message] = run_checks(tags=["evdash"])

    assert message.msg.startswith("EVDASH_AUDIT_GROUP and EVDASH_DEBUG_GROUP are both 'evdash-audit'")
