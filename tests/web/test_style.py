"""The style keeps its promises: readable in both schemes, every file used, nothing inline."""

from __future__ import annotations

import re
from colorsys import rgb_to_hls
from itertools import product

import pytest

from evdash.config.environment import CHECKOUT
from evdash.events.event_types import CATEGORIES, EVENT_TYPES, category_of

TOKENS_CSS = (CHECKOUT / "static/css/tokens.css").read_text()
TOKENS = {
    name: (light, dark) for name, light, dark in re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", TOKENS_CSS)
}
# Declared categories, and those of types without a known word.
SHOWN_CATEGORIES = {
    *CATEGORIES,
    *(event_type.category for event_type in EVENT_TYPES),
    *map(category_of, ["", *(f"order.{number}" for number in range(100))]),
}
_PLAIN = ("ink", "ink-soft", "accent", "error", "warning", "ok")
TEXTS = [name for name in TOKENS if name in _PLAIN or "category-" in name]
GROUNDS = ["ground", "paper", "raised", "sunken", "hover", "accent-ground", "share", "error-ground"]


def luminance(colour: str) -> float:
    """Relative luminance, https://www.w3.org/TR/WCAG22/#dfn-relative-luminance"""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_text_colour_has_aa_contrast_on_every_ground(scheme: int) -> None:
    assert len(TEXTS) > 15
    for text, ground in product(TEXTS, GROUNDS):
        dark, light = sorted((luminance(TOKENS[text][scheme]), luminance(TOKENS[ground][scheme])))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, f"{text} on {ground}"


def test_every_stylesheet_is_linked() -> None:
    templates = "".join(path.read_text() for path in (CHECKOUT / "templates").rglob("*.html"))
    for path in (CHECKOUT / "static/css").glob("*.css"):
        assert f"css/{path.name}" in templates


def test_every_sign_that_is_used_is_drawn() -> None:
    templates = "".join(path.read_text() for path in (CHECKOUT / "templates").rglob("*.html"))
    drawn = set(re.findall(r'id="icon-(\w+)"', templates))
    assert set(re.findall(r"#icon-(\w+)", templates)) <= drawn
    assert {category.icon for category in SHOWN_CATEGORIES} <= drawn


def test_every_category_has_a_colour() -> None:
    classes = set(re.findall(r"^\.category-([\w-]+) \{\s+--category: var\(--", TOKENS_CSS, re.MULTILINE))
    assert {category.name for category in SHOWN_CATEGORIES} <= classes


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_no_category_has_a_hue_of_errors(scheme: int) -> None:
    categories = {name: colours[scheme] for name, colours in TOKENS.items() if name.startswith("category-")}
    assert len(categories) > 10
    for name, colour in categories.items():
        red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        hue = rgb_to_hls(red, green, blue)[0] * 360
        assert 20 < hue < 340, f"{name} has the hue {hue:.0f}°"


def test_no_template_trusts_data() -> None:
    for path in (CHECKOUT / "templates").rglob("*.html"):
        text = path.read_text()
        assert "|safe" not in text, path
        assert "autoescape off" not in text, path
        assert not re.search(r"<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=|<style", text), path
    for path in (CHECKOUT / "evdash/web").rglob("*.py"):
        assert "mark_safe" not in path.read_text(), path
