from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import pytest
import torch
from attrs import evolve, frozen
from safetensors.torch import load_file
from torch import Tensor

from bebertlab.artifacts.members import UNTRAINED, read_member, training_data, write_member
from bebertlab.data.examples import load_examples
from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import QuantSpec
from bebertlab.interfaces.batch import Batch, Outputs
from bebertlab.interfaces.distillation import DistillationOptions, Phase
from bebertlab.interfaces.ensemble import EnsembleOptions, Sampling
from bebertlab.interfaces.loss import Loss, LossOptions
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.interfaces.stage import Artifact, Codec
from bebertlab.interfaces.task import TRAIN, Task
from bebertlab.model.bert import BertClassifier
from bebertlab.model.classes import read_class_names
from bebertlab.model.folder import load_model
from bebertlab.testing.stage_runner import StageRunner
from bebertlab.testing.tiny import tiny_task
from bebertlab.training.options import TrainOptions
from bebertlab.training.result import Training
from bebertlab.training.setup import TrainingSetup
from bebertlab_stages.members import MemberStage

Metrics = Callable[[Artifact], Mapping[str, float]]
Logits = Callable[[Artifact], Mapping[str, Tensor]]


def member(codec: Codec, ensemble: str | dict[str, Any], **options: Any) -> MemberStage:  # noqa: ANN401
    data = {"kind": ensemble} if isinstance(ensemble, str) else ensemble
    chosen = codec.load(data, EnsembleOptions)  # type: ignore[type-abstract]
    return MemberStage(model="teacher", ensemble=chosen, **options)


def distillation(codec: Codec, kind: str) -> DistillationOptions:
    return codec.load({"kind": kind}, DistillationOptions)  # type: ignore[type-abstract]


def weights(artifact: Artifact) -> Mapping[str, Tensor]:
    return load_file(artifact.folder / "model.safetensors")


def same(first: Artifact, second: Artifact) -> bool:
    return all(torch.equal(tensor, weights(second)[name]) for name, tensor in weights(first).items())


def test_a_member_is_a_model_with_a_result(
    bench: StageRunner, task: Task, teacher: Artifact, train: TrainOptions, metrics: Metrics, logits: Logits
) -> None:
    artifact = bench.run(member(bench.codec, "boosting", train=train), task, model=teacher)
    assert load_model(artifact.folder, bench.codec).architecture.classes == 2
    assert set(logits(artifact)) == {"select", "validation"}
    stored = read_member(artifact)
    actual = metrics(artifact)
    assert stored.trained
    assert (actual["member/weight"], actual["member/error"]) == (stored.result.weight, stored.result.error)
    assert actual["train/steps"] == 2 * 6
    assert actual["size/total_mebibytes"] > actual["size/matrix_mebibytes"] > 0
    trained = load_file(artifact.folder / "train_logits.safetensors")[TRAIN].numpy()
    miss = trained.argmax(axis=1) != task.splits[TRAIN].labels
    assert stored.result.error == pytest.approx(miss.mean())


def test_members_differ_by_their_index_and_repeat_exactly(
    bench: StageRunner, task: Task, teacher: Artifact, train: TrainOptions
) -> None:
    first, again, second, seeded = (
        bench.run(member(bench.codec, "bagging", index=index, train=train), task, seed=seed, model=teacher)
        for index, seed in ((0, 0), (0, 0), (1, 0), (0, 1))
    )
    assert same(first, again)
    assert not same(first, second)
    assert not same(first, seeded)
    assert not (first.folder / "train_logits.safetensors").exists()  # bagging does not need them


def test_members_of_one_index_do_not_depend_on_what_ran_before(
    bench: StageRunner, task: Task, teacher: Artifact, train: TrainOptions
) -> None:
    """The published code passes one model object from member to member."""
    alone = bench.run(member(bench.codec, "bagging", index=1, train=train), task, model=teacher)
    bench.run(member(bench.codec, "bagging", index=0, train=train), task, model=teacher)
    assert same(alone, bench.run(member(bench.codec, "bagging", index=1, train=train), task, model=teacher))


