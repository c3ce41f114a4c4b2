from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain
from pathlib import Path

import torch
from attrs import evolve
from torch import Tensor

from bebertlab.artifacts.model import input_length
from bebertlab.data.examples import load_examples
from bebertlab.interfaces.stage import Artifact, Inputs
from bebertlab.interfaces.task import SELECT, TRAIN, VALIDATION, Task
from bebertlab.testing.stage_runner import StageRunner
from bebertlab.testing.tiny import tiny_task
from bebertlab.training.options import TrainOptions
from bebertlab_encoders.tiny import TinyEncoder
from bebertlab_stages.training import FinetuneStage

Metrics = Callable[[Artifact], Mapping[str, float]]
Logits = Callable[[Artifact], Mapping[str, Tensor]]


def test_it_trains_the_encoder_on_gold_labels(
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
    assert actual["validation/score"] > 75  # 58 % are blame


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


def test_a_real_tokenizer_reads_as_hugging_face_does(bench: StageRunner, tmp_path: Path) -> None:
    task = tiny_task(pairs=True, examples=12)
    encoder = TinyEncoder(layers=1, hidden=8, heads=1, head_size=8, ffn=8, maximum_tokens=12)
    context = evolve(bench.context(task), encoder=encoder)
    FinetuneStage(train=TrainOptions(epochs=1)).run(Inputs(artifacts={}), context)
    split = task.splits[TRAIN]
    assert split.pairs is not None
    theirs = encoder.tokenizer(chain(split.texts, split.pairs))
    expected = theirs(list(split.texts), list(split.pairs), truncation=True, max_length=12)
    tokens = load_examples(task, TRAIN, context.folder, 12).tokens
    assert tokens.ids.tolist() == [one for row in expected["input_ids"] for one in row]
    assert tokens.segments.tolist() == [one for row in expected["token_type_ids"] for one in row]
    assert input_length(context.folder, evolve(context, encoder=TinyEncoder(maximum_tokens=99))) == 12
