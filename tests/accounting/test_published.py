from __future__ import annotations

import pytest

from bebertlab.accounting.published import PUBLISHED, published_architecture
from bebertlab.accounting.size import model_size
from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import QuantSpec
from bebertlab.model.bert import meta_model


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


def test_an_unknown_name_says_what_is_known() -> None:
    with pytest.raises(UserError, match="unknown encoder 'bert-bas-uncased'; did you mean 'bert-base-uncased'"):
        published_architecture("bert-bas-uncased", classes=2)
