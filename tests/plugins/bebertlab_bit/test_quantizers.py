from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable
from typing import Any, Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from bebertlab.api import UserError
from bebertlab.model.embedding import QuantizedEmbedding
from bebertlab.testing import check_quantizer
from bebertlab_bit import CentredSign, Elastic
from bebertlab_bit.quantizers import SMALLEST, ElasticQuantizer, Levels, add_shift, groups, new_shift, quantize, scaled

X = torch.tensor([[-2.0, -0.5, 0.0], [0.25, 1.0, 3.0]])
KINDS = list(itertools.product((1, 2, 4), (True, False)))
Granularity = Literal["tensor", "row"]
CENTRED = torch.tensor([[1.0, -3.0, 0.5], [4.0, 0.0, 0.5]])  # its mean is 0.5


def quantizer_with(scale: float, shift: list[float] | None = None, **options: Any) -> ElasticQuantizer:  # noqa: ANN401
    quantizer = Elastic(shift=shift is not None, **options).build(torch.Size([len(shift or X[0])]))
    state = {"scale": torch.tensor(scale), "initialised": torch.tensor(True)}
    quantizer.load_state_dict(state if shift is None else {**state, "shift": torch.tensor(shift)})
    return quantizer


def gradients(quantizer: ElasticQuantizer, x: Tensor, upstream: Tensor) -> tuple[Tensor, Tensor]:
    x = x.clone().requires_grad_()
    quantizer(x).backward(upstream)
    assert x.grad is not None
    assert quantizer.scale.grad is not None
    return x.grad, quantizer.scale.grad


@pytest.mark.parametrize("as_published", [False, True])
@pytest.mark.parametrize(("bits", "signed"), KINDS)
def test_keeps_the_quantizer_contract(bits: int, signed: bool, as_published: bool) -> None:
    check_quantizer(Elastic(bits=bits, signed=signed, as_published=as_published))


@pytest.mark.parametrize(("bits", "signed"), KINDS)
def test_keeps_the_contract_with_a_shift(bits: int, signed: bool) -> None:
    check_quantizer(Elastic(bits=bits, signed=signed, shift=True))


@pytest.mark.parametrize(
    ("bits", "signed", "levels"),
    [
        (1, True, [-2, -2, 2, 2, 2, 2]),
        (1, False, [0, 0, 0, 0, 0, 2]),  # the threshold is half the scale, and a tie is even
        (2, True, [-2, 0, 0, 0, 0, 2]),
        (2, False, [-2, 0, 0, 0, 2, 2]),  # from the smallest value up
    ],
)
def test_levels_match_manual_calculation(bits: int, signed: bool, levels: list[float]) -> None:
    assert quantizer_with(2.0, bits=bits, signed=signed)(X).flatten().tolist() == levels


def test_a_shift_moves_the_threshold_of_its_channel_only() -> None:
    assert quantizer_with(2.0, [1.0, 0.0, -9.0])(X).tolist() == [[-2.0, -2.0, -2.0], [2.0, 2.0, -2.0]]
    assert quantizer_with(2.0, [3.5, 0.0, 0.0], signed=False)(X).tolist() == [[2.0, 0.0, 0.0], [2.0, 0.0, 2.0]]


@pytest.mark.parametrize(
    ("bits", "signed", "factor", "high"), [(1, True, 2, 1), (1, False, 4, 1), (2, True, 2, 1), (4, False, 4, 15)]
)
def test_the_first_training_batch_sets_the_scale_and_no_other(bits: int, signed: bool, factor: int, high: int) -> None:
    quantizer = Elastic(bits=bits, signed=signed, shift=True).build(X.shape)
    assert quantizer.shift is not None
    torch.nn.init.constant_(quantizer.shift, 0.5)
    evaluated = copy.deepcopy(quantizer).eval()(X)
    assert torch.equal(quantizer(X), evaluated)  # before training a tensor sets it for itself
    first = factor * (X + 0.5).abs().mean().item() / math.sqrt(high)
    assert quantizer.scale.item() == pytest.approx(first)
    quantizer(10 * X)
    assert quantizer.scale.item() == pytest.approx(first)


def test_evaluation_keeps_no_scale() -> None:
    quantizer = Elastic().build(X.shape).eval()
    quantizer(X)
    assert not quantizer.initialised
    assert quantizer.scale.item() == 1.0


