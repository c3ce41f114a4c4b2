"""The checker must pass a right splitter and name what is wrong with a broken one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import pytest
import torch
from attrs import evolve, frozen
from torch import Tensor

from bebertlab.api import Checkpoint, Measure, QuantSpec, Splitter, SplitterOptions, Splitting
from bebertlab.testing import ContractError, check_splitter
from bebertlab_binarybert import BinaryBert, Tws

DESIGN = BinaryBert(weight_bits=2, activation_bits=4).spec()
POOLER = "bert.pooler.dense.branches."
Spoil = Callable[[Checkpoint, Checkpoint], Checkpoint]


class Spoiled(Splitter):
    def __init__(self, spoil: Spoil) -> None:
        self.spoil = spoil

    def split(self, source: Checkpoint, measure: Measure) -> Splitting:
        splitting = Tws().build().split(source, measure)
        return evolve(splitting, checkpoint=self.spoil(source, splitting.checkpoint))


@frozen(kw_only=True)
class Made(SplitterOptions):
    kind: ClassVar[str] = "made"
    spoil: Spoil

    def build(self) -> Splitter:
        return Spoiled(self.spoil)


def changed(split: Checkpoint, **tensors: Tensor) -> Checkpoint:
    """Another checkpoint, with tensors of the pooler's branches by their last name, `b0_weight`."""
    named = {POOLER + name[1:].replace("_", ".", 1): tensor for name, tensor in tensors.items()}
    return evolve(split, tensors={**split.tensors, **named})


def pooler(tensors: Mapping[str, Tensor], name: str) -> Tensor:
    return tensors[POOLER + name]


def lost_bias(source: Checkpoint, split: Checkpoint) -> Checkpoint:
    return changed(split, b0_weight=1.001 * pooler(split.tensors, "0.weight"))


def single_precision(source: Checkpoint, split: Checkpoint) -> Checkpoint:
    return changed(split, b1_weight=pooler(split.tensors, "1.weight").float())


def shared_memory(source: Checkpoint, split: Checkpoint) -> Checkpoint:
    return changed(split, b1_bias=pooler(split.tensors, "0.bias"))


def nan(source: Checkpoint, split: Checkpoint) -> Checkpoint:
    return changed(split, b1_bias=pooler(split.tensors, "1.bias") * torch.nan)


def spoils_source(source: Checkpoint, split: Checkpoint) -> Checkpoint:
    pooler(source.tensors, "0.bias").add_(1.0)
    return split


def unsplit(source: Checkpoint, split: Checkpoint) -> Checkpoint:
    return evolve(source, tensors={name: tensor.clone() for name, tensor in source.tensors.items()})


def random(source: Checkpoint, split: Checkpoint) -> Checkpoint:
    return changed(split, b0_weight=torch.rand_like(pooler(split.tensors, "0.weight")))


def missing(source: Checkpoint, split: Checkpoint) -> Checkpoint:
    return evolve(split, tensors={name: t for name, t in split.tensors.items() if name != POOLER + "1.weight"})


BROKEN: dict[str, tuple[Spoil, str]] = {
    "logits": (lost_bias, "logits differ"),
    "dtype": (single_precision, "1.weight' is torch.float32"),
    "memory": (shared_memory, "share memory"),
    "nan": (nan, "1.bias' holds NaN"),
    "source": (spoils_source, "changes the source's"),
    "nothing": (unsplit, "no module has more branches"),
    "random": (random, "splitting twice"),
    "missing": (missing, "does not load"),
}


def test_a_right_splitter_passes() -> None:
    check_splitter(Made(spoil=lambda source, split: split), DESIGN)


@pytest.mark.parametrize("broken", sorted(BROKEN))
def test_a_broken_splitter_is_found_and_the_law_named(broken: str) -> None:
    spoil, what = BROKEN[broken]
    with pytest.raises(ContractError, match=what) as caught:
        check_splitter(Made(spoil=spoil), DESIGN)
    assert str(caught.value).startswith("splitter 'made': ")


def test_a_splitter_that_declares_other_quantizers_than_it_makes_is_found() -> None:
    @frozen(kw_only=True)
    class Forgetful(Made):
        def spec(self, source: QuantSpec) -> QuantSpec:
            return source

    with pytest.raises(ContractError, match=r"spec\(\) gives other quantizers than the split model has"):
        check_splitter(Forgetful(spoil=lambda source, split: split), DESIGN)


def test_a_splitter_that_takes_anything_is_found() -> None:
    class Anything(Splitter):
        def split(self, source: Checkpoint, measure: Measure) -> Splitting:
            return Tws().build().split(source, measure) if source.spec.weights else Splitting(checkpoint=source)

    @frozen(kw_only=True)
    class Careless(SplitterOptions):
        kind: ClassVar[str] = "careless"

        def build(self) -> Splitter:
            return Anything()

    with pytest.raises(ContractError, match="a full-precision model is not refused"):
        check_splitter(Careless(), DESIGN)


def test_a_module_that_changes_on_purpose_may_differ_and_no_other() -> None:
    class Purposeful(Splitter):
        def __init__(self, changed: str) -> None:
            self.changed = changed

        def split(self, source: Checkpoint, measure: Measure) -> Splitting:
            splitting = Tws().build().split(source, measure)
            spoilt = lost_bias(source, splitting.checkpoint)
            return evolve(splitting, checkpoint=spoilt, changed=frozenset({self.changed}))

    @frozen(kw_only=True)
    class Changing(SplitterOptions):
        kind: ClassVar[str] = "changing"
        changed: str

        def build(self) -> Splitter:
            return Purposeful(self.changed)

    check_splitter(Changing(changed="bert.pooler.dense"), DESIGN)
    with pytest.raises(ContractError, match=r"module 'bert\.pooler\.dense' differs"):
        check_splitter(Changing(changed="bert.encoder.layer.0.output.dense"), DESIGN)
    with pytest.raises(ContractError, match="'classifier' is declared as changed, and is not a quantizable module"):
        check_splitter(Changing(changed="classifier"), DESIGN)


def test_a_splitter_that_measures_before_it_refuses_is_found() -> None:
    class Eager(Splitter):
        def split(self, source: Checkpoint, measure: Measure) -> Splitting:
            measure(source)
            return Tws().build().split(source, measure)

    @frozen(kw_only=True)
    class EagerOptions(SplitterOptions):
        kind: ClassVar[str] = "eager"

        def build(self) -> Splitter:
            return Eager()

    with pytest.raises(ContractError, match="a full-precision model is measured and not refused"):
        check_splitter(EagerOptions(), DESIGN)
