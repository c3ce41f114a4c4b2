from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
from attrs import evolve, field, frozen
from torch import Tensor, nn

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Architecture, QuantSpec, Site
from bebertlab.interfaces.batch import Batch
from bebertlab.interfaces.quantizer import SIGNS, Codes, Quantizer, QuantizerOptions
from bebertlab.model.bert import BertClassifier, meta_model
from bebertlab.model.quantizer_errors import build_quantizer, check_outputs
from bebertlab.model.spec import check_sites

if TYPE_CHECKING:
    from tests.model.conftest import Rounding

QUERY = "bert.encoder.layer.0.attention.self"


class Identity(Quantizer):
    alphabet = SIGNS

    def forward(self, x: Tensor) -> Tensor:
        return x

    def encode(self, x: Tensor) -> Codes:
        raise NotImplementedError


class Fails(Identity):
    def forward(self, x: Tensor) -> Tensor:
        raise KeyError("level")


class Refuses(Identity):
    def forward(self, x: Tensor) -> Tensor:
        raise UserError("there are too many levels")


class OutOfMemory(Identity):
    def forward(self, x: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("no memory left")


class Flattens(Identity):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten()


class Doubles(Identity):
    def forward(self, x: Tensor) -> Tensor:
        return x.double()


class DividesByZero(Identity):
    def forward(self, x: Tensor) -> Tensor:
        return x / torch.zeros_like(x)


class ReturnsNone(Identity):
    def forward(self, x: Tensor) -> Tensor:
        return None  # type: ignore[return-value] # what this is about


class NoAlphabet(Identity):
    alphabet = None  # type: ignore[assignment] # what this is about


@frozen(kw_only=True)
class FixedOptions(QuantizerOptions):
    kind = "made"
    make: Callable[[], Any] = field(default=Identity)

    def build(self, shape: torch.Size) -> Quantizer:
        quantizer: Quantizer = self.make()
        return quantizer


class OfWeights(FixedOptions):
    applies_to = "weights"


class OfActivations(FixedOptions):
    applies_to = "activations"


def model(sizes: Architecture, make: type[Quantizer], where: str = "attention") -> BertClassifier:
    site = Site.ATTENTION_KEY if where == "attention" else Site.KEY
    quantizers: dict[str, Any] = {where: {site: FixedOptions(make=make)}}
    return BertClassifier(sizes, QuantSpec(**quantizers))


@pytest.mark.parametrize(
    ("where", "position"),
    [
        ("attention", rf"attention\.attention_key, {QUERY}\.quantizers\.attention_key"),
        ("inputs", rf"inputs\.key, {QUERY}\.key\.branches\.0\.input_quantizer"),
        ("weights", rf"weights\.key, {QUERY}\.key\.branches\.0\.weight_quantizer"),
    ],
)
def test_an_error_names_quantizer_site_and_path(sizes: Architecture, batch: Batch, where: str, position: str) -> None:
    with pytest.raises(UserError, match=rf"^quantizer 'made' \({position}\): KeyError: 'level'$") as raised:
        model(sizes, Fails, where)(batch)
    assert isinstance(raised.value.__cause__, KeyError)


def test_a_user_error_of_the_quantizer_is_kept(sizes: Architecture, batch: Batch) -> None:
    with pytest.raises(UserError, match=r"^quantizer 'made' \(.*\): there are too many levels$"):
        model(sizes, Refuses)(batch)


def test_unrelated_and_setup_errors_do_not_name_a_quantizer(sizes: Architecture, batch: Batch) -> None:
    with pytest.raises(torch.OutOfMemoryError):
        model(sizes, OutOfMemory)(batch)
    with pytest.raises(IndexError):
        model(sizes, Identity)(evolve(batch, tokens=batch.tokens + 1000))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Flattens, r"must keep the shape \(4, 3, 7, 4\), returns \(336,\)"),
        (Doubles, "must keep the dtype torch.float32, returns torch.float64"),
        (DividesByZero, "returns NaN or infinity for finite values"),
        (ReturnsNone, "must return a tensor, returns a NoneType"),
    ],
)
def test_wrong_outputs_are_named_where_they_are_checked(
    sizes: Architecture, batch: Batch, make: type[Quantizer], message: str
) -> None:
    broken = model(sizes, make)
    with torch.no_grad():
        for parameter in broken.parameters():
            parameter.fill_(0.1)
    with check_outputs(broken), pytest.raises(UserError, match=rf"attention_key\): forward\(\) {message}"):
        broken(batch)
    assert not any(module._forward_hooks for module in broken.modules())


def test_nan_inputs_are_not_attributed_to_the_quantizer(sizes: Architecture, batch: Batch) -> None:
    healthy = model(sizes, Identity)
    with torch.no_grad():
        healthy.get_parameter("bert.embeddings.LayerNorm.weight").fill_(torch.nan)
    with check_outputs(healthy):
        assert healthy(batch).logits.isnan().all()


def unbuildable() -> Quantizer:
    raise ZeroDivisionError("division by zero")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (unbuildable, r"build\(\(3, 5\)\) failed: ZeroDivisionError: division by zero"),
        (nn.Identity, r"build\(\) must return a Quantizer, returns a Identity"),
        (NoAlphabet, "NoAlphabet must declare `alphabet`"),
    ],
)
def test_quantizers_that_cannot_be_built_are_named(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(UserError, match=rf"^quantizer 'made' \(weight\): {message}"):
        build_quantizer(FixedOptions(make=make), torch.Size([3, 5]), "weight")


def test_a_model_names_the_module_that_cannot_be_built(sizes: Architecture) -> None:
    with pytest.raises(UserError, match=rf"^{QUERY}\.key: quantizer 'made' \(input\): build") as raised:
        meta_model(sizes, QuantSpec(inputs={Site.KEY: FixedOptions(make=unbuildable)}))
    assert isinstance(raised.value.__cause__, ZeroDivisionError)


def test_a_quantizer_at_a_site_that_it_does_not_apply_to_is_refused(rounding: type[Rounding]) -> None:
    check_sites(QuantSpec(weights={Site.KEY: OfWeights()}, inputs={Site.KEY: OfActivations(), Site.VALUE: rounding()}))
    spec = QuantSpec(
        weights={Site.KEY: OfActivations()},
        inputs={Site.KEY: OfWeights()},
        attention={Site.ATTENTION_KEY: OfWeights()},
    )
    with pytest.raises(UserError) as raised:
        check_sites(spec)
    assert str(raised.value).splitlines() == [
        "weights.key: quantizer 'made' is for activations only; weights expects a quantizer of weights",
        "inputs.key: quantizer 'made' is for weights only; inputs expects a quantizer of activations",
        "attention.attention_key: quantizer 'made' is for weights only; attention expects a quantizer of activations",
    ]
