"""README says what is true."""

from __future__ import annotations

import re
import shlex

import redis

from evdash.configuration import CHECKOUT, settings_table
from evdash.events.profile import decode
from evdash.streams.reads import read_forward

README = (CHECKOUT / "README.md").read_text()


def test_the_table_of_settings_is_complete() -> None:
    _, _, rest = README.partition("<!-- settings -->")
    assert rest.partition("<!-- /settings -->")[0].strip() == settings_table()


def test_the_producers_in_python_are_python() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        compile(block, "README.md", "exec")


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
