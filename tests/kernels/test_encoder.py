"""Encoders of signs, compared with plain numpy that does one operation after the other."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bebertlab.kernels.compiler import Kernels
from bebertlab.kernels.encoder import SignEncoder
from bebertlab.kernels.encoder_layers import NormParameters, SignLayer, SignLinear
from bebertlab.kernels.selection import Softmax, SoftmaxSelection
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


def random_layers(
    sizes: Sizes,
    seed: int,
    *,
    shifts: bool = False,
    softmax: bool = False,
    step: float = 0.7,
    border: float = 0.04,
    rule: BitRule | None = None,
) -> list[SignLayer]:
    """Layers; with `shifts` all of them differ, and the inputs of the last linear map are 0 and 1."""
    rng = np.random.default_rng(seed)

    def floats(*shape: int, scale: float = 1.0) -> FloatArray:
        return (scale * rng.standard_normal(shape)).astype(np.float32)

    def linear(rows: int, columns: int, zero_one: bool = False) -> SignLinear:
        bits = rng.integers(0, 2, (rows, columns), dtype=np.uint8)
        scale = (2 * np.abs(floats(rows)) / columns**0.5 + 1e-3).astype(np.float32)
        bias = np.where(rng.random(rows) < 0.3, -(rng.integers(0, 4, rows) * scale), floats(rows))  # ties among them
        return SignLinear(np.packbits(bits, axis=1, bitorder="little"), scale, bias.astype(np.float32), zero_one)

    def norm() -> NormParameters:
        beta = np.where(rng.random(sizes.hidden) < 0.1, np.float32(-0.0), floats(sizes.hidden, scale=0.1))
        return NormParameters(1 + floats(sizes.hidden, scale=0.1), beta.astype(np.float32))

    def shift(features: int) -> FloatArray | None:
        return floats(features, scale=0.3) if shifts else None

    def decision(features: int) -> BitRule:
        return BitRule(shift=shift(features), border=np.float32(0.125 if shifts else 0))

    def selection() -> SoftmaxSelection:
        return SoftmaxSelection(step=np.float32(step), factor=np.float32(0.3), border=np.float32(border))

    context = sizes.heads * sizes.head_size
    return [
        SignLayer(
            query=linear(context, sizes.hidden),
            key=linear(context, sizes.hidden),
            value=linear(context, sizes.hidden),
            output=linear(sizes.hidden, context),
            attention_norm=norm(),
            up=linear(sizes.ffn, sizes.hidden),
            down=linear(sizes.hidden, sizes.ffn, shifts),
            output_norm=norm(),
            query_shift=shift(sizes.hidden),
            key_shift=shift(sizes.hidden),
            value_shift=shift(sizes.hidden),
            up_shift=shift(sizes.hidden),
            query_rule=decision(context),
            key_rule=decision(context),
            value_rule=decision(context),
            up_rule=decision(sizes.ffn) if rule is None else rule,
            context_rule=decision(context) if shifts else None,
            context_scale=np.float32(0.6),
            softmax=selection() if softmax else None,
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


def decide(y: FloatArray, rule: BitRule | None) -> NDArray[np.bool_]:
    rule = BitRule() if rule is None else rule
    y = y if rule.activation is None else rule.activation(y)
    bits: NDArray[np.bool_] = (y if rule.shift is None else y + rule.shift) >= rule.border
    return bits


def write_softmax(scores: FloatArray, probabilities: FloatArray) -> None:
    """Whose last digits depend on the length of the rows, as those of fast ones do."""
    probabilities[:] = np.exp(scores - scores.max(1, keepdims=True))
    probabilities /= np.add.reduceat(probabilities, [0, scores.shape[1] // 2], 1).sum(1, keepdims=True)


def counting(rows: list[int]) -> Softmax:
    """A softmax that notes how many rows it is asked for."""

    def write(scores: FloatArray, probabilities: FloatArray) -> None:
        rows.append(len(scores))
        write_softmax(scores, probabilities)

    return write


def select(
    scores: NDArray[np.int64], softmax: SoftmaxSelection | None, row_length: int, *, select_zero: bool
) -> NDArray[np.bool_]:
    """Which keys are selected, by sums of products (heads, queries, keys)."""
    if softmax is None:
        return scores >= 0 if select_zero else scores > 0
    padded = np.full((*scores.shape[:2], row_length), -10_000, np.float32)
    padded[:, :, : scores.shape[2]] = scores.astype(np.float32) * softmax.step * softmax.factor
    rows = padded.reshape(-1, row_length)
    probabilities = np.empty_like(rows)
    write_softmax(rows, probabilities)
    return probabilities.reshape(padded.shape)[:, :, : scores.shape[2]] >= softmax.border


def encode(
    hidden: FloatArray,
    layers: Sequence[SignLayer],
    sizes: Sizes,
    *,
    select_zero: bool = False,
    row_length: int | None = None,
) -> FloatArray:
    """The last hidden states of one sentence."""
    tokens = len(hidden)
    for layer in layers:
        inputs = (layer.query_shift, layer.key_shift, layer.value_shift)
        x, y, z = (input_signs(hidden, shift) for shift in inputs)
        parts = ((x, layer.query, layer.query_rule), (y, layer.key, layer.key_rule), (z, layer.value, layer.value_rule))
        bits = (signs(decide(linear(part, weights), rule)) for part, weights, rule in parts)
        q, k, v = (x.reshape(tokens, sizes.heads, -1).transpose(1, 0, 2) for x in bits)
        length = tokens if row_length is None else row_length
        selected = select(q @ k.transpose(0, 2, 1), layer.softmax, length, select_zero=select_zero)
        sums = (selected.astype(np.int64) @ v).transpose(1, 0, 2).reshape(tokens, -1)
        context = signs(decide(sums.astype(np.float32) * layer.context_scale, layer.context_rule))
        hidden = layer_norm(hidden + linear(context, layer.output), layer.attention_norm, sizes.epsilon)
        up = decide(linear(input_signs(hidden, layer.up_shift), layer.up), layer.up_rule)
        intermediate = up.astype(np.int64) if layer.down.zero_one else signs(up)
        hidden = layer_norm(hidden + linear(intermediate, layer.down), layer.output_norm, sizes.epsilon)
    return hidden


def random_states(tokens: int, hidden: int, seed: int = 0) -> FloatArray:
    states = np.random.default_rng(seed).standard_normal((tokens, hidden)).astype(np.float32)
    states[::3, ::5] = -0.0
    states[1::7] = 0.0
    return states


def reference(
    states: FloatArray,
    lengths: list[int],
    sizes: Sizes,
    seed: int,
    *,
    select_zero: bool = False,
    padding: int = 0,
    **options: Any,  # noqa: ANN401 - of layers
) -> FloatArray:
    layers = random_layers(sizes, seed, **options)
    sentences = np.split(states, np.cumsum(lengths)[:-1])
    row_length = max(lengths) + padding
    return np.concatenate(
        [encode(sentence, layers, sizes, select_zero=select_zero, row_length=row_length) for sentence in sentences]
    )


def packed(sizes: Sizes, seed: int, kernels: Kernels, **options: Any) -> SignEncoder:  # noqa: ANN401 - of layers
    select_zero = options.pop("select_zero", False)
    softmax = write_softmax if options.get("softmax") else None
    layers = random_layers(sizes, seed, **options)
    return SignEncoder.of(layers, sizes.heads, sizes.epsilon, select_zero=select_zero, softmax=softmax, kernels=kernels)


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
    attention=st.sampled_from(["positive", "not negative", "softmax", "close"]),
    shifts=st.booleans(),
    padding=st.integers(0, 40),
)
def test_every_state_is_exact(
    encoders: Kernels, sizes: Sizes, lengths: list[int], seed: int, attention: str, shifts: bool, padding: int
) -> None:
    states = random_states(sum(lengths), sizes.hidden, seed)
    options: dict[str, Any] = {"select_zero": attention == "not negative", "shifts": shifts}
    options |= {"softmax": attention in ("softmax", "close"), "step": 1e-5 if attention == "close" else 0.7}
    expected = reference(states, lengths, sizes, seed, padding=padding, **options)
    encoder, row_length = packed(sizes, seed, encoders, **options), max(lengths) + padding
    np.testing.assert_array_equal(encoder(states, lengths, first_token=False, row_length=row_length), expected)
    np.testing.assert_array_equal(encoder(states, lengths, row_length=row_length), expected[starts(lengths)])


@pytest.mark.parametrize("lengths", [[512], [1], [17], [16] * 20, [300, 1, 2, 250, 33], [1] * 70])
@pytest.mark.parametrize("softmax", [False, True])
def test_sentences_of_any_lengths(encoders: Kernels, lengths: list[int], softmax: bool) -> None:
    sizes = Sizes(heads=4, head_size=16)
    states = random_states(sum(lengths), sizes.hidden)
    expected = reference(states, lengths, sizes, 3, softmax=softmax)
    encoder = packed(sizes, 3, encoders, softmax=softmax)
    np.testing.assert_array_equal(encoder(states, lengths, first_token=False), expected)
    np.testing.assert_array_equal(encoder(states, lengths), expected[starts(lengths)])


@pytest.mark.parametrize("softmax", [False, True])
def test_the_shape_of_bert_base(encoders: Kernels, softmax: bool) -> None:
    sizes = Sizes(layers=1, hidden=768, heads=12, head_size=64, ffn=3072)
    states = random_states(20, 768)
    expected = reference(states, [20], sizes, 5, softmax=softmax, shifts=softmax)
    encoder = packed(sizes, 5, encoders, softmax=softmax, shifts=softmax)
    np.testing.assert_array_equal(encoder(states, [20], first_token=False), expected)


def test_an_activation_with_two_thresholds(encoders: Kernels) -> None:
    def activation(y: FloatArray) -> FloatArray:
        return np.where((y >= 0.25) | (y < -0.75), np.abs(y), -1)

    sizes = Sizes()
    layers = random_layers(sizes, 7, rule=BitRule(activation=activation, nondecreasing=False))
    states = random_states(33, sizes.hidden)
    encoder = SignEncoder.of(layers, sizes.heads, sizes.epsilon, kernels=encoders)
    np.testing.assert_array_equal(encoder(states, [33], first_token=False), encode(states, layers, sizes))


@pytest.mark.parametrize("softmax", [False, True])
def test_buffers_of_long_calls_do_not_show_in_short_ones(encoders: Kernels, softmax: bool) -> None:
    sizes = Sizes(hidden=40, heads=3, head_size=20, ffn=70)
    encoder = packed(sizes, 9, encoders, softmax=softmax)
    for before in ([200], [3, 1]):  # longer, then shorter
        encoder(random_states(sum(before), 40, seed=1), before)
        states = random_states(5, 40, seed=2)
        expected = reference(states, [5], sizes, 9, softmax=softmax)
        np.testing.assert_array_equal(encoder(states, [5], first_token=False), expected)


@pytest.mark.parametrize("first", [[1] * 40, [40]])
def test_buffers_grow_with_the_rows_of_a_softmax(encoders: Kernels, first: list[int]) -> None:
    sizes = Sizes(layers=1)
    encoder = packed(sizes, 9, encoders, softmax=True)
    states = random_states(40, sizes.hidden)
    for lengths, padding in ((first, 0), ([3, 2], 500), ([40], 300), ([1] * 40, 2)):
        part, row_length = states[: sum(lengths)], max(lengths) + padding
        expected = reference(part, lengths, sizes, 9, softmax=True, padding=padding)
        np.testing.assert_array_equal(encoder(part, lengths, first_token=False, row_length=row_length), expected)


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


@pytest.mark.parametrize("softmax", [False, True])
def test_threads_share_an_encoder(encoders: Kernels, softmax: bool) -> None:
    sizes = Sizes(hidden=128, ffn=256)
    encoder = packed(sizes, 15, encoders, softmax=softmax)
    inputs = [random_states(tokens, sizes.hidden, tokens) for tokens in (3, 64, 17, 40)]
    expected = [encoder(states, [len(states)]) for states in inputs]
    with ThreadPoolExecutor(8) as pool:
        results = pool.map(lambda index: encoder(inputs[index % 4], [len(inputs[index % 4])]), range(80))
        for index, result in enumerate(results):
            np.testing.assert_array_equal(result, expected[index % 4])


@pytest.mark.parametrize("threads", [2, 3, 50])
@pytest.mark.parametrize("first_token", [True, False])
@pytest.mark.parametrize("softmax", [False, True])
def test_threads_share_the_sentences_of_a_call(
    encoders: Kernels, threads: int, first_token: bool, softmax: bool
) -> None:
    lengths = [30, 1, 17, 64, 5, 5, 250, 16]
    sizes = Sizes(hidden=64, ffn=128)
    encoder, states = packed(sizes, 17, encoders, softmax=softmax), random_states(sum(lengths), sizes.hidden)
    expected = encoder(states, lengths, first_token=first_token)
    results = encoder(states, lengths, first_token=first_token, threads=threads)
    np.testing.assert_array_equal(results, expected)


@pytest.mark.parametrize(("lengths", "features"), [([3, 2], 64), ([4, 0], 64), ([5, -1], 64), ([], 64), ([4], 65)])
def test_lengths_and_features_must_fit(encoders: Kernels, lengths: list[int], features: int) -> None:
    with pytest.raises(ValueError, match="lengths must be positive"):
        packed(Sizes(layers=1), 1, encoders)(random_states(4, features), lengths)


@pytest.mark.parametrize("lengths", [[1, 1, 1], [20, 1, 7, 1], [1]])
def test_probabilities_at_the_border_are_those_of_the_softmax(encoders: Kernels, lengths: list[int]) -> None:
    """The only key of a sentence has a probability of exactly 1."""
    sizes, rows = Sizes(layers=3), list[int]()
    layers = random_layers(sizes, 4, softmax=True, border=1.0)
    encoder = SignEncoder.of(layers, sizes.heads, sizes.epsilon, softmax=counting(rows), kernels=encoders)
    states = random_states(sum(lengths), sizes.hidden)
    expected = reference(states, lengths, sizes, 4, softmax=True, border=1.0)
    np.testing.assert_array_equal(encoder(states, lengths, first_token=False), expected)
    assert rows == [sizes.heads * lengths.count(1)] * sizes.layers  # and no others
    np.testing.assert_array_equal(encoder(states, lengths), expected[starts(lengths)])


@pytest.mark.parametrize(("length", "step", "every"), [(30, 0.7, False), (300, 0.7, True), (30, 1e-5, True)])
def test_a_softmax_is_computed_where_sums_do_not_decide(
    encoders: Kernels, length: int, step: float, every: bool
) -> None:
    sizes, rows = Sizes(layers=2), list[int]()
    layers = random_layers(sizes, 4, softmax=True, step=step)
    encoder = SignEncoder.of(layers, sizes.heads, sizes.epsilon, softmax=counting(rows), kernels=encoders)
    encoder(random_states(length, sizes.hidden), [length], first_token=False)
    assert rows == ([sizes.heads * length] * 2 if every else [])


def test_rows_must_have_the_length_of_the_longest_sentence(encoders: Kernels) -> None:
    encoder = packed(Sizes(layers=1), 1, encoders, softmax=True)
    with pytest.raises(ValueError, match="row_length is 2, but a sentence has 3 tokens"):
        encoder(random_states(4, 64), [3, 1], row_length=2)


@pytest.mark.parametrize("softmax", [False, True])
def test_a_softmax_is_given_where_layers_have_one(encoders: Kernels, softmax: bool) -> None:
    layers = random_layers(Sizes(), 1, softmax=softmax)
    with pytest.raises(ValueError, match="softmax must be given where layers have one"):
        SignEncoder.of(layers, 2, 1e-12, softmax=None if softmax else write_softmax, kernels=encoders)
