from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from bebertlab.data.tokenizer import read_tokenizer
from bebertlab.errors import UserError
from bebertlab.interfaces.stage import Codec, Inputs
from bebertlab.interfaces.task import Task
from bebertlab.pipeline.read import recipe_of
from bebertlab.pipeline.task_cache import TaskCache
from bebertlab.testing.stage_runner import StageRunner
from bebertlab.testing.tiny import tiny_task
from bebertlab.training.options import TrainOptions
from bebertlab_encoders.tiny import TinyEncoder
from bebertlab_stages.training import FinetuneStage

if TYPE_CHECKING:
    from tests.pipeline.conftest import Toy


def counted(cls: type[Any], name: str, calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    inner: Callable[..., Any] = getattr(cls, name)

    def count(self: object) -> object:
        calls.append(name)
        return inner(self)

    monkeypatch.setattr(cls, name, count)


def test_each_task_is_loaded_and_each_encoder_hashed_once(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipe_of(toy.document(), toy.codec)
    calls: list[str] = []
    counted(type(recipe.task), "load", calls, monkeypatch)
    counted(type(recipe.encoder), "digest", calls, monkeypatch)
    again = recipe_of(toy.document(), toy.codec)
    assert toy.materials.task(recipe.task) is toy.materials.task(again.task)
    assert toy.materials.encoder_digest(recipe.encoder) == toy.materials.encoder_digest(again.encoder)
    assert calls == ["load", "digest"]


def test_other_options_load_another_task(toy: Toy) -> None:
    small, large = (
        recipe_of(toy.document(toy.text.replace("task: {kind: toy}", f"task: {{kind: toy, size: {size}}}")), toy.codec)
        for size in (2, 3)
    )
    assert len(toy.materials.task(small.task).splits["train"]) == 2
    assert len(toy.materials.task(large.task).splits["train"]) == 3


def test_the_tokenizer_of_an_encoder_is_built_once_and_on_request(
    codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    materials, task, calls = TaskCache(codec), tiny_task(pairs=True), list[int]()
    tokenizer = TinyEncoder.tokenizer

    def counted(self: TinyEncoder, texts: Iterable[str]) -> object:
        known = list(texts)
        calls.append(len(known))
        return tokenizer(self, known)

    monkeypatch.setattr(TinyEncoder, "tokenizer", counted)
    first, again = (materials.encoder_model(TinyEncoder(maximum_tokens=9), task) for _ in range(2))
    assert first is again
    assert (first.maximum_tokens, first.architecture) == (9, TinyEncoder(maximum_tokens=9).architecture(2000, 2))
    other = materials.encoder_model(TinyEncoder(words=1), task)
    assert calls == []
    assert first.tokenizer.different_parts(other.tokenizer) == ("vocabulary",)
    assert first.tokenizer.different_parts(other.tokenizer) == ("vocabulary",)
    assert calls == [2 * 96, 2 * 96]
    assert first.tokenizer.name == "the tokenizer of the encoder 'tiny'"


def test_the_tokenizer_of_an_encoder_is_that_of_the_model_trained_from_it(
    codec: Codec, bench: StageRunner, task: Task
) -> None:
    context = evolve(bench.context(task), encoder=TinyEncoder(layers=1, hidden=8, heads=1, head_size=8, ffn=8))
    FinetuneStage(train=TrainOptions(epochs=1)).run(Inputs(artifacts={}), context)
    planned = TaskCache(codec).encoder_model(context.encoder, task)
    assert planned.tokenizer.parts() == read_tokenizer(context.folder).parts


def test_an_error_of_a_task_plugin_is_reported_in_one_line(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    task = recipe_of(toy.document(), toy.codec).task
    monkeypatch.setattr(type(task), "load", lambda self: Task(digest="declared"))  # type: ignore[call-arg]
    with pytest.raises(UserError, match=r"^task 'toy': load\(\) raises TypeError: .*'digest'$"):
        toy.materials.task(task)
    monkeypatch.setattr(type(task), "load", lambda self: None)
    with pytest.raises(UserError, match=r"^task 'toy': load\(\) returns NoneType, not a Task$"):
        toy.materials.task(task)


def test_a_task_without_a_selection_metric_is_refused(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    options = recipe_of(toy.document(), toy.codec).task
    whole = options.load()
    loss = evolve(whole, metrics=tuple(evolve(metric, maximize=False) for metric in whole.metrics))
    monkeypatch.setattr(type(options), "load", lambda self: loss)
    with pytest.raises(UserError, match=r"^task 'toy': its main metric '\w+' is better where it is lower; expected"):
        toy.materials.task(options)
