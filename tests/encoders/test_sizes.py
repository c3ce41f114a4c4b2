from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from bebertlab.accounting.published import published_architecture
from bebertlab.encoders.sizes import encoder_sizes
from bebertlab.encoders.tiny import TinyEncoder
from bebertlab.errors import SetupError, UserError
from bebertlab.interfaces.architecture import Architecture, QuantSpec, Site
from bebertlab.interfaces.stage import Codec
from bebertlab.model.bert import BertClassifier
from bebertlab.model.folder import save_model
from bebertlab_binarybert import Bwn


def test_a_published_encoder(codec: Codec) -> None:
    found = encoder_sizes("bert-base-uncased", codec, classes=3)
    assert found == published_architecture("bert-base-uncased", classes=3)
    assert encoder_sizes("bert-base-uncased", codec, classes=3, vocabulary=100) == evolve(found, vocabulary=100)


def test_tiny_has_its_defaults(codec: Codec) -> None:
    sizes = TinyEncoder().checkpoint(vocabulary=77, classes=2, seed=0).architecture
    assert encoder_sizes("tiny", codec, classes=2, vocabulary=77) == sizes
    assert encoder_sizes("tiny", codec, classes=2).vocabulary == TinyEncoder().words


def test_a_folder_with_the_classes_that_are_asked_for(pretrained: Path, sizes: Architecture, codec: Codec) -> None:
    assert encoder_sizes(str(pretrained), codec, classes=2) == evolve(sizes, classes=2)


def test_a_folder_of_ours_knows_its_heads(tmp_path: Path, sizes: Architecture, codec: Codec) -> None:
    narrow = evolve(sizes, heads=1, ffn=6)
    save_model(BertClassifier(narrow, QuantSpec(weights={Site.QUERY: Bwn()})), tmp_path, codec)
    assert encoder_sizes(str(tmp_path), codec, classes=7) == evolve(narrow, classes=7)


def test_what_is_no_encoder_is_named(tmp_path: Path, codec: Codec) -> None:
    with pytest.raises(
        UserError, match=r"encoder 'roberta': no folder, and not known by name \(known: tiny, bert-tiny"
    ):
        encoder_sizes("roberta", codec, classes=2)
    with pytest.raises(SetupError, match=r"config\.json: no such file"):
        encoder_sizes(str(tmp_path), codec, classes=2)
