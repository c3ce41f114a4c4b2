"""A pretrained model small enough for a test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import save_file

from bebertlab.interfaces.architecture import Architecture
from bebertlab.model.checkpoint import random_checkpoint
from bebertlab.model.huggingface import configuration

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "##s", "dog", "run")


@pytest.fixture
def sizes() -> Architecture:
    return Architecture(
        vocabulary=len(WORDS), positions=16, hidden=8, heads=2, head_size=4, ffn=12, layers=3, classes=5
    )


@pytest.fixture
def pretrained(sizes: Architecture, tmp_path: Path) -> Path:
    """A folder as the hub has it: tokenizer, configuration, weights with a classifier of another task."""
    folder = tmp_path / "pretrained"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(configuration(sizes)))
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}))
    (folder / "README.md").write_text("not part of the model")
    save_file(dict(random_checkpoint(sizes, seed=7).tensors), folder / "model.safetensors", metadata={"format": "pt"})
    return folder
