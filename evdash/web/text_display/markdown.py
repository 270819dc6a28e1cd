"""Markdown of notes and messages as safe HTML: CommonMark with tables, without HTML, pictures and scripts.

Unseen characters are marked (web/control_characters.py). A link may have only the schemes http, https and mailto. A
picture becomes a link to it, so that a displayed text does not cause requests to other servers.

Texts of agents are not always Markdown, so the rules that would lose characters are stricter than in CommonMark: a line
break stays a line break, a line keeps its indentation, entities stay as they are, and neither `a*b*c` nor `__init__`
is emphasis.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from evdash.web.control_characters import escape_control_chars_html
from evdash.web.text_display.highlighting import highlighted, language_of

# The signs of Markdown in a text that is not declared to be Markdown.
_SIGN: Final = re.compile(
    r"^[ \t]*(?:```|~~~|[-*+][ \t]+\S|\d{1,9}[.)][ \t]+\S)"  # code blocks, lists
    r"|^ {0,3}(?:\#{1,6}[ \t]+\S|>[ \t]*\S)"  # headings, quotations
    r"|^ {0,3}\|?[ \t]*:?-{2,}:?[ \t]*\|[-:| \t]*$"  # the line below the head of a table
    r"|`[^`\n]+`|\*\*[^\s*]|~~[^\s~]|\]\([^\s)]|<https?://"
    r"|(?<![\w*])\*[^\s*][^*\n]*(?<!\s)\*(?![\w*])|(?<![\w/])_[^\s_][^_\n]*(?<!\s)_(?!\w)",  # emphasis
    re.MULTILINE,
)
_LITERAL: Final = re.compile(r"__\w+?__(?!\w)|(?<=\w)\*(?=\w)")
_INDENTATION: Final = re.compile(r"(?<=\n)[ \t]+")
_LINK: Final = re.compile(r"(?:https?://|mailto:)", re.IGNORECASE)
_RELATION: Final = "noopener nofollow noreferrer"
# Headings are lowered by three levels, because notes and messages are below headings of the page.
_HEADINGS_BELOW: Final = 3
_LEVELS: Final = 6


def has_markdown(text: str) -> bool:
    """Return whether the text has signs of Markdown."""
    return _SIGN.search(text) is not None


@lru_cache(maxsize=512)
def markdown(text: str) -> SafeString:
    """Return the HTML of a text. `escape_control_chars_html` processes every piece of text in it."""
    return SafeString(_MARKDOWN.render(text))


def _literal(state: StateInline, silent: bool) -> bool:
    """Keep underscores around a name, and an asterisk between letters, as text."""
    match = _LITERAL.match(state.src, state.pos)
    if match is None or (match[0][0] == "_" and state.src[state.pos - 1 : state.pos].isalnum()):
        return False
    if not silent:
        state.pending += match[0]
    state.pos = match.end()
    return True


def _keep_indentation(state: StateCore) -> None:
    """Turn the spaces at the start of the lines of a paragraph into no-break spaces, which HTML keeps."""
    for token in state.tokens:
        if token.type == "inline" and "\n" in token.content:
            token.content = _INDENTATION.sub(lambda match: "\xa0" * len(match[0].expandtabs(4)), token.content)


def _is_link(address: str) -> bool:
    return bool(_LINK.match(address.strip()))


def _tame(state: StateCore) -> None:
    """Turn pictures into links, lower the headings, and remove all attributes except a link's and a list's start."""
    for token in state.tokens:
        token.attrs = {name: value for name, value in token.attrs.items() if name == "start"}  # of a numbered list
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(_LEVELS, int(token.tag[1:]) + _HEADINGS_BELOW)}"
        if token.children:
            token.children = _tamed(token.children)


def _tamed(tokens: Sequence[Token]) -> list[Token]:
    tamed: list[Token] = []
    within_link = 0
    for token in tokens:
        within_link += token.nesting if token.type in ("link_open", "link_close") else 0
        if token.type == "image":
            tamed += _link_to(token, is_text=within_link > 0)
            continue
        address = str(token.attrs.get("href", ""))
        token.attrs = {"href": address, "rel": _RELATION} if token.type == "link_open" else {}
        tamed.append(token)
    return tamed


def _link_to(picture: Token, *, is_text: bool) -> list[Token]:
    address = str(picture.attrs.get("src", ""))
    text = Token("text", "", 0, content=picture.content or address)
    if is_text:  # HTML does not allow a link within a link
        return [text]
    return [
        Token("link_open", "a", 1, attrs={"href": address, "rel": _RELATION}),
        text,
        Token("link_close", "a", -1),
    ]


def _text(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    return conditional_escape(escape_control_chars_html(tokens[index].content))


def _code(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    return format_html("<code>{}</code>", escape_control_chars_html(tokens[index].content))


def _block(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    token = tokens[index]
    language = token.info.split(maxsplit=1)[0] if token.info.strip() else language_of(token.content)
    return format_html('<pre dir="ltr"><code>{}</code></pre>\n', highlighted(token.content, language))


def _parser() -> MarkdownIt:
    options = {"html": False, "linkify": False, "typographer": False, "breaks": True, "maxNesting": 20}
    parser = MarkdownIt("js-default", options).disable("entity")
    parser.validateLink = _is_link  # type: ignore[assignment] # as its documentation does
    parser.inline.ruler.before("emphasis", "literal", _literal)
    parser.core.ruler.before("inline", "indentation", _keep_indentation)
    parser.core.ruler.push("tame", _tame)
    for name, rule in (("text", _text), ("code_inline", _code), ("code_block", _block), ("fence", _block)):
        parser.add_render_rule(name, rule)
    return parser


_MARKDOWN: Final = _parser()
