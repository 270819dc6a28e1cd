"""A JSON value as a tree to fold, bounded so that a page stays a page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

JSON_CHARS: Final = 200_000
NODES: Final = 400
DEPTH: Final = 12
# A list or object is unfolded when it is no longer than this; at the root more, below that less, then not at all.
OPEN_CHILDREN: Final = (40, 12)


@dataclass(frozen=True, slots=True)
class Node:
    """One value: a leaf with its text, or a list or object with its children."""

    name: str
    kind: Literal["object", "list", "text", "number", "literal", "rest"]
    text: str
    children: tuple[Node, ...] = ()
    is_open: bool = False


def tree_of(text: str) -> Node | None:
    """The tree of a text that is a JSON object or list; None for any other text and for a very long one."""
    if text.lstrip()[:1] not in ("{", "[") or len(text) > JSON_CHARS:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return tree_of_value(value)


def tree_of_value(value: Any) -> Node:
    """The tree of a parsed JSON value."""
    return _node("", value, 0, iter(range(NODES)))


def _node(name: str, value: Any, depth: int, allowance: Iterator[int]) -> Node:
    if isinstance(value, dict):
        return _branch(name, "object", [(str(key), item) for key, item in value.items()], depth, allowance)
    if isinstance(value, list):
        return _branch(name, "list", [(str(index), item) for index, item in enumerate(value)], depth, allowance)
    if isinstance(value, str):
        return Node(name, "text", value)
    if value is None or isinstance(value, bool):
        return Node(name, "literal", json.dumps(value))
    return Node(name, "number", json.dumps(value))


def _branch(
    name: str, kind: Literal["object", "list"], items: list[tuple[str, Any]], depth: int, allowance: Iterator[int]
) -> Node:
    children: list[Node] = []
    for shown, (key, item) in enumerate(items):
        if depth >= DEPTH or next(allowance, None) is None:
            children.append(Node("", "rest", f"{len(items) - shown:,} more, see the value as text"))
            break
        children.append(_node(key, item, depth + 1, allowance))
    noun = ("key" if kind == "object" else "item") + ("" if len(items) == 1 else "s")
    is_open = depth < len(OPEN_CHILDREN) and len(items) <= OPEN_CHILDREN[depth]
    return Node(name, kind, f"{len(items):,} {noun}", tuple(children), is_open)