def test_the_initialized_flag_of_the_scale_is_saved() -> None:
    quantizer = quantizer_with(1.0)
    restored = Elastic().build(X.shape)
    restored(X)
    restored.load_state_dict(quantizer.state_dict())
    restored(100 * X)
    assert restored.scale.item() == 1.0
    restored.load_state_dict(Elastic().build(X.shape).state_dict())  # not set
    restored(100 * X)
    assert restored.scale.item() == pytest.approx(200 * X.abs().mean().item())


def test_the_gradients_of_two_signs_match_manual_calculation() -> None:
    quantizer = quantizer_with(1.0, [0.0, 0.5, 0.0])
    upstream = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    passed, slope = gradients(quantizer, X, upstream)  # shifted: -2 0 0, 0.25 1.5 3
    assert passed.tolist() == [[0.0, 2.0, 3.0], [4.0, 0.0, 0.0]]
    assert slope.item() == pytest.approx((-1 + 2 + 3 + 4 + 5 + 6) / math.sqrt(6))
    assert quantizer.shift is not None
    assert quantizer.shift.grad is not None
    assert quantizer.shift.grad.tolist() == [4.0, 2.0, 3.0]


def test_the_gradients_of_zero_and_one_match_manual_calculation() -> None:
    passed, slope = gradients(quantizer_with(2.0, signed=False), X, torch.ones_like(X))
    # in steps: -1, -0.25, 0, 0.125, 0.5, 1.5
    assert passed.tolist() == [[0.0, 0.0, 1.0], [1.0, 1.0, 0.0]]
    assert slope.item() == pytest.approx((0 - 0.125 - 0.5 + 1) / math.sqrt(6))


def test_the_window_ends_at_the_scale_itself() -> None:
    a = torch.tensor(0.3)
    x = torch.stack([a, -a, torch.nextafter(a, 9 * a), torch.nextafter(-a, -9 * a)])
    passed, _ = gradients(quantizer_with(float(a)), x, torch.ones(4))
    assert passed.tolist() == [1.0, 1.0, 0.0, 0.0]


@pytest.mark.parametrize(("bits", "signed"), KINDS)
def test_gradients_are_slopes_of_the_surrogate(bits: int, signed: bool) -> None:
    """Rounding held fixed, q is smooth in the scale and, inside the levels, moves with the shift."""
    x = torch.tensor([[0.37, -1.3, 0.9, 0.05, 5.0]], dtype=torch.float64)
    upstream = torch.tensor([[1.0, -2.0, 0.5, 3.0, 1.5]], dtype=torch.float64)
    a, shift, h = 0.4, [0.03, -0.02, 0.011, 0.0, 0.2], 1e-6
    quantizer = quantizer_with(a, shift, bits=bits, signed=signed).double()
    low, high, offsets = quantizer.levels.low, quantizer.levels.high, torch.tensor(shift, dtype=torch.float64)
    z = x + offsets
    base = z.min().item() if not signed and bits > 1 else 0.0
    u = (z - base) / a

    def surrogate(scale: float, moved: Tensor) -> float:
        steps = (x + moved - base) / scale
        residue = torch.where((u >= low) & (u <= high), u.clamp(low, high).round() - u, 0.0)
        mask_gradient = torch.where(u < low, float(low), torch.where(u > high, float(high), steps + residue))
        sign = torch.sign(z) if signed and bits == 1 else None
        return float((upstream * scale * (mask_gradient if sign is None else sign)).sum())

    _, slope = gradients(quantizer, x, upstream)
    by_scale = (surrogate(a + h, offsets) - surrogate(a - h, offsets)) / (2 * h)
    assert slope.item() * math.sqrt(x.numel() * high) == pytest.approx(by_scale, rel=1e-5)
    assert quantizer.shift is not None
    assert quantizer.shift.grad is not None
    inside = ((u >= low) & (u <= high)).double()
    torch.testing.assert_close(quantizer.shift.grad, (upstream * inside).sum(0))
    if not (signed and bits == 1):  # the surrogate of two signs is flat: their window is a choice of the paper
        for channel in range(5):
            step = torch.zeros_like(offsets).index_fill_(0, torch.tensor(channel), h)
            slope_of_channel = (surrogate(a, offsets + step) - surrogate(a, offsets - step)) / (2 * h)
            assert quantizer.shift.grad[channel].item() == pytest.approx(slope_of_channel, abs=1e-6)


