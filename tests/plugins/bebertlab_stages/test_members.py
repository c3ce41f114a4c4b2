from __future__ import annotations

from typing import Any

import pytest

from bebertlab.config.codec import OptionsCodec
from bebertlab.config.yaml import parse_yaml
from bebertlab.errors import UserError
from bebertlab.interfaces.ensemble import EnsembleOptions
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.interfaces.stage import Codec
from bebertlab.pipeline.paths import set_value
from bebertlab.pipeline.plan import Plan, plan
from bebertlab.pipeline.read import recipe_of
from bebertlab.pipeline.task_cache import TaskCache
from bebertlab_stages.members import MembersStage, MemberStage


def ensemble(codec: Codec, kind: str) -> EnsembleOptions:
    return codec.load({"kind": kind}, EnsembleOptions)  # type: ignore[type-abstract]


def members(codec: Codec, kind: str, **options: Any) -> dict[str, MemberStage]:  # noqa: ANN401 - options of many types
    group = MembersStage(model="split", teacher="half", ensemble=ensemble(codec, kind), **options)
    actual = {}
    for name, stage in group.expand("members").items():
        assert isinstance(stage, MemberStage)
        actual[name] = stage
    return actual


def test_members_are_numbered(codec: Codec) -> None:
    actual = members(codec, "bagging", size=3)
    assert list(actual) == ["members.0", "members.1", "members.2"]
    assert [member.index for member in actual.values()] == [0, 1, 2]
    assert {(member.model, member.teacher) for member in actual.values()} == {("split", "half")}


@pytest.mark.parametrize("kind", ["bagging", "boosting"])
@pytest.mark.parametrize("start", ["model", "previous", "previous-last"])
def test_a_larger_ensemble_starts_with_the_members_of_a_smaller_one(codec: Codec, kind: str, start: str) -> None:
    small, large = (members(codec, kind, size=size, start=start) for size in (2, 4))
    assert {name: large[name] for name in small} == small


def test_members_depend_on_each_other_only_where_needed(codec: Codec) -> None:
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


def test_the_first_member_does_not_depend_on_where_the_others_start(codec: Codec) -> None:
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


def test_an_ensemble_needs_at_least_one_member(codec: Codec) -> None:
    with pytest.raises(ValueError, match="size"):
        members(codec, "bagging", size=0)


def test_losses_and_schemes_reach_each_member(codec: Codec) -> None:
    scheme = codec.load({"kind": "binarybert"}, SchemeOptions)  # type: ignore[type-abstract]
    assert {member.scheme for member in members(codec, "bagging", size=3, scheme=scheme).values()} == {scheme}
    assert {member.scheme for member in members(codec, "bagging").values()} == {None}


def schemes(codec: Codec, *kinds: str) -> tuple[SchemeOptions, ...]:
    return tuple(codec.load({"kind": kind}, SchemeOptions) for kind in kinds)  # type: ignore[type-abstract]


@pytest.mark.parametrize("kind", ["bagging", "boosting"])
def test_each_member_may_have_another_scheme(codec: Codec, kind: str) -> None:
    both = schemes(codec, "bitnet", "bit")
    actual = members(codec, kind, schemes=both)
    assert [member.scheme for member in actual.values()] == list(both)
    assert actual == members(codec, kind, schemes=both, size=2)
    # the first members are those of the ensemble that has them alone, whatever comes after them
    assert actual["members.0"] == members(codec, kind, schemes=both[:1])["members.0"]
    assert actual["members.0"] == members(codec, kind, scheme=both[0], size=2)["members.0"]


