from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from attrs import evolve
from safetensors.torch import load_file, save_file

from bebertlab.artifacts.members import UNTRAINED, Member, write_member
from bebertlab.artifacts.merged import read_merged
from bebertlab.errors import UserError
from bebertlab.interfaces.ensemble import EnsembleOptions, Floats, MemberResult, MergerOptions
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.interfaces.stage import Artifact, Codec, StageOptions
from bebertlab.interfaces.task import Task
from bebertlab.testing.stage_runner import StageRunner
from bebertlab.testing.tiny import tiny_task
from bebertlab.training.labels import NoneOptions
from bebertlab.training.options import TrainOptions
from bebertlab_stages.evaluate import EvaluateStage
from bebertlab_stages.load import LoadStage
from bebertlab_stages.members import MemberStage
from bebertlab_stages.merge import MergeStage
from bebertlab_stages.training import DistillStage, FinetuneStage

Metrics = Callable[[Artifact], Mapping[str, float]]


def rule(codec: Codec, kind: str) -> MergerOptions:
    return codec.load({"kind": kind}, MergerOptions)  # type: ignore[type-abstract]


def random_members(
    bench: StageRunner, task: Task, weights: Sequence[float | None], *, trained: Sequence[bool] | None = None
) -> tuple[Artifact, ...]:
    """Members with random logits; a weight of None is one that was discarded."""
    generator = torch.Generator().manual_seed(0)
    artifacts = []
    for index, weight in enumerate(weights):
        folder = bench.context(task).folder
        if trained is not None and not trained[index]:
            write_member(UNTRAINED, folder)
        else:
            result = MemberResult(weight=weight or 0.0, kept=weight is not None, error=None, next=None)
            write_member(Member(result=result), folder)
            sizes = {name: (len(task.splits[name]), task.outputs) for name in ("select", "validation")}
            logits = {name: torch.randn(size, generator=generator) for name, size in sizes.items()}
            save_file(logits, folder / "logits.safetensors")
        metrics = {"size/matrix_mebibytes": 1.0 + index, "size/total_mebibytes": 2.0 + index}
        (folder / "metrics.json").write_text(json.dumps(metrics))
        artifacts.append(Artifact(stage=f"members.{index}", key=str(folder), folder=folder, seconds=0.0))
    return tuple(artifacts)


def scores(artifact: Artifact) -> np.ndarray:
    actual: np.ndarray = load_file(artifact.folder / "scores.safetensors")["validation"].numpy()
    return actual


def stacked(members: Sequence[Artifact]) -> np.ndarray:
    return np.stack([load_file(item.folder / "logits.safetensors")["validation"].double().numpy() for item in members])


def merge(bench: StageRunner, task: Task, members: tuple[Artifact, ...], kind: str) -> Artifact:
    return bench.run(MergeStage(members="members", rule=rule(bench.codec, kind)), task, members=members)


def test_members_are_merged_by_their_weights(bench: StageRunner, task: Task, metrics: Metrics) -> None:
    members = random_members(bench, task, [1.0, 3.0, 0.5])
    merged = merge(bench, task, members, "weighted_probability")
    logits = stacked(members)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    expected = np.average(probabilities, axis=0, weights=[1.0, 3.0, 0.5])
    assert np.allclose(scores(merged), expected)
    assert scores(merged).dtype == np.float64  # a vote's tie-break would be lost in single precision
    assert metrics(merged) == {
        "members/count": 3,
        "members/kept": 3,
        "size/matrix_mebibytes": 6.0,
        "size/total_mebibytes": 9.0,
    }


@pytest.mark.parametrize("size", [1, 2, 3])
def test_every_size_is_evaluated_with_all_its_members(bench: StageRunner, task: Task, size: int) -> None:
    """E10 of the published code leaves out the last member."""
    members = random_members(bench, task, [1.0, 1.5, 2.0])[:size]
    merged = merge(bench, task, members, "hard_vote")
    votes = np.eye(2)[stacked(members).argmax(axis=2)]
    expected = np.einsum("m,mnc->nc", np.array([1.0, 1.5, 2.0])[:size], votes).argmax(axis=1)
    assert (scores(merged).argmax(axis=1) == expected).all()


def test_the_heavier_of_two_members_wins(bench: StageRunner, task: Task) -> None:
    members = random_members(bench, task, [1.0, 1.5])
    assert (scores(merge(bench, task, members, "hard_vote")).argmax(axis=1) == stacked(members)[1].argmax(axis=1)).all()


def test_a_discarded_member_does_not_vote(bench: StageRunner, task: Task, metrics: Metrics) -> None:
    members = random_members(bench, task, [None, 1.0, 2.0, None], trained=[True, True, True, False])
    merged = merge(bench, task, members, "mean_probability")
    assert np.allclose(scores(merged), scores(merge(bench, task, members[1:3], "mean_probability")))
    assert (metrics(merged)["members/count"], metrics(merged)["members/kept"]) == (4, 2)
    assert metrics(merged)["size/matrix_mebibytes"] == 2.0 + 3.0
    stored = read_merged(merged.folder, bench.codec)
    assert stored.rule == rule(bench.codec, "mean_probability")
    assert [(member.stage, member.votes, member.trained) for member in stored.members] == [
        ("members.0", False, True),
        ("members.1", True, True),
        ("members.2", True, True),
        ("members.3", False, False),
    ]
    assert [member.weight for member in stored.voters] == [1.0, 2.0]