@pytest.mark.parametrize("scale", [-0.3, 0.0, 1e-9])
def test_a_scale_below_the_minimum_works_and_can_rise(scale: float) -> None:
    quantizer = quantizer_with(scale)
    assert quantizer(X).abs().unique().tolist() == pytest.approx([1e-5])
    _, slope = gradients(quantizer, X, torch.where(X < 0, -1.0, 1.0))  # larger values are wanted
    assert slope.item() == pytest.approx(6 / math.sqrt(6))


@given(
    st.lists(st.floats(-8, 8, width=32), min_size=4, max_size=4),
    st.lists(st.floats(-2, 2, width=32), min_size=4, max_size=4),
    st.floats(0.0625, 4, width=32),
    st.sampled_from(KINDS),
)
def test_a_shift_equals_a_shifted_input(
    values: list[float], shift: list[float], scale: float, kind: tuple[int, bool]
) -> None:
    x, b = torch.tensor([values]), torch.tensor(shift)
    with_shift = quantizer_with(scale, shift, bits=kind[0], signed=kind[1])
    without = quantizer_with(scale, bits=kind[0], signed=kind[1])
    assert torch.equal(with_shift(x), without(x + b))
    for item, other in zip(gradients(with_shift, x, x + 1), gradients(without, x + b, x + 1), strict=True):
        assert torch.equal(item, other)


def test_as_published_zero_is_a_third_value_of_two_signs_only() -> None:
    published = quantizer_with(2.0, as_published=True)
    assert (published.bits, published(X).flatten().tolist()[2]) == (2, 0.0)
    assert gradients(published, X, torch.ones_like(X))[1].item() == pytest.approx(1 / math.sqrt(6))
    assert [quantizer_with(2.0, bits=b, signed=s, as_published=True).bits for b, s in KINDS[1:]] == [1, 2, 2, 4, 4]


def test_transferable_state_and_parameter_groups() -> None:
    quantizer = Elastic(shift=True).build(X.shape)
    assert quantizer.transferable_state == {"shift", "scale", "initialised"}
    assert Elastic(shift=True, keep_scale=False).build(X.shape).transferable_state == {"shift"}
    scale, shift = quantizer.parameter_groups()
    assert (scale.parameters[0] is quantizer.scale, scale.no_decay_group) == (True, False)
    assert (shift.parameters[0] is quantizer.shift, shift.no_decay_group) == (True, True)
    assert len(tuple(Elastic().build(X.shape).parameter_groups())) == 1


@pytest.mark.parametrize("bits", [0, 17])
def test_bits_out_of_range_are_refused(bits: int) -> None:
    with pytest.raises(ValueError, match="bits"):
        Elastic(bits=bits)


def test_a_shift_of_a_varying_dimension_is_refused() -> None:
    with pytest.raises(UserError, match="'elastic': a shift needs a fixed number of channels"):
        Elastic(shift=True).build(torch.Size([]))


@pytest.mark.slow
@pytest.mark.parametrize(("bits", "signed"), KINDS)
def test_compiles_once_the_scale_is_set(bits: int, signed: bool) -> None:
    check_quantizer(Elastic(bits=bits, signed=signed, shift=True), compiled=True)


LEVELS_X = torch.tensor([[-1.5, 0.25, 0.5, 3.0]])


@pytest.mark.parametrize(
    ("bits", "signed", "ends"), [(1, True, (-1, 1)), (1, False, (0, 1)), (2, True, (-2, 1)), (3, False, (0, 7))]
)
def test_level_ranges_by_bits(bits: int, signed: bool, ends: tuple[int, int]) -> None:
    levels = Levels.of(bits, signed=signed, with_zero=False)
    assert (levels.low, levels.high) == ends
    assert levels.from_smallest == (not signed and bits > 1)
    assert levels.alphabet().bits == bits


