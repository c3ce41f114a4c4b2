"""The model and the batch of the golden file of DynaBERT."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from bebertlab.api import Architecture, Batch, Checkpoint, QuantSpec

if TYPE_CHECKING:
    from tests.conftest import Golden


@pytest.fixture
def vectors(golden: Callable[[str], Golden]) -> Golden:
    return golden("dynabert").of("DynaBERT")


@pytest.fixture
def cases(vectors: Golden) -> Callable[[str], list[dict[str, Any]]]:
    """The cases of a kind: 'importance', 'part' of the model, or such a part after it was 'reordered'."""
    return lambda kind: [case for case in vectors.cases if _kind_of(case) == kind]


def _kind_of(case: dict[str, Any]) -> str:
    if "batch_size" in case:
        return "importance"
    if "width_mult" in case or "depth_mult" in case:
        return "reordered" if case["name"].startswith("reordered") else "part"
    raise ValueError(f"{case['name']} is of a kind that no test compares")


@pytest.fixture
def whole(vectors: Golden) -> Checkpoint:
    """The model that the file's widths, depths and importances are of."""
    config = vectors.meta["config"]
    architecture = Architecture(
        vocabulary=config["vocab_size"],
        positions=config["max_position_embeddings"],
        segments=config["type_vocab_size"],
        hidden=config["hidden_size"],
        heads=config["num_attention_heads"],
        head_size=config["hidden_size"] // config["num_attention_heads"],
        ffn=config["intermediate_size"],
        layers=config["num_hidden_layers"],
        classes=config["num_labels"],
        activation=config["hidden_act"],
        norm_epsilon=config["layer_norm_eps"],
    )
    return Checkpoint(architecture=architecture, spec=QuantSpec(), tensors=vectors.below("state"))


@pytest.fixture
def batch(vectors: Golden) -> Batch:
    return vectors.batch()
