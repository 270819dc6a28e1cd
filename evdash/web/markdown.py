"""Markdown of notes as safe HTML: CommonMark with tables, without HTML, pictures and scripts.

The rules for event text apply to notes as well: unseen characters are marked (web/control_characters.py). A link may
have only the schemes http, https and mailto. A picture becomes a link to it, so that a displayed note does not cause
requests to other servers.
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
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from evdash.web.control_characters import escape_control_chars_html

_LINK: Final = re.compile(r"(?:https?://|mailto:)", re.IGNORECASE)
_RELATION: Final = "noopener nofollow noreferrer"
# A note's headings are lowered by three levels, because notes are below headings of the page.
_HEADINGS_BELOW: Final = 3
_LEVELS: Final = 6


@lru_cache(maxsize=512)
def markdown(text: str) -> SafeString:
    """Return the HTML of a note's text. `escape_control_chars_html` processes every piece of text in it."""
    return SafeString(_MARKDOWN.render(text))


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
    return format_html("<pre><code>{}</code></pre>\n", escape_control_chars_html(tokens[index].content))


def _parser() -> MarkdownIt:
    parser = MarkdownIt("js-default", {"html": False, "linkify": False, "typographer": False, "maxNesting": 20})
    parser.validateLink = _is_link  # type: ignore[assignment] # as its documentation does
    parser.core.ruler.push("tame", _tame)
    for name, rule in (("text", _text), ("code_inline", _code), ("code_block", _block), ("fence", _block)):
        parser.add_render_rule(name, rule)
    return parser


_MARKDOWN: Final = _parser()
