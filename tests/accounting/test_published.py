from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from bebertlab.accounting.published import PUBLISHED, encoder_sizes, published_architecture
from bebertlab.accounting.size import model_size
from bebertlab.config.codec import OptionsCodec
from bebertlab.errors import SetupError, UserError
from bebertlab.interfaces.architecture import Architecture, QuantSpec, Site
from bebertlab.interfaces.stage import Codec
from bebertlab.model.bert import BertClassifier, meta_model
from bebertlab.model.folder import save_model
from bebertlab.registry.manager import load_plugins
from bebertlab_binarybert import Bwn
from bebertlab_encoders.tiny import TinyEncoder

KINDS = ("pretrained", "tiny")


@pytest.fixture(scope="module")
def codec() -> Codec:
    return OptionsCodec(load_plugins().registry)


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("bert-tiny", 4.4),
        ("bert-mini", 11.2),
        ("bert-small", 28.8),
        ("bert-medium", 41.4),
        ("bert-base-uncased", 109.5),
        ("bert-base-cased", 108.3),
        ("bert-base-multilingual-cased", 177.9),
        ("bert-base-chinese", 102.3),
        ("bert-large-uncased", 335.1),
        ("bert-large-cased", 333.6),
    ],
)
def test_parameters_are_those_that_were_published(name: str, millions: float) -> None:
    """Millions of parameters without a classifier."""
    size = model_size(meta_model(published_architecture(name, classes=2), QuantSpec()))
    assert (size.total_bits - size.classifier) / 32e6 == pytest.approx(millions, abs=0.05)


def test_every_name_is_known_with_and_without_its_owner() -> None:
    for name in PUBLISHED:
        assert published_architecture(name, 3) == published_architecture(f"somebody/{name}", 3)


def test_the_small_models_are_known_by_their_sizes() -> None:
    sizes = published_architecture("google/bert_uncased_L-4_H-256_A-4", classes=2)
    assert sizes == published_architecture("bert-mini", classes=2)


def test_an_unknown_model_name_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match="unknown encoder 'bert-bas-uncased'; did you mean 'bert-base-uncased'"):
        published_architecture("bert-bas-uncased", classes=2)


def test_a_published_encoder(codec: Codec) -> None:
    sizes = encoder_sizes("bert-base-uncased", KINDS, codec, classes=3)
    assert sizes == published_architecture("bert-base-uncased", classes=3)
    assert encoder_sizes("bert-base-uncased", KINDS, codec, classes=3, vocabulary=100) == evolve(sizes, vocabulary=100)


def test_tiny_has_its_defaults(codec: Codec) -> None:
    sizes = TinyEncoder().checkpoint(vocabulary=77, classes=2, seed=0).architecture
    assert encoder_sizes("tiny", KINDS, codec, classes=2, vocabulary=77) == sizes
    assert encoder_sizes("tiny", KINDS, codec, classes=2).vocabulary == TinyEncoder().words


def test_a_folder_is_sized_for_the_requested_classes(
    pretrained: Path, pretrained_sizes: Architecture, codec: Codec
) -> None:
    assert encoder_sizes(str(pretrained), KINDS, codec, classes=2) == evolve(pretrained_sizes, classes=2)


def test_the_heads_of_a_bebertlab_folder_are_read(tmp_path: Path, pretrained_sizes: Architecture, codec: Codec) -> None:
    narrow = evolve(pretrained_sizes, heads=1, ffn=6)
    save_model(BertClassifier(narrow, QuantSpec(weights={Site.QUERY: Bwn()})), tmp_path, codec)
    assert encoder_sizes(str(tmp_path), KINDS, codec, classes=7) == evolve(narrow, classes=7)


def test_an_unknown_encoder_is_refused(tmp_path: Path, codec: Codec) -> None:
    with pytest.raises(
        UserError, match=r"encoder 'roberta': not a folder, and not known by name \(known: pretrained, tiny, bert-tiny"
    ):
        encoder_sizes("roberta", KINDS, codec, classes=2)
    with pytest.raises(SetupError, match=r"config\.json: no such file"):
        encoder_sizes(str(tmp_path), KINDS, codec, classes=2)
