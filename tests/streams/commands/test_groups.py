from typing import Any

import pytest
import redis

from evdash.events.entry import EntryId
from evdash.streams.commands import CreateGroup, DeleteGroup, Operation, OperationRefused, SetPosition
from evdash.streams.stream_info import group_infos
from tests.streams.commands.conftest import everything, owners, read

OWN = frozenset({"g", "mine"})


def creating(group: str, at: EntryId, **given: Any) -> CreateGroup:
    return CreateGroup(stream="s", group=group, at=at, **given)


def moving(position: EntryId, **given: Any) -> SetPosition:
    return SetPosition(stream="s", group="g", position=position, **given)


def position(client: redis.Redis, group: str = "g") -> EntryId:
    return next(info.last_delivered for info in group_infos(client, "s") if info.name == group)


def refusal(client: redis.Redis, operation: Operation) -> str:
    before = everything(client)
    told = operation.preview(client).refused
    with pytest.raises(OperationRefused) as refused:
        operation.execute(client)
    assert str(refused.value) == told
    assert everything(client) == before
    return told


def test_a_group_is_created_where_it_is_asked_for(valkey: redis.Redis, ids: list[EntryId]) -> None:
    before = everything(valkey)
    preview = creating("new", ids[9]).preview(valkey)
    assert preview.sentence == (
        "Creates the group new on s at 10-0: 2 entries and all that are added wait for its consumers."
    )
    assert (preview.affected, preview.examples, preview.refused) == (2, tuple(ids[10:]), "")
    assert everything(valkey) == before
    outcome = creating("new", ids[9]).execute(valkey)
    assert (outcome.sentence, outcome.before) == ("The group new was created on s at 10-0.", {})
    assert (outcome.after["last_delivered"], outcome.after["pending"]) == ("10-0", 0)
    assert position(valkey, "new") == ids[9]


def test_a_group_that_cannot_be_created_is_refused(valkey: redis.Redis, ids: list[EntryId]) -> None:
    assert refusal(valkey, creating("g", EntryId.MIN)) == "The group g exists on s already, at 9-0."
    assert refusal(valkey, creating("", EntryId.MIN)) == "A group needs a name."
    assert refusal(valkey, CreateGroup(stream="none", group="x", at=EntryId.MIN)) == "There is no stream none."
    assert refusal(valkey, creating("new", EntryId(13, 0))) == (
        "13-0 lies past the newest entry there ever was (12-0): entries added up to there would never be delivered. "
        "The end of the stream is 12-0."
    )


def test_an_own_group_is_created_at_the_beginning_only(valkey: redis.Redis, ids: list[EntryId]) -> None:
    assert refusal(valkey, creating("mine", ids[2], own_groups=OWN)) == (
        "mine is one of evdash's own groups: at 3-0 it would not be given the 3 entries up to there. "
        "Create it at 0-0; what the log has is not counted again."
    )
    assert creating("mine", EntryId.MIN, own_groups=OWN).execute(valkey).succeeded


def test_a_deleted_group_is_told_with_what_is_forgotten(valkey: redis.Redis, ids: list[EntryId]) -> None:
    deleting = DeleteGroup(stream="s", group="g")
    before = everything(valkey)
    preview = deleting.preview(valkey)
    assert preview.sentence == (
        "Deletes the group g of s: that it read up to 9-0, has 9 pending entries and a lag of 3 is forgotten."
    )
    assert (preview.affected, preview.examples) == (9, (ids[0],))
    own = DeleteGroup(stream="s", group="g", own_groups=OWN).preview(valkey)
    assert own.sentence.endswith(
        "It is one of evdash's own: evdash makes it again and reads the stream from its beginning; "
        "what the log has is not counted again."
    )
    assert everything(valkey) == before
    outcome = deleting.execute(valkey)
    assert outcome.sentence == "The group g of s was deleted with 9 pending entries."
    assert (outcome.before["pending"], outcome.after) == (9, {})
    assert group_infos(valkey, "s") == []
    assert deleting.preview(valkey).refused == "There is no group g on s."
    with pytest.raises(OperationRefused, match="There is no group g on s"):
        deleting.execute(valkey)


@pytest.mark.parametrize("own_groups", [frozenset(), OWN])
def test_a_group_moved_back_gets_entries_again(
    valkey: redis.Redis, ids: list[EntryId], own_groups: frozenset[str]
) -> None:
    before = everything(valkey)
    preview = moving(ids[5], own_groups=own_groups).preview(valkey)
    assert preview.sentence == (
        "Moves g on s from 9-0 back to 6-0: 3 entries are delivered to it again. Its 9 pending entries stay so."
    )
    assert (preview.affected, preview.examples) == (3, tuple(ids[6:9]))
    assert everything(valkey) == before
    outcome = moving(ids[5], own_groups=own_groups).execute(valkey)
    assert outcome.sentence == "The group g on s was moved from 9-0 to 6-0; its lag is 6."
    assert (outcome.before["last_delivered"], outcome.after["last_delivered"]) == ("9-0", "6-0")
    read(valkey, "c", 3)
    assert [owners(valkey)[ms] for ms in (7, 8, 9)] == ["c", "c", "c"]


def test_a_foreign_group_may_leave_entries_out_and_an_own_one_may_not(valkey: redis.Redis, ids: list[EntryId]) -> None:
    assert moving(ids[11]).preview(valkey).sentence == (
        "Moves g on s from 9-0 forward to 12-0: 3 entries are never delivered to it. Its 9 pending entries stay so."
    )
    assert refusal(valkey, moving(ids[11], own_groups=OWN)) == (
        "g is one of evdash's own groups: moved from 9-0 to 12-0 it would never be given 3 entries, "
        "and the log would miss them."
    )
    assert refusal(valkey, moving(ids[9], own_groups=OWN)).endswith(
        "it would never be given 1 entry, and the log would miss them."
    )
    assert moving(ids[11]).execute(valkey).after["lag"] == "0"


def test_an_own_group_may_be_moved_over_what_is_gone_anyway(valkey: redis.Redis, ids: list[EntryId]) -> None:
    valkey.execute_command("XDEL", "s", "10-0", "11-0")
    assert moving(ids[10], own_groups=OWN).execute(valkey).succeeded
    assert position(valkey) == ids[10]


def test_a_position_that_makes_no_sense_is_refused(valkey: redis.Redis, ids: list[EntryId]) -> None:
    assert refusal(valkey, moving(ids[8])) == "The group g stands at 9-0 already."
    assert "13-0 lies past the newest entry there ever was (12-0)" in refusal(valkey, moving(EntryId(13, 0)))
    assert refusal(valkey, SetPosition(stream="s", group="x", position=ids[0])) == "There is no group x on s."
    assert refusal(valkey, SetPosition(stream="none", group="g", position=ids[0])) == "There is no stream none."