@pytest.mark.parametrize("start", ["model", "previous"])
def test_members_get_a_scheme_from_any_start(
    bench: StageRunner, task: Task, teacher: Artifact, train: TrainOptions, start: Literal["model", "previous"]
) -> None:
    scheme = bench.codec.load({"kind": "binarybert", "activation_bits": 4}, SchemeOptions)  # type: ignore[type-abstract]
    options = {"scheme": scheme, "start": start, "train": train}
    first = bench.run(member(bench.codec, "boosting", **options), task, model=teacher)
    second = bench.run(
        member(bench.codec, "boosting", index=1, previous="members.0", **options), task, model=teacher, previous=first
    )
    for artifact in (first, second):
        assert load_model(artifact.folder, bench.codec).spec == scheme.spec()
    assert load_model(teacher.folder, bench.codec).spec == QuantSpec()


def fake_training(monkeypatch: pytest.MonkeyPatch, task: Task, tokenizer: Artifact, wrong: set[str]) -> None:
    """Replace training by a model that misclassifies some texts, identified by their tokens."""
    examples = load_examples(task, TRAIN, tokenizer.folder, 32)
    split = task.splits[TRAIN]
    answers: dict[tuple[int, ...], int] = {}
    for position, text in enumerate(split.texts):
        start, length = examples.tokens.offsets[position], examples.tokens.lengths[position]
        label = int(split.labels[position])
        answers[tuple(examples.tokens.ids[start : start + length].tolist())] = 1 - label if text in wrong else label

    def forward(batch: Batch, taps: object) -> Outputs:
        rows = [tuple(tokens[mask].tolist()) for tokens, mask in zip(batch.tokens, batch.mask, strict=True)]
        answered = torch.tensor([answers.get(row, 0) for row in rows])
        return Outputs(logits=torch.eye(2)[answered], taps={})

    def train(model: BertClassifier, phases: object, setup: object) -> Training:
        monkeypatch.setattr(model, "forward", forward)
        return Training(steps=0, seconds=0.0)

    monkeypatch.setattr("bebertlab_stages.members.train_phases", train)


