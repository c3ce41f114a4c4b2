from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from torch import nn

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Architecture, QuantSpec, Site
from bebertlab.model.embedding import Embedding, QuantizedEmbedding
from bebertlab.model.linear import Linear, QuantizedLinear
from bebertlab.model.module_factory import ModuleFactory

if TYPE_CHECKING:
    from tests.model.conftest import Rounding

EMBEDDING = "bert.embeddings.word_embeddings"
POOLER = "bert.pooler.dense"


def test_modules_are_quantized_as_specified(sizes: Architecture, rounding: type[Rounding]) -> None:
    factory = ModuleFactory(sizes, QuantSpec(inputs={Site.POOLER: rounding(step=0.5)}))
    assert type(factory.embedding(EMBEDDING, 5, 4)) is Embedding
    assert type(factory.linear("bert.encoder.layer.0.output.dense", 3, 2)) is Linear
    pooler = factory.linear(POOLER, 3, 2)
    assert isinstance(pooler, QuantizedLinear)
    assert pooler.branches[0].weight_quantizer is None
    assert parameters_of(pooler) == {"branches.0.weight", "branches.0.bias", "branches.0.input_quantizer.step"}


def test_branches_come_from_the_module_path(sizes: Architecture, rounding: type[Rounding]) -> None:
    spec = QuantSpec(weights={Site.WORD_EMBEDDING: rounding()}, branches={EMBEDDING: 3, POOLER: 2})
    embedding, pooler = (
        ModuleFactory(sizes, spec).embedding(EMBEDDING, 5, 4),
        ModuleFactory(sizes, spec).linear(POOLER, 3, 2),
    )
    assert isinstance(embedding, QuantizedEmbedding)
    assert isinstance(pooler, QuantizedLinear)
    assert (len(embedding.branches), len(pooler.branches)) == (3, 2)
    assert parameters_of(pooler) == {f"branches.{i}.{what}" for i in (0, 1) for what in ("weight", "bias")}


def test_every_module_has_a_separate_quantizer(sizes: Architecture, rounding: type[Rounding]) -> None:
    factory = ModuleFactory(sizes, QuantSpec(attention={Site.ATTENTION_KEY: rounding()}))
    assert factory.attention_quantizer(Site.ATTENTION_KEY) is not factory.attention_quantizer(Site.ATTENTION_KEY)


def test_a_specification_that_does_not_fit_is_refused(sizes: Architecture) -> None:
    with pytest.raises(UserError, match="branches"):
        ModuleFactory(sizes, QuantSpec(branches={"classifier": 2}))


def parameters_of(module: nn.Module) -> set[str]:
    return {name for name, _ in module.named_parameters()}
