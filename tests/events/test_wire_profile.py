"""A profile with other field names reaches every layer that reads events."""

from __future__ import annotations

from dataclasses import fields

import pytest

from evdash.events.decoding import decode
from evdash.events.deduplication import Counted, changes
from evdash.events.entry import Entry
from evdash.events.event import Event
from evdash.events.event_types import describe_event, lane_of, turn_of
from evdash.events.filters.event_filter import EventFilter
from evdash.events.session.alignment import align
from evdash.events.session.call_matching import pairs
from evdash.events.session.reducer import fold_all
from evdash.events.summaries import sessions_of
from evdash.events.wire_profile import DEFAULT_PROFILE, WireProfile
from tests.builders import entry

# Names that the default profile does not read.
FRENCH = WireProfile(
    event_id=("cle",),
    type=("genre",),
    session_id=("seance",),
    user_id=("client",),
    timestamp=("heure",),
    tool=("outil",),
    json_object="corps",
    role=("voix",),
    content=("texte",),
    summary=("resume",),
    removed_ids=("retires",),
    message_id=("numero",),
    call_id=("appel",),
    arguments=("parametres",),
    result=("reponse",),
    result_text=("reponse",),
    results=("trouves",),
    outcome=("issue",),
    outcome_text=("issue",),
    prose=("texte",),
)
ENTRIES = (
    {"genre": "session.started", "cle": "e1"},
    {"genre": "message.added", "voix": "user", "texte": "Bonjour", "numero": "m1"},
    {"genre": "tool.called", "outil": "vols", "appel": "a1", "parametres": '{"from": "CDG", "to": "SEA"}'},
    {"genre": "tool.returned", "outil": "vols", "appel": "a1", "reponse": "[1, 2]"},
    {"genre": "search.performed", "outil": "chercher", "parametres": "hotels", "trouves": "3"},
    {"genre": "summary.created", "resume": "Un vol", "retires": '["m1"]'},
    {"genre": "session.ended", "issue": "resolu"},
)


def entries(**more: str) -> list[Entry]:
    return [
        entry(f"{1764000000000 + number}-0", seance="s", client="u", **(fields | more))
        for number, fields in enumerate(ENTRIES)
    ]


def events(profile: WireProfile = FRENCH, **more: str) -> list[Event]:
    return [decode(each, profile) for each in entries(**more)]


def test_the_default_profile_reads_nothing_of_it() -> None:
    assert {(each.type, each.session_id) for each in events(DEFAULT_PROFILE)} == {("", "")}


def test_one_line_summaries_use_the_profile() -> None:
    assert [str(describe_event(each)) for each in events()] == [
        "started",
        "user: Bonjour",
        "vols CDG→SEA",
        "vols → [2 items]",
        "chercher hotels, 3 results",
        "summary: Un vol",
        "ended: resolu",
    ]


def test_turns_and_lanes_use_the_profile() -> None:
    _, message, call, returned, *_ = events()
    assert (turn_of(message).head, turn_of(message).text) == ("user", "Bonjour")
    assert turn_of(call).text == '{\n  "from": "CDG",\n  "to": "SEA"\n}'
    assert turn_of(returned).text == "[\n  1,\n  2\n]"
    assert lane_of(message) == "user"


def test_calls_are_matched_by_the_profile() -> None:
    paired = pairs(events())
    assert [(call.type, back.type) for call, back in paired.ended] == [("tool.called", "tool.returned")]
    assert paired.waiting == []


def test_the_state_uses_the_profile() -> None:
    state = fold_all(events())
    (message,), (call,), (search,) = state.conversation, state.tool_calls, state.searches
    assert (message.role, message.beginning, message.message_id) == ("user", "Bonjour", "m1")
    assert (call.arguments, call.status, call.result) == ('{"from": "CDG", "to": "SEA"}', "returned", "[1, 2]")
    assert (search.query, search.results) == ("hotels", 3)
    assert (len(state.memory.context.messages), state.memory.summaries[0].replaced_by) == (0, "IDs")
    assert (state.lifecycle.start_is_said, state.lifecycle.outcome) == (True, "resolu")
    assert state.totals.open_calls == 0


def test_summaries_use_the_profile() -> None:
    summary = sessions_of(changes(events(), {}))["s"]
    assert (summary.outcome, summary.messages, summary.tool_calls, summary.searches) == ("resolu", 1, 1, 1)


def test_a_retry_is_a_duplicate_by_the_profile() -> None:
    first, *_ = events(heure="1764000000")
    again, *_ = events(heure="1764000009")
    other, *_ = events(heure="1764000009", texte="other")
    assert first.identity == again.identity != other.identity


def test_an_event_counted_before_keeps_its_profile() -> None:
    earlier, *_ = events(heure="1764000000")
    key = earlier.identity
    assert key is not None
    _, taken_back = changes([earlier], {key: Counted(earlier.entry_id.next(), 5)})
    assert (taken_back.counts, taken_back.event.session_id) == (-1, "s")


def test_filters_and_comparisons_use_the_profile() -> None:
    _, message, *_ = events()
    nested = decode(entry(genre="message.added", corps='{"canal": "chat"}'), FRENCH)
    assert EventFilter.parse("session:s user:u type:message.added bonjour").matches(message)
    assert EventFilter.parse("field.canal:chat").matches(nested)
    assert not EventFilter.parse("canal").matches(nested)
    assert {row.verdict for row in align(events(cle="1", heure="1764000000"), events(cle="2")).rows} == {"same"}


@pytest.mark.parametrize(
    "name", [each.name for each in fields(WireProfile) if each.name not in ("json_object", "simulated")]
)
def test_the_names_of_a_property_are_distinct_texts(name: str) -> None:
    names = getattr(DEFAULT_PROFILE, name)
    assert names
    assert len(set(names)) == len(names)
