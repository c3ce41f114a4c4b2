"""Checks of the capabilities of quantizers, each only where a quantizer has it."""

from __future__ import annotations

import copy
import difflib
import inspect
from collections.abc import Sequence

import torch
from torch import Tensor

from bebertlab.interfaces.capabilities import (
    CAPABILITIES,
    LevelGrid,
    SupportsBranchCodes,
    SupportsBranches,
    SupportsGrid,
    SupportsProgress,
    SupportsStateTransfer,
    SupportsTableRows,
    SupportsThreshold,
    SupportsUnscaled,
    Threshold,
    is_row_wise,
    parameter_groups,
)
from bebertlab.interfaces.quantizer import Codes, Quantizer
from bebertlab.testing.contract import require

_SMALLEST = 2.0**-149  #: the smallest positive float32, which a division makes 0
_LARGEST_LEVEL = 2**22  #: the largest magnitude of a level of a grid: float32 has all halves up to there
_HALVES = 8  #: borders of levels that are tried, in each direction
_SIMILAR = 0.8  #: names at least this similar to that of a capability are taken for misspelt


def check_capabilities(quantizer: Quantizer, x: Tensor) -> None:
    """Check the rule of every capability that a quantizer has, on a tensor that it was built for.

    Raises:
        ContractError: a capability breaks its rule, or a method looks like a misspelt or mistyped one.
    """
    _check_names(quantizer)
    _check_groups(quantizer)
    if isinstance(quantizer, SupportsUnscaled):
        _check_unscaled(quantizer, x)
    if isinstance(quantizer, SupportsProgress):
        _check_progress(quantizer, x)
    if isinstance(quantizer, SupportsStateTransfer):
        for name in quantizer.transferable_state:
            require(name in quantizer.state_dict(), f"transferable_state has '{name}', which is not in the state dict")
    if isinstance(quantizer, SupportsBranches | SupportsBranchCodes):
        _check_branches(quantizer, x)
    if isinstance(quantizer, SupportsThreshold) and (threshold := quantizer.binary_threshold()) is not None:
        _check_threshold(quantizer, threshold, x)
    _check_grid(quantizer, x)
    if x.ndim == 2 and is_row_wise(quantizer):
        _check_rows(quantizer, x)


def _check_names(quantizer: Quantizer) -> None:
    inherited = set(dir(Quantizer)) | {"alphabet"}
    own = {name for name in dir(quantizer) if not name.startswith("_")} - inherited - {*quantizer._parameters}
    own -= {*quantizer._buffers, *quantizer._modules}
    for name in sorted(own - CAPABILITIES.keys()):
        near = difflib.get_close_matches(name, CAPABILITIES, n=1, cutoff=_SIMILAR)
        require(not near, f"'{name}' is no capability; did you mean '{near[0] if near else ''}'?")
    for name in sorted(own & CAPABILITIES.keys()):
        protocol = getattr(CAPABILITIES[name], name, None)
        if protocol is None:  # an attribute
            continue
        expected = [*inspect.signature(protocol).parameters][1:]
        method = getattr(quantizer, name)
        require(callable(method), f"'{name}' is no method; expected {name}({', '.join(expected)})")
        try:
            inspect.signature(method).bind(*expected)
        except TypeError:
            require(False, f"'{name}{inspect.signature(method)}' cannot be called as {name}({', '.join(expected)})")


def _check_groups(quantizer: Quantizer) -> None:
    grouped = [id(parameter) for group in parameter_groups(quantizer) for parameter in group.parameters]
    named = dict(quantizer.named_parameters())
    for name, parameter in named.items():
        count = grouped.count(id(parameter))
        require(count == 1, f"parameter '{name}' is in {count} parameter groups, not in 1")
    require(len(grouped) == len(named), "a parameter group holds a parameter that is not the quantizer's")


def _check_unscaled(quantizer: Quantizer, x: Tensor) -> None:
    results = []
    for separately in (False, True):
        given = x.clone().requires_grad_()
        values, scale = quantizer(given), None
        if separately and isinstance(quantizer, SupportsUnscaled):
            values, scale = quantizer.forward_unscaled(given)
        y = values if scale is None else values * scale
        torch.autograd.backward(y, torch.linspace(0.5, 1.5, x.numel()).view(x.shape))
        results.append((y.detach(), given.grad))
    (y, gradient), (product, product_gradient) = results
    require(torch.equal(y, product), "the product of forward_unscaled(x) is not forward(x)")
    same = gradient is not None and product_gradient is not None and torch.allclose(gradient, product_gradient)
    require(same, "forward_unscaled(x) gives x another gradient than forward(x)")


