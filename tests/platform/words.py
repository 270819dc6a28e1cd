"""Words to avoid in names, code, pages, messages and documentation: each with the reason and the replacement."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Avoided:
    """A pattern, and the sentence for who used it."""

    pattern: re.Pattern[str]
    advice: str
    in_code_only: bool  # pages, messages and documentation may use it


def _avoid(pattern: str, advice: str, *, in_code_only: bool = False) -> Avoided:
    return Avoided(re.compile(pattern, re.IGNORECASE), advice, in_code_only)


AVOIDED: Final = (
    _avoid(r"\banew\b", "Archaic. Write 'again', or 'recreated' of a stream."),
    _avoid(r"\balike\b", "Archaic. Write 'equal', 'the same' or 'duplicate'."),
    _avoid(r"\bso many\b", "Vague. Name the number or the limit."),
    _avoid(r"\bnobody knows\b", "Write 'unknown'."),
    _avoid(r"\bcomes? into being\b", "Write 'is created'."),
    _avoid(r"\btake along\b", "Write 'export'."),
    _avoid(r"\baccess log\b", "The log of what people did is the audit log."),
    _avoid(r"\bparked? entry\b|\bparked entries\b", "Write 'dead-lettered entry'.", in_code_only=True),
    _avoid(r"\bholes?\b", "Write 'gap', or 'ID range'."),
    _avoid(r"(?<!there )\bis no (?!(longer|more|less|later|newer|older|need|such)\b)\w+", "Write 'is not a …'."),
    _avoid(
        r"^(What|Where|Whether|Which|How|Who|Whose) ",
        "Begin with a noun or, in a function, with a verb.",
        in_code_only=True,
    ),
    _avoid(r"\broom(s)?\b(?! for| is left| left)", "Write 'package' or 'layer'."),
    _avoid(r"\b(told|said|asked)\b", "Code does not speak. Name the value, or write 'requested'.", in_code_only=True),
)

AVOIDED_IN_NAMES: Final = {
    "told": "Code does not speak. Name the value: reply, message, record, fields, rows.",
    "said": "Code does not speak. Name the value: message, text, content, count.",
    "asked": "Code does not speak. Name the value: query, request, arguments, requested.",
}
"""Advice by part of a name, for names in evdash/."""

NAMES_THAT_STAY: Final = {"asked_us", "removed_said", "replaced_said", "start_is_said"}
"""Fields of the session state. They are parts of its paths, which pages show and links with pinned values contain."""
