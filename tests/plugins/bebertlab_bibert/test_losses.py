from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from bebertlab.api import Batch, Outputs, Tap, UserError
from bebertlab.testing import check_loss
from bebertlab_bibert import BibertPrediction, Direction
from bebertlab_bibert.losses import direction_distance

SIMILARITIES = (Tap.QUERY_SIMILARITY, Tap.KEY_SIMILARITY, Tap.VALUE_SIMILARITY)
TERMS = {tap: f"{tap.value.removesuffix('_similarity')}_direction" for tap in (*SIMILARITIES, Tap.HIDDEN)}
EXAMPLES, TOKENS, LAYERS = 3, 5, 2


def outputs(seed: int, layers: int = LAYERS) -> Outputs:
    generator = torch.Generator().manual_seed(seed)
    shapes = {tap: (EXAMPLES, 2, TOKENS, TOKENS) for tap in SIMILARITIES} | {Tap.HIDDEN: (EXAMPLES, TOKENS, 4)}
    counts = dict.fromkeys(SIMILARITIES, layers) | {Tap.HIDDEN: layers + 1}
    taps = {
        tap: tuple(torch.randn(*shape, generator=generator) for _ in range(counts[tap]))
        for tap, shape in shapes.items()
    }
    return Outputs(logits=torch.zeros(EXAMPLES, 2), taps=taps)


def mapped(given: Outputs, function: Any) -> Outputs:  # noqa: ANN401 - of tap and tensor
    return evolve(given, taps={tap: tuple(function(tap, x) for x in tensors) for tap, tensors in given.taps.items()})


def batch(lengths: tuple[int, ...] = (TOKENS, TOKENS, TOKENS)) -> Batch:
    zeros = torch.zeros(EXAMPLES, TOKENS, dtype=torch.int64)
    mask = torch.arange(TOKENS) < torch.tensor(lengths)[:, None]
    return Batch(positions=zeros[:, 0], tokens=zeros, segments=zeros, mask=mask, labels=zeros[:, 0])


def terms(options: Direction, student: Outputs, teacher: Outputs, of: Batch | None = None) -> dict[str, Tensor]:
    return options.build(2)(student, teacher, of or batch())


@pytest.mark.parametrize("per_example", [False, True])
@pytest.mark.parametrize("include_padding", [False, True])
@pytest.mark.parametrize("only", [{}, {"query": False, "hidden": False}, {"key": False, "value": False}])
def test_keeps_the_loss_contract(per_example: bool, include_padding: bool, only: dict[str, Any]) -> None:
    check_loss(Direction(per_example=per_example, include_padding=include_padding, **only))


@given(st.integers(0, 2**31), st.booleans(), st.booleans())
def test_equal_directions_have_no_loss_and_opposite_ones_2_per_layer(
    seed: int, per_example: bool, include_padding: bool
) -> None:
    options = Direction(per_example=per_example, include_padding=include_padding)
    student, lengths = outputs(seed), batch((5, 3, 2))
    for factor, expected in ((0.5, 0.0), (-3.0, 2.0)):
        actual = terms(options, student, mapped(student, lambda _, x, by=factor: by * x), lengths)
        assert actual.keys() == set(TERMS.values())
        for tap, name in TERMS.items():
            layers = LAYERS + 1 if tap is Tap.HIDDEN else LAYERS
            assert torch.allclose(actual[name], torch.full_like(actual[name], expected * layers), atol=1e-5)


def test_every_switch_is_independent() -> None:
    student, teacher = outputs(0), outputs(1)
    everything = terms(Direction(), student, teacher)
    for tap, name in TERMS.items():
        only: dict[str, Any] = {other.value.removesuffix("_similarity"): other is tap for other in TERMS}
        options = Direction(**only)
        assert options.build(2).student_taps == options.build(2).teacher_taps == {tap}
        (actual,) = terms(options, student, teacher).items()
        assert actual == (name, everything[name])


def test_a_loss_without_terms_is_refused() -> None:
    with pytest.raises(ValueError, match="all false, so nothing would be learned"):
        Direction(query=False, key=False, value=False, hidden=False)


