"""Parts of a message as OpenAI, Anthropic and OpenTelemetry write them: texts, pictures, tool calls and results."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

from evdash.events.json_values import InvalidJson, parse

# Longer texts that begin with a bracket are shown as they are.
_JSON_CHARS: Final = 4_000_000

_TEXT_TYPES: Final = frozenset({"text", "input_text", "output_text", "thinking", "reasoning"})
_CALL_TYPES: Final = frozenset({"tool_use", "tool_call", "function_call", "function", "tool-call", "server_tool_use"})
_RESULT_TYPES: Final = frozenset({"tool_result", "tool_call_response", "function_call_output", "tool-result"})
_IMAGE_TYPES: Final = frozenset({"image", "image_url", "input_image", "blob"})


@dataclass(frozen=True, slots=True)
class MessagePart:
    """One part of a message."""

    kind: Literal["text", "image", "call", "return", "other"]
    text: str = ""  # of a text or a result; the media type or address of an image; the type of another part
    tool: str = ""
    call_id: str = ""
    arguments: str = ""
    is_error: bool = False
    data_url: str = ""  # of an image with its bytes


def parts_of(content: Any, tool_calls: Any = None) -> tuple[MessagePart, ...]:
    """Return the parts of a message's content, then its tool calls. A plain text has no parts.

    Both may be JSON values or their text. A list in which not every item is an object with a type, or a text, is not a
    message and has no parts.
    """
    listed = _list_of(content)
    parts = [_part(item) for item in listed] if listed and all(map(_is_part, listed)) else []
    parts += [_part({**call, "type": "function"}) for call in _list_of(tool_calls) or () if isinstance(call, dict)]
    return tuple(parts)


def text_of_parts(parts: Iterable[MessagePart]) -> str:
    """Return the texts of the parts as people read them, each on its own line. An image is its media type."""
    texts = [
        f"[{part.text}]" if part.kind in ("image", "other") else part.text for part in parts if part.kind != "call"
    ]
    return "\n".join(filter(None, texts))


PICTURE_TYPES: Final = {
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff",
    "image/gif": b"GIF8",
    "image/webp": b"RIFF",
}
"""Media types that are shown as pictures, each with its first bytes. SVG is a document, and may have scripts."""
PICTURE_MAX_BYTES: Final = 2**20


def picture_type(part: MessagePart) -> str:
    """Return the media type of a part that has the bytes of a picture; "" for any other part."""
    declared = part.data_url[5:].partition(",")[0].lower() if part.kind == "image" and part.data_url else ""
    media_type, _, encoding = declared.partition(";")
    return media_type if media_type in PICTURE_TYPES and encoding.endswith("base64") else ""


def picture_size(part: MessagePart) -> int:
    """Return the size of a picture in bytes, at least, from the length of its text."""
    return (len(part.data_url) - part.data_url.find(",") - 1) * 3 // 4 - 2


def picture_of(part: MessagePart) -> bytes | None:
    """Return the bytes of a picture of at most PICTURE_MAX_BYTES; None if the part has none of its declared type."""
    media_type = picture_type(part)
    if not media_type or picture_size(part) > PICTURE_MAX_BYTES:
        return None
    try:
        raw = base64.b64decode(part.data_url.partition(",")[2], validate=True)
    except ValueError:
        return None
    return raw if raw.startswith(PICTURE_TYPES[media_type]) else None


def _list_of(value: Any) -> list[Any] | None:
    if isinstance(value, str):
        if not value.lstrip().startswith("[{") or len(value) > _JSON_CHARS:
            return None
        try:
            value = parse(value.lstrip())
        except InvalidJson:
            return None
    return value if isinstance(value, list) and value else None


def _is_part(item: Any) -> bool:
    return isinstance(item, dict) and isinstance(item.get("type"), str)


def _part(item: dict[str, Any]) -> MessagePart:
    kind = item["type"]
    if kind in _TEXT_TYPES:
        return MessagePart("text", _first_text(item, "text", "content", "thinking", "reasoning"))
    if kind in _CALL_TYPES:
        function = item.get("function")
        named: dict[str, Any] = function if isinstance(function, dict) else item
        return MessagePart(
            "call",
            tool=_first_text(named, "name", "toolName", "tool_name"),
            call_id=_first_text(item, "id", "call_id", "toolCallId", "tool_call_id"),
            arguments=_first_text(named, "arguments", "input", "args"),
        )
    if kind in _RESULT_TYPES:
        content = item.get("content", item.get("output", item.get("response", item.get("result"))))
        parts = parts_of(content)
        return MessagePart(
            "return",
            text_of_parts(parts) if parts else _text(content),
            tool=_first_text(item, "name", "toolName", "tool_name"),
            call_id=_first_text(item, "tool_use_id", "call_id", "toolCallId", "tool_call_id", "id"),
            is_error=item.get("is_error") is True or item.get("isError") is True,
        )
    if kind in _IMAGE_TYPES:
        return _image(item)
    return MessagePart("other", kind)


def _image(item: dict[str, Any]) -> MessagePart:
    source = item.get("source")
    if isinstance(source, dict) and isinstance(source.get("data"), str):
        media_type = _first_text(source, "media_type", "mediaType") or "image"
        return MessagePart("image", media_type, data_url=f"data:{media_type};base64,{source['data']}")
    url = item.get("image_url", item.get("image", item.get("url")))
    if isinstance(url, dict):
        url = url.get("url")
    if not isinstance(url, str):
        return MessagePart("image", "image")
    if url.startswith("data:"):
        return MessagePart("image", url[5:].partition(";")[0] or "image", data_url=url)
    return MessagePart("image", f"image {url}")


def _first_text(item: dict[str, Any], *names: str) -> str:
    return next((text for name in names if (text := _text(item.get(name)))), "")


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)
