"""Each event type and each field name is declared in one place."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from evdash.config.environment import CHECKOUT
from evdash.events.event_types import EVENT_TYPES, turn_of, type_of
from evdash.events.session.reducer import fold
from evdash.events.session.state import NOT_STARTED
from tests.builders import event

REGISTRY = CHECKOUT / "evdash/events/event_types.py"
# Modules that write events or upcast old versions, and the example of a filter key.
MAY_NAME_TYPES = {REGISTRY, *(CHECKOUT / "evdash/demo").rglob("*.py")} | {
    CHECKOUT / "evdash/events" / name for name in ("upcasters.py", "filters/keys.py")
}


def nodes() -> Iterator[tuple[Path, ast.AST]]:
    for path in sorted((CHECKOUT / "evdash").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            yield path, node


def test_only_the_registry_knows_event_types_by_name() -> None:
    names = {event_type.name for event_type in EVENT_TYPES}
    assert [
        f"{path}:{node.lineno}"
        for path, node in nodes()
        if isinstance(node, ast.Constant) and node.value in names and path not in MAY_NAME_TYPES
    ] == []


def test_no_module_reads_a_field_of_an_event_by_a_name_of_its_own() -> None:
    """`event.data["content"]` and `event.data.get("content")` ignore the wire profile."""
    found = []
    for path, node in nodes():
        if isinstance(node, ast.Subscript):
            place, name = node.value, node.slice
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            place, name = node.func.value, node.args[0]
        else:
            continue
        is_named = isinstance(name, ast.Constant) and isinstance(name.value, str)
        # `self.data` is that of a form.
        if is_named and isinstance(place, ast.Attribute) and place.attr == "data" and ast.unparse(place) != "self.data":
            found.append(f"{path}:{node.lineno}: {ast.unparse(node)}")
    assert found == []


def test_a_name_is_declared_once() -> None:
    names = [event_type.name for event_type in EVENT_TYPES]
    assert len(set(names)) == len(names)


def test_a_type_that_is_not_declared_has_the_texts_of_its_category() -> None:
    looked_up = event(type="web.search", query="red pens", results_count="4")
    assert str(type_of("web.search").one_line(looked_up)) == "search red pens, 4 results"
    turn = turn_of(looked_up)
    assert (turn.speaker, turn.head, turn.text, turn.is_inline) == ("tools", "search", "red pens", False)
    assert fold(NOT_STARTED, looked_up).totals.searches == 0


@pytest.mark.parametrize(
    ("fields", "head", "text"),
    [
        ({"type": "message.added", "role": "user", "content": "a\nb"}, "user", "a\nb"),
        ({"type": "chat.message", "role": "user", "content": "a\nb"}, "user", "a\nb"),
        ({"type": "message.added", "role": "user", "content": " "}, "", "user"),
        ({"type": "summary.created", "content": "They met"}, "summary", "They met"),
        ({"type": "search.performed", "arguments": '{"to":"SEA"}'}, "search", '{\n  "to": "SEA"\n}'),
        ({"type": "tool.called", "tool": "book", "args": "{}"}, "book", ""),
        ({"type": "tool.called", "args": "x"}, "", "tool x"),
        ({"type": "tool.returned", "tool": "book", "output": "done"}, "book returned", "done"),
        ({"type": "tool.returned", "tool": "book", "error": "no seats"}, "Error of book", "no seats"),
        ({"type": "order.placed", "pens": "3", "ink": "blue"}, "", "pens 3, ink blue"),
    ],
)
def test_the_turn_is_the_whole_text(fields: dict[str, str], head: str, text: str) -> None:
    turn = turn_of(event(**fields))
    assert (turn.head, turn.text) == (head, text)
