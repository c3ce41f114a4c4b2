"""Tensors of a weight's size that a quantized linear map makes more than an ordinary one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from attrs import frozen
from torch import nn

from bebertlab.bench.allocation import Allocation, allocation
from bebertlab.bench.clock import Ratio
from bebertlab.bench.row import Finding, Goal, Row
from bebertlab.bench.scheme import SCHEMES, by_scheme
from bebertlab.bench.setting import Setting
from bebertlab.model.bert import BertClassifier
from bebertlab.model.linear import Linear
from bebertlab.model.parameter_names import layer_path
from bebertlab.model.spec import quantizable_modules

_FLOAT_BYTES = 4
_TOKENS = 1  # so few that no activation is as large as a weight

GOALS: tuple[Goal, ...] = tuple(
    Goal(
        name=f"allocations.{one.name}",
        what=f"{one.what}: extra tensors of the weight's size, forward and backward of a linear map",
        better="lower",
        goal=2.0,
    )
    for one in SCHEMES
)


@frozen(kw_only=True)
class Extra:
    """What one linear map takes beyond an ordinary one, in tensors of its weight's size."""

    total: float  #: allocated, whether freed again or not
    peak: float  #: at once


def allocations(wanted: Sequence[Goal], setting: Setting) -> Iterator[Finding]:
    """The worst linear map of a layer, by scheme."""
    there, missing = by_scheme(wanted, setting)
    yield from missing
    for target, scheme in there:
        extras = layer_extras(scheme.build(setting), setting)
        worst = max(extras, key=lambda name: extras[name].total)
        note = f"the worst is {worst}; at once {max(one.peak for one in extras.values()):.2f}"
        yield Row(target=target, ratio=Ratio.of([extras[worst].total]), note=note)


def layer_extras(model: BertClassifier, setting: Setting) -> Mapping[str, Extra]:
    """What each linear map of the first layer takes, by its name in the layer."""
    prefix = f"{layer_path(0)}."
    paths = [path for path in quantizable_modules(model.architecture) if path.startswith(prefix)]
    return {path.removeprefix(prefix): _extra(model.get_submodule(path), setting) for path in paths}


def _extra(module: nn.Module, setting: Setting) -> Extra:
    """Of all branches together, as of one matrix of their size."""
    matrices = [p for name, p in module.named_parameters() if name.endswith("weight") and p.ndim == 2]
    outputs, inputs = matrices[0].shape
    plain = _allocation(Linear(inputs, outputs), inputs, outputs, setting)
    found = _allocation(module, inputs, outputs, setting)
    size = sum(matrix.numel() for matrix in matrices) * _FLOAT_BYTES
    one = outputs * inputs * _FLOAT_BYTES
    return Extra(
        total=found.total_bytes / size - plain.total_bytes / one, peak=found.peak_bytes / size - plain.peak_bytes / one
    )


def _allocation(module: nn.Module, inputs: int, outputs: int, setting: Setting) -> Allocation:
    module.to(setting.device).train()
    x = torch.linspace(-1, 1, _TOKENS * inputs, device=setting.device).view(1, _TOKENS, inputs).requires_grad_()

    def work() -> None:
        module(x).sum().backward()

    work()  # a first batch may set steps
    x.grad = None
    module.zero_grad(set_to_none=True)
    # a mask of a byte a weight counts as a quarter
    return allocation(work, smallest_bytes=outputs * inputs)