def test_two_signs_exclude_zero_by_default() -> None:
    u = torch.tensor([-2.0, 0.0, 0.1])
    assert Levels.of(1, signed=True, with_zero=False).nearest_(u.clone()).tolist() == [-1.0, 1.0, 1.0]
    with_zero = Levels.of(1, signed=True, with_zero=True)
    assert (with_zero.nearest_(u.clone()).tolist(), with_zero.alphabet().bits) == ([-1.0, 0.0, 1.0], 2)
    assert not Levels.of(2, signed=True, with_zero=True).with_zero


def test_ties_are_rounded_to_the_even_level() -> None:
    assert Levels.of(1, signed=False, with_zero=False).nearest_(torch.tensor([0.5, 1.5])).tolist() == [0.0, 1.0]


def test_values_are_multiples_of_the_scale() -> None:
    signs, up = Levels.of(1, signed=True, with_zero=False), Levels.of(2, signed=False, with_zero=False)
    u, step, base = scaled(LEVELS_X, torch.tensor(0.5), torch.ones(4), signs)
    assert (u.tolist(), step.item(), base) == ([[-1.0, 2.5, 3.0, 8.0]], 0.5, None)
    u, step, base = scaled(LEVELS_X, torch.tensor(0.0), None, up)
    assert base is not None
    assert step.item() == pytest.approx(SMALLEST)
    assert base.item() == -1.5
    assert LEVELS_X.tolist() == [[-1.5, 0.25, 0.5, 3.0]]  # not changed in place


def test_an_absent_shift_has_no_gradient_and_a_present_one_has() -> None:
    scale, shift = torch.tensor(1.0, requires_grad=True), torch.zeros(4, requires_grad=True)
    levels = Levels.of(1, signed=True, with_zero=False)
    torch.autograd.backward(
        (quantize(LEVELS_X, scale, None, levels).sum(), quantize(LEVELS_X, scale, shift, levels).sum())
    )
    assert shift.grad is not None
    assert shift.grad.tolist() == [0.0, 1.0, 1.0, 0.0]


def test_a_shift_has_one_value_per_channel_and_starts_at_zero() -> None:
    assert new_shift("elastic", torch.Size([3])).tolist() == [0.0, 0.0, 0.0]
    assert new_shift("elastic", torch.Size([5, 2])).tolist() == [0.0, 0.0]


def test_a_varying_dimension_is_refused() -> None:
    with pytest.raises(UserError, match="'elastic': a shift needs a fixed number of channels"):
        new_shift("elastic", torch.Size([]))


def test_adding_keeps_the_dtype() -> None:
    x, shift = torch.ones(2, 3, dtype=torch.bfloat16), torch.tensor([0.0, 1.0, 2.0])
    assert add_shift(x, shift).tolist() == [[1.0, 2.0, 3.0]] * 2
    assert add_shift(x, shift).dtype is torch.bfloat16
    assert add_shift(x, None) is x


def test_parameter_groups_contain_existing_parameters_only() -> None:
    shift = new_shift("elastic", torch.Size([3]))
    assert groups(shift=None) == ()
    assert [group.no_decay_group for group in groups(shift=shift)] == [True]
    assert [group.no_decay_group for group in groups(shift=shift, scale=shift)] == [False, True]


@pytest.mark.parametrize("as_published", [False, True])
@pytest.mark.parametrize("granularity", ["tensor", "row"])
def test_centred_signs_keep_the_quantizer_contract(granularity: Granularity, as_published: bool) -> None:
    check_quantizer(CentredSign(granularity=granularity, as_published=as_published))


def test_centred_signs_keep_the_contract_with_a_shift() -> None:
    check_quantizer(CentredSign(shift=True))


def test_the_mean_is_of_the_tensor_and_the_scale_of_the_group() -> None:
    assert CentredSign().build(CENTRED.shape)(CENTRED).tolist() == [[1.5, -1.5, 1.5], [1.5, -1.5, 1.5]]
    assert CentredSign(granularity="row").build(CENTRED.shape)(CENTRED).tolist() == [[1.5, -1.5, 1.5], [1.5, -1.5, 1.5]]
    skewed = torch.tensor([[1.0, 3.0], [-2.0, 0.0]])
    assert CentredSign(granularity="row").build(CENTRED.shape)(skewed).tolist() == [[2.0, 2.0], [-1.0, -1.0]]


