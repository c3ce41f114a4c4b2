"""Every quantizer that any plugin registers, with its defaults and with each option at its other values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bebertlab.interfaces.quantizer import QuantizerOptions
from bebertlab.registry.manager import load_plugins
from bebertlab.testing import check_quantizer
from bebertlab.testing.quantizer import check_codes

REGISTRY = load_plugins().registry
DEFAULTS: list[Any] = [REGISTRY.find("quantizer", kind)() for kind in REGISTRY.kinds("quantizer")]
BITS = (1, 2, 4, 8)
#: with it, zeros may be NaN: the published behaviour breaks the contract
LEFT_OUT = ("as_published",)


def others(attribute: attrs.Attribute[Any]) -> Iterator[Any]:
    """Values of an option other than its default."""
    if attribute.type in (bool, "bool"):
        yield not attribute.default
    elif get_origin(attribute.type) is Literal:
        yield from get_args(attribute.type)
    elif attribute.name == "bits":
        yield from BITS


def variants() -> Iterator[QuantizerOptions]:
    """The defaults of every kind, and each option at its other values, as far as they are allowed."""
    for options in DEFAULTS:
        yield options
        for attribute in attrs.fields(attrs.resolve_types(type(options))):
            for value in () if attribute.name in LEFT_OUT else others(attribute):
                try:
                    variant = attrs.evolve(options, **{attribute.name: value})
                except ValueError:  # this kind does not support these bits
                    continue
                if variant != options:
                    yield variant


def trained(options: QuantizerOptions, x: Tensor) -> Any:  # noqa: ANN401 - a quantizer
    """A quantizer that has seen a batch."""
    quantizer = options.build(x.shape[-2:]).train()
    quantizer(x)
    return quantizer.eval()


def test_there_are_quantizers_of_several_plugins() -> None:
    assert len({REGISTRY.entry(type(options)).plugin for options in DEFAULTS}) > 1
    assert len([*variants()]) > 2 * len(DEFAULTS)


@pytest.mark.parametrize("options", [*variants()], ids=repr)
def test_keeps_the_quantizer_contract(options: QuantizerOptions) -> None:
    check_quantizer(options)


@pytest.mark.slow
@pytest.mark.parametrize("options", DEFAULTS, ids=repr)
def test_compiles(options: QuantizerOptions) -> None:
    check_quantizer(options, compiled=True)


@settings(max_examples=40)
@given(data=st.data(), rows=st.integers(1, 5), columns=st.integers(1, 9))
@pytest.mark.parametrize("options", DEFAULTS, ids=lambda options: options.kind)
def test_codes_are_exact_for_all_shapes_and_values(
    options: QuantizerOptions, data: st.DataObject, rows: int, columns: int
) -> None:
    numbers = st.one_of(st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e-6]), st.floats(-50, 50, width=32))
    drawn = data.draw(st.lists(numbers, min_size=rows * columns, max_size=rows * columns))
    x = torch.tensor(drawn).view(rows, columns)
    quantizer = trained(options, x)
    check_codes(quantizer, x, "drawn values")
    given_x = x.clone().requires_grad_()
    y = quantizer(given_x)
    torch.autograd.backward(y, torch.ones_like(y))
    assert given_x.grad is not None
    assert given_x.grad.isfinite().all()
