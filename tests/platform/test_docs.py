"""README, CONTRIBUTING and docs/ state what is true, as far as a program can check it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import redis
from django.core.management import get_commands
from django.urls import resolve

from evdash.config.environment import CHECKOUT
from evdash.events.decoding import _ERROR_STATES, _NO_ERROR, _SEVERITY_ALIASES, ERROR_SEVERITIES, decode
from evdash.events.event_types import _ERROR_WORDS
from evdash.events.filters.event_filter import EventFilter
from evdash.events.upcasters import VERSION_1
from evdash.events.wire_profile import DEFAULT_PROFILE
from evdash.streams.reads import read_forward
from tests.platform.doc_tables import TABLES, with_table

DOCS = [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
# What stands in a documented URL for a value, and such a value.
PLACEHOLDERS = {
    "ENTRY_ID": "1-0", "STREAM": "memory:events", "GROUP": "g", "NUMBER": "1", "KIND": "claim", "ID": "s", "NAME": "n",
}  # fmt: skip

every_page = pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)


def text_of(name: str) -> str:
    return (CHECKOUT / name).read_text()


@every_page
def test_links_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


@every_page
def test_named_files_exist(page: Path) -> None:
    for name in re.findall(r"`((?:evdash|templates|static|tests|docs)/[\w./-]+)`", page.read_text()):
        assert (CHECKOUT / name).exists(), name


@every_page
def test_named_commands_exist(page: Path) -> None:
    text = page.read_text()
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    assert set(re.findall(r"manage\.py\s+([a-z_]{2,})", text)) <= {*get_commands(), "streams"}
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= targets
    assert set(re.findall(r"^    (?:\S+=\S+ )*make ([a-z-]+)", text, re.MULTILINE)) <= targets


@every_page
def test_named_urls_lead_to_a_page(page: Path) -> None:
    for url in re.findall(r"`(/[\w/.:-]*[A-Za-z-]*(?:/|\.\w+|z|metrics))(?:\?[^`]*)?`", page.read_text()):
        path = url
        for word, value in PLACEHOLDERS.items():
            path = re.sub(rf"\b{word}\b", value, path)
        if not path.startswith("/sandboxes/"):  # a prefix of the pages, not a route
            resolve(path)


@every_page
def test_named_variables_exist(page: Path) -> None:
    declared = set(re.findall(r"^\| `([A-Z_]+)` \|", text_of("docs/configuration.md"), re.MULTILINE))
    assert set(re.findall(r"EVDASH_[A-Z_]+|DATABASE_URL|REDIS_[A-Z]+", page.read_text())) <= declared


@every_page
def test_python_is_python(page: Path) -> None:
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        compile(block, page.name, "exec")


def test_the_index_lists_every_page() -> None:
    assert set(re.findall(r"\]\(([\w-]+\.md)\)", text_of("docs/README.md"))) == {
        page.name for page in DOCS if page.parent.name == "docs" and page.name != "README.md"
    }


def test_the_readme_is_short() -> None:
    assert len(text_of("README.md").splitlines()) <= 120


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_those_of_the_declarations(name: str) -> None:
    """`python -m tests.platform.doc_tables` writes them."""
    assert with_table(CHECKOUT / name) == text_of(name)


def test_the_example_of_a_filter_is_one() -> None:
    line = re.search(r"^    (type:.*)$", text_of("docs/filters.md"), re.MULTILINE)
    assert line is not None
    assert len(EventFilter.parse(line[1]).conditions) == 5


def test_the_table_of_versions_is_complete() -> None:
    _, _, rest = text_of("docs/wire-format.md").partition("| Type | In version 1 | In version 2 |\n")
    rows = [line.split("|")[1:4] for line in rest.partition("\n\n")[0].splitlines()[1:]]
    documented = {_names(types)[0]: (set(_names(old)), set(_names(new))) for types, old, new in rows[:-1]}

    assert documented == {
        event_type: ({old for old, _ in renamed.names}, {new for _, new in renamed.names})
        for event_type, renamed in VERSION_1.items()
    }
    assert [_names(cell) for cell in rows[-1]] == [["session.ended"], ["duration_s"], ["latency_ms"]]
    assert [event_type for event_type, renamed in VERSION_1.items() if not renamed.seconds] == ["session.ended"]


def test_what_makes_an_error_is_named_completely() -> None:
    section = re.split(r"^#+ Errors$", text_of("docs/wire-format.md"), flags=re.MULTILINE)[1].partition("\n## ")[0]
    of_type, of_error, of_status, of_flag, of_severity = section.split("\n- ")[1:]
    severities = {word for word, meaning in _SEVERITY_ALIASES.items() if meaning in ERROR_SEVERITIES}

    assert set(_names(of_type)) >= _ERROR_WORDS
    assert {"", *_names(of_error.partition("there was no error: ")[2])} == _NO_ERROR
    assert {*_names(of_status)} == {*DEFAULT_PROFILE.status, *_ERROR_STATES}
    assert {*_names(of_flag)} == {"success", "false", "is_error", "true"}
    assert {*_names(of_severity)} == ERROR_SEVERITIES | severities | {"severity", "level"}


def _names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@pytest.mark.parametrize("name", ["README.md", "docs/wire-format.md", "docs/getting-started.md"])
def test_the_line_for_redis_cli_writes_an_event(valkey: redis.Redis, name: str) -> None:
    line = re.search(r"^ +redis-cli (XADD .*)$", text_of(name), re.MULTILINE)
    assert line is not None
    valkey.execute_command(*shlex.split(line[1]))
    [entry] = read_forward(valkey, "memory:events", after=None, count=10)
    event = decode(entry)
    assert (event.type, event.session_id, event.user_id) == ("message.added", "s-1", "u-1")
    assert event.data["content"] == "hello"
