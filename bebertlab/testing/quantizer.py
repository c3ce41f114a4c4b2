"""Checks of the contract of quantizers: values, codes and gradients, dtypes and devices, saving and compiling."""

from __future__ import annotations

import copy
import warnings

import torch
from torch import Tensor

from bebertlab.errors import UserError
from bebertlab.interfaces.quantizer import SIGNS, Alphabet, Quantizer, QuantizerOptions
from bebertlab.testing.contract import ContractError, require
from bebertlab.testing.quantizer_capabilities import check_capabilities

MATRIX, CHANNELS, VARYING = torch.Size([6, 16]), torch.Size([16]), torch.Size([])
ORDINARY = "ordinary values"
#: torch's messages where a value is read from a meta tensor
_NO_VALUES = ("cannot be called on meta tensors", "Cannot copy out of meta tensor")


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
            built.append((VARYING, probabilities()))
    for shape, samples in built:
        try:
            _check(options, shape, samples)
            if compiled:
                _check_compiled(options.build(shape), samples[ORDINARY])
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
    _check_state(options, shape, quantizer, samples[ORDINARY])
    _check_device(quantizer, samples[ORDINARY])
    _check_gradient(quantizer, samples[ORDINARY])
    _check_dtypes(quantizer, samples[ORDINARY])
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


def matrices() -> dict[str, Tensor]:
    """Weights."""
    x = torch.randn(MATRIX, generator=torch.Generator().manual_seed(0))
    zero_row, outlier, zeros_within = x.clone(), x.clone(), x.clone()
    zero_row[2] = 0.0
    outlier[1, 3] = 40.0
    zeros_within[:, ::3] = 0.0
    return {
        ORDINARY: x,
        "a row of zeros": zero_row,
        "only zeros": torch.zeros_like(x),
        "exact zeros": zeros_within,
        "an outlier": outlier,
        "small values": 1e-4 * x,
        "equal values": torch.full_like(x, 0.25),
        "negative values": -x.abs() - 0.1,
    }


def states() -> dict[str, Tensor]:
    """Hidden states, (B, T, I)."""
    x = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(1))
    return {ORDINARY: x, "values after relu": x.relu(), "only zeros": torch.zeros_like(x), "outliers": 5 * x}


def probabilities() -> dict[str, Tensor]:
    """Attention probabilities, (B, A, T, T)."""
    x = torch.randn(2, 2, 5, 5, generator=torch.Generator().manual_seed(2)).softmax(-1)
    masked = x.clone()
    masked[..., 3:] = 0.0
    return {ORDINARY: x, "probabilities of masked tokens": masked}


