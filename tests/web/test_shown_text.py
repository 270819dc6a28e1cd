"""Texts as people read them: safe, complete, and in the form that their signs state."""

from __future__ import annotations

import json
from html import unescape
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from evdash.events.conversation import TextKind
from evdash.web.control_characters import escape_control_chars_text
from evdash.web.text_display import shown_text as module
from evdash.web.text_display.highlighting import LANGUAGES, highlighted
from evdash.web.text_display.shown_text import TURN, Fold, shown_text
from evdash.web.text_display.terminal import terminal_html
from tests.web.test_markdown import ATTRIBUTES, TAGS

KINDS: tuple[TextKind, ...] = ("prose", "text", "code")
TRACEBACK = (
    'Traceback (most recent call last):\n  File "a.py", line 3, in f\n    return 1 / 0\nZeroDivisionError: division'
)
DIFF = "--- a/x.py\n+++ b/x.py\n@@ -1,2 +1,2 @@\n-old\n+new\n same\n"
HOSTILE = [
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(1)"><svg/onload=alert(1)>',
    "**a** <b onmouseover=alert(1)>x</b> <!-- --> <![CDATA[x]]>",
    "[a](javascript:alert(1)) ![b](https://elsewhere.example/p.png) ![c](data:image/svg+xml,x) [d](//x)",
    "\x1b]8;;javascript:alert(1)\x1b\\link\x1b]8;;\x1b\\ \x1b]0;<script>\x07 \x1b[31m<script>\x1b[0m",
    "\x1b[31;<script>m \x9b31m<b> \x1bP<script>\x1b\\ \x1b[",
    '```"><script>\n</code></pre><script>\n```',
    '```json\n{"a": "</span><script>"}\n```',
    f'{TRACEBACK}\n  File "<script>", line 1, in <script>',
    f"{DIFF}+<script>alert(1)</script>\n",
    json.dumps({"<script>": "</pre><script>", "b": ["<img onerror=x>", 1.5, None]}),
    *(sign * (1_000_000 // len(sign)) for sign in ("`", "[", "- ", "> ")),
    *(sign * (20_000 // len(sign)) for sign in ("`", "[", "- ", "> ", "<", "*a ", "\x1b[31m", "{", "![", '"', "\n")),
    "```python\n" + "'''" * 3_000,
]


class Safe(HTMLParser):
    """Fails for a tag or attribute that no text needs, and for tags that do not close."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in {*TAGS, "div"}
        assert {name for name, _ in attrs} <= {*ATTRIBUTES.get(tag, set()), "class", "dir"}
        given = dict(attrs)
        assert tag != "a" or (given["href"] or "").lower().startswith(("http://", "https://", "mailto:"))
        if tag not in ("br", "hr"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def text_in(html: str) -> str:
    return LexborHTMLParser(f"<pre>\n{html}").text()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:12]))
def test_a_hostile_text_is_only_text(text: str, kind: TextKind) -> None:
    for end in (TURN.end(text), None):
        html = shown_text(text, kind=kind, end=end).html
        Safe(html)
        assert not {"\x1b", "\x9b", "\x07"} & set(html)


@given(st.text(alphabet=st.sampled_from("\x1b[]()m;38\\\x07`*_-+@#<>&\"'{}:,.\n\t ab/|!"), max_size=200))
def test_any_text_is_only_text(text: str) -> None:
    for kind in KINDS:
        Safe(shown_text(text, kind=kind).html)


@given(
    st.text(alphabet=st.sampled_from("`*_-+@#<>&\"'{}:,.\n\t ab/|!\u202e\x00"), max_size=200), st.sampled_from(KINDS)
)
def test_without_a_source_the_html_has_each_character(text: str, kind: TextKind) -> None:
    shown = shown_text(text, kind=kind)
    if not shown.source:
        assert unescape(text_in(shown.html)) == escape_control_chars_text(text)


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_highlighting_keeps_the_text(language: str) -> None:
    for text in (
        TRACEBACK,
        f'{TRACEBACK}\n  File "<string>", line 1, in f',
        DIFF,
        '{"a": [1, "<b>"]}',
        "def f(x):\n\treturn '#' # no\n",
        "  a\n\n\n  b  ",
        "\n",
    ):
        html = highlighted(text, language)
        Safe(html)
        assert text_in(html) == text


def test_a_text_is_highlighted_by_its_signs() -> None:
    def classes(text: str) -> set[str]:
        tree = LexborHTMLParser(shown_text(text, kind="code").html)
        return {span.attributes["class"] or "" for span in tree.css("span")}

    assert {"code-deleted", "code-inserted", "code-heading"} <= classes(DIFF)
    assert {"code-heading", "code-error", "code-number"} <= classes(TRACEBACK)
    assert {"code-string", "code-number", "code-name", "code-keyword"} <= classes('{"a": ["b", 1, null]}')
    assert classes("[INFO] - not a list") == set()
    assert "code-keyword" in LexborHTMLParser(shown_text("# x\n```py\nreturn 1\n```", kind="prose").html).html  # type: ignore[operator]


def test_colours_are_classes_and_other_sequences_vanish() -> None:
    link = "\x1b]8;;https://a.example\x1b\\name\x1b]8;;\x07"
    text = f"\x1b[1;31mFAILED\x1b[0m {link}\x1b[2K\x1b[?25l \x1b[38;5;46mok\x1b[39m \x1b[7mx\x1b(B"
    html = terminal_html(text)
    assert text_in(html) == "FAILED name ok x"
    spans = [(span.attributes["class"], span.text()) for span in LexborHTMLParser(html).css("span")]
    assert spans == [("ansi-bold ansi-red", "FAILED"), ("ansi-green", "ok"), ("ansi-inverse", "x")]
    shown = shown_text(text, kind="prose")
    assert (shown.source, "style=" in shown.html) == (text, False)
    assert text_in(terminal_html("\x1b[48;2;255;0;0m a \x1b[49m \x1b]0;no end")) == " a  0;no end"


def test_prose_is_markdown_only_where_it_has_its_signs() -> None:
    plain = shown_text("  line one\n    line * two", kind="prose")
    node = LexborHTMLParser(plain.html).css_first(".plain-text")
    assert node is not None
    assert (node.text(), node.attributes["dir"], plain.source) == ("  line one\n    line * two", "auto", "")
    marked = shown_text("**a**\nb", kind="prose")
    assert ("<strong>a</strong><br>" in marked.html, marked.source) == (True, "**a**\nb")
    assert shown_text("**a**", kind="text").source == ""


def test_a_text_beyond_the_limit_is_plain() -> None:
    text = "- item\n" * 5_000
    assert "<li>" not in shown_text(text, kind="prose").html
    assert "<li>" in shown_text(text, kind="prose", end=TURN.end(text)).html


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("a\n" * 15, 30),  # not worth a fold
        ("a\n" * 40, 23),
        ("a" * 1_500, 1_500),
        ("a" * 9_000, 1_200),
        ("word " * 900, 1_199),
        ("", 0),
        ("a" * 1_100 + "\n" + "b" * 5_000, 1_100),
    ],
)
def test_a_long_text_is_folded_at_a_line_or_word(text: str, end: int) -> None:
    assert TURN.end(text) == end
    shown = shown_text(text, kind="text", end=end)
    assert shown.is_folded is (end < len(text))


@given(st.text(alphabet="a \n", max_size=300))
def test_a_fold_has_no_more_than_its_limits_and_a_quarter(text: str) -> None:
    end = Fold(lines=4, chars=40).end(text)
    assert end <= 50
    assert text[:end].rstrip().count("\n") < 5


def test_the_cache_has_an_upper_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CACHE_BYTES", 100_000)
    cache = module._Cache()
    for number in range(500):
        text = f"{number} " * 100
        assert cache.rendered(text, len(text), kind="text") == cache.rendered(text, len(text), kind="text")
        assert cache._bytes <= 100_000
    assert 0 < len(cache._texts) < 200