def test_where_all_members_are_discarded_the_first_one_votes(bench: StageRunner, task: Task, metrics: Metrics) -> None:
    members = random_members(bench, task, [None, None, None], trained=[True, True, False])
    merged = merge(bench, task, members, "weighted_probability")
    assert (scores(merged).argmax(axis=1) == stacked(members[:1])[0].argmax(axis=1)).all()
    assert metrics(merged)["members/kept"] == 1
    assert [(member.stage, member.weight) for member in read_merged(merged.folder, bench.codec).voters] == [
        ("members.0", 1.0)
    ]


def test_regression_takes_the_weighted_median(bench: StageRunner) -> None:
    task = tiny_task(regression=True)
    members = random_members(bench, task, [1.0, 1.0, 5.0])
    merged = merge(bench, task, members, "weighted_median")
    assert np.allclose(scores(merged), stacked(members)[2])


def test_a_model_that_is_not_a_member_can_be_merged(
    bench: StageRunner, task: Task, teacher: Artifact, metrics: Metrics
) -> None:
    merged = merge(bench, task, (teacher,), "mean_probability")
    logits = stacked([teacher])[0]
    assert (scores(merged).argmax(axis=1) == logits.argmax(axis=1)).all()
    assert metrics(merged)["size/matrix_mebibytes"] > 0


def member(codec: Codec, kind: str) -> MemberStage:
    return MemberStage(model="m", ensemble=codec.load({"kind": kind}, EnsembleOptions))  # type: ignore[type-abstract]


@pytest.mark.parametrize(
    ("ensemble", "regression", "expected"),
    [
        ("single", False, "mean_probability"),
        ("bagging", False, "mean_probability"),
        ("boosting", False, "weighted_probability"),
        ("single", True, "weighted_mean"),
        ("bagging", True, "weighted_mean"),
        ("boosting", True, "weighted_median"),
    ],
)
def test_the_default_rule_is_that_of_the_ensemble(codec: Codec, ensemble: str, regression: bool, expected: str) -> None:
    task = tiny_task(regression=regression)
    two = (member(codec, ensemble), evolve(member(codec, ensemble), index=1))
    prepared = MergeStage(members="members").prepare({"members": two}, task, codec)
    assert prepared.rule is not None
    assert prepared.rule.kind == expected
    named = evolve(prepared, rule=rule(codec, "weighted_mean"))
    assert named.prepare({"members": (member(codec, ensemble),)}, task, codec) == named


def test_a_rule_that_does_not_suit_the_task_is_an_error_of_planning(codec: Codec, task: Task) -> None:
    stage = MergeStage(members="members", rule=rule(codec, "weighted_median"))
    with pytest.raises(UserError, match="'weighted_median' is for regression"):
        stage.prepare({"members": (member(codec, "boosting"),)}, task, codec)
    with pytest.raises(UserError, match="name one as `rule`"):
        MergeStage(members="teacher").prepare({"members": (FinetuneStage(),)}, task, codec)


def test_members_of_several_strategies_need_a_rule_by_name(codec: Codec, task: Task) -> None:
    mixed = {"members": (member(codec, "bagging"), member(codec, "boosting"))}
    with pytest.raises(UserError, match=r"belong to 2 ensembles \(bagging, boosting\), each .* name one as `rule`"):
        MergeStage(members=("a", "b")).prepare(mixed, task, codec)
    named = MergeStage(members=("a", "b"), rule=rule(codec, "mean_probability"))
    assert named.prepare(mixed, task, codec) == named
    boosted = codec.load({"kind": "boosting", "sampling": "reweight"}, EnsembleOptions)  # type: ignore[type-abstract]
    options = {"members": (member(codec, "boosting"), MemberStage(model="m", ensemble=boosted))}
    with pytest.raises(UserError, match=r"2 ensembles \(boosting\)"):
        MergeStage(members=("a", "b")).prepare(options, task, codec)
    with pytest.raises(UserError, match="kind 'finetune' belongs to no ensemble with a rule"):
        MergeStage(members=("a", "b")).prepare({"members": (member(codec, "bagging"), FinetuneStage())}, task, codec)


@pytest.mark.parametrize(
    ("stages", "error"),
    [
        ((FinetuneStage(), FinetuneStage()), "kind 'finetune' with equal options .* set another `seed`"),
        ((FinetuneStage(seed=1), FinetuneStage(seed=2)), None),
        ((LoadStage(folder=Path("a")), LoadStage(folder=Path("a"))), "would be the same model twice; name it once"),
        ((FinetuneStage(), MergeStage(members="x")), "kind 'merge' has no model to merge"),
        ((EvaluateStage(of="x"), FinetuneStage()), "kind 'evaluate' has no model to merge"),
    ],
)
def test_each_input_must_be_a_different_model(
    codec: Codec, task: Task, stages: tuple[StageOptions, ...], error: str | None
) -> None:
    merging = MergeStage(members=("a", "b"), rule=rule(codec, "mean_probability"))
    if error is None:
        assert merging.prepare({"members": stages}, task, codec) == merging
        return
    with pytest.raises(UserError, match=error):
        merging.prepare({"members": stages}, task, codec)


