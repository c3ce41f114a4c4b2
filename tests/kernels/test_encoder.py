"""Encoders of signs, compared with plain numpy that does one operation after the other."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bebertlab.kernels.compiler import Kernels
from bebertlab.kernels.encoder import NormParameters, SignEncoder, SignLayer, SignLinear
from bebertlab.kernels.thresholds import BitRule

FloatArray = NDArray[np.float32]


@frozen
class Sizes:
    layers: int = 2
    hidden: int = 64
    heads: int = 2
    head_size: int = 32
    ffn: int = 128
    epsilon: float = 1e-12


def random_layers(sizes: Sizes, seed: int, *, shifts: bool = False, rule: BitRule | None = None) -> list[SignLayer]:
    rng = np.random.default_rng(seed)

    def floats(*shape: int, scale: float = 1.0) -> FloatArray:
        return (scale * rng.standard_normal(shape)).astype(np.float32)

    def linear(rows: int, columns: int) -> SignLinear:
        bits = rng.integers(0, 2, (rows, columns), dtype=np.uint8)
        scale = (2 * np.abs(floats(rows)) / columns**0.5 + 1e-3).astype(np.float32)
        bias = np.where(rng.random(rows) < 0.3, -(rng.integers(0, 4, rows) * scale), floats(rows))  # ties among them
        return SignLinear(np.packbits(bits, axis=1, bitorder="little"), scale, bias.astype(np.float32))

    def norm() -> NormParameters:
        beta = np.where(rng.random(sizes.hidden) < 0.1, np.float32(-0.0), floats(sizes.hidden, scale=0.1))
        return NormParameters(1 + floats(sizes.hidden, scale=0.1), beta.astype(np.float32))

    context = sizes.heads * sizes.head_size
    return [
        SignLayer(
            query=linear(context, sizes.hidden),
            key=linear(context, sizes.hidden),
            value=linear(context, sizes.hidden),
            output=linear(sizes.hidden, context),
            attention_norm=norm(),
            up=linear(sizes.ffn, sizes.hidden),
            down=linear(sizes.hidden, sizes.ffn),
            output_norm=norm(),
            attention_shift=floats(sizes.hidden, scale=0.3) if shifts else None,
            up_shift=floats(sizes.hidden, scale=0.3) if shifts else None,
            activation=rule,
        )
        for _ in range(sizes.layers)
    ]


def signs(bits: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.where(bits, 1, -1)


def linear(x: NDArray[np.int64], parameters: SignLinear) -> FloatArray:
    weight = signs(np.unpackbits(parameters.planes, axis=1, bitorder="little")[:, : x.shape[1]] == 1)
    count = (x @ weight.T).astype(np.float32)
    product: FloatArray = count * parameters.scale + parameters.bias
    return product


def layer_norm(x: FloatArray, parameters: NormParameters, epsilon: float) -> FloatArray:
    wide = x.astype(np.float64)
    mean = wide.sum(1, keepdims=True) / x.shape[1]
    variance = np.maximum((wide * wide).sum(1, keepdims=True) / x.shape[1] - mean * mean, 0)
    inverse = 1 / np.sqrt(variance + epsilon)
    normalized: NDArray[np.float64] = (wide - mean) * inverse * parameters.gamma + parameters.beta
    return normalized.astype(np.float32)


def input_signs(x: FloatArray, shift: FloatArray | None) -> NDArray[np.int64]:
    return signs((x if shift is None else x + shift) >= 0)


def attend(
    q: NDArray[np.int64], k: NDArray[np.int64], v: NDArray[np.int64], heads: int, *, select_zero: bool
) -> NDArray[np.int64]:
    q, k, v = (x.reshape(len(x), heads, -1).transpose(1, 0, 2) for x in (q, k, v))
    scores = q @ k.transpose(0, 2, 1)
    selected = scores >= 0 if select_zero else scores > 0
    return signs((selected.astype(np.int64) @ v >= 0).transpose(1, 0, 2).reshape(q.shape[1], -1))


def encode(hidden: FloatArray, layers: Sequence[SignLayer], sizes: Sizes, *, select_zero: bool = False) -> FloatArray:
    """The last hidden states of one sentence."""
    for layer in layers:
        x = input_signs(hidden, layer.attention_shift)
        q, k, v = (signs(linear(x, part) >= 0) for part in (layer.query, layer.key, layer.value))
        context = attend(q, k, v, sizes.heads, select_zero=select_zero)
        hidden = layer_norm(hidden + linear(context, layer.output), layer.attention_norm, sizes.epsilon)
        up = linear(input_signs(hidden, layer.up_shift), layer.up)
        intermediate = signs(up >= 0 if layer.activation is None else layer.activation(up))
        hidden = layer_norm(hidden + linear(intermediate, layer.down), layer.output_norm, sizes.epsilon)
    return hidden


def random_states(tokens: int, hidden: int, seed: int = 0) -> FloatArray:
    states = np.random.default_rng(seed).standard_normal((tokens, hidden)).astype(np.float32)
    states[::3, ::5] = -0.0
    states[1::7] = 0.0
    return states


def reference(
    states: FloatArray, lengths: list[int], sizes: Sizes, seed: int, *, select_zero: bool = False, shifts: bool = False
) -> FloatArray:
    layers = random_layers(sizes, seed, shifts=shifts)
    sentences = np.split(states, np.cumsum(lengths)[:-1])
    return np.concatenate([encode(sentence, layers, sizes, select_zero=select_zero) for sentence in sentences])


def packed(
    sizes: Sizes, seed: int, kernels: Kernels, *, select_zero: bool = False, shifts: bool = False
) -> SignEncoder:
    layers = random_layers(sizes, seed, shifts=shifts)
    return SignEncoder.of(layers, sizes.heads, sizes.epsilon, select_zero=select_zero, kernels=kernels)


def starts(lengths: list[int]) -> NDArray[np.intp]:
    return np.cumsum([0, *lengths[:-1]])


@settings(max_examples=40)
@given(
    sizes=st.builds(
        Sizes,
        layers=st.integers(1, 2),
        hidden=st.integers(1, 70) | st.sampled_from([64, 128]),
        heads=st.integers(1, 3),
        head_size=st.integers(1, 40) | st.sampled_from([64, 65, 128]),
        ffn=st.integers(1, 140),
    ),
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    seed=st.integers(0, 99),
    select_zero=st.booleans(),
    shifts=st.booleans(),
)
def test_every_state_is_exact(
    encoders: Kernels, sizes: Sizes, lengths: list[int], seed: int, select_zero: bool, shifts: bool
) -> None:
    states = random_states(sum(lengths), sizes.hidden, seed)
    expected = reference(states, lengths, sizes, seed, select_zero=select_zero, shifts=shifts)
    encoder = packed(sizes, seed, encoders, select_zero=select_zero, shifts=shifts)
    np.testing.assert_array_equal(encoder(states, lengths, first_token=False), expected)
    np.testing.assert_array_equal(encoder(states, lengths), expected[starts(lengths)])


@pytest.mark.parametrize("lengths", [[512], [1], [17], [16] * 20, [300, 1, 2, 250, 33], [1] * 70])
def test_sentences_of_any_lengths(encoders: Kernels, lengths: list[int]) -> None:
    sizes = Sizes(heads=4, head_size=16)
    states = random_states(sum(lengths), sizes.hidden)
    expected, encoder = reference(states, lengths, sizes, 3), packed(sizes, 3, encoders)
    np.testing.assert_array_equal(encoder(states, lengths, first_token=False), expected)
    np.testing.assert_array_equal(encoder(states, lengths), expected[starts(lengths)])


def test_the_shape_of_bert_base(encoders: Kernels) -> None:
    sizes = Sizes(layers=1, hidden=768, heads=12, head_size=64, ffn=3072)
    states = random_states(20, 768)
    expected = reference(states, [20], sizes, 5)
    np.testing.assert_array_equal(packed(sizes, 5, encoders)(states, [20], first_token=False), expected)


def test_an_activation_with_two_thresholds(encoders: Kernels) -> None:
    def rule(y: FloatArray) -> NDArray[np.bool_]:
        return (y >= 0.25) | (y < -0.75)

    sizes = Sizes()
    layers = random_layers(sizes, 7, rule=rule)
    states = random_states(33, sizes.hidden)
    encoder = SignEncoder.of(layers, sizes.heads, sizes.epsilon, kernels=encoders)
    np.testing.assert_array_equal(encoder(states, [33], first_token=False), encode(states, layers, sizes))


def test_buffers_of_long_calls_do_not_show_in_short_ones(encoders: Kernels) -> None:
    sizes = Sizes(hidden=40, heads=3, head_size=20, ffn=70)
    encoder = packed(sizes, 9, encoders)
    encoder(random_states(200, 40, seed=1), [200])
    states = random_states(5, 40, seed=2)
    np.testing.assert_array_equal(encoder(states, [5], first_token=False), reference(states, [5], sizes, 9))


def test_rows_without_variance_have_no_nan(encoders: Kernels) -> None:
    sizes = Sizes(layers=1)
    states = np.full((3, sizes.hidden), 1e4, np.float32)
    result = packed(sizes, 11, encoders)(states, [3], first_token=False)
    assert np.isfinite(result).all()
    np.testing.assert_array_equal(result, reference(states, [3], sizes, 11))


def test_nan_in_one_sentence_stays_there(encoders: Kernels) -> None:
    sizes = Sizes()
    encoder, states = packed(sizes, 13, encoders), random_states(12, sizes.hidden)
    expected = encoder(states, [5, 7])
    states[:5] = np.nan
    np.testing.assert_array_equal(encoder(states, [5, 7])[1], expected[1])
    np.testing.assert_array_equal(encoder(random_states(12, sizes.hidden), [5, 7]), expected)


def test_a_copy_computes_after_the_original_is_gone(encoders: Kernels) -> None:
    sizes = Sizes()
    layers, hidden = random_layers(sizes, 0), random_states(5, sizes.hidden)
    encoder = SignEncoder.of(layers, sizes.heads, sizes.epsilon, kernels=encoders)
    copied = copy.deepcopy(encoder)
    expected = encoder(hidden, [5])
    del encoder
    assert np.array_equal(copied(hidden, [5]), expected)


def test_threads_share_an_encoder(encoders: Kernels) -> None:
    sizes = Sizes(hidden=128, ffn=256)
    encoder = packed(sizes, 15, encoders)
    inputs = [random_states(tokens, sizes.hidden, tokens) for tokens in (3, 64, 17, 40)]
    expected = [encoder(states, [len(states)]) for states in inputs]
    with ThreadPoolExecutor(8) as pool:
        results = pool.map(lambda index: encoder(inputs[index % 4], [len(inputs[index % 4])]), range(80))
        for index, result in enumerate(results):
            np.testing.assert_array_equal(result, expected[index % 4])


@pytest.mark.parametrize("threads", [2, 3, 50])
@pytest.mark.parametrize("first_token", [True, False])
def test_threads_share_the_sentences_of_a_call(encoders: Kernels, threads: int, first_token: bool) -> None:
    lengths = [30, 1, 17, 64, 5, 5, 250, 16]
    sizes = Sizes(hidden=64, ffn=128)
    encoder, states = packed(sizes, 17, encoders), random_states(sum(lengths), sizes.hidden)
    expected = encoder(states, lengths, first_token=first_token)
    results = encoder(states, lengths, first_token=first_token, threads=threads)
    np.testing.assert_array_equal(results, expected)


@pytest.mark.parametrize("lengths", [[3, 2], [4, 0], [5, -1], []])
def test_lengths_must_fit(encoders: Kernels, lengths: list[int]) -> None:
    sizes = Sizes(layers=1)
    with pytest.raises(ValueError, match="lengths must be positive"):
        packed(sizes, 1, encoders)(random_states(4, sizes.hidden), lengths)


def test_states_must_have_the_features_of_the_model(encoders: Kernels) -> None:
    with pytest.raises(ValueError, match="lengths must be positive"):
        packed(Sizes(layers=1), 1, encoders)(random_states(4, 65), [4])
