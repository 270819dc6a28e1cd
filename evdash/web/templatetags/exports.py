"""Template tags and filters for exported files: inline styles and element ids."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from django import template
from django.contrib.staticfiles import finders
from django.utils.safestring import SafeString

from evdash.notes.records import Subject
from evdash.web.links import element_id

register = template.Library()


@register.simple_tag
def inline_styles(*names: str, media: str = "all") -> SafeString:
    """Return the named stylesheets below static/ as one <style> element.

    Raises FileNotFoundError for an unknown name, and ValueError for a stylesheet that contains a tag.
    """
    styles = "\n".join(_stylesheet(name) for name in names)
    # The text is safe: it has only evdash's own stylesheets, and not event data.
    return SafeString(f'<style media="{media}">\n{styles}</style>')


@cache
def _stylesheet(name: str) -> str:
    found = finders.find(name)
    if not isinstance(found, str):
        raise FileNotFoundError(f"There is no stylesheet {name}.")
    text = Path(found).read_text(encoding="utf-8")
    if "</" in text:
        raise ValueError(f"The stylesheet {name} cannot stand within a page: it holds a tag.")
    return text


@register.filter
def place_in_file(subject: Subject) -> str:
    """Return the HTML id of the entry that a note is on; "" for a note on a session."""
    return element_id(subject.stream, subject.entry_id) if subject.entry_id else ""
