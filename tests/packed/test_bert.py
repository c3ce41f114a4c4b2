from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bebertlab.config.codec import OptionsCodec
from bebertlab.interfaces.architecture import QuantSpec
from bebertlab.interfaces.batch import Batch
from bebertlab.packed.bert import PackedBert
from bebertlab.packed.model import PackedModel
from bebertlab.packed.read import read_packed
from bebertlab.testing.tiny import tiny_model, tiny_task

pytest.importorskip("llvmlite")

MASK = torch.tensor([[True, True, False, False], [True, True, True, True], [True, False, False, False]])
TOKENS = torch.tensor([[2, 5, 0, 0], [2, 4, 4, 3], [1, 0, 0, 0]])


def batch_of(mask: torch.Tensor, tokens: torch.Tensor) -> Batch:
    index = torch.arange(len(mask))
    return Batch(positions=index, tokens=tokens, segments=tokens % 2, mask=mask, labels=index % 2)


@pytest.fixture
def models(
    pack: Callable[..., Path], codec: OptionsCodec, scheme_spec: Callable[..., QuantSpec]
) -> tuple[PackedModel, PackedModel]:
    """A packed model with generated code, and one without it."""
    file = read_packed(pack(tiny_model(tiny_task(), scheme_spec("bibert")).eval()), codec)
    return PackedModel.of(file, kernels=True), PackedModel.of(file, kernels=False)


def test_padding_is_not_embedded(models: tuple[PackedModel, PackedModel]) -> None:
    generated, modules = models
    bert = generated.members[0].network.get_submodule("bert")
    assert isinstance(bert, PackedBert)
    rows: list[int] = []
    bert.embeddings.word_embeddings.register_forward_hook(lambda module, inputs, output: rows.append(len(output)))
    batch = batch_of(MASK, TOKENS)
    assert torch.equal(generated.logits(batch), modules.logits(batch))
    assert rows == [int(MASK.sum())]


def test_embeddings_have_the_bits_of_those_with_padding(models: tuple[PackedModel, PackedModel]) -> None:
    bert, batch = models[0].members[0].network.get_submodule("bert"), batch_of(MASK, TOKENS)
    assert isinstance(bert, PackedBert)
    with torch.no_grad():
        expected = bert.embeddings(batch.tokens, batch.segments)[MASK]
        assert torch.equal(bert._embed(batch), expected)


def test_sentences_that_generated_code_does_not_compute(models: tuple[PackedModel, PackedModel]) -> None:
    generated, modules = models
    mask = MASK.clone()
    mask[0, 0] = False
    batch = batch_of(mask, TOKENS)
    assert torch.equal(generated.logits(batch), modules.logits(batch))
