"""Checks of the contract of quantizers."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from bebertlab.errors import UserError
from bebertlab.interfaces.quantizer import SIGNS, Alphabet, Quantizer, QuantizerOptions
from bebertlab.testing.contract import ContractError, require
from bebertlab.testing.quantizer_capabilities import check_capabilities
from bebertlab.testing.quantizer_codes import (
    CHANNELS,
    MATRIX,
    ORDINARY,
    VARYING,
    balanced,
    check_codes,
    matrices,
    states,
)
from bebertlab.testing.quantizer_codes import probabilities as attention_probabilities
from bebertlab.testing.quantizer_runtime import check_compiled, check_device, check_dtypes, check_state


def check_quantizer(options: QuantizerOptions, *, compiled: bool = False) -> None:
    """Check a quantizer for weights and activations, or what its options' `applies_to` says; one line in a test.

    Shape and dtype stay; `encode(x).decode()` equals `forward(x)` bit for bit; levels are integers of the declared
    alphabet; nothing gives NaN; evaluation changes no state; all this also after an optimizer moved the parameters.
    Zeros give zeros, or the level +1 where the alphabet is {-1, +1}. The gradient reaches x and every parameter. State
    dict and `deepcopy` give the same quantizer, which trains the same from there, and independently. Double and half
    precision and autocast work, forward and backward; integers are refused or quantized like floats; no tensor stays
    behind when the quantizer moves to another device, and an accelerator, where there is one, gives the values of the
    CPU. Every capability that it has (`interfaces/capabilities.py`) keeps its rule, and no method looks like a misspelt
    one. With `compiled` also `torch.compile`, without graph breaks (this takes seconds).
    Options that `build` refuses with a `UserError` where the last dimension varies are not checked there.

    Raises:
        ContractError: an AssertionError that says which rule is broken and on what.
    """
    built: list[tuple[torch.Size, dict[str, Tensor]]] = []
    if options.applies_to in ("weights", "both"):
        built.append((MATRIX, matrices()))
    if options.applies_to in ("activations", "both"):
        built.append((CHANNELS, states()))
        if _accepts_varying_shapes(options):
            built.append((VARYING, attention_probabilities()))
    for shape, samples in built:
        try:
            _check(options, shape, samples)
            if compiled:
                check_compiled(options.build(shape), samples[ORDINARY])
        except ContractError as error:
            raise ContractError(f"quantizer '{options.kind}', built for shape {tuple(shape)}: {error}") from None


def _accepts_varying_shapes(options: QuantizerOptions) -> bool:
    try:
        options.build(VARYING)
    except UserError:
        return False
    return True


def _check(options: QuantizerOptions, shape: torch.Size, samples: dict[str, Tensor]) -> None:
    quantizer = options.build(shape)
    require(isinstance(quantizer, Quantizer), f"build() gives a {type(quantizer).__name__}, not a Quantizer")
    _check_alphabet(quantizer)
    _check_values(quantizer.eval(), samples, "before training")
    quantizer = options.build(shape).train()
    quantizer(samples[ORDINARY])
    _check_values(quantizer.eval(), samples, "after training")
    _check_zeros(quantizer, samples[ORDINARY])
    _check_layout(quantizer, samples[ORDINARY])
    check_state(options, shape, quantizer, samples[ORDINARY])
    check_device(quantizer, samples[ORDINARY])
    _check_gradient(quantizer, samples[ORDINARY])
    check_dtypes(quantizer, samples[ORDINARY])
    check_capabilities(quantizer, samples[ORDINARY])
    _check_moved(quantizer, samples)


def _check_alphabet(quantizer: Quantizer) -> None:
    alphabet = getattr(quantizer, "alphabet", None)
    require(isinstance(alphabet, Alphabet), "it declares no `alphabet`, the integers that encode() gives")
    bits = quantizer.bits
    require(bits == quantizer.alphabet.bits, f"bits is {bits}, but its {alphabet} takes {quantizer.alphabet.bits}")


def _check_values(quantizer: Quantizer, samples: dict[str, Tensor], when: str) -> None:
    state = {name: tensor.clone() for name, tensor in quantizer.state_dict().items()}
    for name, x in samples.items():
        given = x.clone()
        check_codes(quantizer, x, f"{name} {when}")
        require(torch.equal(x, given), f"{name} {when}: the quantizer changes its argument in place")
    for name, tensor in quantizer.state_dict().items():
        require(torch.equal(tensor, state[name]), f"evaluation changes '{name}' {when}")


def _check_moved(quantizer: Quantizer, samples: dict[str, Tensor]) -> None:
    """Check values after an optimizer has moved every parameter, each element by another amount."""
    if not list(quantizer.parameters()):
        return
    moved = copy.deepcopy(quantizer)
    with torch.no_grad():
        for parameter in moved.parameters():
            parameter.add_(torch.linspace(-0.1, 0.1, parameter.numel() + 1)[1:].view(parameter.shape))
    _check_values(moved, samples, "after its parameters moved")


def _check_zeros(quantizer: Quantizer, x: Tensor) -> None:
    mixed, zeros = balanced(x), torch.zeros_like(x)
    with torch.no_grad():
        y = quantizer(zeros)
        levels, negative = quantizer.encode(mixed).levels, quantizer.encode(torch.where(mixed == 0, -0.0, mixed)).levels
        # of two levels one: a learned scale is not 0 where the values are
        as_one = quantizer.bits == 1 and bool((quantizer.encode(zeros).levels == 1).all())
    require(as_one or bool((y == 0).all()), f"zeros give {y.abs().max():.3g}, neither zeros nor the level +1")
    signs = quantizer.alphabet == SIGNS
    require(not signs or bool((levels[mixed == 0] == 1).all()), "zero does not count as +1, though there is no level 0")
    require(torch.equal(levels, negative), "0 and -0 have different levels")


def _check_layout(quantizer: Quantizer, x: Tensor) -> None:
    """A transposed view is quantized like a contiguous tensor; with gradients like without."""
    strided = x.mT.contiguous().mT
    with torch.no_grad():
        same = torch.allclose(quantizer(strided), quantizer(x), rtol=1e-5, atol=1e-6)
    require(same, "a transposed view is quantized differently from the same values in a contiguous tensor")
    with_gradient = quantizer(x.clone().requires_grad_())
    require(torch.equal(quantizer(x).detach(), with_gradient.detach()), "values differ where x requires a gradient")


def _check_gradient(quantizer: Quantizer, x: Tensor) -> None:
    quantizer = copy.deepcopy(quantizer).train()
    given = x.clone().requires_grad_()
    upstream = torch.linspace(0.5, 1.5, x.numel()).view(x.shape)
    quantizer(given).backward(upstream)
    gradient = given.grad
    require(gradient is not None, "no gradient reaches x; see `straight_through`")
    require(bool(gradient is not None and gradient.isfinite().all()), "the gradient of x is NaN or infinite")
    require(bool(gradient is not None and gradient.any()), "the gradient of x is 0 everywhere; see `straight_through`")
    for name, parameter in quantizer.named_parameters():
        require(parameter.grad is not None, f"no gradient reaches parameter '{name}'")
        require(
            bool(parameter.grad is not None and parameter.grad.isfinite().all()), f"the gradient of '{name}' is NaN"
        )
