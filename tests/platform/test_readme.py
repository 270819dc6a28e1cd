"""README says what is true."""

from __future__ import annotations

import re
import shlex

import redis

from evdash.config.environment import CHECKOUT
from evdash.events.decoding import _NO_ERROR, _SEVERITY_ALIASES, ERROR_SEVERITIES, decode
from evdash.events.upcasters import VERSION_1
from evdash.streams.reads import read_forward
from tests.platform.settings_table import settings_table

README = (CHECKOUT / "README.md").read_text()


def test_the_table_of_settings_is_complete() -> None:
    _, _, rest = README.partition("<!-- settings -->")
    assert rest.partition("<!-- /settings -->")[0].strip() == settings_table()


def test_the_producers_in_python_are_python() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        compile(block, "README.md", "exec")


def test_the_table_of_versions_is_complete() -> None:
    _, _, rest = README.partition("| Type | In version 1 | In version 2 |\n")
    rows = [line.split("|")[1:4] for line in rest.partition("\n\n")[0].splitlines()[1:]]
    told = {_names(types)[0]: (set(_names(old)), set(_names(new))) for types, old, new in rows[:-1]}

    assert told == {
        event_type: ({old for old, _ in renamed.names}, {new for _, new in renamed.names})
        for event_type, renamed in VERSION_1.items()
    }
    assert [_names(cell) for cell in rows[-1]] == [["session.ended"], ["duration_s"], ["latency_ms"]]
    assert [event_type for event_type, renamed in VERSION_1.items() if not renamed.seconds] == ["session.ended"]


def test_what_makes_an_error_is_named_completely() -> None:
    row = next(line for line in README.splitlines() if line.startswith("| `severity`, `error`, `error_code` |"))
    _, _, of_error = row.partition("by an `error` ")
    of_error, _, of_severity = of_error.partition(", or by a `severity`")
    severities = {word for word, meaning in _SEVERITY_ALIASES.items() if meaning in ERROR_SEVERITIES}

    assert {"", *_names(of_error)} == _NO_ERROR
    assert set(_names(of_severity)) == ERROR_SEVERITIES | severities | {"level"}


def _names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_the_line_for_redis_cli_writes_an_event(valkey: redis.Redis) -> None:
    line = re.search(r"^ +redis-cli (XADD .*)$", README, re.MULTILINE)
    assert line is not None
    valkey.execute_command(*shlex.split(line[1]))
    [entry] = read_forward(valkey, "memory:events", after=None, count=10)
    event = decode(entry)
    assert (event.type, event.session_id, event.user_id) == ("message.added", "s-1", "u-1")
    assert event.data["content"] == "hello"


def test_the_picture_is_there() -> None:
    assert (CHECKOUT / "docs/overview.png").exists()
