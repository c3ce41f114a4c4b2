from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain
from pathlib import Path

import pytest
import torch
from attrs import evolve, frozen
from torch import Tensor

from bebertlab.artifacts.model import input_length
from bebertlab.data.examples import load_examples
from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Site
from bebertlab.interfaces.distillation import DistillationOptions, Phase
from bebertlab.interfaces.scheme import SchemeOptions
from bebertlab.interfaces.stage import Artifact, Codec, Inputs, PlannedModel, Planning
from bebertlab.interfaces.task import SELECT, TRAIN, VALIDATION, Task
from bebertlab.model.folder import load_model
from bebertlab.testing.stage_runner import StageRunner
from bebertlab.testing.tiny import tiny_task
from bebertlab.training.labels import LabelsOptions, NoneOptions
from bebertlab.training.options import TrainOptions
from bebertlab_encoders.tiny import TinyEncoder
from bebertlab_stages.load import LoadStage
from bebertlab_stages.slice import SliceStage
from bebertlab_stages.training import DistillStage, FinetuneStage

Metrics = Callable[[Artifact], Mapping[str, float]]
Logits = Callable[[Artifact], Mapping[str, Tensor]]


def distillation(codec: Codec, kind: str) -> DistillationOptions:
    return codec.load({"kind": kind}, DistillationOptions)  # type: ignore[type-abstract]


def scheme(codec: Codec, **options: object) -> SchemeOptions:
    return codec.load({"kind": "binarybert", **options}, SchemeOptions)  # type: ignore[type-abstract]


def test_a_scheme_is_applied_and_trained_with_a_teacher(
    bench: StageRunner,
    task: Task,
    teacher: Artifact,
    train: TrainOptions,
    metrics: Metrics,
) -> None:
    stage = DistillStage(
        model="teacher",
        teacher="teacher",
        scheme=scheme(bench.codec, weight_bits=2),
        distillation=distillation(bench.codec, "two-stage"),
        train=train,
    )
    ternary = bench.run(stage, task, model=teacher, teacher=teacher)
    model = load_model(ternary.folder, bench.codec)
    assert model.spec.weights[Site.QUERY].kind == "twn"
    actual = metrics(ternary)
    assert actual["train/steps"] == 2 * 2 * 6
    assert 0 < actual["train/teacher_seconds"] < actual["train/seconds"]
    again = bench.run(stage, task, model=teacher, teacher=teacher)
    assert (again.folder / "model.safetensors").read_bytes() == (ternary.folder / "model.safetensors").read_bytes()


def test_without_scheme_the_model_keeps_its_spec(
    bench: StageRunner,
    task: Task,
    teacher: Artifact,
    train: TrainOptions,
    metrics: Metrics,
) -> None:
    first = DistillStage(model="t", scheme=scheme(bench.codec), distillation=NoneOptions(), train=train)
    binary = bench.run(first, task, model=teacher)
    further = bench.run(DistillStage(model="b", distillation=NoneOptions(), train=train), task, model=binary)
    specs = [load_model(artifact.folder, bench.codec).spec for artifact in (binary, further)]
    assert specs[0] == specs[1]
    assert specs[0].weights[Site.QUERY].kind == "bwn"
    assert "train/teacher_seconds" not in metrics(binary)


@pytest.mark.parametrize("kind", ["prediction", "two-stage"])
def test_a_missing_teacher_is_an_error_of_planning(codec: Codec, task: Task, kind: str) -> None:
    stage = DistillStage(model="m", distillation=distillation(codec, kind))
    with pytest.raises(UserError, match=f"distillation '{kind}' needs a teacher; name the stage that teaches"):
        stage.prepare({}, task, codec)


def test_an_unused_teacher_is_removed(codec: Codec, task: Task) -> None:
    stage = DistillStage(model="m", teacher="t", distillation=NoneOptions())
    assert stage.prepare({}, task, codec) == DistillStage(model="m", distillation=NoneOptions())


def test_a_used_teacher_is_kept(codec: Codec, task: Task) -> None:
    stage = DistillStage(model="m", teacher="t", distillation=distillation(codec, "prediction"))
    for data in (task, tiny_task(regression=True)):
        assert stage.prepare({}, data, codec) == stage


def test_a_teacher_with_other_tokens_teaches_with_its_logits(
    bench: StageRunner, task: Task, teacher: Artifact, renumbered: Artifact, train: TrainOptions
) -> None:
    stage = DistillStage(model="m", teacher="t", distillation=distillation(bench.codec, "prediction"), train=train)
    item, other = (bench.run(stage, task, model=teacher, teacher=teaching) for teaching in (teacher, renumbered))
    files = [(artifact.folder / "model.safetensors").read_bytes() for artifact in (item, other)]
    assert files[0] == files[1]


@pytest.mark.parametrize(("kind", "dropout"), [("two-stage", False), ("prediction", True)])
def test_a_teacher_with_other_tokens_reads_its_own_tokens(
    bench: StageRunner, task: Task, teacher: Artifact, renumbered: Artifact, kind: str, dropout: bool
) -> None:
    options = TrainOptions(teacher_dropout=dropout)
    stage = DistillStage(model="m", teacher="t", distillation=distillation(bench.codec, kind), train=options)
    with pytest.raises(UserError, match=r"stage: phase '.*' runs the teacher on .* differs in its vocabulary; take"):
        bench.run(stage, task, model=teacher, teacher=renumbered, prepare=False)


