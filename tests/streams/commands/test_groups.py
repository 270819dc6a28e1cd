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
    reason = operation.preview(client).refused
    with pytest.raises(OperationRefused) as refused:
        operation.execute(client)
    assert str(refused.value) == reason
    assert everything(client) == before
    return reason


def test_a_group_is_created_where_it_is_asked_for(valkey: redis.Redis, ids: list[EntryId]) -> None:
    before = everything(valkey)
    preview = creating("new", ids[9]).preview(valkey)
    assert preview.sentence == ("Creates group new on s at 10-0. Its consumers receive 2 entries and all later ones.")
    assert (preview.affected, preview.examples, preview.refused) == (2, tuple(ids[10:]), "")
    assert everything(valkey) == before
    outcome = creating("new", ids[9]).execute(valkey)
    assert (outcome.sentence, outcome.before) == ("Group new was created on s at 10-0.", {})
    assert (outcome.after["last_delivered"], outcome.after["pending"]) == ("10-0", 0)
    assert position(valkey, "new") == ids[9]


def test_a_group_that_cannot_be_created_is_refused(valkey: redis.Redis, ids: list[EntryId]) -> None:
    assert refusal(valkey, creating("g", EntryId.MIN)) == "Group g already exists on s, at 9-0."
    assert refusal(valkey, creating("", EntryId.MIN)) == "Enter a group name."
    assert refusal(valkey, CreateGroup(stream="none", group="x", at=EntryId.MIN)) == "Stream none does not exist."
    assert refusal(valkey, creating("new", EntryId(13, 0))) == (
        "13-0 is after the last entry ID of the stream (12-0): later entries up to it would never be delivered. "
        "Use 12-0 or an earlier ID."
    )


def test_an_own_group_is_created_at_the_beginning_only(valkey: redis.Redis, ids: list[EntryId]) -> None:
    assert refusal(valkey, creating("mine", ids[2], own_groups=OWN)) == (
        "mine is a group of evdash. At 3-0 it would skip the 3 entries up to there. "
        "Create it at 0-0; logged entries are not counted twice."
    )
    assert creating("mine", EntryId.MIN, own_groups=OWN).execute(valkey).succeeded


def test_a_deleted_group_is_told_with_what_is_forgotten(valkey: redis.Redis, ids: list[EntryId]) -> None:
    deleting = DeleteGroup(stream="s", group="g")
    before = everything(valkey)
    preview = deleting.preview(valkey)
    assert preview.sentence == ("Deletes group g of s (read up to 9-0, 9 pending entries, lag 3).")
    assert (preview.affected, preview.examples) == (9, (ids[0],))
    own = DeleteGroup(stream="s", group="g", own_groups=OWN).preview(valkey)
    assert own.sentence.endswith(
        "It is a group of evdash: evdash recreates it and reads the stream from the start, without counting entries "
        "twice."
    )
    assert everything(valkey) == before
    outcome = deleting.execute(valkey)
    assert outcome.sentence == "Group g of s was deleted with 9 pending entries."
    assert (outcome.before["pending"], outcome.after) == (9, {})
    assert group_infos(valkey, "s") == []
    assert deleting.preview(valkey).refused == "Group g does not exist on s."
    with pytest.raises(OperationRefused, match="Group g does not exist on s"):
        deleting.execute(valkey)


@pytest.mark.parametrize("own_groups", [frozenset(), OWN])
def test_a_group_moved_back_gets_entries_again(
    valkey: redis.Redis, ids: list[EntryId], own_groups: frozenset[str]
) -> None:
    before = everything(valkey)
    preview = moving(ids[5], own_groups=own_groups).preview(valkey)
    assert preview.sentence == (
        "Moves g on s from 9-0 back to 6-0: 3 entries delivered again. Its 9 pending entries stay pending."
    )
    assert (preview.affected, preview.examples) == (3, tuple(ids[6:9]))
    assert everything(valkey) == before
    outcome = moving(ids[5], own_groups=own_groups).execute(valkey)
    assert outcome.sentence == "Group g on s was moved from 9-0 to 6-0. Its lag is 6."
    assert (outcome.before["last_delivered"], outcome.after["last_delivered"]) == ("9-0", "6-0")
    read(valkey, "c", 3)
    assert [owners(valkey)[ms] for ms in (7, 8, 9)] == ["c", "c", "c"]


def test_a_foreign_group_may_leave_entries_out_and_an_own_one_may_not(valkey: redis.Redis, ids: list[EntryId]) -> None:
    assert moving(ids[11]).preview(valkey).sentence == (
        "Moves g on s from 9-0 forward to 12-0: 3 entries skipped. Its 9 pending entries stay pending."
    )
    assert refusal(valkey, moving(ids[11], own_groups=OWN)) == (
        "g is a group of evdash. Moved from 9-0 to 12-0, it would skip 3 entries, which would be missing from the log."
    )
    assert refusal(valkey, moving(ids[9], own_groups=OWN)).endswith(
        "it would skip 1 entry, which would be missing from the log."
    )
    assert moving(ids[11]).execute(valkey).after["lag"] == "0"


def test_an_own_group_may_be_moved_over_what_is_gone_anyway(valkey: redis.Redis, ids: list[EntryId]) -> None:
    valkey.execute_command("XDEL", "s", "10-0", "11-0")
    assert moving(ids[10], own_groups=OWN).execute(valkey).succeeded
    assert position(valkey) == ids[10]


def test_a_position_that_makes_no_sense_is_refused(valkey: redis.Redis, ids: list[EntryId]) -> None:
    assert refusal(valkey, moving(ids[8])) == "The position of group g is already 9-0."
    assert "13-0 is after the last entry ID of the stream (12-0)" in refusal(valkey, moving(EntryId(13, 0)))
    assert refusal(valkey, SetPosition(stream="s", group="x", position=ids[0])) == "Group x does not exist on s."
    assert refusal(valkey, SetPosition(stream="none", group="g", position=ids[0])) == "Stream none does not exist."
