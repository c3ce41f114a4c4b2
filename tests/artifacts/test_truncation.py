from __future__ import annotations

import json

from attrs import evolve

from bebertlab.artifacts.model import write_model
from bebertlab.artifacts.truncation import most_truncated
from bebertlab.encoders.tiny import TinyEncoder
from bebertlab.interfaces.task import Task
from bebertlab.nn.tokenizer import set_maximum_tokens
from bebertlab.testing.bench import StageBench
from bebertlab.testing.tiny import tiny_model, tiny_tokenizer
from bebertlab.train.loop import Training


def test_texts_that_lose_their_end_are_counted_and_said(bench: StageBench, task: Task) -> None:
    warned: list[str] = []
    context = evolve(bench.context(task), encoder=TinyEncoder(maximum_tokens=8), warn=warned.append)
    write_model(tiny_model(task), tiny_tokenizer(context.folder), context, training=Training(steps=1, seconds=1.0))
    metrics = json.loads((context.folder / "metrics.json").read_text())
    for name in ("train", "select", "validation"):
        texts = task.splits[name].texts
        long = sum(len(text.split()) > 6 for text in texts)
        assert metrics[f"truncated/{name}"] == long > 0
        assert metrics[f"truncated/{name}_percent"] == 100 * long / len(texts)
        said = f"{name}: {long} of {len(texts)} texts have more than 8 tokens (maximum_tokens of the encoder or the"
        assert f"{said} loaded model) and lose their end" in warned


def test_the_length_of_a_loaded_model_counts(bench: StageBench, task: Task) -> None:
    context = bench.context(task)  # its encoder reads up to 32 tokens
    set_maximum_tokens(tiny_tokenizer(context.folder), 8)
    write_model(tiny_model(task), context.folder, context)
    metrics = json.loads((context.folder / "metrics.json").read_text())
    assert metrics["truncated/validation"] == sum(len(text.split()) > 6 for text in task.splits["validation"].texts)


def test_few_are_counted_and_not_said(bench: StageBench, task: Task) -> None:
    warned: list[str] = []
    context = evolve(bench.context(task), warn=warned.append)
    write_model(tiny_model(task), tiny_tokenizer(context.folder), context)
    metrics = json.loads((context.folder / "metrics.json").read_text())
    assert metrics["truncated/validation"] == metrics["truncated/validation_percent"] == 0
    assert "truncated/train" not in metrics  # it was not read
    assert warned == []


def test_of_several_models_the_highest_counts_stand() -> None:
    models = [{"truncated/select": 2.0, "validation/score": 1.0}, {"truncated/select": 3.0}, {"truncated/train": 1.0}]
    assert most_truncated(models) == {"truncated/select": 3.0, "truncated/train": 1.0}
