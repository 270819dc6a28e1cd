"""Inheritance: events have what their session's own events declare, and returns the tool of their call.

The events of a session that are of the category session (`session.started`, …) declare its user, agent, agent version
and model. A value on another event describes that event alone: a session may have several users and models. A value of
the event itself always counts first.

The first declared value is that of the earliest entry. A version is that of the entry which declares the agent, or of
the earliest entry if none declares an agent. An unnamed tool is that of the last entry before it with the same call ID,
else of the first one after it. So the order in which entries arrive never matters.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, NamedTuple

from evdash.events.entry import EntryId
from evdash.events.event import Event
from evdash.events.event_types import SESSION, type_of
from evdash.events.identifiers import identifier_of

INHERITED: Final = {
    "user": "user_id",
    "agent": "agent",
    "agent_version": "agent_version",
    "model": "model",
    "tool": "tool",
}
"""The attribute of Event by the filter key of each property that events inherit."""
_OF_SESSION: Final = ("user", "agent", "agent_version", "model")


@dataclass(frozen=True, slots=True)
class FirstText:
    """A text and its entry. The text of the earliest entry wins, and an empty text never wins.

    Entries of different streams may have one ID. Then the smaller text wins, so order never matters.
    """

    text: str = ""
    at: EntryId = EntryId.MAX

    def merged(self, other: FirstText) -> FirstText:
        if not other.text:
            return self
        if not self.text:
            return other
        return self if (self.at, self.text) <= (other.at, other.text) else other

    def __bool__(self) -> bool:
        return bool(self.text)

    def __str__(self) -> str:
        return self.text


NO_TEXT: Final = FirstText()


class SessionValues(NamedTuple):
    """The values that a session declares, which its events inherit."""

    user: FirstText = NO_TEXT
    agent: FirstText = NO_TEXT
    agent_version: FirstText = NO_TEXT
    model: FirstText = NO_TEXT

    def merged(self, other: SessionValues) -> SessionValues:
        """Return the values of both, which may be of the same events."""
        if other is NO_VALUES:
            return self
        if self is NO_VALUES:
            return other
        agent = self.agent.merged(other.agent)
        if self.agent == other.agent:
            version = self.agent_version.merged(other.agent_version)
        else:  # the version of another agent says nothing of this one
            version = self.agent_version if agent is self.agent else other.agent_version
        return SessionValues(self.user.merged(other.user), agent, version, self.model.merged(other.model))

    @property
    def texts(self) -> tuple[str, str, str, str]:
        return self.user.text, self.agent.text, self.agent_version.text, self.model.text


NO_VALUES: Final = SessionValues()


def declared_by(event: Event) -> SessionValues:
    """Return the values that the event declares for its session."""
    if type_of(event.type).category is not SESSION or not event.session_id:
        return NO_VALUES
    texts = (own_text(event, name) for name in _OF_SESSION)
    return SessionValues(*(FirstText(text, event.entry_id) if text else NO_TEXT for text in texts))


CallKey = tuple[str, str]
"""A session ID and a call ID."""


class CallName(NamedTuple):
    """An entry with a call ID. Entries are ordered by their IDs and, for equal IDs, by stream."""

    entry_id: EntryId
    stream: str
    tool: str  # "": the entry does not name its tool
    is_inside: bool = False  # a message that contains the call


def call_names(event: Event) -> tuple[tuple[CallKey, CallName], ...]:
    """Return the calls that the event names, or the one whose tool it inherits; in most cases at most one."""
    if not event.call_id or not event.session_id:
        return ()
    place = (event.entry_id, event.stream)
    # Several calls of one message may have the same ID: the first counts.
    calls = {
        identifier_of(part.call_id): identifier_of(part.tool)
        for part in reversed(event.parts)
        if part.kind == "call" and part.call_id and part.tool
    }
    if calls:
        is_inside = not type_of(event.type).call
        names = [((event.session_id, call_id), CallName(*place, tool, is_inside)) for call_id, tool in calls.items()]
        return tuple(names)
    tool = own_text(event, "tool")
    if tool and type_of(event.type).call == "return":
        return ()  # a result that names its tool needs no call
    return (((event.session_id, identifier_of(event.call_id)), CallName(*place, tool)),)


def own_text(event: Event, name: str) -> str:
    """Return the text of a property, a key of INHERITED; "" if the event inherited it."""
    text: str = "" if name in event.inherited else getattr(event, INHERITED[name])
    return text


def own(event: Event, keep: Container[str] = ()) -> Event:
    """Return the event without inherited values, except for the properties to keep."""
    without = [name for name in event.inherited if name not in keep]
    if not without:
        return event
    kept = tuple([name for name in event.inherited if name in keep])
    return with_values(event, dict.fromkeys(without, ""), kept)


def with_values(event: Event, texts: Mapping[str, str], inherited: tuple[str, ...]) -> Event:
    """Return the event with these texts, by keys of INHERITED, and these names of what it has inherited in all."""
    values: list[Any] = list(event)  # a third of the time of `_replace`; workers do this for most events
    for name, text in texts.items():
        values[_NUMBERS[name]] = text
    values[_NUMBER_OF_INHERITED] = inherited
    return Event._make(values)


_NUMBERS: Final = {name: Event._fields.index(attribute) for name, attribute in INHERITED.items()}
_NUMBER_OF_INHERITED: Final = Event._fields.index("inherited")


def inherit(event: Event, values: SessionValues | None, names: Sequence[CallName] | None) -> Event:
    """Return the event with the values that it inherits.

    `values` are those of its session. `names` are the entries with its call ID, in their order. With None the event
    keeps what it has inherited already.
    """
    if event.inherited:
        event = own(event, (("tool",) if names is None else ()) + (_OF_SESSION if values is None else ()))
    new: dict[str, str] = {}
    if values:
        if not event.user_id and values.user.text:
            new["user"] = values.user.text
        # The version belongs to the session's agent, and says nothing of another one.
        if not event.agent_version and values.agent_version.text and event.agent in ("", values.agent.text):
            new["agent_version"] = values.agent_version.text
        if not event.agent and values.agent.text:
            new["agent"] = values.agent.text
        if not event.model and values.model.text:
            new["model"] = values.model.text
    if names and not event.tool and (tool := tool_of_call((event.entry_id, event.stream), names)):
        new["tool"] = tool
    if not new:
        return event
    ordered = tuple([name for name in INHERITED if name in new or name in event.inherited])
    return with_values(event, new, ordered)


def tool_of_call(place: tuple[EntryId, str], names: Sequence[CallName]) -> str:
    """Return the tool that an entry at this place (entry ID and stream) inherits from these entries of its call.

    `names` are in their order.
    """
    index = bisect_left(names, place)
    indexes = chain(range(index - 1, -1, -1), range(index, len(names)))
    return next((names[index].tool for index in indexes if names[index].tool), "")


def call_key(event: Event) -> CallKey | None:
    """Return the key of the call whose tool the event inherits; None if it names its tool, or has no call."""
    if not event.call_id or not event.session_id or own_text(event, "tool"):
        return None
    return (event.session_id, identifier_of(event.call_id))


def inherit_among(events: Sequence[Event]) -> list[Event]:
    """Return these events, each with the values that it inherits from the others."""
    values: dict[str, SessionValues] = {}
    names: dict[CallKey, list[CallName]] = {}
    for event in events:
        if (declared := declared_by(event)) is not NO_VALUES:
            values[event.session_id] = values.get(event.session_id, NO_VALUES).merged(declared)
        for key, name in call_names(event):
            names.setdefault(key, []).append(name)
    return inherit_all(events, values, {key: sorted(several) for key, several in names.items()})


def inherit_all(
    events: Iterable[Event], values: Mapping[str, SessionValues], names: Mapping[CallKey, Sequence[CallName]]
) -> list[Event]:
    """Return the events with inherited values: `values` by session, and `names` by call, each in order."""
    return [
        inherit(
            event,
            values.get(event.session_id, NO_VALUES),
            names.get(key, ()) if names and event.call_id and (key := call_key(event)) else (),
        )
        for event in events
    ]
