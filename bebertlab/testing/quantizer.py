"""What every quantizer must hold, whatever it does."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from bebertlab.interfaces.quantizer import Quantizer, QuantizerOptions
from bebertlab.testing.branches import check_branches
from bebertlab.testing.codes import check_codes
from bebertlab.testing.contract import ContractError, require
from bebertlab.testing.samples import CHANNELS, MATRIX, ORDINARY, VARYING, balanced, matrices, states
from bebertlab.testing.samples import probabilities as attention_probabilities
from bebertlab.testing.surroundings import check_compiled, check_device, check_dtypes, check_state


def check_quantizer(
    options: QuantizerOptions,
    *,
    weights: bool = True,
    activations: bool = True,
    probabilities: bool = True,
    compiled: bool = False,
) -> None:
    """Check a quantizer as one of weights and of activations; one line in a plugin's tests.

    Shape and dtype stay; `encode(x).decode()` is `forward(x)` to the bit; levels are whole numbers that fit into
    `bits`; nothing gives NaN; evaluation changes no state; all this also after an optimizer moved the parameters.
    Zeros give zeros, or the level +1 where the levels are -1 and +1: zero counts as +1 there (or the mean does, where
    that is subtracted first). The gradient reaches x and every parameter; every parameter is in one group; state dict
    and `deepcopy` make the same quantizer, which trains on alike and alone; `row_wise` is true; branches that are
    quantized together get what they get alone; `progress` changes no value. Double and half precision and autocast
    work, forward and backward; whole numbers are refused or treated alike; no tensor stays behind when the quantizer
    moves to another device, and an accelerator, where there is one, gives what the CPU gives. With `compiled` also
    `torch.compile`, without a break in the graph (this takes seconds).
    `probabilities=False` leaves out a last dimension that varies, where a quantizer has numbers for each channel.

    Raises:
        ContractError: an AssertionError that says which law is broken and on what.
    """
    built = [(MATRIX, matrices())] if weights else []
    if activations:
        built += [(CHANNELS, states())]
    if activations and probabilities:
        built += [(VARYING, attention_probabilities())]
    for shape, samples in built:
        try:
            _check(options, shape, samples)
            if compiled:
                check_compiled(options.build(shape), samples[ORDINARY])
        except ContractError as law:
            raise ContractError(f"quantizer '{options.kind}', built for shape {tuple(shape)}: {law}") from None


def _check(options: QuantizerOptions, shape: torch.Size, samples: dict[str, Tensor]) -> None:
    quantizer = options.build(shape)
    require(isinstance(quantizer, Quantizer), f"build() gives a {type(quantizer).__name__}, not a Quantizer")
    require(isinstance(quantizer.bits, int) and quantizer.bits >= 1, f"bits is {quantizer.bits!r}, not a whole number")
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
    _check_factors(quantizer, samples[ORDINARY])
    _check_progress(quantizer, samples[ORDINARY])
    check_branches(quantizer, samples[ORDINARY])
    if quantizer.row_wise:
        _check_rows(quantizer, samples[ORDINARY])
    _check_moved(quantizer, samples)


def _check_values(quantizer: Quantizer, samples: dict[str, Tensor], when: str) -> None:
    state = {name: tensor.clone() for name, tensor in quantizer.state_dict().items()}
    for name, x in samples.items():
        given = x.clone()
        check_codes(quantizer, x, f"{name} {when}")
        require(torch.equal(x, given), f"{name} {when}: the quantizer changes its argument in place")
    for name, tensor in quantizer.state_dict().items():
        require(torch.equal(tensor, state[name]), f"evaluation changes '{name}' {when}")


def _check_moved(quantizer: Quantizer, samples: dict[str, Tensor]) -> None:
    """The laws of values where an optimizer has moved every parameter, each number by another amount."""
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
        signs = set(levels.flatten().tolist()) <= {-1, 1}
        # one level of two: a learned scale is not 0 where the values are
        as_one = quantizer.bits == 1 and bool((quantizer.encode(zeros).levels == 1).all())
    require(as_one or bool((y == 0).all()), f"zeros give {y.abs().max():.3g}, neither zeros nor the level +1")
    require(not signs or bool((levels[mixed == 0] == 1).all()), "zero does not count as +1, though there is no level 0")
    require(torch.equal(levels, negative), "0 and -0 have different levels")


def _check_layout(quantizer: Quantizer, x: Tensor) -> None:
    """A transposed view is quantized like the same values in a row; one in training like one in evaluation."""
    strided = x.mT.contiguous().mT
    with torch.no_grad():
        same = torch.allclose(quantizer(strided), quantizer(x), rtol=1e-5, atol=1e-6)
    require(same, "a transposed view is quantized otherwise than the same values in a row")
    with_gradient = quantizer(x.clone().requires_grad_())
    require(torch.equal(quantizer(x).detach(), with_gradient.detach()), "values differ where a gradient is asked for")


def _check_gradient(quantizer: Quantizer, x: Tensor) -> None:
    quantizer = copy.deepcopy(quantizer).train()
    given = x.clone().requires_grad_()
    upstream = torch.linspace(0.5, 1.5, x.numel()).view(x.shape)
    quantizer(given).backward(upstream)
    gradient = given.grad
    require(gradient is not None, "no gradient reaches x; see `straight_through`")
    require(bool(gradient is not None and gradient.isfinite().all()), "the gradient of x is NaN or infinite")
    require(bool(gradient is not None and gradient.any()), "the gradient of x is 0 everywhere; see `straight_through`")
    grouped = [id(parameter) for group in quantizer.parameter_groups() for parameter in group.parameters]
    named = dict(quantizer.named_parameters())
    for name, parameter in named.items():
        count = grouped.count(id(parameter))
        require(count == 1, f"parameter '{name}' is in {count} parameter groups, not in 1")
        require(parameter.grad is not None, f"no gradient reaches parameter '{name}'")
        require(
            bool(parameter.grad is not None and parameter.grad.isfinite().all()), f"the gradient of '{name}' is NaN"
        )
    require(len(grouped) == len(named), "a parameter group holds a parameter that is not the quantizer's own")


def _check_factors(quantizer: Quantizer, x: Tensor) -> None:
    found = []
    for apart in (False, True):
        given = x.clone().requires_grad_()
        values, scale = quantizer.forward_unscaled(given) if apart else (quantizer(given), None)
        y = values if scale is None else values * scale
        torch.autograd.backward(y, torch.linspace(0.5, 1.5, x.numel()).view(x.shape))
        found.append((y.detach(), given.grad))
    (y, gradient), (product, its_gradient) = found
    require(torch.equal(y, product), "the factors of factored(x) do not give forward(x)")
    same = gradient is not None and its_gradient is not None and torch.allclose(gradient, its_gradient)
    require(same, "factored(x) gives x another gradient than forward(x)")


def _check_progress(quantizer: Quantizer, x: Tensor) -> None:
    later = copy.deepcopy(quantizer)
    later.progress(0.75)
    with torch.no_grad():
        require(torch.equal(later(x), quantizer(x)), "progress changes values; only the gradient may depend on it")
    for name, tensor in quantizer.state_dict().items():
        require(torch.equal(later.state_dict()[name], tensor), f"progress changes '{name}', which is saved")


def _check_rows(quantizer: Quantizer, x: Tensor) -> None:
    if x.ndim != 2:
        return
    chosen, found = torch.tensor([4, 1, 1]), []
    for gather_first in (True, False):
        table = (x + torch.arange(len(x))[:, None]).requires_grad_()  # rows of other means than the whole
        y = quantizer.forward_rows(table[chosen], table) if gather_first else quantizer(table)[chosen]
        torch.autograd.backward(y, torch.linspace(0.5, 1.5, y.numel()).view(y.shape))
        found.append((y, table.grad))
    for what, one, other in zip(("", " in its gradient"), *found, strict=True):
        same = one is not None and other is not None and torch.allclose(one, other, rtol=1e-5, atol=1e-6)
        require(same, f"row_wise is True, but forward_rows(x[i], x) is not forward(x)[i]{what}")