def test_the_number_of_schemes_must_equal_that_of_members(codec: Codec) -> None:
    both = schemes(codec, "bitnet", "bit")
    for size in (1, 3):
        with pytest.raises(ValueError, match=f"size is {size}, and schemes has 2"):
            members(codec, "bagging", schemes=both, size=size)
    with pytest.raises(ValueError, match="has both scheme and schemes"):
        members(codec, "bagging", schemes=both, scheme=both[0])
    with pytest.raises(ValueError, match="schemes"):
        members(codec, "bagging", schemes=())
    assert len(members(codec, "single", schemes=both[:1])) == 1
    with pytest.raises(UserError, match="'single' has exactly one member, and schemes has 2; list one scheme"):
        members(codec, "single", schemes=both)


RECIPE = """\
task: {kind: minigrammar, size: 60, validation_size: 30}
encoder: tiny
train: {epochs: 1}
stages:
  teacher: finetune
  full: {kind: distill, model: teacher, distillation: none}
  members: {kind: members, model: teacher, ensemble: bagging, schemes: [bitnet, {kind: bit, activation_bits: 4}]}
  merge: {kind: merge, members: [members, full], rule: mean_probability}
  score: {kind: evaluate, of: merge}
"""


def planned(codec: OptionsCodec, **settings: object) -> Plan:
    document = parse_yaml(RECIPE, "r.yaml")
    for path, value in settings.items():
        document = set_value(document, path.replace("__", "."), value, "--set", codec.registry)
    return plan(recipe_of(document, codec), TaskCache(codec), codec)


def test_members_of_several_schemes_in_a_recipe(codec: OptionsCodec) -> None:
    done = planned(codec)
    assert [node.name for node in done.nodes.values()] == [
        *("teacher", "full", "members.0", "members.1", "merge", "score")
    ]
    assert done.nodes["merge"].inputs == {"members": ("members.0", "members.1", "full")}
    other = planned(codec, members__schemes__1="bibert")
    changed = {name for name, node in done.nodes.items() if node.key != other.nodes[name].key}
    assert changed == {"members.1", "merge", "score"}
    other = planned(codec, members__schemes__1__activation_bits=2)
    assert {name for name, node in done.nodes.items() if node.key != other.nodes[name].key} == changed
    item = planned(codec, members__schemes=["bitnet"], merge__members="members")
    assert item.nodes["members.0"].key == done.nodes["members.0"].key
    same = planned(codec, members__schemes=None, members__scheme="bitnet")
    assert same.nodes["members.0"].key == done.nodes["members.0"].key


def test_members_of_several_groups_and_single_stages_are_merged_in_the_order_of_the_list(codec: OptionsCodec) -> None:
    several = planned(codec, merge__members=["full", "members.1"], merge__weights=[1, 2.5])
    assert several.nodes["merge"].inputs == {"members": ("full", "members.1")}
    swapped = planned(codec, merge__members=["members.1", "full"], merge__weights=[2.5, 1])
    assert several.nodes["merge"].key != swapped.nodes["merge"].key


@pytest.mark.parametrize(
    ("path", "value", "error"),
    [
        ("members__schemes__2", "bit", "members.schemes.2: stages.members.schemes is a list; there is no item 2 in it"),
        ("members__schemes__0", "bitt", "stages.members.schemes.0: unknown scheme 'bitt'; did you mean 'bit'?"),
        ("members__schemes", "bit", "stages.members.schemes: expected a list, each item a scheme or null"),
        ("members__scheme", "bit", "stages.members: has both scheme and schemes"),
        ("members__size", 3, "stages.members: size is 3, and schemes has 2"),
        ("merge__rule", None, "stage merge (merge): a stage of kind 'distill' belongs to no ensemble with a rule"),
        ("merge__members", ["members", "members.1"], "stage 'members.1' is named twice, first by 'members'"),
        ("merge__members", ["full", "score"], "the stages form a cycle"),
        ("merge__weights", [1, 2], "stage merge (merge): weights has 2 numbers, and 3 models are merged"),
    ],
)
def test_errors_of_heterogeneous_ensembles_are_reported_at_planning(
    codec: OptionsCodec, path: str, value: object, error: str
) -> None:
    with pytest.raises(UserError) as caught:
        planned(codec, **{path: value})
    assert error in str(caught.value)
