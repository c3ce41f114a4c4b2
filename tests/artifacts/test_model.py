from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import torch
from attrs import evolve
from torch import Tensor

from bebertlab.artifacts.metrics import size_metrics
from bebertlab.artifacts.model import (
    evaluate_and_save,
    input_length,
    model_digest,
    read_model,
    read_teacher,
    set_up_training,
    subnet_metrics,
)
from bebertlab.data.tokenizer import set_maximum_tokens
from bebertlab.errors import TrainingDiverged
from bebertlab.inference.predict import predict
from bebertlab.interfaces.architecture import QuantSpec, Site
from bebertlab.interfaces.distillation import Phase
from bebertlab.interfaces.ensemble import SampleWeights, Sampling
from bebertlab.interfaces.quantizer import TERNARY, Quantizer
from bebertlab.interfaces.stage import Artifact, Context
from bebertlab.interfaces.task import SELECT, VALIDATION, Task
from bebertlab.model.folder import load_model, save_model
from bebertlab.model.quantizer_errors import BrokenQuantizer
from bebertlab.testing.stage_runner import StageRunner, TinyTestEncoder
from bebertlab.testing.tiny import tiny_model, tiny_tokenizer
from bebertlab.training.curve import read_learning_curve
from bebertlab.training.labels import LabelsOptions
from bebertlab.training.loop import train_phases
from bebertlab.training.options import TrainOptions
from bebertlab.training.result import Training
from bebertlab_binarybert.uniform import Uniform
from bebertlab_stages.slice import SliceStage

Logits = Callable[[Artifact], Mapping[str, Tensor]]


@pytest.fixture
def context(bench: StageRunner, task: Task) -> Context:
    return bench.context(task, name="student")


def artifact_of(context: Context, key: str = "k") -> Artifact:
    return Artifact(stage=context.stage, key=key, folder=context.folder, seconds=0.0)


def test_a_model_is_written_whole(context: Context, task: Task, logits: Logits) -> None:
    model = tiny_model(task)
    training = Training(steps=7, seconds=2.5, teacher_seconds=0.5)
    evaluate_and_save(model, tiny_tokenizer(context.folder), context, training=training, metrics={"extra/one": 1})
    rows = logits(artifact_of(context))
    assert rows.keys() == {SELECT, VALIDATION}
    metrics = json.loads((context.folder / "metrics.json").read_text())
    assert metrics == {
        **{
            f"{split}/{name}": task.evaluate(split, rows[split].numpy())["score"]
            for split in rows
            for name in ("score", "accuracy")
        },
        **size_metrics(model, context.folder),
        **{f"truncated/{split}": 0 for split in ("train", *rows)},
        **{f"truncated/{split}_percent": 0 for split in ("train", *rows)},
        "train/seconds": 2.5,
        "train/steps": 7.0,
        "train/teacher_seconds": 0.5,
        "extra/one": 1.0,
    }
    assert json.loads((context.folder / "config.json").read_text())["id2label"] == {"0": "blame", "1": "praise"}
    again = read_model(artifact_of(context), context)
    setup = set_up_training(context, TrainOptions(), context.folder)
    assert torch.equal(predict(again, setup.select), rows[SELECT])


def test_without_training_and_teacher_there_is_no_such_number(context: Context, task: Task) -> None:
    evaluate_and_save(tiny_model(task), tiny_tokenizer(context.folder), context)
    assert "train/seconds" not in json.loads((context.folder / "metrics.json").read_text())
    evaluate_and_save(tiny_model(task), context.folder, context, training=Training(steps=7, seconds=2.5))
    assert "train/teacher_seconds" not in json.loads((context.folder / "metrics.json").read_text())


def test_a_trained_model_saves_its_learning_curve(context: Context, task: Task, logits: Logits) -> None:
    model, tokenizer = tiny_model(task), tiny_tokenizer(context.folder)
    phases = [Phase(name=name, losses=(LabelsOptions(),), epochs=epochs) for name, epochs in (("long", 3), ("end", 1))]
    reports: list[tuple[Mapping[str, float], int | None, float | None]] = []

    def report(
        fraction: float,
        text: str,
        values: Mapping[str, float] = MappingProxyType({}),
        *,
        step: int | None = None,
        epoch: float | None = None,
    ) -> None:
        reports.append((values, step, epoch))

    context = evolve(context, progress=report)
    setup = set_up_training(context, TrainOptions(batch_size=32), tokenizer)
    evaluate_and_save(model, tokenizer, context, training=train_phases(model, phases, setup))
    curve = read_learning_curve(context.folder)
    assert curve is not None
    assert [(phase.name, phase.steps, phase.epochs) for phase in curve.phases] == [("long", 9, 3.0), ("end", 3, 1.0)]
    assert [point.step for phase in curve.phases for point in phase.training] == [*range(1, 13)]
    assert [point.step for phase in curve.phases for point in phase.evaluations] == [3, 6, 9, 12]
    assert [*curve.phases[0].training[0].terms] == ["labels"]
    score = task.evaluate(SELECT, logits(artifact_of(context))[SELECT].numpy())["score"]
    # the second phase has a single evaluation: that of the model which is written
    assert curve.phases[1].evaluations[0].value == pytest.approx(score, rel=1e-5)
    assert reports[-1] == ({"select/score": score}, 12, 4.0)


