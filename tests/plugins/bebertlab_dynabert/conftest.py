"""The model and the batch of the golden file of DynaBERT."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import torch

from bebertlab.api import Architecture, Batch, Checkpoint, Design

if TYPE_CHECKING:
    from tests.conftest import Golden


@pytest.fixture
def vectors(golden: Callable[[str], Golden]) -> Golden:
    return golden("dynabert")


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
    state = {name.removeprefix("state/"): t for name, t in vectors.tensors.items() if name.startswith("state/")}
    return Checkpoint(architecture=architecture, design=Design(), tensors=state)


@pytest.fixture
def batch(vectors: Golden) -> Batch:
    t = vectors.tensors
    return Batch(
        positions=torch.arange(len(t["in/labels"])),
        tokens=t["in/input_ids"],
        segments=t["in/token_type_ids"],
        mask=t["in/attention_mask"].bool(),
        labels=t["in/labels"],
    )
