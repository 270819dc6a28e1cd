"""Imports run downwards only, as the architecture in README.md says."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from evdash.configuration import CHECKOUT

# Each room, and the rooms below it that it may import.
BELOW: dict[str, set[str]] = {
    "events": set(),
    "streams": {"events"},
    "eventlog": {"streams", "events"},
    "projections": {"eventlog", "streams", "events"},
    "workers": {"eventlog", "streams", "events"},
    "demo": {"streams", "events"},
    "accounts": set(),
    "audit": {"projections", "eventlog", "streams", "events"},
    "notes": {"audit", "eventlog", "events"},
    "sandboxes": {"eventlog", "streams", "events"},
    "web": {"sandboxes", "notes", "audit", "projections", "accounts", "eventlog", "streams", "events"},
    "live": {"web", "accounts", "eventlog", "streams", "events"},
    "serving": {"web", "live", "accounts", "eventlog", "streams", "events", "health"},
    "health": {"live", "accounts", "eventlog", "streams", "events"},
}
FORBIDDEN_PACKAGES = {
    "events": {"django", "redis", "channels", "msgpack"},
    "streams": {"django", "channels"},
    "eventlog": {"channels"},
    "projections": {"channels"},
    "workers": {"channels", "redis"},
    "audit": {"channels"},
    "sandboxes": {"django", "channels"},
    "notes": {"channels", "redis", "markdown_it"},
    "web": {"channels"},
    "live": {"prometheus_client"},
    "health": {"channels"},
}
MODULES = sorted((CHECKOUT / "evdash").rglob("*.py"))


def imported(module: Path) -> set[str]:
    """The dotted names that a module imports, those inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports by a relative name"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("room", BELOW)
def test_a_room_imports_only_what_is_below_it(room: str) -> None:
    for module in (CHECKOUT / "evdash" / room).rglob("*.py"):
        for name in imported(module):
            first, _, rest = name.partition(".")
            neighbour = rest.partition(".")[0]
            if first == "evdash" and neighbour in BELOW:
                assert neighbour in BELOW[room] | {room}, f"{module} imports {name}"
            assert first not in FORBIDDEN_PACKAGES.get(room, set()), f"{module} imports {name}"


def test_only_web_processes_have_figures() -> None:
    """Workers and commands need no prometheus_client, which evdash.figures imports."""
    for module in MODULES:
        if any(name.startswith("evdash.figures") for name in imported(module)):
            room = module.relative_to(CHECKOUT / "evdash").parts[0]
            assert room in {"live", "health", "serving", "web", "asgi.py"}, f"{module} imports evdash.figures"


def test_every_room_is_known() -> None:
    rooms = {path.relative_to(CHECKOUT / "evdash").parts[0] for path in MODULES if path.parent != CHECKOUT / "evdash"}
    assert rooms == {*BELOW, "management"}


def test_rooms_are_below_each_other_in_one_direction() -> None:
    for room, below in BELOW.items():
        assert all(room not in BELOW[lower] for lower in below)