def test_a_model_that_was_not_trained_has_no_learning_curve(context: Context, task: Task) -> None:
    evaluate_and_save(tiny_model(task), tiny_tokenizer(context.folder), context)
    assert read_learning_curve(context.folder) is None


def test_the_tokenizer_is_saved_with_the_model(context: Context, task: Task, teacher: Artifact) -> None:
    evaluate_and_save(tiny_model(task), teacher.folder, context)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (context.folder / name).read_bytes() == (teacher.folder / name).read_bytes()


def test_further_validation_splits_are_scored_too(bench: StageRunner, task: Task) -> None:
    wider = evolve(task, splits={**task.splits, "validation_other": task.splits[VALIDATION]})
    context = bench.context(wider)
    evaluate_and_save(tiny_model(task), tiny_tokenizer(context.folder), context)
    metrics = json.loads((context.folder / "metrics.json").read_text())
    assert metrics["validation_other/score"] == metrics["validation/score"]


def test_logits_that_are_not_finite_are_an_error(context: Context, task: Task) -> None:
    model = tiny_model(task)
    with torch.no_grad():
        model.classifier.bias.fill_(torch.nan)
    with pytest.raises(TrainingDiverged, match="student: the logits on select contain NaN or inf"):
        evaluate_and_save(model, tiny_tokenizer(context.folder), context)
    assert not (context.folder / "metrics.json").exists()


@pytest.mark.parametrize("where", ["weights", "inputs"])
def test_a_model_with_a_quantizer_that_breaks_its_contract_is_not_written(
    context: Context, task: Task, where: str
) -> None:
    model = tiny_model(task, QuantSpec(**{where: {Site.FFN_UP: Uniform()}}))  # type: ignore[arg-type] # of that name
    for module in model.modules():
        if isinstance(module, Quantizer):
            module.alphabet = TERNARY  # of a quantizer of 8 bits
    with pytest.raises(BrokenQuantizer, match=rf"^quantizer 'uniform' \({where}\.ffn_up, .* outside of the alphabet"):
        evaluate_and_save(model, tiny_tokenizer(context.folder), context)
    assert not (context.folder / "model.safetensors").exists()
    assert not (context.folder / "metrics.json").exists()


def test_a_teacher_is_known_by_its_key(context: Context, teacher: Artifact) -> None:
    examples = set_up_training(context, TrainOptions(), teacher.folder).select
    first, again = (read_teacher(teacher, context) for _ in range(2))
    assert first.logits(examples) is again.logits(examples)


def test_a_teacher_reads_the_tokens_of_its_own_tokenizer(
    context: Context, teacher: Artifact, renumbered: Artifact
) -> None:
    setup = set_up_training(context, TrainOptions(), teacher.folder, teacher=read_teacher(renumbered, context))
    assert setup.teacher is not None
    assert setup.teacher_view.different == ("vocabulary",)
    assert setup.teacher_view.train.tokens.ids.tolist() != setup.train.tokens.ids.tolist()
    same = read_teacher(teacher, context)
    assert torch.equal(setup.teacher.logits(setup.teacher_view.train), same.logits(setup.train))


def test_a_teacher_with_the_same_tokenizer_reads_the_very_same_examples(context: Context, teacher: Artifact) -> None:
    setup = set_up_training(context, TrainOptions(), teacher.folder, teacher=read_teacher(teacher, context))
    assert setup.teacher_view.different == ()
    assert setup.teacher_view.train is setup.train
    assert setup.teacher_view.select is setup.select


def test_a_teacher_reads_texts_up_to_its_own_maximum_length(
    context: Context, teacher: Artifact, tmp_path: Path
) -> None:
    short = shutil.copytree(teacher.folder, tmp_path / "short")
    set_maximum_tokens(short, 5)
    setup = set_up_training(context, TrainOptions(), short, teacher=read_teacher(teacher, context))
    assert (setup.train.tokens.lengths.max(), setup.teacher_view.train.tokens.lengths.max()) == (5, 12)
    assert setup.teacher_view.different == ()


