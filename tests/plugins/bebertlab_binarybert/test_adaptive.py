from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import product
from typing import Any

import pytest
import torch
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from bebertlab.accounting.size import model_size
from bebertlab.api import (
    Checkpoint,
    Measure,
    QuantSpec,
    Site,
    Splitting,
    UserError,
    branch_prefix,
    model_operations,
    quantizable_modules,
)
from bebertlab.model.bert import BertClassifier, meta_model
from bebertlab.testing import check_splitter
from bebertlab.testing.tiny import tiny_model, tiny_task
from bebertlab_binarybert import Adaptive, BinaryBert, Bwn, TernaryBert
from bebertlab_binarybert.adaptive import Costs, choose

POOLER = "bert.pooler.dense"
KEY = "bert.encoder.layer.0.attention.self.key"
WORDS = "bert.embeddings.word_embeddings"
#: losses that rise by these where a module is not split
LOSS_RISES = {POOLER: 0.5, KEY: 0.25, WORDS: 2.0, "bert.encoder.layer.1.output.dense": -1.0}


def ternary(**options: Any) -> Checkpoint:  # noqa: ANN401 - passed on to the scheme
    return tiny_model(tiny_task(), BinaryBert(weight_bits=2, **options).spec()).checkpoint()


def whole(checkpoint: Checkpoint, path: str) -> bool:
    """Whether a module is binary: in one branch, or in two equal ones."""
    first, second = (checkpoint.tensors.get(f"{branch_prefix(path, k, 2)}weight") for k in (0, 1))
    assert first is not None
    return second is None or torch.equal(first, second)


def fake_measure(loss_rises: Mapping[str, float], seen: list[Checkpoint] | None = None) -> Measure:
    """A loss that rises by a known number for every module that is not split."""

    def measure(checkpoint: Checkpoint) -> float:
        if seen is not None:
            seen.append(checkpoint)
        return 1.0 + sum(
            loss_rises.get(p, 0.0) for p in quantizable_modules(checkpoint.architecture) if whole(checkpoint, p)
        )

    return measure


def split(source: Checkpoint, loss_rises: Mapping[str, float] = LOSS_RISES, **budget: float) -> Splitting:
    return Adaptive(**budget).build().split(source, fake_measure(loss_rises))


def chosen(splitting: Splitting) -> set[str]:
    return {path for path, branches in splitting.checkpoint.spec.branches.items() if branches == 2}


@pytest.mark.parametrize(
    ("options", "spec"),
    [
        ({"fraction": 0.5}, BinaryBert(weight_bits=2, activation_bits=4).spec()),
        ({"budget_mebibytes": 0.001}, TernaryBert(clip=0.4).spec()),
        ({"budget_gigaflops": 0.0003}, BinaryBert(weight_bits=2).spec()),
    ],
)
def test_keeps_the_splitter_contract(options: dict[str, float], spec: QuantSpec) -> None:
    check_splitter(Adaptive(**options), spec)


def test_with_enough_budget_every_module_that_gains_is_split() -> None:
    actual = split(ternary(), fraction=1.0)
    assert chosen(actual) == {POOLER, KEY, WORDS}
    assert actual.changed == set(quantizable_modules(actual.checkpoint.architecture)) - chosen(actual)
    assert {path: actual.metrics[f"loss_rise/{path}"] for path in LOSS_RISES} == pytest.approx(LOSS_RISES)


def test_without_budget_every_module_has_one_binary_branch() -> None:
    source = ternary()
    actual = split(source, fraction=0.0).checkpoint
    assert actual.spec == BinaryBert(weight_bits=1).spec()
    assert actual.tensors.keys() == source.tensors.keys()
    assert all(torch.equal(actual.tensors[name], tensor) for name, tensor in source.tensors.items())


def test_weights_beyond_the_ternary_clip_are_clipped_in_single_branches() -> None:
    source = tiny_model(tiny_task(), TernaryBert(clip=0.3).spec()).checkpoint()
    name = f"{POOLER}.branches.0.weight"
    assert source.tensors[name].abs().max() > 0.3
    actual = split(source, fraction=0.0).checkpoint.tensors[name]
    assert torch.equal(actual, source.tensors[name].clamp(-0.3, 0.3))


def test_the_budget_is_spent_on_the_best_combination() -> None:
    source = ternary()
    words, pooler, key = 23 * 16, 16 * 16, 16 * 16  # bits of a second branch
    binary = 23 * 16 + 2 * (4 * 256 + 2 * 512) + 256
    for available, expected in (
        (words, {WORDS}),
        (words - 1, {POOLER}),
        (pooler + key, {WORDS}),
        (words + pooler, {WORDS, POOLER}),
    ):
        actual = split(source, budget_mebibytes=(binary + available) / 2**23)
        assert chosen(actual) == expected
        model = BertClassifier.from_checkpoint(actual.checkpoint)
        assert model_size(model).matrix_bits <= binary + available
    assert chosen(split(source, {**LOSS_RISES, WORDS: 0.6}, budget_mebibytes=(binary + pooler + key) / 2**23)) == {
        POOLER,
        KEY,
    }


