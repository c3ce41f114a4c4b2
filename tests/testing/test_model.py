"""The kits must pass correct schemes and splitters, and report the errors of broken ones."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pytest
import torch
from attrs import evolve, field, frozen
from torch import Tensor

from bebertlab.api import (
    Alphabet,
    Checkpoint,
    Codes,
    Measure,
    Quantizer,
    QuantizerOptions,
    QuantSpec,
    SchemeOptions,
    Site,
    Splitter,
    SplitterOptions,
    Splitting,
)
from bebertlab.testing import ContractError, check_scheme, check_splitter
from bebertlab_binarybert import BinaryBert, Bwn, Tws, Uniform

SPEC = BinaryBert(weight_bits=2, activation_bits=4).spec()
POOLER = "bert.pooler.dense.branches."
Spoil = Callable[[Checkpoint, Checkpoint], Checkpoint]


class Spoiled(Splitter):
    def __init__(self, spoil: Spoil) -> None:
        self.spoil = spoil

    def split(self, source: Checkpoint, measure: Measure) -> Splitting:
        splitting = Tws().build().split(source, measure)
        return evolve(splitting, checkpoint=self.spoil(source, splitting.checkpoint))


@frozen(kw_only=True)
class SpoiledOptions(SplitterOptions):
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
    "changing": (random, "splitting twice"),
    "missing": (missing, "does not load"),
}


def test_a_correct_splitter_passes() -> None:
    check_splitter(SpoiledOptions(spoil=lambda source, split: split), SPEC)


@pytest.mark.parametrize("broken", sorted(BROKEN))
def test_a_broken_splitter_is_rejected(broken: str) -> None:
    spoil, what = BROKEN[broken]
    with pytest.raises(ContractError, match=what) as caught:
        check_splitter(SpoiledOptions(spoil=spoil), SPEC)
    assert str(caught.value).startswith("splitter 'made': ")


def test_a_splitter_with_a_wrong_declaration_is_rejected() -> None:
    @frozen(kw_only=True)
    class Forgetful(SpoiledOptions):
        def spec(self, source: QuantSpec) -> QuantSpec:
            return source

    with pytest.raises(ContractError, match=r"spec\(\) gives other quantizers than the split model has"):
        check_splitter(Forgetful(spoil=lambda source, split: split), SPEC)


def test_a_splitter_that_accepts_anything_is_rejected() -> None:
    class Anything(Splitter):
        def split(self, source: Checkpoint, measure: Measure) -> Splitting:
            return Tws().build().split(source, measure) if source.spec.weights else Splitting(checkpoint=source)

    @frozen(kw_only=True)
    class Careless(SplitterOptions):
        kind: ClassVar[str] = "careless"

        def build(self) -> Splitter:
            return Anything()

    with pytest.raises(ContractError, match="a full-precision model is not refused"):
        check_splitter(Careless(), SPEC)


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

    check_splitter(Changing(changed="bert.pooler.dense"), SPEC)
    with pytest.raises(ContractError, match=r"module 'bert\.pooler\.dense' differs"):
        check_splitter(Changing(changed="bert.encoder.layer.0.output.dense"), SPEC)
    with pytest.raises(ContractError, match="'classifier' is declared as changed, and is not a quantizable module"):
        check_splitter(Changing(changed="classifier"), SPEC)


def test_a_splitter_that_measures_before_it_refuses_is_rejected() -> None:
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
        check_splitter(EagerOptions(), SPEC)


class Rounding(Quantizer):
    """Rounds to 8 bits, with an additional step in broken ones."""

    alphabet = Alphabet.signed(8)

    def __init__(self, spoil: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.spoil = spoil
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return self.spoil(x + (x.round(decimals=2) - x).detach())

    def encode(self, x: Tensor) -> Codes:
        raise NotImplementedError


@frozen(kw_only=True)
class RoundingOptions(QuantizerOptions):
    kind: ClassVar[str] = "rounding"
    spoil: Any = field(default=lambda x: x)

    def build(self, shape: torch.Size) -> Quantizer:
        return Rounding(self.spoil)


@frozen(kw_only=True)
class PlainOptions(QuantizerOptions):
    kind: ClassVar[str] = "plain"

    def build(self, shape: torch.Size) -> Quantizer:
        return Rounding(lambda x: x)


class Counting(Rounding):
    def forward(self, x: Tensor) -> Tensor:
        self.get_buffer("calls").add_(1)
        return super().forward(x)


@frozen(kw_only=True)
class CountingOptions(QuantizerOptions):
    kind: ClassVar[str] = "counting"

    def build(self, shape: torch.Size) -> Quantizer:
        return Counting(lambda x: x)


@frozen(kw_only=True)
class Scheme(SchemeOptions):
    kind: ClassVar[str] = "mine"
    made: Callable[[], QuantSpec]

    def spec(self) -> QuantSpec:
        return self.made()


def weights(quantizer: Any) -> Callable[[], QuantSpec]:  # noqa: ANN401 - anything that a scheme might put there
    return lambda: QuantSpec(weights={Site.QUERY: quantizer})


BITS = itertools.cycle((2, 4))
SCHEMES: dict[str, tuple[Callable[[], Any], str]] = {
    "nothing": (lambda: None, "returns NoneType, not a QuantSpec"),
    "a class": (weights(Bwn), r"weights\[query\] is .*, not an instance of QuantizerOptions"),
    "changing": (lambda: QuantSpec(inputs={Site.QUERY: Uniform(bits=next(BITS))}), "another spec"),
    "a wrong site": (lambda: QuantSpec(inputs={Site.WORD_EMBEDDING: Uniform()}), "inputs: no site 'word_embedding'"),
    "an unknown activation": (lambda: QuantSpec(activation="tanh"), "'activation' must be in .*'tanh'"),
    "no softmax": (lambda: QuantSpec(softmax=False), "softmax: without it"),
    "branches": (lambda: QuantSpec(branches={"bert.pooler.dense": 2}), "branch counts, which only a splitter knows"),
    "not for YAML": (weights(RoundingOptions()), "cannot convert .* to plain data"),
    "counting": (weights(CountingOptions()), "evaluation changes"),
}


def test_a_correct_scheme_passes() -> None:
    check_scheme(Scheme(made=weights(Bwn())))
    check_scheme(Scheme(made=QuantSpec))


@pytest.mark.parametrize("broken", SCHEMES)
def test_a_broken_scheme_is_rejected(broken: str) -> None:
    made, what = SCHEMES[broken]
    with pytest.raises(ContractError, match=f"^scheme 'mine': .*{what}"):
        check_scheme(Scheme(made=made))


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda x: x * torch.nan, "the loss of the quantized model is NaN"),
        (lambda x: x.detach(), r"no gradient reaches '.*query.*weight'"),
        (lambda x: x + 0 / (x - x).detach(), "NaN"),
        (lambda x: x + torch.rand(()), "the same batch has other logits the second time"),
    ],
)
def test_a_scheme_whose_quantizer_breaks_the_model_is_rejected(
    spoil: Callable[[Tensor], Tensor], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PlainOptions, "build", lambda self, shape: Rounding(spoil))
    with pytest.raises(ContractError, match=what):
        check_scheme(Scheme(made=weights(PlainOptions())))
