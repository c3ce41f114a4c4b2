from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from attrs import evolve

from bebertlab.config.codec import OptionsCodec
from bebertlab.data.tokenizer import ModelTokenizer
from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import QuantSpec
from bebertlab.model.bert import BertClassifier
from bebertlab.packed.check import Agreement, check_answers, generated_batches, largest_difference, validation_batches
from bebertlab.packed.write import PackSource
from bebertlab.testing.tiny import tiny_model, tiny_task
from tests.packed.conftest import rewrite


@pytest.fixture
def source(bibert: BertClassifier, tokenizer: ModelTokenizer) -> PackSource:
    return PackSource(models=[bibert], tokenizer=tokenizer)


def test_a_packed_model_agrees_on_texts_and_on_generated_inputs(
    source: PackSource, packed: Path, codec: OptionsCodec
) -> None:
    sizes = source.models[0].architecture
    generated = list(generated_batches(sizes))
    lengths = sorted(length for batch in generated for length in batch.mask.sum(1).tolist())
    assert lengths == [1, 2, 3, 5, 8, 13, 21, 32]
    assert check_answers(source, packed, codec, generated) == Agreement(examples=8, difference=0.0)
    task = tiny_task()
    texts = validation_batches(task, packed, sizes)
    agreement = check_answers(source, packed, codec, texts)
    assert agreement == Agreement(examples=len(task.splits["validation"]), difference=0.0)


@pytest.mark.parametrize("amount", [1e-3, float("inf")])
def test_another_answer_is_an_error(amount: float, source: PackSource, packed: Path, codec: OptionsCodec) -> None:
    def damage(tensors: dict[str, Any], _: object) -> None:
        tensors["classifier.bias"] += min(amount, 3e38)

    rewrite(packed, damage)
    with pytest.raises(UserError, match="does not answer as the trained one"):
        check_answers(source, packed, codec, generated_batches(source.models[0].architecture))


def test_nan_is_another_answer_also_where_the_class_is_the_same(
    source: PackSource, packed: Path, codec: OptionsCodec
) -> None:
    def damage(tensors: dict[str, Any], _: object) -> None:
        tensors["classifier.bias"][0] += 1e3

    rewrite(packed, damage)
    diverged = copy.deepcopy(source.models[0])
    with torch.no_grad():
        diverged.classifier.bias[0] = torch.nan  # the class of all answers, as that with the bias
    with pytest.raises(UserError, match="differs by nan"):
        check_answers(evolve(source, models=[diverged]), packed, codec, generated_batches(diverged.architecture))


def test_equal_infinities_are_no_difference() -> None:
    scores = torch.tensor([[0.0, -torch.inf]])
    assert largest_difference(scores, scores.double()) == 0.0
    assert largest_difference(scores + 0.5, scores) != largest_difference(scores + 0.5, scores)  # NaN


def test_small_differences_are_reported(source: PackSource, packed: Path, codec: OptionsCodec) -> None:
    def damage(tensors: dict[str, Any], _: object) -> None:
        tensors["classifier.bias"] += 2e-5

    rewrite(packed, damage)
    agreement = check_answers(source, packed, codec, generated_batches(source.models[0].architecture))
    assert 1e-5 < agreement.difference < 3e-5


def test_an_ensemble_is_compared_by_its_scores(
    ensemble: Path, source: PackSource, scheme_spec: Callable[..., QuantSpec], codec: OptionsCodec
) -> None:
    members = [*source.models, tiny_model(tiny_task(), scheme_spec("bibert"), seed=1).eval()]
    both = evolve(source, models=members)
    inputs = list(generated_batches(members[0].architecture))
    assert check_answers(both, ensemble, codec, inputs).difference == 0.0
    with pytest.raises(UserError, match="does not answer"):
        check_answers(evolve(source, models=members[::-1]), ensemble, codec, inputs)


def test_generated_inputs_are_those_of_the_model(bibert: BertClassifier) -> None:
    short = evolve(bibert.architecture, positions=1, segments=1)
    (batch,) = generated_batches(short)
    assert batch.tokens.shape == (1, 1)
    assert torch.equal(batch.segments, torch.zeros(1, 1, dtype=torch.int64))