def test_a_budget_of_operations_counts_the_layers() -> None:
    source = ternary()
    operations = 2 * 32 * (2 * (4 * 256 + 2 * 512)) * 8 / 64 + 2 * 2 * 32**2 * 2 * 16 * 64 / 64  # linear, attention
    actual = split(source, budget_gigaflops=operations / 1e9)
    assert chosen(actual) == {WORDS, POOLER}  # which the rule of the papers does not count
    one_more = operations + 2 * 32 * 256 * 8 / 64
    assert chosen(split(source, budget_gigaflops=one_more / 1e9)) == {WORDS, POOLER, KEY}


def test_each_measured_model_has_one_unsplit_module() -> None:
    seen: list[Checkpoint] = []
    source = ternary()
    actual = Adaptive(fraction=0.3).build().split(source, fake_measure(LOSS_RISES, seen))
    modules = quantizable_modules(source.architecture)
    first, *others, last = seen
    assert not any(whole(first, path) for path in modules)
    assert [[path for path in modules if whole(item, path)] for item in others] == [[path] for path in modules]
    assert len({id(item.spec) for item in (first, *others)}) == 1  # so that one model serves all of them
    assert last is actual.checkpoint
    assert actual.metrics["loss"] == fake_measure(LOSS_RISES)(last)


def test_a_measured_module_is_the_binarization_of_its_weight() -> None:
    seen: list[Checkpoint] = []
    source = tiny_model(tiny_task(), TernaryBert(clip=0.3).spec()).checkpoint()
    source.tensors[f"{POOLER}.branches.0.bias"].copy_(torch.arange(16.0))
    Adaptive(fraction=1.0).build().split(source, fake_measure(LOSS_RISES, seen))
    alone = BertClassifier.from_checkpoint(seen[-2])  # the pooler comes last
    binary = evolve(source, spec=evolve(source.spec, weights={**source.spec.weights, Site.POOLER: Bwn()}))
    binary.tensors[f"{POOLER}.branches.0.weight"].clamp_(-0.3, 0.3)
    x = torch.randn(5, 16, generator=torch.Generator().manual_seed(0))
    item, other = (m.eval().get_submodule(POOLER)(x) for m in (BertClassifier.from_checkpoint(binary), alone))
    torch.testing.assert_close(item, other)


def test_measurements_and_choices_are_reported() -> None:
    actual = split(ternary(), budget_mebibytes=0.001)
    rows = actual.details["modules"]
    assert [row["module"] for row in rows[:3]] == [WORDS, POOLER, KEY]
    assert {row["module"] for row in rows if row["split"]} == chosen(actual)
    assert rows[0]["mebibytes"] == 23 * 16 / 2**23
    assert rows[0]["gigaflops"] == 0.0
    assert actual.details["without_split"]["mebibytes"] + actual.details["room"] == pytest.approx(0.001)
    assert actual.metrics["modules"] == len(chosen(actual))
    assert actual.metrics["loss_all_split"] == 1.0


@pytest.mark.parametrize(
    "options",
    [{"fraction": 0.5, "budget_mebibytes": 1.0}, {"budget_mebibytes": 1.0, "budget_gigaflops": 1.0}],
)
def test_two_budgets_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(UserError, match="takes only one of budget_mebibytes, budget_gigaflops and fraction"):
        Adaptive(**options)


def test_the_default_budget_is_half_of_the_extra_bits() -> None:
    source = ternary()
    assert chosen(split(source)) == chosen(split(source, fraction=0.5)) != chosen(split(source, fraction=0.1))