def test_padding_can_be_excluded() -> None:
    student, teacher, lengths = outputs(0), outputs(1), batch((5, 3, 1))
    padded = ~lengths.mask

    def moved(tap: Tap, x: Tensor) -> Tensor:
        queries = padded[:, :, None] if tap is Tap.HIDDEN else padded[:, None, :, None]
        keys = queries if tap is Tap.HIDDEN else padded[:, None, None, :]
        return torch.where(queries | keys, 9.0, x)

    for include_padding in (False, True):
        options = Direction(include_padding=include_padding)
        before, after = (terms(options, given, teacher, lengths) for given in (student, mapped(student, moved)))
        assert all(torch.equal(before[name], after[name]) is not include_padding for name in before)


def test_similarities_of_masked_keys_count_as_zeros() -> None:
    teacher = outputs(1)
    low, zero = (
        mapped(
            outputs(0), lambda tap, x, to=to: x if tap is Tap.HIDDEN else x.clone().index_fill_(3, torch.tensor(1), to)
        )
        for to in (-100.0, 0.0)
    )
    for name, value in terms(Direction(), low, teacher).items():
        assert torch.equal(value, terms(Direction(), zero, teacher)[name])


def test_a_deeper_teacher_is_read_at_the_last_layer_of_each_block() -> None:
    student, deep = outputs(0), outputs(1, layers=2 * LAYERS)
    chosen = {tap: deep.taps[tap][1::2] for tap in SIMILARITIES} | {Tap.HIDDEN: deep.taps[Tap.HIDDEN][::2]}
    expected = terms(Direction(), student, evolve(deep, taps=chosen))
    assert terms(Direction(), student, deep) == expected
    with pytest.raises(UserError, match=r"'direction': .*not a multiple"):
        terms(Direction(), student, outputs(1, layers=3))
    assert terms(Direction(layers="last"), student, outputs(1, layers=3))


def test_examples_are_independent_only_where_configured() -> None:
    student, teacher = outputs(0), outputs(1)
    alone = [mapped(x, lambda _, y: y[:1]) for x in (student, teacher)]
    of = batch()
    item = Batch(
        positions=of.positions[:1],
        tokens=of.tokens[:1],
        segments=of.segments[:1],
        mask=of.mask[:1],
        labels=of.labels[:1],
    )
    actual = terms(Direction(per_example=True), alone[0], alone[1], item)
    for name, value in terms(Direction(per_example=True), student, teacher).items():
        assert torch.allclose(actual[name], value[:1])
    for name, value in terms(Direction(), student, teacher).items():
        assert not torch.allclose(actual[name], value)


def prediction_terms(options: BibertPrediction, student: Tensor, teacher: Tensor, labels: Tensor) -> dict[str, Tensor]:
    zeros = torch.zeros(len(student), 1, dtype=torch.int64)
    batch = Batch(positions=zeros[:, 0], tokens=zeros, segments=zeros, mask=zeros == 0, labels=labels)
    loss = options.build(student.shape[1])
    return dict(loss(Outputs(logits=student, taps={}), Outputs(logits=teacher, taps={}), batch))


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_prediction_keeps_the_loss_contract(weight: float) -> None:
    check_loss(BibertPrediction(labels_weight=weight))


def test_teacher_and_labels_match_manual_calculation() -> None:
    student, teacher = torch.tensor([[0.0, math.log(3.0)]]), torch.tensor([[0.0, 0.0]])
    actual = prediction_terms(BibertPrediction(), student, teacher, torch.tensor([0]))
    soft = -0.5 * (math.log(0.25) + math.log(0.75))
    assert actual["prediction"].tolist() == pytest.approx([soft / 2])  # the mean of two classes
    assert actual["labels"].tolist() == pytest.approx([-0.5 * math.log(0.25)])


def test_labels_can_be_excluded() -> None:
    actual = prediction_terms(
        BibertPrediction(labels_weight=0.0), torch.zeros(1, 2), torch.zeros(1, 2), torch.tensor([0])
    )
    assert actual.keys() == {"prediction"}


def test_regression_learns_the_teacher_and_not_the_labels() -> None:
    student = torch.tensor([[1.0], [3.0]])
    actual = prediction_terms(BibertPrediction(), student, torch.tensor([[0.5], [5.0]]), torch.tensor([9.0, 9.0]))
    assert actual.keys() == {"prediction"}
    assert actual["prediction"].tolist() == [0.25, 4.0]