def test_values_at_the_mean_count_as_positive_or_are_a_third_value() -> None:
    assert CentredSign().build(CENTRED.shape).encode(CENTRED).levels[:, 2].tolist() == [1, 1]
    published = CentredSign(as_published=True).build(CENTRED.shape)
    assert published.encode(CENTRED).levels[:, 2].tolist() == [0, 0]
    assert (CentredSign().build(CENTRED.shape).bits, published.bits) == (1, 2)


def test_the_shift_is_added_first_and_learns_like_a_bias() -> None:
    quantizer = CentredSign(shift=True).build(CENTRED.shape)
    assert quantizer.shift is not None
    (group,) = quantizer.parameter_groups()
    assert group.no_decay_group
    assert group.parameters[0] is quantizer.shift
    assert quantizer.transferable_state == {"shift"}
    with torch.no_grad():
        quantizer.shift.copy_(torch.tensor([0.0, 9.0, 0.0]))
    y = quantizer(CENTRED)
    torch.testing.assert_close(y, CentredSign().build(CENTRED.shape)(CENTRED + torch.tensor([0.0, 9.0, 0.0])))
    y.backward(CENTRED)
    torch.testing.assert_close(quantizer.shift.grad, CENTRED.sum(0))


@pytest.mark.parametrize("granularity", ["tensor", "row"])
def test_the_gradient_of_a_centred_sign_passes_unchanged_and_mean_and_scale_have_none(
    granularity: Granularity,
) -> None:
    x = torch.tensor([[-50.0, -1.0, 0.0, 0.3, 60.0]], requires_grad=True)
    upstream = torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0]])
    CentredSign(granularity=granularity).build(x.shape)(x).backward(upstream)
    assert x.grad is not None
    assert torch.equal(x.grad, upstream)


def test_a_centred_sign_without_a_shift_has_no_parameters() -> None:
    quantizer = CentredSign().build(CENTRED.shape)
    assert not quantizer.parameter_groups()
    assert not quantizer.state_dict()


@given(
    st.lists(st.lists(st.floats(-4, 4, width=32), min_size=3, max_size=3), min_size=1, max_size=6),
    st.sampled_from(["tensor", "row"]),
)
def test_adding_a_constant_changes_no_sign(rows: list[list[float]], granularity: Granularity) -> None:
    x = torch.tensor(rows, dtype=torch.float64)
    quantizer = CentredSign(granularity=granularity).build(x.shape)
    levels, moved = quantizer.encode(x).levels, quantizer.encode(x + 0.75).levels
    clear = (x - x.mean()).abs() > 1e-9
    assert torch.equal(levels[clear], moved[clear])
    magnitude = x.abs().mean(1, keepdim=True) if granularity == "row" else x.abs().mean()
    torch.testing.assert_close(quantizer(x).abs(), magnitude.expand_as(x))


def test_an_embedding_quantizes_rows_of_the_batch_with_one_mean_of_the_table() -> None:
    embedding = QuantizedEmbedding(1000, 8, 1, CentredSign(granularity="row"))
    weight = next(embedding.parameters())
    with torch.no_grad():
        weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)) + 0.3)
    sizes: list[int] = []

    class Counting(torch.overrides.TorchFunctionMode):
        """Records the size of every created tensor."""

        def __torch_function__(
            self,
            function: Callable[..., Any],
            types: Any,  # noqa: ANN401 - torch's own types
            args: Any = (),  # noqa: ANN401
            kwargs: Any = None,  # noqa: ANN401
        ) -> Any:  # noqa: ANN401
            result = function(*args, **(kwargs or {}))
            if isinstance(result, Tensor) and result.data_ptr() != weight.data_ptr():
                sizes.append(result.numel())
            return result

    tokens = torch.tensor([[5, 3, 5], [1, 7, 0]])
    with Counting():
        y = embedding(tokens)
    assert max(sizes) == tokens.numel() * 8
    whole = CentredSign(granularity="row").build(weight.shape)(weight)
    assert torch.equal(y, whole[tokens])


@pytest.mark.slow
@pytest.mark.parametrize("options", [CentredSign(), CentredSign(granularity="row", as_published=True)])
def test_centred_signs_compile(options: CentredSign) -> None:
    check_quantizer(options, compiled=True)
