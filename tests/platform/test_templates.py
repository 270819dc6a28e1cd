"""Names in templates exist: a branch that no test renders would otherwise fail for a person."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from django.template import engines
from jinja2 import meta, nodes

from evdash.config.environment import CHECKOUT

# Of Django and of Jinja.
FOREIGN = frozenset({
    "as_widget", "csrf_input", "errors", "first", "form", "get_full_path", "has_perm", "has_usable_password",
    "help_text", "id_for_label", "index", "index0", "is_authenticated", "label", "last", "messages",
    "non_field_errors", "request", "user", "username", "value", "visible_fields", "widget_type",
})  # fmt: skip
ENVIRONMENT = engines["jinja2"].env  # type: ignore[attr-defined]
TEMPLATES = sorted(ENVIRONMENT.list_templates())


def names_of_code() -> Iterator[str]:
    """Yield the names of functions, attributes, arguments and context keys."""
    for path in (CHECKOUT / "evdash").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                yield node.name
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                yield node.target.id
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                yield node.attr
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id
            elif isinstance(node, ast.keyword) and node.arg:
                yield node.arg
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
                yield node.value


def names_of_templates() -> Iterator[str]:
    """Yield the names that `with`, `set` and `for` define."""
    for name in TEMPLATES:
        parsed = ENVIRONMENT.parse(ENVIRONMENT.loader.get_source(ENVIRONMENT, name)[0])
        for block in parsed.find_all(nodes.With):
            yield from (target.name for target in block.targets if isinstance(target, nodes.Name))
        for assigned in parsed.find_all((nodes.Assign, nodes.AssignBlock)):
            if isinstance(assigned.target, nodes.Name):
                yield assigned.target.name
        for loop in parsed.find_all(nodes.For):
            yield from (each.name for each in (loop.target, *loop.target.find_all(nodes.Name)) if hasattr(each, "name"))


KNOWN = FOREIGN | frozenset(names_of_code()) | frozenset(names_of_templates()) | ENVIRONMENT.globals.keys()


@pytest.mark.parametrize("name", TEMPLATES)
def test_each_name_of_a_template_exists(name: str) -> None:
    parsed = ENVIRONMENT.parse(ENVIRONMENT.loader.get_source(ENVIRONMENT, name)[0])
    used = meta.find_undeclared_variables(parsed) | {each.attr for each in parsed.find_all(nodes.Getattr)}
    assert not used - KNOWN


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_line_of_a_template_is_longer_than_140_characters(name: str) -> None:
    lines = ENVIRONMENT.loader.get_source(ENVIRONMENT, name)[0].splitlines()
    assert not [number for number, line in enumerate(lines, 1) if len(line) > 140]


def test_a_page_has_no_indentation_except_in_pre() -> None:
    template = """
        <ul>
          {% for x in (1, 2) %}
            <li>
              {{ x }}  <b>b</b>
            </li>
          {% endfor %}
        </ul>
        <pre>
            {{ 3 }}
          4  5</pre>
        <p> 6"""
    assert ENVIRONMENT.from_string(template).render() == (
        "\n<ul>"
        + "\n <li>\n1 <b>b</b>\n</li>\n"
        + " <li>\n2 <b>b</b>\n</li>\n"
        + " </ul>\n<pre>\n            3\n          4  5</pre>\n<p> 6"
    )


def test_a_name_that_exists_nowhere_is_found() -> None:
    parsed = ENVIRONMENT.parse("{{ kindd.iconn }}")
    assert meta.find_undeclared_variables(parsed) - KNOWN == {"kindd"}
    assert {each.attr for each in parsed.find_all(nodes.Getattr)} - KNOWN == {"iconn"}