def balanced(x: Tensor) -> Tensor:
    """A tensor in the shape of x, with zeros, whose mean is exactly 0 over every row, every column and the whole.

    So 0 is also the centre for a quantizer that subtracts a mean.
    """
    half = torch.arange(x.shape[-1] // 2) % 3 / 2
    row = torch.cat([half, torch.zeros(x.shape[-1] % 2), -half.flip(0)])
    signs = 1 - 2 * (torch.arange(x.numel() // x.shape[-1]) % 2)
    return (signs[:, None] * row).view(x.shape)


def check_codes(quantizer: Quantizer, x: Tensor, what: str) -> None:
    """Check shape, dtype, finiteness, alphabet, and that `encode(x).decode()` is `forward(x)`, on one tensor.

    Raises:
        ContractError: says what is wrong, beginning with `what`.
    """
    with torch.no_grad():
        y, codes = quantizer(x), quantizer.encode(x)
    require(y.shape == x.shape, f"{what}: forward turns shape {tuple(x.shape)} into {tuple(y.shape)}")
    require(y.dtype == x.dtype, f"{what}: forward turns {x.dtype} into {y.dtype}")
    require(y.device == x.device, f"{what}: forward turns a tensor on {x.device} into one on {y.device}")
    require(bool(y.isfinite().all()), f"{what}: forward gives NaN or infinity")
    levels, alphabet = codes.levels, quantizer.alphabet
    require(levels.shape == x.shape, f"{what}: levels have shape {tuple(levels.shape)}, not {tuple(x.shape)}")
    whole = not (levels.is_floating_point() or levels.is_complex() or levels.dtype == torch.bool)
    require(whole, f"{what}: levels are {levels.dtype}, not of an integer dtype")
    require(codes.alphabet == alphabet, f"{what}: codes have the {codes.alphabet}, the quantizer {alphabet}")
    _check_levels(levels, alphabet, what)
    decoded = codes.decode()
    require(decoded.shape == x.shape, f"{what}: decode gives shape {tuple(decoded.shape)}, not {tuple(x.shape)}")
    require(decoded.dtype == y.dtype, f"{what}: decode gives {decoded.dtype}, forward {y.dtype}")
    different = int((decoded != y).sum())
    require(not different, f"{what}: encode(x).decode() differs from forward(x) in {different} of {x.numel()} elements")


def _check_levels(levels: Tensor, alphabet: Alphabet, what: str) -> None:
    # half precision rounds the largest of more than 256 levels to its neighbor
    exact = alphabet.size <= 2**8
    fits = alphabet.contains(levels) if exact else alphabet.contains(levels.clamp(alphabet.low, alphabet.high))
    close = int(levels.min()) >= alphabet.low - 1 and int(levels.max()) <= alphabet.high + 1
    distinct = torch.unique(levels)
    shown = distinct.tolist() if len(distinct) <= 4 else f"from {int(distinct[0])} to {int(distinct[-1])}"
    require(fits and close, f"{what}: levels {shown} are not all in the declared {alphabet}")


def _check_dtypes(quantizer: Quantizer, x: Tensor) -> None:
    """Every precision works, forward and backward, autocast too; integers are refused or quantized like floats."""
    for dtype in (torch.float64, torch.bfloat16, torch.float16):
        what = f"values of {dtype}"
        check_codes(quantizer, x.to(dtype), what)
        _check_backward(quantizer, x.to(dtype), what)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        check_codes(quantizer, x, "values under autocast")
        _check_backward(quantizer, x, "values under autocast")
    whole = (4 * x).round()
    with torch.no_grad():
        try:
            y = quantizer(whole.to(torch.int64))
        except (RuntimeError, TypeError, ValueError):
            return
        same = torch.allclose(y.to(whole.dtype), quantizer(whole), atol=1e-6)
    require(same, "values of torch.int64: neither refused nor quantized like the same floats")


def _check_state(options: QuantizerOptions, shape: torch.Size, quantizer: Quantizer, x: Tensor) -> None:
    """State dict and deepcopy give the same quantizer, which then trains independently."""
    restored = options.build(shape)
    restored.load_state_dict({name: tensor.clone() for name, tensor in quantizer.state_dict().items()})
    copied = copy.deepcopy(quantizer)
    with torch.no_grad():
        y = quantizer(x)
        require(torch.equal(restored.eval()(x), y), "its state dict does not hold all of its state")
        require(torch.equal(copied(x), y), "a deepcopy gives other values")
        # twice the values, so that state which is set again after loading or copying shows
        trained = copied.train()(2 * x)
        require(torch.equal(restored.train()(2 * x), trained), "a loaded quantizer trains differently from a saved one")
    before = {name: tensor.clone() for name, tensor in quantizer.state_dict().items()}
    for tensor in copied.state_dict().values():
        tensor.add_(1) if tensor.dtype != torch.bool else tensor.logical_not_()
    for name, tensor in quantizer.state_dict().items():
        require(torch.equal(tensor, before[name]), f"a deepcopy shares '{name}'")


def _check_device(quantizer: Quantizer, x: Tensor) -> None:
    """It works on another device: on the accelerator where there is one, else on the meta device."""
    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    quantizer(x)  # sets first-batch state, after which its flag need not be read again
    moved = copy.deepcopy(quantizer).to(device or "meta")
    given = x.detach().to(device or "meta").requires_grad_()
    try:
        y = moved(given)
        y.backward(torch.ones_like(y))
        moved.encode(given.detach())
    except (RuntimeError, NotImplementedError) as error:
        if any(text in str(error) for text in _NO_VALUES):
            return  # reading values back is allowed, and needs a real device
        require(False, f"on another device: {str(error).splitlines()[0]}")
    require(y.device == given.device, f"forward turns a tensor on {given.device} into one on {y.device}")
    if device is not None:
        _check_same_there(quantizer, moved, given, y)


def _check_compiled(quantizer: Quantizer, x: Tensor) -> None:
    """`torch.compile` gives the same values and gradients without graph breaks."""
    torch.compiler.reset()  # the number of recompilations of the same code is limited
    quantizer(x)  # the first batch may set state, which is not compiled
    results = []
    for function in (quantizer, torch.compile(quantizer, backend="aot_eager", fullgraph=True)):
        given = x.clone().requires_grad_()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # raised inside torch
            y = function(given)
        torch.autograd.backward(y, torch.ones_like(x))
        results.append((y.detach(), given.grad))
    (y, gradient), (compiled_y, compiled_gradient) = results
    require(torch.allclose(y, compiled_y, rtol=1e-5, atol=1e-6), "torch.compile changes values")
    same = gradient is not None and compiled_gradient is not None and torch.allclose(gradient, compiled_gradient)
    require(same, "torch.compile changes the gradient")


def _check_backward(quantizer: Quantizer, x: Tensor, what: str) -> None:
    quantizer = copy.deepcopy(quantizer).train()
    given = x.clone().requires_grad_()
    y = quantizer(given)
    y.backward(torch.ones_like(y))
    gradients = {"x": given.grad, **{f"'{name}'": p.grad for name, p in quantizer.named_parameters()}}
    for name, gradient in gradients.items():
        require(gradient is not None, f"{what}: no gradient reaches {name}")
        require(bool(gradient is not None and gradient.isfinite().all()), f"{what}: the gradient of {name} is NaN")


def _check_same_there(quantizer: Quantizer, moved: Quantizer, given: Tensor, y: Tensor) -> None:
    """Values, gradient and codes on an accelerator are those of the CPU, up to rounding."""
    check_codes(moved, given.detach(), f"values on {given.device}")
    here = given.detach().cpu().requires_grad_()
    expected = copy.deepcopy(quantizer)(here)
    expected.backward(torch.ones_like(expected))
    require(torch.allclose(y.cpu(), expected, rtol=1e-4, atol=1e-5), f"{given.device} gives other values than the CPU")
    there = given.grad
    same = there is not None and here.grad is not None and torch.allclose(there.cpu(), here.grad, rtol=1e-4, atol=1e-5)
    require(same, f"{given.device} gives another gradient than the CPU")