def test_unmergeable_inputs_are_named(bench: StageRunner, task: Task) -> None:
    first, second = random_members(bench, task, [1.0, 1.0])
    (second.folder / "logits.safetensors").unlink()
    with pytest.raises(UserError, match=r"stage members\.1 has no logits\.safetensors; only stages with a model"):
        merge(bench, task, (first, second), "mean_probability")
    wide = {name: torch.zeros(len(task.splits[name]), 3) for name in ("select", "validation")}
    save_file(wide, second.folder / "logits.safetensors")
    with pytest.raises(
        UserError, match=r"members\.1 has outputs of shape \(32, 3\) on select in its .*, task 'tiny' needs \(32, 2\)"
    ):
        merge(bench, task, (first, second), "mean_probability")


@pytest.mark.parametrize(
    ("scores", "error"),
    [
        (lambda logits: logits[0, :, :1], r"gives scores of the shape \(\d+, 1\) on select, expected \(\d+, 2\)"),
        (lambda logits: logits[0] * np.nan, r"gives scores on select that contain NaN or inf"),
    ],
)
def test_invalid_merged_scores_are_refused(
    bench: StageRunner, task: Task, monkeypatch: pytest.MonkeyPatch, scores: Callable[[Floats], Floats], error: str
) -> None:
    members = random_members(bench, task, [1.0, 1.0])
    actual = rule(bench.codec, "mean_probability")
    merger = type(actual.build(2))
    monkeypatch.setattr(merger, "merge", lambda self, logits, weights: scores(logits))
    with pytest.raises(UserError, match=f"^merger 'mean_probability' {error}$"):
        merge(bench, task, members, "mean_probability")


def test_the_same_model_under_two_names_is_warned_about(bench: StageRunner, task: Task, metrics: Metrics) -> None:
    (first,) = random_members(bench, task, [1.0])
    merged = merge(bench, task, (first, evolve(first, stage="other")), "mean_probability")
    assert bench.warnings[-1] == "models 1 and 2 of the merged ones are the same model, counted twice"
    assert metrics(merged)["members/count"] == 2
    assert metrics(merged)["size/matrix_mebibytes"] == 1.0


def test_bytes_are_summed_over_models_of_different_schemes(
    bench: StageRunner, task: Task, teacher: Artifact, metrics: Metrics, codec: Codec, train: TrainOptions
) -> None:
    scheme = codec.load({"kind": "bitnet"}, SchemeOptions)  # type: ignore[type-abstract]
    distilled = DistillStage(model="m", scheme=scheme, distillation=NoneOptions(), train=evolve(train, epochs=1))
    low = bench.run(distilled, task, name="low", model=teacher)
    merged = metrics(merge(bench, task, (teacher, low), "mean_probability"))
    for name in ("size/matrix_mebibytes", "size/total_mebibytes", "size/stored_mebibytes", "cost/gigaflops"):
        assert merged[name] == pytest.approx(metrics(teacher)[name] + metrics(low)[name])
    assert metrics(low)["size/matrix_mebibytes"] < metrics(teacher)["size/matrix_mebibytes"]


def test_weights_can_be_given_instead_of_those_of_the_members(
    bench: StageRunner, task: Task, teacher: Artifact, codec: Codec
) -> None:
    mixed = (*random_members(bench, task, [4.0, None]), teacher)
    stage = MergeStage(members=("a", "b"), rule=rule(codec, "weighted_mean"), weights=(1.0, 5.0, 3.0))
    merged = bench.run(stage, task, members=mixed)
    logits = stacked((mixed[0], teacher))
    assert np.allclose(scores(merged), np.average(logits, axis=0, weights=[1.0, 3.0]))
    default_weights = bench.run(evolve(stage, weights=None), task, members=mixed)
    assert np.allclose(
        scores(default_weights), np.average(logits, axis=0, weights=[4.0, 1.0])
    )  # a model that is no member: 1


def test_there_is_a_weight_for_each_merged_model(codec: Codec, task: Task) -> None:
    stage = MergeStage(members=("a", "b"), rule=rule(codec, "weighted_mean"), weights=(1.0, 2.0))
    two = (member(codec, "bagging"), FinetuneStage())
    assert stage.prepare({"members": two}, task, codec) == stage
    with pytest.raises(UserError, match="weights has 2 numbers, and 3 models are merged"):
        stage.prepare({"members": (*two, FinetuneStage(seed=1))}, task, codec)
    for weights in ((1.0, 0.0), (1.0, float("nan"))):
        with pytest.raises(ValueError, match="'weights' must be finite and > 0"):
            evolve(stage, weights=weights)