def test_a_negative_weight_is_refused() -> None:
    with pytest.raises(ValueError, match="labels_weight"):
        BibertPrediction(labels_weight=-0.5)


SEEDS = st.integers(0, 2**31)


def tensor(seed: int, *, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("per_example", [False, True])
@given(SEEDS, st.floats(1e-3, 1e3))
def test_only_the_direction_is_compared(per_example: bool, seed: int, size: float) -> None:
    u, v = tensor(seed), tensor(seed + 1)
    distance = direction_distance(u, v, per_example=per_example)
    assert torch.allclose(direction_distance(size * u, v, per_example=per_example), distance, atol=1e-6)
    assert torch.allclose(direction_distance(v, u, per_example=per_example), distance, atol=1e-6)
    assert not direction_distance(u, u.clone(), per_example=per_example).any()
    opposite = direction_distance(u, -size * u, per_example=per_example)
    assert torch.allclose(opposite, torch.full_like(distance, 2.0))


def test_the_angle_matches_manual_calculation() -> None:
    u, v = torch.tensor([[[2.0, 0.0]]]), torch.tensor([[[3.0, 3.0]]])
    assert float(direction_distance(u, v)) == pytest.approx(2 * math.sin(math.pi / 8))


@pytest.mark.parametrize("per_example", [False, True])
@given(SEEDS)
def test_the_gradient_is_that_of_the_formula(per_example: bool, seed: int) -> None:
    u, v = tensor(seed, dtype=torch.float64).requires_grad_(), tensor(seed + 1, dtype=torch.float64)
    upstream = torch.rand(3 if per_example else (), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    over = (1, 2) if per_example else (0, 1, 2)
    parts = [x / torch.linalg.vector_norm(x, dim=over, keepdim=True) for x in (u, v)]
    expected = torch.linalg.vector_norm(parts[0] - parts[1], dim=over)
    actual = direction_distance(u, v, per_example=per_example)
    assert torch.allclose(actual, expected)
    (found_gradient,), (wanted_gradient,) = (torch.autograd.grad((x * upstream).sum(), u) for x in (actual, expected))
    assert torch.allclose(found_gradient, wanted_gradient, atol=1e-12)


def test_finite_differences() -> None:
    u, v = tensor(0, dtype=torch.float64).requires_grad_(), tensor(1, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: direction_distance(x, v), u)
    assert torch.autograd.gradcheck(lambda x: direction_distance(x, v, per_example=True), u)


@pytest.mark.parametrize("short", [0.0, 1e-20])
@pytest.mark.parametrize("per_example", [False, True])
def test_a_zero_vector_has_distance_1_and_no_gradient(short: float, per_example: bool) -> None:
    u, v = tensor(0), tensor(1)
    cases = [(short * u, v, 1.0), (u, short * v, 1.0), (short * u, short * v, 0.0), (u, u.clone(), 0.0)]
    for student, teacher, expected in cases:
        student = student.clone().requires_grad_()
        distance = direction_distance(student, teacher, per_example=per_example)
        assert torch.allclose(distance, torch.full_like(distance, expected))
        torch.autograd.backward(distance.sum())
        assert student.grad is not None
        assert not student.grad.any()


def test_a_zero_vector_does_not_change_other_examples() -> None:
    u, v = tensor(0), tensor(1)
    u[1] = 0.0
    u.requires_grad_()
    torch.autograd.backward(direction_distance(u, v, per_example=True).sum())
    assert u.grad is not None
    assert u.grad.isfinite().all()
    assert [bool(row.any()) for row in u.grad] == [True, False, True]


def test_mixed_precision_is_compared_in_single_precision() -> None:
    u, v = tensor(0).bfloat16().requires_grad_(), tensor(1)
    distance = direction_distance(u, v)
    assert distance.dtype == torch.float32
    assert torch.allclose(distance, direction_distance(u.detach().float(), v))
    torch.autograd.backward(distance)
    assert u.grad is not None
    assert u.grad.dtype == torch.bfloat16
