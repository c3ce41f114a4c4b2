"""Checks of quantizers in other dtypes and on other devices, saved, copied and compiled."""

from __future__ import annotations

import copy
import warnings

import torch
from torch import Tensor

from bebertlab.interfaces.quantizer import Quantizer, QuantizerOptions
from bebertlab.testing.contract import require
from bebertlab.testing.quantizer_codes import check_codes

#: torch's messages where a value is read from a meta tensor
_NO_VALUES = ("cannot be called on meta tensors", "Cannot copy out of meta tensor")


def check_dtypes(quantizer: Quantizer, x: Tensor) -> None:
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


def check_state(options: QuantizerOptions, shape: torch.Size, quantizer: Quantizer, x: Tensor) -> None:
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


def check_device(quantizer: Quantizer, x: Tensor) -> None:
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


def check_compiled(quantizer: Quantizer, x: Tensor) -> None:
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