def _check_threshold(quantizer: Quantizer, threshold: Threshold, x: Tensor) -> None:
    """The comparison, of ordinary values and of those around its border."""
    low, high = quantizer.alphabet.low, quantizer.alphabet.high
    require(quantizer.alphabet.size == 2, f"binary_threshold() is given, but {quantizer.alphabet} has other levels")
    step, shift = threshold.step.detach(), threshold.shift
    require(step.shape == (), f"the step of binary_threshold() has shape {tuple(step.shape)}, not ()")
    border = torch.zeros(()) if threshold.border is None else threshold.border.detach()
    given = f"{border.dtype} of shape {tuple(border.shape)}"
    valid = border.shape == () and border.dtype is torch.float32
    require(valid, f"the border of binary_threshold() is {given}, not torch.float32 of shape ()")
    near = border.expand_as(x) if shift is None else (border - shift.detach()).expand_as(x)
    zeros, tiny, infinity = torch.zeros_like(x), torch.full_like(x, _SMALLEST), torch.full_like(x, torch.inf)
    neighbours = (near, near.nextafter(infinity), near.nextafter(-infinity))
    for values in (x, *neighbours, zeros, -zeros, tiny, -tiny):
        total = values if shift is None else values + shift.detach()
        is_high = total >= border if threshold.inclusive else total > border
        with torch.no_grad():
            codes = quantizer.encode(values)
        require(
            torch.equal(codes.levels, torch.where(is_high, high, low).to(codes.levels.dtype)),
            "encode(x) does not give the levels of binary_threshold()",
        )
        require(
            codes.offset is None and torch.equal(codes.step.reshape(()), step),
            "encode(x) does not give the step of binary_threshold(), or it gives an offset",
        )


def _check_grid(quantizer: Quantizer, x: Tensor) -> None:
    """The grid, of ordinary values, of those around the borders of levels and clips, and of zeros."""
    if not isinstance(quantizer, SupportsGrid):
        return
    zeros = torch.zeros_like(x)
    for values in (x, *_borders(quantizer, x), 1e4 * x, zeros, -zeros, zeros + x.amax(), zeros + _SMALLEST):
        total = _shifted(values, quantizer.grid_shift)
        grid = _grid_of(quantizer, total)
        if grid is None:
            continue
        with torch.no_grad():
            codes = quantizer.encode(values)
        low, high = quantizer.alphabet.low, quantizer.alphabet.high
        steps = (total.clamp(grid.clip_low, grid.clip_high) - grid.base) / grid.divisor * grid.factor
        levels = steps.clamp(low, high).round()
        require(
            torch.equal(codes.levels.to(levels.dtype), levels), "encode(x) does not give the levels of level_grid()"
        )
        same = _is_number(codes.step, grid.step) and _is_number(codes.offset, grid.offset)
        require(same, "encode(x) does not give the step and the offset of level_grid()")


def _grid_of(quantizer: SupportsGrid, total: Tensor) -> LevelGrid | None:
    smallest, largest = torch.aminmax(total)
    grid = quantizer.level_grid(smallest.item(), largest.item())
    if grid is not None:
        require(
            grid.step > 0 and grid.divisor > 0, f"level_grid() has a step or a divisor that is not positive: {grid}"
        )
        for end in (quantizer.alphabet.low, quantizer.alphabet.high) if isinstance(quantizer, Quantizer) else ():
            require(abs(end) <= _LARGEST_LEVEL, f"level_grid() is given, but levels reach {end}")
    return grid


def _borders(quantizer: SupportsGrid, x: Tensor) -> list[Tensor]:
    """Values halfway between levels and at clips, and their neighbours: up from 0, down, in the range of x."""
    total = _shifted(x, quantizer.grid_shift)
    grid = _grid_of(quantizer, total)
    if grid is None:
        return []
    unit = grid.divisor / grid.factor
    halves, ends = (torch.arange(_HALVES) + 0.5) * unit, torch.stack(torch.aminmax(total))
    clips = torch.tensor([grid.clip_low, grid.clip_high]).nan_to_num(posinf=0.0, neginf=0.0)
    results, infinity = [], torch.tensor(torch.inf)
    for values in (halves, -halves, torch.cat([grid.base + halves, ends]), torch.cat([clips, 2 * clips, ends])):
        for near in (values, values.nextafter(infinity), values.nextafter(-infinity)):
            repeated = torch.cat([torch.zeros(1), near]).repeat(x.numel())[: x.numel()].view(x.shape)
            results.append(repeated if quantizer.grid_shift is None else repeated - quantizer.grid_shift.detach())
    return results