@pytest.mark.parametrize("options", [{"fraction": 1.5}, {"budget_mebibytes": 0.0}, {"budget_gigaflops": -1.0}])
def test_budgets_have_their_range(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Adaptive(**options)


def test_a_budget_below_the_unsplit_model_is_refused_before_anything_is_measured() -> None:
    def must_not_measure(_: Checkpoint) -> float:
        raise AssertionError("nothing is to be measured")

    with pytest.raises(UserError, match=r"budget_mebibytes is 1e-06; the model takes .* without any split and"):
        Adaptive(budget_mebibytes=1e-6).build().split(ternary(), must_not_measure)


def test_a_loss_that_is_not_finite_is_refused() -> None:
    with pytest.raises(UserError, match=r"one branch at bert\.encoder\.layer\.0\.attention\.self\.key is nan"):
        split(ternary(), {KEY: math.nan}, fraction=0.5)


def test_other_weights_are_refused() -> None:
    binary = tiny_model(tiny_task(), BinaryBert().spec()).checkpoint()
    with pytest.raises(UserError, match="splitter 'adaptive' splits ternary weights"):
        split(binary, fraction=0.5)


DESIGNS = [
    BinaryBert().spec(),
    BinaryBert(activation_bits=4, as_published=True).spec(),
    BinaryBert(activation_bits=32).spec(),
    QuantSpec(weights={Site.POOLER: Bwn(), Site.KEY: Bwn()}),
]


def checkpoint(spec: QuantSpec) -> Checkpoint:
    return tiny_model(tiny_task(), spec).checkpoint()


@pytest.mark.parametrize("spec", DESIGNS)
def test_costs_equal_those_reported_for_models(spec: QuantSpec) -> None:
    source = checkpoint(spec)
    sizes, costs = source.architecture, Costs(source, spec)
    assert costs.single("mebibytes") == model_size(meta_model(sizes, spec)).matrix_bits
    assert costs.single("gigaflops") == model_operations(sizes, spec, sizes.positions).total
    for path, site in quantizable_modules(sizes).items():
        if site in spec.weights:
            split = spec.with_branches({path: 2})
            bits = model_size(meta_model(sizes, split)).matrix_bits
            assert costs.single("mebibytes") + costs.second(path, "mebibytes") == bits
            operations = model_operations(sizes, split, sizes.positions).total
            assert costs.single("gigaflops") + costs.second(path, "gigaflops") == operations


def test_costs_of_second_branches_sum_to_the_split_model() -> None:
    spec = BinaryBert().spec()
    source = checkpoint(spec)
    costs, paths = Costs(source, spec), quantizable_modules(source.architecture)
    split = spec.with_branches(dict.fromkeys(paths, 2))
    added = sum(costs.second(path, "gigaflops") for path in paths)
    assert costs.single("gigaflops") + added == model_operations(source.architecture, split, 32).total
    assert sum(costs.second(path, "mebibytes") for path in paths) == costs.single("mebibytes")


#: whole numbers and halves, whose sums are exact
things = st.lists(st.tuples(st.integers(-4, 12).map(lambda n: n / 2), st.integers(0, 9)), max_size=9)


def brute_force(values: list[float], costs: list[float], budget: float) -> tuple[float, float]:
    """The highest value that any subset within the budget has, and the lowest cost of those that have it."""
    actual = []
    for taken in product((False, True), repeat=len(values)):
        cost = sum(cost for cost, take in zip(costs, taken, strict=True) if take)
        if cost <= budget:
            actual.append((-sum(value for value, take in zip(values, taken, strict=True) if take), cost))
    value, cost = min(actual)
    return -value, cost


@given(things, st.integers(0, 30))
def test_no_other_subset_is_better_or_equally_good_and_cheaper(things: list[tuple[float, int]], budget: int) -> None:
    values, costs = [value for value, _ in things], [float(cost) for _, cost in things]
    taken = choose(values, costs, budget)
    value = sum(value for value, take in zip(values, taken, strict=True) if take)
    cost = sum(cost for cost, take in zip(costs, taken, strict=True) if take)
    assert cost <= budget
    assert (value, cost) == brute_force(values, costs, budget)


def test_the_most_valuable_item_is_not_always_chosen() -> None:
    assert choose([10.0, 6.0, 6.0], [5.0, 3.0, 3.0], 6.0) == (False, True, True)


def test_items_without_value_are_not_chosen_even_at_no_cost() -> None:
    assert choose([0.0, -1.0, 1.0], [0.0, 0.0, 0.0], 9.0) == (False, False, True)


@pytest.mark.parametrize("budget", [0.0, 0.5])
def test_an_empty_list_of_items_gives_an_empty_choice(budget: float) -> None:
    assert choose([], [], budget) == ()
    assert choose([1.0], [1.0], budget) == (False,)


def test_many_items_with_few_distinct_costs_are_solved_quickly() -> None:
    # a BERT of 24 layers
    values, costs = [], []
    for layer in range(24):
        values += [1.0 + ((7 * layer + position) % 11) / 10 for position in range(6)]
        costs += [1.0, 1.0, 1.0, 1.0, 4.0, 4.0]
    taken = choose([*values, 3.0, 0.5], [*costs, 30.5, 1.0], 100.0)
    assert sum(cost for cost, take in zip([*costs, 30.5, 1.0], taken, strict=True) if take) <= 100.0
    assert sum(taken) > 50
