from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from bebertlab.accounting.operations import TOKENS, model_operations, usual_tokens
from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import LINEAR_SITES, Architecture, QuantSpec, Site
from bebertlab.model.spec import quantizable_modules
from bebertlab_bibert import BibertScheme
from bebertlab_binarybert import BinaryBert, Bwn, Lsq, TernaryBert, Twn, Uniform
from bebertlab_bit import Bit

BASE = Architecture(vocabulary=30522, positions=512, hidden=768, heads=12, head_size=64, ffn=3072, layers=12, classes=2)
HALF = evolve(BASE, heads=6, ffn=1536)


def test_full_precision_by_its_published_terms() -> None:
    gigaflops = model_operations(BASE, QuantSpec())
    assert gigaflops.linear == 2 * 128 * 84_934_656
    assert gigaflops.attention == 2 * 2 * 128**2 * 768 * 12
    assert gigaflops.gigaflops == pytest.approx(21.74 + 0.604, abs=0.005)
    assert gigaflops.gigaflops == pytest.approx(22.4, abs=0.06)


@pytest.mark.parametrize(
    ("spec", "gigaflops"),
    [
        (BinaryBert(activation_bits=8).spec(), 3.3),
        (BinaryBert(activation_bits=4).spec(), 1.5),
        (Bit(activation_bits=4).spec(), 1.5),
        (Bit(activation_bits=2).spec(), 0.72),
        (Bit().spec(), 0.35),
        (BibertScheme().spec(), 0.35),
        (TernaryBert().spec(), 6.04),
    ],
)
def test_the_published_operations(spec: QuantSpec, gigaflops: float) -> None:
    """Papers print 3.1, 1.5, 0.8 and 0.4."""
    assert model_operations(BASE, spec).gigaflops == pytest.approx(gigaflops, abs=0.025)


def test_a_small_model_matches_manual_calculation(sizes: Architecture) -> None:
    """Hidden 16, attention 12, feed-forward 24, two layers, five tokens; queries only are quantized."""
    spec = QuantSpec(
        weights={Site.QUERY: Twn(), Site.POOLER: Twn()},
        inputs={Site.QUERY: Lsq(bits=4), Site.POOLER: Lsq(bits=4)},
        attention={Site.ATTENTION_QUERY: Lsq(bits=4), Site.ATTENTION_KEY: Lsq(bits=2)},
    )
    gigaflops = model_operations(sizes, spec, tokens=5)
    query, remaining = 16 * 12, 2 * 16 * 12 + 12 * 16 + 16 * 24 + 24 * 16
    assert gigaflops.linear == 2 * 2 * 5 * (query * 2 * 4 / 64 + remaining)
    assert gigaflops.attention == 2 * 2 * 5 * 5 * 12 * (4 * 2 / 64 + 1)
    assert gigaflops.total == gigaflops.linear + gigaflops.attention
    assert gigaflops.times(3).total == 3 * gigaflops.total


def test_branches_add_up_in_operations() -> None:
    spec = BinaryBert(activation_bits=4).spec()
    split = spec.with_branches(dict.fromkeys(quantizable_modules(BASE), 2))
    half, whole = model_operations(HALF, split), model_operations(BASE, spec)
    assert half.linear == whole.linear
    assert half.attention == whole.attention / 2  # the heads are not split
    item = spec.with_branches({"bert.encoder.layer.0.output.dense": 2})
    more = model_operations(BASE, item).linear - whole.linear
    assert more == 2 * 128 * 768 * 3072 * 4 / 64


@pytest.mark.parametrize("one_sided", [{"weights": Bwn()}, {"inputs": Uniform()}])
def test_a_product_with_one_quantized_factor_counts_as_full_precision(one_sided: dict[str, Bwn | Uniform]) -> None:
    ((field, options),) = one_sided.items()
    spec = evolve(QuantSpec(), **{field: dict.fromkeys(LINEAR_SITES, options)})  # type: ignore[arg-type]
    assert model_operations(BASE, spec) == model_operations(BASE, QuantSpec())


def test_many_bits_cost_no_more_than_full_precision() -> None:
    wide = Uniform(bits=16)
    spec = QuantSpec(weights=dict.fromkeys(LINEAR_SITES, wide), inputs=dict.fromkeys(LINEAR_SITES, wide))
    assert model_operations(BASE, spec) == model_operations(BASE, QuantSpec())


@given(tokens=st.integers(1, 256), bits=st.integers(2, 7))
def test_more_tokens_and_more_bits_cost_more(tokens: int, bits: int) -> None:
    def gigaflops(tokens: int, bits: int) -> float:
        spec = QuantSpec(
            weights=dict.fromkeys(LINEAR_SITES, Bwn()), inputs=dict.fromkeys(LINEAR_SITES, Uniform(bits=bits))
        )
        return model_operations(BASE, spec, tokens).total

    assert gigaflops(tokens, bits) < gigaflops(tokens, bits + 1)
    assert gigaflops(2 * tokens, bits) > 2 * gigaflops(tokens, bits)


@pytest.mark.parametrize("tokens", [0, 513])
def test_a_length_without_positions_is_refused(tokens: int) -> None:
    with pytest.raises(UserError, match=rf"^tokens must be in \[1, 512\], the positions of the model; got {tokens}$"):
        model_operations(BASE, QuantSpec(), tokens)


def test_models_are_compared_at_the_sequence_length_of_papers_where_possible(sizes: Architecture) -> None:
    assert (usual_tokens(BASE), usual_tokens(sizes)) == (TOKENS, 12) == (128, 12)