def test_the_planned_model_is_that_of_the_input(
    codec: Codec, task: Task, planned_teacher: PlannedModel, renumbered: Artifact, planning: Planning
) -> None:
    same = planned_teacher
    other = LoadStage(folder=renumbered.folder).prepare({}, task, codec).plan_model({}, planning)
    stage = DistillStage(model="m", teacher="t", distillation=distillation(codec, "two-stage"))
    assert stage.plan_model({"model": (same,), "teacher": (same,)}, planning) is same
    with pytest.raises(UserError, match=f"teacher 't' and model 'm' make other .*{renumbered.folder} and .*vocabulary"):
        stage.plan_model({"model": (same,), "teacher": (other,)}, planning)
    assert evolve(stage, teacher=None).plan_model({"model": (same,)}, planning) is same


@frozen(kw_only=True)
class Halves(DistillationOptions):
    """The whole model and its half width, on gold labels."""

    kind = "halves"

    def phases(self) -> tuple[Phase, ...]:
        return (Phase(name="halves", losses=(LabelsOptions(),), widths=(1.0, 0.5)),)


def test_sub_networks_are_trained_and_measured(
    bench: StageRunner, task: Task, teacher: Artifact, train: TrainOptions, metrics: Metrics
) -> None:
    stage = DistillStage(model="teacher", distillation=Halves(), train=train)
    trained = bench.run(stage, task, model=teacher)
    actual = metrics(trained)
    assert actual["width_1/validation/score"] == actual["validation/score"]
    half = metrics(bench.run(SliceStage(model="trained", width=0.5), task, model=trained))
    assert actual["width_0.5/validation/score"] == half["validation/score"]


def test_sub_networks_of_a_quantized_model_are_refused(
    bench: StageRunner, task: Task, teacher: Artifact, train: TrainOptions
) -> None:
    stage = DistillStage(model="teacher", scheme=scheme(bench.codec), distillation=Halves(), train=train)
    with pytest.raises(UserError, match="phase 'halves' trains sub-networks: only a full-precision model"):
        stage.prepare({}, task, bench.codec)


def test_the_encoder_is_trained_on_gold_labels(
    bench: StageRunner,
    metrics: Metrics,
) -> None:
    easy = tiny_task(examples=192)
    options = TrainOptions(learning_rate=0.01, epochs=8, batch_size=16)
    actual = metrics(bench.run(FinetuneStage(train=options), easy))
    assert actual.keys() == {
        *(f"{split}/{name}" for split in (SELECT, VALIDATION) for name in ("score", "accuracy")),
        *("size/matrix_mebibytes", "size/total_mebibytes", "size/stored_mebibytes", "cost/gigaflops"),
        *(f"truncated/{split}{unit}" for split in (TRAIN, SELECT, VALIDATION) for unit in ("", "_percent")),
        "train/seconds",
        "train/steps",
    }
    assert actual["train/steps"] == 8 * 192 / 16
    assert actual["validation/score"] > 75  # 58 % are negative


def test_equal_seeds_give_equal_artifacts(
    bench: StageRunner,
    task: Task,
    train: TrainOptions,
    teacher: Artifact,
    logits: Logits,
) -> None:
    again = bench.run(FinetuneStage(train=train), task)
    other = bench.run(FinetuneStage(train=train), task, seed=1)
    for name in ("model.safetensors", "logits.safetensors", "config.json", "tokenizer.json"):
        assert (again.folder / name).read_bytes() == (teacher.folder / name).read_bytes()
    assert not torch.equal(logits(other)[SELECT], logits(again)[SELECT])


def test_regression_trains(bench: StageRunner, metrics: Metrics, train: TrainOptions) -> None:
    assert "validation/negative_error" in metrics(bench.run(FinetuneStage(train=train), tiny_task(regression=True)))


def test_a_real_tokenizer_gives_the_tokens_of_transformers(bench: StageRunner, tmp_path: Path) -> None:
    task = tiny_task(pairs=True, examples=12)
    encoder = TinyEncoder(layers=1, hidden=8, heads=1, head_size=8, ffn=8, maximum_tokens=12)
    context = evolve(bench.context(task), encoder=encoder)
    FinetuneStage(train=TrainOptions(epochs=1)).run(Inputs(artifacts={}), context)
    split = task.splits[TRAIN]
    assert split.pairs is not None
    theirs = encoder.tokenizer(chain(split.texts, split.pairs))
    expected = theirs(list(split.texts), list(split.pairs), truncation=True, max_length=12)
    tokens = load_examples(task, TRAIN, context.folder, 12).tokens
    assert tokens.ids.tolist() == [item for row in expected["input_ids"] for item in row]
    assert tokens.segments.tolist() == [item for row in expected["token_type_ids"] for item in row]
    assert input_length(context.folder, evolve(context, encoder=TinyEncoder(maximum_tokens=99))) == 12
