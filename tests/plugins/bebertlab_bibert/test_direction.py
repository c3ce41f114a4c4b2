from __future__ import annotations

from typing import Any

import pytest
import torch
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from bebertlab.api import Batch, Outputs, Tap, UserError
from bebertlab.testing import check_loss
from bebertlab_bibert import Direction

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
def test_equal_directions_are_no_loss_and_opposite_ones_two_a_layer(
    seed: int, per_example: bool, include_padding: bool
) -> None:
    options = Direction(per_example=per_example, include_padding=include_padding)
    student, lengths = outputs(seed), batch((5, 3, 2))
    for factor, wanted in ((0.5, 0.0), (-3.0, 2.0)):
        found = terms(options, student, mapped(student, lambda _, x, by=factor: by * x), lengths)
        assert found.keys() == set(TERMS.values())
        for tap, name in TERMS.items():
            layers = LAYERS + 1 if tap is Tap.HIDDEN else LAYERS
            assert torch.allclose(found[name], torch.full_like(found[name], wanted * layers), atol=1e-5)


def test_every_switch_is_one_of_its_own() -> None:
    student, teacher = outputs(0), outputs(1)
    everything = terms(Direction(), student, teacher)
    for tap, name in TERMS.items():
        only: dict[str, Any] = {other.value.removesuffix("_similarity"): other is tap for other in TERMS}
        options = Direction(**only)
        assert options.build(2).student_taps == options.build(2).teacher_taps == {tap}
        (found,) = terms(options, student, teacher).items()
        assert found == (name, everything[name])


def test_nothing_to_learn_is_refused() -> None:
    with pytest.raises(ValueError, match="all false, so nothing would be learned"):
        Direction(query=False, key=False, value=False, hidden=False)


def test_padding_can_be_left_out() -> None:
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


def test_a_deeper_teacher_gives_the_last_layer_of_each_block() -> None:
    student, deep = outputs(0), outputs(1, layers=2 * LAYERS)
    chosen = {tap: deep.taps[tap][1::2] for tap in SIMILARITIES} | {Tap.HIDDEN: deep.taps[Tap.HIDDEN][::2]}
    wanted = terms(Direction(), student, evolve(deep, taps=chosen))
    assert terms(Direction(), student, deep) == wanted
    with pytest.raises(UserError, match=r"'direction': .*not a multiple"):
        terms(Direction(), student, outputs(1, layers=3))
    assert terms(Direction(layers="last"), student, outputs(1, layers=3))


def test_examples_do_not_matter_to_each_other_only_where_so_told() -> None:
    student, teacher = outputs(0), outputs(1)
    alone = [mapped(x, lambda _, y: y[:1]) for x in (student, teacher)]
    of = batch()
    one = Batch(
        positions=of.positions[:1],
        tokens=of.tokens[:1],
        segments=of.segments[:1],
        mask=of.mask[:1],
        labels=of.labels[:1],
    )
    found = terms(Direction(per_example=True), alone[0], alone[1], one)
    for name, value in terms(Direction(per_example=True), student, teacher).items():
        assert torch.allclose(found[name], value[:1])
    for name, value in terms(Direction(), student, teacher).items():
        assert not torch.allclose(found[name], value)