def _shifted(x: Tensor, shift: Tensor | None) -> Tensor:
    return x if shift is None else x + shift.detach()


def _is_number(scale: Tensor | None, number: float | None) -> bool:
    if scale is None or number is None:
        return scale is None and number is None
    return scale.numel() == 1 and torch.equal(scale.detach().reshape(()).float(), torch.tensor(number))


def _check_progress(quantizer: Quantizer, x: Tensor) -> None:
    later = copy.deepcopy(quantizer)
    if isinstance(later, SupportsProgress):
        later.progress(0.75)
    with torch.no_grad():
        require(torch.equal(later(x), quantizer(x)), "progress changes values; only the gradient may depend on it")
    for name, tensor in quantizer.state_dict().items():
        require(torch.equal(later.state_dict()[name], tensor), f"progress changes '{name}', which is saved")


def _check_rows(quantizer: Quantizer, x: Tensor) -> None:
    """Rows of a table whose rows have other means than the whole, quantized before and after they are selected."""
    rows = torch.tensor([4, 1, 1])
    name = "forward_rows(x[i], x)" if isinstance(quantizer, SupportsTableRows) else "forward(x[i])"
    results = []
    for select_first in (True, False):
        table = (x + torch.arange(len(x))[:, None]).requires_grad_()
        if not select_first:
            y = quantizer(table)[rows]
        elif isinstance(quantizer, SupportsTableRows):
            y = quantizer.forward_rows(table[rows], table)
        else:
            y = quantizer(table[rows])
        torch.autograd.backward(y, torch.linspace(0.5, 1.5, y.numel()).view(y.shape))
        results.append((y, table.grad))
    for what, selected, whole in zip(("", " in its gradient"), *results, strict=True):
        same = selected is not None and whole is not None and torch.allclose(selected, whole, rtol=1e-5, atol=1e-6)
        require(same, f"row_wise is True, but {name} is not forward(x)[i]{what}")


def _check_branches(quantizer: Quantizer, x: Tensor) -> None:
    """Branches that are quantized together equal single ones, also where their parameters differ."""
    twin, moved = copy.deepcopy(quantizer), copy.deepcopy(quantizer)
    with torch.no_grad():
        for parameter in moved.parameters():
            parameter.mul_(0.9)
    branches = [quantizer, twin, moved]
    x = x.detach().requires_grad_()
    if isinstance(quantizer, SupportsBranches):
        alone = [branch(x) for branch in branches]
        for gradients in (False, True):
            with torch.set_grad_enabled(gradients):
                together = quantizer.forward_branches([twin, moved], x)
            same = len(together) == len(alone) and all(map(torch.equal, together, alone))
            mode = "with" if gradients else "without"
            require(same, f"forward_branches does not give forward(x) of every branch ({mode} gradients)")
        learned = [x, *(parameter for branch in branches for parameter in branch.parameters())]
        pairs = zip(_gradients(together, learned), _gradients(alone, learned), strict=True)
        same = all(_same_gradient(first, second) for first, second in pairs)
        require(same, "forward_branches does not give x and parameters their gradients")
    if isinstance(quantizer, SupportsBranchCodes):
        with torch.no_grad():
            codes = quantizer.encode_branches([twin, moved], x)
            same = len(codes) == len(branches) and all(
                _same_codes(encoded, branch.encode(x)) for encoded, branch in zip(codes, branches, strict=True)
            )
        require(same, "encode_branches does not give encode(x) of every branch")


def _gradients(values: Sequence[Tensor], learned: Sequence[Tensor]) -> Sequence[Tensor | None]:
    """The gradients of a sum in which every element has a different weight."""
    weights = torch.linspace(-1, 2, sum(value.numel() for value in values), device=values[0].device)
    total = (torch.cat([value.flatten() for value in values]) * weights).sum()
    return torch.autograd.grad(total, learned, allow_unused=True, retain_graph=True)


def _same_codes(first: Codes, second: Codes) -> bool:
    return (
        first.alphabet == second.alphabet
        and torch.equal(first.levels, second.levels)
        and torch.equal(first.decode(), second.decode())
    )


def _same_gradient(first: Tensor | None, second: Tensor | None) -> bool:
    if first is None or second is None:
        return first is second
    return torch.allclose(first, second, rtol=1e-4, atol=1e-5)
