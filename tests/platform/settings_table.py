"""The table of everything that can be set, in docs/configuration.md."""

from typing import Any

from evdash.config.environment import declarations


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
