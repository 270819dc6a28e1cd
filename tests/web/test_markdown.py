"""The Markdown of notes and messages: what it may contain, and what it may not do."""

from __future__ import annotations

import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from evdash.web.text_display.markdown import has_markdown, markdown

TAGS = {
    *(
        "p",
        "br",
        "em",
        "strong",
        "s",
        "a",
        "code",
        "pre",
        "ol",
        "ul",
        "li",
        "blockquote",
        "hr",
        "span",
        "h4",
        "h5",
        "h6",
    ),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
ATTRIBUTES = {"a": {"href", "rel"}, "ol": {"start"}, "pre": {"dir"}, "span": {"class", "title", "dir"}}


class Safe(HTMLParser):
    """Fails for any tag or attribute that a note has no use for, and for tags that do not close."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.links: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS
        assert {name for name, _ in attrs} <= ATTRIBUTES.get(tag, set())
        assert tag != "a" or "a" not in self.open
        given = dict(attrs)
        if tag == "a":
            assert (given["href"] or "").lower().startswith(("http://", "https://", "mailto:"))
            assert given["rel"] == "noopener nofollow noreferrer"
            self.links.append(given["href"] or "")
        if tag not in ("br", "hr"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_markdown_is_shown_as_what_it_means() -> None:
    html = markdown(
        "# It failed\n\n**twice**, see [this](https://example.com/a?b=c) and `x`\n\n3. a\n\n"
        "| a | b |\n|--:|--|\n| 1 | 2 |"
    )
    assert html.replace("\n", "") == (
        "<h4>It failed</h4><p><strong>twice</strong>, see "
        '<a href="https://example.com/a?b=c" rel="noopener nofollow noreferrer">this</a> and <code>x</code></p>'
        '<ol start="3"><li>a</li></ol><table><thead><tr><th>a</th><th>b</th></tr></thead>'
        "<tbody><tr><td>1</td><td>2</td></tr></tbody></table>"
    )


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        '<img src=x onerror="alert(1)">',
        "[a](javascript:alert(1)) [b](JaVaScRiPt:alert(1)) [c](data:text/html,x) [d](vbscript:x) [e](file:///etc/passwd)",
        "[a](java\nscript:alert(1)) [b](&#106;avascript:alert(1)) [c](//host/x) [d](/sign-out) [e](ftp://x)",
        "<javascript:alert(1)> [a]: javascript:alert(1)\n\n[a]\n\n[b]: data:x\n[b]",
        '[a](https://x "\\" onclick=\\"alert(1)")',
        '```"><script>alert(1)</script>\n</code></pre><script>\n```',
    ],
)
def test_nothing_runs_and_no_link_leads_to_anything_but_the_web(text: str) -> None:
    html = markdown(text)
    Safe(html)
    assert "<script" not in html


def test_a_picture_is_a_link_and_nothing_is_loaded() -> None:
    html = markdown(
        "![the receipt](https://example.com/x.png) [![inner](https://a/b.png)](https://outer) ![](http://c/d)"
    )
    assert Safe(html).links == ["https://example.com/x.png", "https://outer", "http://c/d"]  # and no img
    assert [link.text() for link in LexborHTMLParser(html).css("a")] == ["the receipt", "inner", "http://c/d"]


def test_unseen_characters_are_marked_in_text_and_code() -> None:
    html = markdown("a\u202eb `c\u200bd`\n\n    e\u2066f\n\n```\ng\x07h\n```")
    assert not set("\u202e\u200b\u2066\x07") & set(html)
    assert LexborHTMLParser(html).text().split() == ["a‹202E›b", "c‹200B›d", "e‹2066›f", "g‹07›h"]


@given(st.text(alphabet=st.sampled_from("[]()!<>*_`~|-#\\\"'&:;\n ahttps/.1x=javascript"), max_size=200))
def test_whatever_is_written_gives_only_what_a_note_has_use_for(text: str) -> None:
    Safe(markdown(text))


@pytest.mark.parametrize(
    "text", ["[" * 10_000, "![" * 5_000, "> " * 5_000, "*a " * 3_333, "[a](b" * 2_000, "`" * 10_000]
)
def test_the_worst_note_is_no_burden(text: str) -> None:
    began = time.process_time()
    Safe(markdown(text))
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("one\ntwo", "one two"),
        ("see __init__.py and a*b*c", "see __init__.py and a*b*c"),
        ("&lt;b&gt; &amp; &#106;", "&lt;b&gt; &amp; &#106;"),
        ("x = [\n    1,\n  2]", "x = [ \xa0\xa0\xa0\xa01, \xa0\xa02]"),
    ],
)
def test_a_text_that_is_not_markdown_keeps_its_characters(text: str, shown: str) -> None:
    tree = LexborHTMLParser(markdown(text))
    assert tree.text().replace("\n", " ").strip() == shown
    assert len(tree.css("br")) == text.count("\n")


@pytest.mark.parametrize(
    ("text", "is_markdown"),
    [
        *(
            (text, True)
            for text in ("- a", "1. a", "# a", "> a", "```\na\n```", "a **b**", "a *b* c", "`a`", "a _b_ c")
        ),
        *((text, True) for text in ("[a](https://b)", "| a | b |\n|---|---|", "<https://a.example>", "~~a~~")),
        *((text, False) for text in ("a", "2 * 3 * 4", "*.py and *.js", "snake_case_name", "__init__", "-v", "#1")),
        *((text, False) for text in ("12:03:04 [INFO] a_b", "C:\\a_b\\c_d", "a -> b", "1.5 s", "f(a)[0]")),
    ],
)
def test_markdown_is_recognized_by_its_signs(text: str, is_markdown: bool) -> None:
    assert has_markdown(text) is is_markdown