def test_a_teacher_without_a_tokenizer_reads_the_tokens_of_the_student(
    context: Context, teacher: Artifact, task: Task
) -> None:
    save_model(tiny_model(task), context.folder, context.codec)
    bare = read_teacher(artifact_of(context), context)
    setup = set_up_training(context, TrainOptions(), teacher.folder, teacher=bare)
    assert setup.teacher_view.train is setup.train


def test_the_input_length_is_saved_with_the_model(context: Context, task: Task, tmp_path: Path) -> None:
    evaluate_and_save(tiny_model(task), tiny_tokenizer(tmp_path), context)
    assert input_length(context.folder, evolve(context, encoder=TinyTestEncoder(maximum_tokens=7))) == 32


def test_a_training_is_set_up_from_the_context(context: Context, teacher: Artifact) -> None:
    assignment = SampleWeights(sampling=Sampling.ALL, weights=np.full(96, 1 / 96))
    options = TrainOptions(epochs=9)
    setup = set_up_training(context, options, teacher.folder, sample_weights=assignment)
    assert (setup.stage, setup.seed, setup.options, setup.round) == ("student", 0, options, assignment)
    assert (len(setup.train), len(setup.select)) == (96, 32)


Metrics = Callable[[Artifact], Mapping[str, float]]
NAMES = ("select/score", "validation/score", "size/total_mebibytes", "cost/gigaflops")


def test_sub_network_metrics_are_those_of_their_slices(
    bench: StageRunner, task: Task, teacher: Artifact, metrics: Metrics
) -> None:
    model = load_model(teacher.folder, bench.codec)
    phase = Phase(name="p", widths=(1.0, 0.5), depths=(1.0, 0.5))
    actual = subnet_metrics(model, phase, teacher.folder, bench.context(task))
    assert len(actual) == 4 * len(NAMES)
    for width, depth in phase.subnets:
        stage = SliceStage(model="teacher", width=width, depth=depth)
        expected = metrics(bench.run(stage, task, model=teacher))
        for name in NAMES:
            assert actual[f"depth_{depth:g}/width_{width:g}/{name}"] == pytest.approx(expected[name])


def test_the_depth_is_named_only_where_there_are_several(bench: StageRunner, task: Task, teacher: Artifact) -> None:
    model = load_model(teacher.folder, bench.codec)
    actual = subnet_metrics(model, Phase(name="p", widths=(0.5,)), teacher.folder, bench.context(task))
    assert actual.keys() == {f"width_0.5/{name}" for name in NAMES}


def test_the_whole_model_is_not_a_sub_network(bench: StageRunner, task: Task, teacher: Artifact) -> None:
    model = load_model(teacher.folder, bench.codec)
    assert subnet_metrics(model, Phase(name="p"), teacher.folder, bench.context(task)) == {}


@pytest.fixture
def folder(teacher: Artifact, tmp_path: Path) -> Path:
    return shutil.copytree(teacher.folder, tmp_path / "model")


def test_the_digest_is_that_of_the_model_and_its_tokenizer(folder: Path, teacher: Artifact) -> None:
    assert model_digest(folder) == model_digest(teacher.folder)
    for name in ("metrics.json", "logits.safetensors"):
        (folder / name).unlink()
    assert model_digest(folder) == model_digest(teacher.folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_the_digest_depends_on_every_file(folder: Path, teacher: Artifact, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    assert model_digest(folder) != model_digest(teacher.folder)


def test_the_digest_includes_shards_of_any_name(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "odd.part")
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "odd.part"}}')
    before = model_digest(folder)
    (folder / "pytorch_model.bin").write_bytes(b"not read where there are safetensors")
    assert model_digest(folder) == before
    (folder / "odd.part").write_bytes(b"others")
    assert model_digest(folder) != before


def test_an_additional_file_changes_the_digest(folder: Path, teacher: Artifact) -> None:
    (folder / "bebertlab.json").write_text("{}")
    assert model_digest(folder) != model_digest(teacher.folder)


def test_a_file_that_changed_is_read_again(folder: Path) -> None:
    before = model_digest(folder)
    (folder / "config.json").write_text("{}")
    changed = model_digest(folder)
    assert changed != before
    state = (folder / "config.json").stat()
    (folder / "config.json").write_text("[]")  # as long as before
    os.utime(folder / "config.json", ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    assert model_digest(folder) not in (before, changed)
