"""What every quantizer must hold, whatever it does."""

from __future__ import annotations

import copy
import warnings

import torch
from torch import Tensor

from bebertlab.interfaces.quantizer import Quantizer, QuantizerOptions
from bebertlab.testing.law import LawError, hold

_MATRIX, _CHANNELS = torch.Size([6, 16]), torch.Size([16])


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
    and `deepcopy` make the same quantizer; `row_wise` is true; double precision, bfloat16 and autocast work; with
    `compiled` also `torch.compile`, without a break in the graph (this takes seconds). `probabilities=False` leaves
    out a last dimension that varies, where a quantizer has numbers for each channel.

    Raises:
        LawError: an AssertionError that says which law is broken and on what.
    """
    built = [(_MATRIX, _matrices())] if weights else []
    if activations:
        built += [(_CHANNELS, _states())]
    if activations and probabilities:
        built += [(torch.Size([]), _probabilities())]
    for shape, samples in built:
        try:
            _check(options, shape, samples)
            if compiled:
                _check_compiled(options.build(shape), samples["ordinary values"])
        except LawError as law:
            raise LawError(f"quantizer '{options.kind}', built for shape {tuple(shape)}: {law}") from None


def _check(options: QuantizerOptions, shape: torch.Size, samples: dict[str, Tensor]) -> None:
    quantizer = options.build(shape)
    hold(isinstance(quantizer, Quantizer), f"build() gives a {type(quantizer).__name__}, not a Quantizer")
    hold(isinstance(quantizer.bits, int) and quantizer.bits >= 1, f"bits is {quantizer.bits!r}, not a whole number")
    _check_values(quantizer.eval(), samples, "before training")
    quantizer = options.build(shape).train()
    quantizer(samples["ordinary values"])
    _check_values(quantizer.eval(), samples, "after training")
    _check_zeros(quantizer, samples["ordinary values"])
    _check_dtypes(quantizer, samples["ordinary values"])
    _check_layout(quantizer, samples["ordinary values"])
    _check_state(options, shape, quantizer, samples["ordinary values"])
    _check_gradient(quantizer, samples["ordinary values"])
    _check_factors(quantizer, samples["ordinary values"])
    if quantizer.row_wise:
        _check_rows(quantizer, samples["ordinary values"])
    _check_moved(quantizer, samples)


def _check_values(quantizer: Quantizer, samples: dict[str, Tensor], when: str) -> None:
    state = {name: tensor.clone() for name, tensor in quantizer.state_dict().items()}
    for name, x in samples.items():
        given = x.clone()
        _check_codes(quantizer, x, f"{name} {when}")
        hold(torch.equal(x, given), f"{name} {when}: the quantizer changes its argument in place")
    for name, tensor in quantizer.state_dict().items():
        hold(torch.equal(tensor, state[name]), f"evaluation changes '{name}' {when}")


def _check_codes(quantizer: Quantizer, x: Tensor, what: str) -> None:
    """Shape, dtype, finiteness, levels and the law of encode and decode on one tensor."""
    with torch.no_grad():
        y, codes = quantizer(x), quantizer.encode(x)
    hold(y.shape == x.shape, f"{what}: forward turns shape {tuple(x.shape)} into {tuple(y.shape)}")
    hold(y.dtype == x.dtype, f"{what}: forward turns {x.dtype} into {y.dtype}")
    hold(bool(y.isfinite().all()), f"{what}: forward gives NaN or infinity")
    levels = codes.levels
    hold(levels.shape == x.shape, f"{what}: levels have shape {tuple(levels.shape)}, not {tuple(x.shape)}")
    whole = not (levels.is_floating_point() or levels.is_complex() or levels.dtype == torch.bool)
    hold(whole, f"{what}: levels are {levels.dtype}, not of an integer dtype")
    hold(codes.bits == quantizer.bits, f"{what}: codes say {codes.bits} bits, the quantizer {quantizer.bits}")
    _check_range(levels, codes.bits, what)
    decoded = codes.decode()
    hold(decoded.shape == x.shape, f"{what}: decode gives shape {tuple(decoded.shape)}, not {tuple(x.shape)}")
    hold(decoded.dtype == y.dtype, f"{what}: decode gives {decoded.dtype}, forward {y.dtype}")
    different = int((decoded != y).sum())
    hold(not different, f"{what}: encode(x).decode() is not forward(x) in {different} of {x.numel()} places")


def _check_range(levels: Tensor, bits: int, what: str) -> None:
    found = torch.unique(levels)
    most = 2**bits
    hold(found.numel() <= most, f"{what}: {found.numel()} levels do not fit into {bits} bits")
    # 1 bit holds -1 and +1; with more bits the levels are neighbours
    span = int(found[-1]) - int(found[0])
    hold(span <= most, f"{what}: levels from {int(found[0])} to {int(found[-1])} do not fit into {bits} bits")


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
    mixed, zeros = _balanced(x), torch.zeros_like(x)
    with torch.no_grad():
        y = quantizer(zeros)
        levels, negative = quantizer.encode(mixed).levels, quantizer.encode(torch.where(mixed == 0, -0.0, mixed)).levels
        signs = set(levels.flatten().tolist()) <= {-1, 1}
        # one level of two: a learned scale is not 0 where the values are
        as_one = quantizer.bits == 1 and bool((quantizer.encode(zeros).levels == 1).all())
    hold(as_one or bool((y == 0).all()), f"zeros give {y.abs().max():.3g}, neither zeros nor the level +1")
    hold(not signs or bool((levels[mixed == 0] == 1).all()), "zero does not count as +1, though there is no level 0")
    hold(torch.equal(levels, negative), "0 and -0 have different levels")


def _balanced(x: Tensor) -> Tensor:
    """Like x: zeros and others of which every row, column and the whole have a mean of exactly 0.

    So 0 is also the centre of a quantizer that subtracts a mean.
    """
    half = torch.arange(x.shape[-1] // 2) % 3 / 2
    row = torch.cat([half, torch.zeros(x.shape[-1] % 2), -half.flip(0)])
    turns = 1 - 2 * (torch.arange(x.numel() // x.shape[-1]) % 2)
    return (turns[:, None] * row).view(x.shape)


def _check_dtypes(quantizer: Quantizer, x: Tensor) -> None:
    for dtype in (torch.float64, torch.bfloat16):
        _check_codes(quantizer, x.to(dtype), f"values of {dtype}")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _check_codes(quantizer, x, "values under autocast")


def _check_layout(quantizer: Quantizer, x: Tensor) -> None:
    """A transposed view is quantized like the same values in a row; one in training like one in evaluation."""
    strided = x.mT.contiguous().mT
    with torch.no_grad():
        same = torch.allclose(quantizer(strided), quantizer(x), rtol=1e-5, atol=1e-6)
    hold(same, "a transposed view is quantized otherwise than the same values in a row")
    with_gradient = quantizer(x.clone().requires_grad_())
    hold(torch.equal(quantizer(x).detach(), with_gradient.detach()), "values differ where a gradient is asked for")


def _check_state(options: QuantizerOptions, shape: torch.Size, quantizer: Quantizer, x: Tensor) -> None:
    restored = options.build(shape).eval()
    restored.load_state_dict({name: tensor.clone() for name, tensor in quantizer.state_dict().items()})
    with torch.no_grad():
        y = quantizer(x)
        hold(torch.equal(restored(x), y), "its state dict does not hold all of its state")
        hold(torch.equal(copy.deepcopy(quantizer)(x), y), "a deepcopy gives other values")


def _check_gradient(quantizer: Quantizer, x: Tensor) -> None:
    quantizer = copy.deepcopy(quantizer).train()
    given = x.clone().requires_grad_()
    upstream = torch.linspace(0.5, 1.5, x.numel()).view(x.shape)
    quantizer(given).backward(upstream)
    gradient = given.grad
    hold(gradient is not None, "no gradient reaches x; see `straight_through`")
    hold(bool(gradient is not None and gradient.isfinite().all()), "the gradient of x is NaN or infinite")
    hold(bool(gradient is not None and gradient.any()), "the gradient of x is 0 everywhere; see `straight_through`")
    grouped = [id(parameter) for group in quantizer.parameter_groups() for parameter in group.parameters]
    named = dict(quantizer.named_parameters())
    for name, parameter in named.items():
        count = grouped.count(id(parameter))
        hold(count == 1, f"parameter '{name}' is in {count} parameter groups, not in 1")
        hold(parameter.grad is not None, f"no gradient reaches parameter '{name}'")
        hold(bool(parameter.grad is not None and parameter.grad.isfinite().all()), f"the gradient of '{name}' is NaN")
    hold(len(grouped) == len(named), "a parameter group holds a parameter that is not the quantizer's own")


def _check_factors(quantizer: Quantizer, x: Tensor) -> None:
    found = []
    for apart in (False, True):
        given = x.clone().requires_grad_()
        values, scale = quantizer.factored(given) if apart else (quantizer(given), None)
        y = values if scale is None else values * scale
        torch.autograd.backward(y, torch.linspace(0.5, 1.5, x.numel()).view(x.shape))
        found.append((y.detach(), given.grad))
    (y, gradient), (product, its_gradient) = found
    hold(torch.equal(y, product), "the factors of factored(x) do not give forward(x)")
    same = gradient is not None and its_gradient is not None and torch.allclose(gradient, its_gradient)
    hold(same, "factored(x) gives x another gradient than forward(x)")


def _check_compiled(quantizer: Quantizer, x: Tensor) -> None:
    torch.compiler.reset()  # it compiles the same code for so many shapes and options only
    quantizer(x)  # the first batch may set state, which is not for a compiler
    found = []
    for function in (quantizer, torch.compile(quantizer, backend="aot_eager", fullgraph=True)):
        given = x.clone().requires_grad_()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch's own, whatever is compiled
            y = function(given)
        torch.autograd.backward(y, torch.ones_like(x))
        found.append((y.detach(), given.grad))
    (y, gradient), (compiled_y, compiled_gradient) = found
    hold(torch.allclose(y, compiled_y, rtol=1e-5, atol=1e-6), "torch.compile changes values")
    same = gradient is not None and compiled_gradient is not None and torch.allclose(gradient, compiled_gradient)
    hold(same, "torch.compile changes the gradient")


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
        hold(same, f"row_wise is True, but forward_rows(x[i], x) is not forward(x)[i]{what}")


def _matrices() -> dict[str, Tensor]:
    x = torch.randn(_MATRIX, generator=torch.Generator().manual_seed(0))
    zero_row, outlier, zeros_within = x.clone(), x.clone(), x.clone()
    zero_row[2] = 0.0
    outlier[1, 3] = 40.0
    zeros_within[:, ::3] = 0.0
    return {
        "ordinary values": x,
        "a row of zeros": zero_row,
        "only zeros": torch.zeros_like(x),
        "exact zeros": zeros_within,
        "an outlier": outlier,
        "small values": 1e-4 * x,
        "values of one size": torch.full_like(x, 0.25),
        "negative values": -x.abs() - 0.1,
    }


def _states() -> dict[str, Tensor]:
    x = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(1))
    return {"ordinary values": x, "values after relu": x.relu(), "only zeros": torch.zeros_like(x), "outliers": 5 * x}


def _probabilities() -> dict[str, Tensor]:
    x = torch.randn(2, 2, 5, 5, generator=torch.Generator().manual_seed(2)).softmax(-1)
    masked = x.clone()
    masked[..., 3:] = 0.0
    return {"ordinary values": x, "probabilities of masked tokens": masked}
