"""Django system checks: settings that are valid one by one but do not work together, and missing packages."""

import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from evdash.config.environment import LOOPBACK_NAMES, WILDCARD_HOSTS, Configuration, declaration
from evdash.config.npm import missing_packages
from evdash.streams.budget import redis_budget
from evdash.streams.client import StreamsUnavailable, open_client, shown_address
from evdash.streams.dead_letters import parked_stream
from evdash.streams.names import canonical_name
from evdash.streams.server import is_cluster, streams_like

TAG = "evdash"
SHORTEST_SECRET_KEY = 32
CLAIM_IDLE_PER_BLOCK = 3
"""The least EVDASH_CLAIM_IDLE_MS, as a multiple of EVDASH_BLOCK_MS, so that busy workers keep their entries."""


@register(TAG)
def configuration_works(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Return every combination in `settings.EVDASH` that would later fail, lose data or expose data."""
    configuration: Configuration = settings.EVDASH
    return [
        *streams_differ(configuration),
        *streams_are_names(configuration),
        *queues_are_streams(configuration),
        *server_is_no_cluster(configuration),
        *groups_differ(configuration),
        *parked_entries_are_not_read_again(configuration),
        *claims_wait_long_enough(configuration),
        *an_exact_length_is_a_length(configuration),
        *visitors_are_let_in(configuration),
        *embedded_server_is_known(configuration),
        *nothing_is_given_away(configuration),
        *packages_are_installed(),
    ]


def streams_differ(configuration: Configuration) -> list[CheckMessage]:
    twice = [name for name, times in Counter(configuration.streams).items() if times > 1]
    if not twice:
        return []
    message = f"EVDASH_STREAMS names {', '.join(twice)} more than once."
    return [Error(message, hint="Name every stream once.", id="evdash.E001")]


PATTERN_SIGNS = "*?["
SUGGESTIONS = 20
SERVER_BUDGET_S = 1.0
"""Seconds that checks wait for Redis. A server that does not answer does not make a check fail."""


def streams_are_names(configuration: Configuration) -> list[CheckMessage]:
    written = declaration("streams").read(tuple)  # in the configuration, an escaped sign is a part of a name
    patterns = [name for name in written if any(sign in name for sign in PATTERN_SIGNS)]
    return [
        Error(
            f"EVDASH_STREAMS has {pattern}, which is a pattern. evdash reads streams by their names.",
            hint=f"{_matching(configuration, written, pattern)} In a name, write \\x2a for *, \\x3f for ? "
            "and \\x5b for [.",
            id="evdash.E010",
        )
        for pattern in patterns
    ]


def _matching(configuration: Configuration, written: Sequence[str], pattern: str) -> str:
    found: list[str] = []
    if configuration.redis_url:
        with (
            suppress(StreamsUnavailable),
            redis_budget(SERVER_BUDGET_S),
            open_client(configuration.redis_url) as client,
        ):
            found = [_as_written(name) for name in streams_like(client, canonical_name(pattern), SUGGESTIONS)]
    others = [name for name in written if name != pattern and name not in found]
    if not found:
        return "Name each stream, comma separated. No stream matches now."
    return f"Streams that match now: EVDASH_STREAMS={','.join([*others, *found])}."


def _as_written(name: str) -> str:
    """Return the name as EVDASH_STREAMS has it, which ends a name at a comma and removes spaces around it."""
    return re.sub(r"[*?\[,]|^ | $", lambda sign: f"\\x{ord(sign[0]):02x}", name)


def queues_are_streams(configuration: Configuration) -> list[CheckMessage]:
    unknown = [name for name in configuration.queues if name not in configuration.streams]
    if not unknown:
        return []
    return [
        Error(
            f"EVDASH_QUEUES names {', '.join(unknown)}, which EVDASH_STREAMS does not name.",
            hint="Name each queue in EVDASH_STREAMS as well, or remove it.",
            id="evdash.E012",
        )
    ]


def server_is_no_cluster(configuration: Configuration) -> list[CheckMessage]:
    if not configuration.redis_url:
        return []
    with suppress(StreamsUnavailable), redis_budget(SERVER_BUDGET_S), open_client(configuration.redis_url) as client:
        if is_cluster(client):
            return [
                Error(
                    f"Redis at {shown_address(configuration.redis_url)} is a node of a Redis Cluster. evdash does not "
                    "support clusters yet.",
                    hint="Set REDIS_URL to a server that runs without cluster-enabled.",
                    id="evdash.E011",
                )
            ]
    return []


def groups_differ(configuration: Configuration) -> list[CheckMessage]:
    variables: dict[str, list[str]] = {}
    for field in ("audit_group", "analytics_group", "debug_group"):
        variables.setdefault(getattr(configuration, field), []).append(declaration(field).name)
    return [
        Error(
            f"{' and '.join(names)} are {'both' if len(names) == 2 else 'all'} {group!r}: each would receive only a "
            "part of the events.",
            hint="Use a different name for each of the three groups.",
            id="evdash.E006",
        )
        for group, names in variables.items()
        if len(names) > 1
    ]


def parked_entries_are_not_read_again(configuration: Configuration) -> list[CheckMessage]:
    return [
        Error(
            f"EVDASH_STREAMS names {parked_stream(stream)}, the dead-letter stream of {stream}. evdash would read "
            "dead-lettered entries as events.",
            hint="Remove it. The Streams page shows parked entries.",
            id="evdash.E007",
        )
        for stream in configuration.streams
        if parked_stream(stream) in configuration.streams
    ]


def claims_wait_long_enough(configuration: Configuration) -> list[CheckMessage]:
    if configuration.claim_idle_ms >= CLAIM_IDLE_PER_BLOCK * configuration.block_ms:
        return []
    least = CLAIM_IDLE_PER_BLOCK * configuration.block_ms
    return [
        Error(
            f"EVDASH_CLAIM_IDLE_MS is {configuration.claim_idle_ms} and EVDASH_BLOCK_MS {configuration.block_ms}: "
            "workers would claim entries that another worker is applying.",
            hint=f"Set EVDASH_CLAIM_IDLE_MS to {least} or more, or decrease EVDASH_BLOCK_MS.",
            id="evdash.E008",
        )
    ]


def an_exact_length_is_a_length(configuration: Configuration) -> list[CheckMessage]:
    if configuration.max_length or not configuration.max_length_exact:
        return []
    return [
        Error(
            "EVDASH_MAX_LENGTH_EXACT is on, but EVDASH_MAX_LENGTH is 0: streams keep all of their entries.",
            hint="Set EVDASH_MAX_LENGTH to the number of entries to keep, or turn EVDASH_MAX_LENGTH_EXACT off.",
            id="evdash.E009",
        )
    ]


def visitors_are_let_in(configuration: Configuration) -> list[CheckMessage]:
    if configuration.host not in WILDCARD_HOSTS or set(configuration.allowed_hosts) - set(LOOPBACK_NAMES):
        return []
    return [
        Error(
            f"EVDASH_HOST (or --host) is {configuration.host}, open to other machines, but EVDASH_ALLOWED_HOSTS "
            "names only this machine: all of them would be refused.",
            hint="Set EVDASH_ALLOWED_HOSTS to the names and addresses that browsers use, comma separated.",
            id="evdash.E002",
        )
    ]


def embedded_server_is_known(configuration: Configuration) -> list[CheckMessage]:
    if not configuration.embedded or configuration.redis_url:
        return []
    return [
        Error(
            "EVDASH_EMBEDDED is set, but REDIS_URL is not.",
            hint="Unset EVDASH_EMBEDDED. `manage.py up` sets both for the processes that it starts.",
            id="evdash.E003",
        )
    ]


def nothing_is_given_away(configuration: Configuration) -> list[CheckMessage]:
    messages: list[CheckMessage] = []
    open_to_others = f"[{configuration.host}]" not in LOOPBACK_NAMES and configuration.host not in LOOPBACK_NAMES
    if configuration.debug and open_to_others:
        messages.append(
            Error(
                f"EVDASH_DEBUG is on while EVDASH_HOST (or --host) is {configuration.host}: Django's debug pages would "
                "show settings and data to other machines.",
                hint="Turn EVDASH_DEBUG off, or listen on 127.0.0.1.",
                id="evdash.E004",
            )
        )
    if configuration.secret_key and len(configuration.secret_key) < SHORTEST_SECRET_KEY:
        messages.append(
            Error(
                f"EVDASH_SECRET_KEY has fewer than {SHORTEST_SECRET_KEY} characters: sessions could be forged.",
                hint="Leave it empty (evdash creates one), or use 50 random characters.",
                id="evdash.E005",
            )
        )
    if open_to_others and not configuration.https:
        messages.append(
            Warning(
                f"EVDASH_HOST (or --host) is {configuration.host} and EVDASH_HTTPS is off: passwords and events cross "
                "the network unencrypted.",
                hint="Put a TLS proxy in front of evdash and set EVDASH_HTTPS=yes.",
                id="evdash.W001",
            )
        )
    return messages


def packages_are_installed() -> list[CheckMessage]:
    return [
        Warning(
            f"{package.name} {package.version} is not installed in node_modules: open pages do not refresh.",
            hint="Run `make install`, or `python -m evdash.config.npm` in the folder of evdash.",
            id="evdash.W002",
        )
        for package in missing_packages()
    ]
