from __future__ import annotations

from typing import Any

import pytest

from bebertlab.errors import UserError
from bebertlab.interfaces.ensemble import EnsembleOptions
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.interfaces.stage import Codec
from bebertlab.stages.member import MemberStage
from bebertlab.stages.members import MembersStage


def ensemble(codec: Codec, kind: str) -> EnsembleOptions:
    return codec.load({"kind": kind}, EnsembleOptions)  # type: ignore[type-abstract]


def members(codec: Codec, kind: str, **options: Any) -> dict[str, MemberStage]:  # noqa: ANN401 - options of many types
    group = MembersStage(model="split", teacher="half", ensemble=ensemble(codec, kind), **options)
    found = {}
    for name, stage in group.expand("members").items():
        assert isinstance(stage, MemberStage)
        found[name] = stage
    return found


def test_members_are_numbered(codec: Codec) -> None:
    found = members(codec, "bagging", size=3)
    assert list(found) == ["members.0", "members.1", "members.2"]
    assert [member.index for member in found.values()] == [0, 1, 2]
    assert {(member.model, member.teacher) for member in found.values()} == {("split", "half")}


@pytest.mark.parametrize("kind", ["bagging", "boosting"])
@pytest.mark.parametrize("start", ["model", "previous", "previous-last"])
def test_a_larger_ensemble_begins_with_the_smaller_one(codec: Codec, kind: str, start: str) -> None:
    small, large = (members(codec, kind, size=size, start=start) for size in (2, 4))
    assert {name: large[name] for name in small} == small


def test_members_wait_for_each_other_only_where_they_must(codec: Codec) -> None:
    assert [m.previous for m in members(codec, "bagging", size=3).values()] == [None, None, None]
    assert [m.previous for m in members(codec, "boosting", size=3).values()] == [None, "members.0", "members.1"]
    for start in ("previous", "previous-last"):
        warm = members(codec, "bagging", size=3, start=start)
        assert [m.previous for m in warm.values()] == [None, "members.0", "members.1"]
        assert [m.start for m in warm.values()] == ["model", start, start]


def test_members_keep_their_last_state_only_where_the_next_one_starts_from_it(codec: Codec) -> None:
    kept = {
        start: [m.keep_last for m in members(codec, "bagging", size=2, start=start).values()]
        for start in ("model", "previous", "previous-last")
    }
    assert kept == {"model": [False, False], "previous": [False, False], "previous-last": [True, True]}
    assert not members(codec, "single", start="previous-last")["members.0"].keep_last


def test_the_first_member_is_the_same_wherever_the_others_start(codec: Codec) -> None:
    for kind in ("bagging", "boosting"):
        afresh, warm = (members(codec, kind, size=2, start=start) for start in ("model", "previous"))
        assert afresh["members.0"] == warm["members.0"]
        assert afresh["members.1"] != warm["members.1"]


def test_a_single_model_has_one_member(codec: Codec) -> None:
    assert list(members(codec, "single")) == ["members.0"]
    assert list(members(codec, "single", size=1)) == ["members.0"]
    assert len(members(codec, "boosting")) == 2
    with pytest.raises(UserError, match="'single' has exactly one member, and size is 4; set size to 1"):
        members(codec, "single", size=4)


def test_there_is_no_ensemble_of_nobody(codec: Codec) -> None:
    with pytest.raises(ValueError, match="size"):
        members(codec, "bagging", size=0)


def test_what_members_learn_with_reaches_each_of_them(codec: Codec) -> None:
    scheme = codec.load({"kind": "binarybert"}, SchemeOptions)  # type: ignore[type-abstract]
    assert {member.scheme for member in members(codec, "bagging", size=3, scheme=scheme).values()} == {scheme}
    assert {member.scheme for member in members(codec, "bagging").values()} == {None}
