"""Tables of the documentation that are made from declarations.

python -m tests.platform.doc_tables    writes them into docs/
"""

from pathlib import Path
from typing import Any, Final

from evdash.config.environment import CHECKOUT, declarations
from evdash.events.filters.keys import FILTER_KEYS


def settings_table() -> str:
    """The table of all variables, in Markdown."""
    lines = ["| Variable | Default | Meaning |", "| --- | --- | --- |"]
    for _, kind, declared in declarations():
        default = declared.default_in_words or _in_words(declared.default, kind)
        option = f" Option `{declared.option}`." if declared.option else ""
        lines.append(f"| `{declared.name}` | {default} | {declared.meaning}{option} |")
    return "\n".join(lines)


def _in_words(default: Any, kind: type) -> str:
    if kind is bool:
        return "yes" if default else "no"
    if isinstance(default, tuple):
        default = ",".join(default)
    return f"`{default}`" if default != "" else "none"


def keys_table() -> str:
    """The table of all filter keys, in Markdown."""
    lines = ["| Key | Example | Facet | URL parameter |", "| --- | --- | --- | --- |"]
    for key in FILTER_KEYS:
        parameter = f"`{key.name}=`" if key.is_parameter else ""
        lines.append(f"| `{key.name}` | `{key.name}:{key.example}` | {key.facet} | {parameter} |")
    return "\n".join(lines)


TABLES: Final = {"docs/configuration.md": ("settings", settings_table), "docs/filters.md": ("keys", keys_table)}
"""The name of the marks and the table, by file."""


def with_table(path: Path) -> str:
    """The text of the file with its table as it should be."""
    name, table = TABLES[str(path.relative_to(CHECKOUT))]
    before, begin, rest = path.read_text().partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition(f"<!-- /{name} -->")
    assert begin, f"{path} does not have <!-- {name} -->"
    assert end, f"{path} does not have <!-- /{name} -->"
    return f"{before}{begin}{table()}\n{end}{after}"


if __name__ == "__main__":
    for each in TABLES:
        (CHECKOUT / each).write_text(with_table(CHECKOUT / each))
