"""Imports point downwards only, through the layers that docs/architecture.md lists, and never in a circle."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from evdash.config.environment import CHECKOUT

# Each layer, and the layers below it that it may import.
BELOW: dict[str, set[str]] = {
    "config.environment": {"streams"},
    "events": set(),
    "streams": {"events"},
    "eventlog": {"streams", "events"},
    "ingest": {"eventlog", "streams", "events"},
    "demo": {"streams", "events"},
    "accounts": {"events"},
    "audit_log": {"accounts", "ingest", "eventlog", "streams", "events"},
    "notes": {"audit_log", "eventlog", "events"},
    "saved_views": {"accounts", "audit_log"},
    "replay": {"audit_log", "eventlog", "streams", "events"},
    "web": {
        "health",
        "replay",
        "notes",
        "saved_views",
        "audit_log",
        "ingest",
        "accounts",
        "eventlog",
        "streams",
        "events",
        "config.environment",
    },
    "live": {"web", "accounts", "eventlog", "streams", "events"},
    "health": {"ingest", "accounts", "eventlog", "streams", "events"},
    "supervisor": {"config.environment"},
    "serving": {
        "supervisor",
        "health",
        "live",
        "web",
        "accounts",
        "eventlog",
        "streams",
        "events",
        "config.environment",
    },
}
# Settings, URLs, checks and commands know every layer.
TOP = {"config", "management"}
FORBIDDEN_PACKAGES = {
    "events": {"django", "redis", "channels", "msgpack"},
    "streams": {"django", "channels"},
    "eventlog": {"channels"},
    "ingest": {"channels"},
    "audit_log": {"channels"},
    "replay": {"channels"},
    "notes": {"channels", "redis", "markdown_it"},
    "web": {"channels"},
    "live": {"prometheus_client"},
    "health": {"channels"},
}
MODULES = {
    ".".join(path.relative_to(CHECKOUT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((CHECKOUT / "evdash").rglob("*.py"))
}


def layer_of(name: str) -> str:
    """Return the layer of a module, or of a name in one."""
    _, _, rest = name.partition(".")
    return "config.environment" if rest.startswith("config.environment") else rest.partition(".")[0]


def imported(path: Path) -> set[str]:
    """Return the dotted names that a module imports, those inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports by a relative name"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("layer", BELOW)
def test_a_layer_imports_only_what_is_below_it(layer: str) -> None:
    for module, path in MODULES.items():
        if layer_of(module) != layer:
            continue
        for name in imported(path):
            neighbour = layer_of(name)
            if name.startswith("evdash.") and neighbour in BELOW.keys() | TOP:
                assert neighbour in BELOW[layer] | {layer}, f"{module} imports {name}"
            assert name.partition(".")[0] not in FORBIDDEN_PACKAGES.get(layer, set()), f"{module} imports {name}"


def test_only_web_processes_have_metrics() -> None:
    """Workers and commands need no prometheus_client, which evdash.metrics imports."""
    for module, path in MODULES.items():
        if any(name.startswith("evdash.metrics") for name in imported(path)):
            assert layer_of(module) in {"live", "health", "serving", "web"}, f"{module} imports evdash.metrics"


def test_every_layer_is_known() -> None:
    packages = {layer_of(module) for module, path in MODULES.items() if path.parent != CHECKOUT / "evdash"}
    assert packages == BELOW.keys() | TOP


def test_layers_are_below_each_other_in_one_direction() -> None:
    for layer, below in BELOW.items():
        assert all(layer not in BELOW[lower] for lower in below)


def test_no_module_imports_itself_through_others() -> None:
    graph: dict[str, set[str]] = {}
    for module, path in MODULES.items():
        if "migrations" in path.parts:
            continue
        known = {name if name in MODULES else name.rpartition(".")[0] for name in imported(path)}
        # A package that gathers the names of its modules is imported by way of them.
        graph[module] = {name for name in known if name in MODULES and not module.startswith(f"{name}.")}
    assert list(TopologicalSorter(graph).static_order())  # raises CycleError