@pytest.mark.parametrize("count", [1, 5, 20])
def test_misclassified_examples_gain_weight(
    bench: StageRunner, teacher: Artifact, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """E1 to E3 of the published code: weights of other examples change, and the last ones count as right."""
    task = tiny_task(examples=97)  # no number of batches divides it
    split = task.splits[TRAIN]
    wrong = {split.texts[-1], *split.texts[3 : 2 + count]}
    miss = np.array([text in wrong for text in split.texts])
    fake_training(monkeypatch, task, teacher, wrong)
    result = read_member(bench.run(member(bench.codec, "boosting"), task, model=teacher)).result
    assert result.error == pytest.approx(miss.mean())
    assert result.weight == pytest.approx(math.log((1 - miss.mean()) / miss.mean()))
    assert result.next is not None
    assert np.allclose(result.next.weights[miss], 0.5 / miss.sum())
    assert np.allclose(result.next.weights[~miss], 0.5 / (~miss).sum())
    assert miss[-1]


def test_a_member_trains_on_the_sample_weights_of_the_previous_member(
    bench: StageRunner, task: Task, teacher: Artifact, train: TrainOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = bench.run(member(bench.codec, "boosting", train=train), task, model=teacher)
    left = read_member(first).result.next
    assert left is not None
    seen: list[Any] = []

    def train_phases(model: BertClassifier, phases: object, setup: TrainingSetup) -> Training:
        seen.append(setup.round)
        return Training(steps=0, seconds=0.0)

    monkeypatch.setattr("bebertlab_stages.members.train_phases", train_phases)
    second = member(bench.codec, "boosting", index=1, previous="members.0")
    bench.run(second, task, model=teacher, previous=first)
    assert (seen[0].weights == left.weights).all()
    assert seen[0].sampling is Sampling.RESAMPLE
    bench.run(member(bench.codec, "bagging", index=1), task, model=teacher)
    assert seen[1].sampling is Sampling.BOOTSTRAP
    bench.run(member(bench.codec, "single"), task, model=teacher)
    assert seen[2].sampling is Sampling.ALL


def test_members_and_seeds_have_different_subsets(
    bench: StageRunner, task: Task, teacher: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def train_phases(model: BertClassifier, phases: object, setup: TrainingSetup) -> Training:
        seen.append(setup.round)
        return Training(steps=0, seconds=0.0)

    monkeypatch.setattr("bebertlab_stages.members.train_phases", train_phases)
    subsets = {"kind": "bagging", "share": 0.5, "replacement": False}
    for index, seed in ((0, 0), (1, 0), (0, 1), (0, 0)):
        bench.run(member(bench.codec, subsets, index=index), task, seed=seed, model=teacher)
    assert {item.sampling for item in seen} == {Sampling.SUBSET}
    chosen = [tuple(item.weights > 0) for item in seen]
    assert chosen[0] == chosen[3]
    assert len(set(chosen)) == 3
    by_ensemble = training_data(task, 0).uniform("bagging", 1)  # of the ensemble's seed, not of the member's
    assert chosen[1] == tuple(by_ensemble <= np.sort(by_ensemble)[47])


@pytest.mark.parametrize(("share", "steps"), [(1.0, 12), (0.5, 6), (0.25, 4)])
@pytest.mark.parametrize("replacement", [True, False])
def test_a_member_on_a_fraction_of_the_examples_takes_that_fraction_of_the_steps(
    bench: StageRunner,
    task: Task,
    teacher: Artifact,
    train: TrainOptions,
    metrics: Metrics,
    share: float,
    steps: int,
    replacement: bool,
) -> None:
    options = {"kind": "bagging", "share": share, "replacement": replacement}
    artifact = bench.run(member(bench.codec, options, train=train), task, model=teacher)
    assert metrics(artifact)["train/steps"] == steps


def test_the_key_depends_on_the_ids_of_the_examples(codec: Codec, task: Task) -> None:
    """A strategy draws by them, and the digest of the data does not know them."""
    split = task.splits[TRAIN]
    renamed = evolve(split, ids=tuple(f"other-{item}" for item in split.ids))
    other = evolve(task, splits={**task.splits, TRAIN: renamed})
    first, again, second = (member(codec, "bagging").prepare({}, data, codec) for data in (task, tiny_task(), other))
    assert first == again
    assert first != second


def test_a_boosted_member_needs_the_previous_member(codec: Codec, task: Task) -> None:
    with pytest.raises(UserError, match="'boosting' is sequential: member 2 needs the previous member as `previous`"):
        member(codec, "boosting", index=2).prepare({}, task, codec)
    for kind, index, previous in (("boosting", 2, "members.1"), ("boosting", 0, None), ("bagging", 2, None)):
        member(codec, kind, index=index, previous=previous).prepare({}, task, codec)


def test_a_member_starts_from_the_model_or_the_previous_member(
    bench: StageRunner, task: Task, teacher: Artifact, train: TrainOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = bench.run(member(bench.codec, "bagging", train=train), task, model=teacher)
    monkeypatch.setattr(
        "bebertlab_stages.members.train_phases", lambda model, phases, setup: Training(steps=0, seconds=0.0)
    )
    for start, source in (("model", teacher), ("previous", first)):
        stage = member(bench.codec, "bagging", index=1, previous="members.0", start=start)
        second = bench.run(stage, task, model=teacher, previous=first)
        assert same(second, source)
    stored = read_member(first)
    write_member(evolve(stored, result=evolve(stored.result, kept=False, weight=0.0)), first.folder)
    stage = member(bench.codec, "bagging", index=1, previous="members.0", start="previous")
    assert same(
        bench.run(stage, task, model=teacher, previous=first), teacher
    )  # members do not start from a discarded member


def test_a_member_can_start_from_the_last_state_of_the_previous_member(
    bench: StageRunner, task: Task, teacher: Artifact, train: TrainOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = {name: tensor + 1 for name, tensor in load_model(teacher.folder, bench.codec).state_dict().items()}
    asked: list[bool] = []

    def train_phases(model: BertClassifier, phases: object, setup: TrainingSetup) -> Training:
        asked.append(setup.keep_last)
        return Training(steps=0, seconds=0.0, last=last if setup.keep_last else None)

    monkeypatch.setattr("bebertlab_stages.members.train_phases", train_phases)
    first = bench.run(member(bench.codec, "bagging", keep_last=True), task, model=teacher)
    assert same(first, teacher)  # the best state is the member
    assert read_class_names(first.folder / "last" / "config.json", 2) == task.classes
    stage = member(bench.codec, "bagging", index=1, previous="members.0", start="previous-last")
    second = bench.run(stage, task, model=teacher, previous=first)
    assert asked == [True, False]
    torch.testing.assert_close(weights(second)["classifier.bias"], weights(teacher)["classifier.bias"] + 1)
    assert not (second.folder / "last").exists()


def test_members_after_the_end_of_boosting_are_not_trained(
    bench: StageRunner, task: Task, teacher: Artifact, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = bench.context(task).folder
    write_member(UNTRAINED, ended)
    previous = Artifact(stage="members.0", key="p", folder=ended, seconds=0.0)
    monkeypatch.setattr("bebertlab_stages.members.train_phases", lambda *_: pytest.fail("it trains"))
    stage = member(bench.codec, "boosting", index=1, previous="members.0")
    artifact = bench.run(stage, task, model=teacher, previous=previous)
    assert not read_member(artifact).trained
    assert not (artifact.folder / "model.safetensors").exists()
    assert (metrics(artifact)["member/trained"], metrics(artifact)["member/kept"]) == (0, 0)


def test_boosting_a_regression_uses_absolute_errors(bench: StageRunner, train: TrainOptions, metrics: Metrics) -> None:
    from bebertlab_stages.training import FinetuneStage

    task = tiny_task(regression=True)
    start = bench.run(FinetuneStage(train=train), task, name="teacher")
    artifact = bench.run(member(bench.codec, "boosting", train=train), task, model=start)
    values = load_file(artifact.folder / "train_logits.safetensors")[TRAIN].double().numpy()[:, 0]
    distance = np.abs(values - task.splits[TRAIN].labels)
    assert metrics(artifact)["member/error"] == pytest.approx(((distance / distance.max()) ** 2).mean())


@pytest.mark.parametrize("kind", ["prediction", "two-stage", "bebert-b", "bebert-c"])
def test_a_missing_teacher_is_an_error_of_planning(codec: Codec, task: Task, kind: str) -> None:
    stage = member(codec, "bagging", distillation=distillation(codec, kind))
    with pytest.raises(UserError, match=f"distillation '{kind}' needs a teacher"):
        stage.prepare({}, task, codec)


@pytest.mark.parametrize("kind", ["none", "bebert-a"])
def test_an_unused_teacher_is_removed(codec: Codec, task: Task, kind: str) -> None:
    stage = member(codec, "bagging", teacher="t", distillation=distillation(codec, kind))
    assert stage.prepare({}, task, codec).teacher is None


class WholeLoss(Loss):
    """Has one value for all examples of a batch."""

    needs_teacher = False
    student_taps = frozenset()
    teacher_taps = frozenset()
    per_example = False

    def __call__(self, student: Outputs, teacher: Outputs | None, batch: Batch) -> Mapping[str, Tensor]:
        return {"whole": student.logits.norm()}


@frozen(kw_only=True)
class WholeOptions(LossOptions):
    kind = "whole"

    def build(self, classes: int) -> Loss:
        return WholeLoss()


@frozen(kw_only=True)
class WholeDistillation(DistillationOptions):
    kind = "whole"

    def phases(self) -> tuple[Phase, ...]:
        return (Phase(name="whole", losses=(WholeOptions(),)),)


def test_sample_weights_that_a_loss_cannot_use_are_an_error_of_planning(codec: Codec, task: Task) -> None:
    reweighting = {"kind": "boosting", "sampling": "reweight"}
    with pytest.raises(UserError, match="loss 'whole' has one value for the whole batch"):
        member(codec, reweighting, distillation=WholeDistillation()).prepare({}, task, codec)
    member(codec, "boosting", distillation=WholeDistillation()).prepare({}, task, codec)
    member(codec, reweighting).prepare({}, task, codec)


def test_a_variant_of_bebert_trains(
    bench: StageRunner, task: Task, teacher: Artifact, train: TrainOptions, metrics: Metrics
) -> None:
    variant = bench.codec.load({"kind": "bebert-c", "batch_size": 16}, DistillationOptions)  # type: ignore[type-abstract]
    stage = member(bench.codec, "bagging", teacher="teacher", distillation=variant, train=train)
    artifact = bench.run(stage, task, model=teacher, teacher=teacher)
    assert metrics(artifact)["train/steps"] == 2 * 6
