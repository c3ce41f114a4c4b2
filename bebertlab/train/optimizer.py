"""AdamW over few long vectors instead of many small tensors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from attrs import frozen
from torch import Tensor, nn

from bebertlab.interfaces.quantizer import ParameterGroup
from bebertlab.train.bundle import Bundle, Tables, bundle
from bebertlab.train.options import TrainOptions

_BETAS = (0.9, 0.999)
_EPSILON = 1e-8


@frozen(kw_only=True, eq=False)
class Group:
    """Parameters with the same rate and decay."""

    parameters: tuple[nn.Parameter, ...]
    learning_rate: float
    weight_decay: float


def parameter_groups(
    model: nn.Module, quantizers: Iterable[ParameterGroup], options: TrainOptions, learning_rate: float
) -> tuple[Group, ...]:
    """Matrices decay; biases, norms and other vectors do not; quantizers say what is theirs.

    The rate of a quantizer's parameters stays the same in every phase, as in BinaryBERT.
    """
    own = [
        Group(
            parameters=group.parameters,
            learning_rate=options.quantizer_learning_rate if group.learning_rate is None else group.learning_rate,
            weight_decay=options.quantizer_weight_decay if group.weight_decay is None else group.weight_decay,
        )
        for group in quantizers
        if not group.like_biases
    ]
    taken = {id(parameter) for group in own for parameter in group.parameters}
    others = [parameter for parameter in model.parameters() if id(parameter) not in taken]
    matrices = tuple(parameter for parameter in others if parameter.ndim > 1)
    vectors = tuple(parameter for parameter in others if parameter.ndim <= 1)
    return _merged(
        [
            Group(parameters=matrices, learning_rate=learning_rate, weight_decay=options.weight_decay),
            Group(parameters=vectors, learning_rate=learning_rate, weight_decay=0.0),
            *own,
        ]
    )


def _merged(groups: Sequence[Group]) -> tuple[Group, ...]:
    """One group for each pair of rate and decay: a model has a quantizer at every site."""
    found: dict[tuple[float, float], list[nn.Parameter]] = {}
    for group in groups:
        trained = (parameter for parameter in group.parameters if parameter.requires_grad)
        found.setdefault((group.learning_rate, group.weight_decay), []).extend(trained)
    return tuple(
        Group(parameters=tuple(parameters), learning_rate=rate, weight_decay=decay)
        for (rate, decay), parameters in found.items()
        if parameters
    )


class Optimizer:
    """AdamW (betas 0.9 and 0.999, epsilon 1e-8) with the gradient's global norm clipped; rate and decay as told.

    A small model has dozens of tensors of a few thousand numbers, and the calls for each cost more than the numbers.
    So after the first backward pass the small parameters of a group become views of one vector, and their gradients
    views of another. Parameters that the first loss does not reach stay as they are: without a gradient they neither
    move nor decay.
    """

    def __init__(self, groups: Sequence[Group], gradient_norm: float | None) -> None:
        self._groups = groups
        self._gradient_norm = gradient_norm
        self._bundles: list[Bundle] = []
        self._alone: list[nn.Parameter] = []
        self._tables = Tables()
        self._adamw: torch.optim.AdamW | None = None

    def step(self, factor: float) -> None:
        """Update all parameters by their gradients, at `factor` times their rates, and clear the gradients."""
        adamw = self._adamw = self._adamw or self._begin()
        for group in adamw.param_groups:
            group["lr"] = group["initial_lr"] * factor
        gradients = self._gradients()
        if self._gradient_norm is not None and gradients:
            # the fused step divides by it: a pass over the gradients less, and no wait for the norm on a GPU
            norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(one) for one in gradients]))
            adamw.grad_scale = (norm / self._gradient_norm).clamp(min=1.0)  # type: ignore[attr-defined]  # as torch.amp
        adamw.step()
        for one in self._bundles:
            one.gradient.zero_()
        for parameter in self._alone:
            self._tables.clear(parameter)

    def release(self) -> None:
        """Give every parameter memory of its own again and drop the gradients; the optimizer is of no use after."""
        for one in self._bundles:
            one.release()
        for parameter in self._alone:
            parameter.grad = None
        self._bundles, self._alone, self._adamw, self._tables = [], [], None, Tables()

    def _begin(self) -> torch.optim.AdamW:
        laid = []
        for group in self._groups:
            bundles, alone = bundle(group.parameters)
            self._bundles += bundles
            self._alone += alone
            laid.append(
                {
                    "params": [*(one.vector for one in bundles), *alone],
                    "lr": group.learning_rate,
                    "initial_lr": group.learning_rate,
                    "weight_decay": group.weight_decay,
                }
            )
        return torch.optim.AdamW(laid, betas=_BETAS, eps=_EPSILON, fused=True)

    def _gradients(self) -> list[Tensor]:
        alone = [self._tables.lay(parameter) for parameter in self._alone]
        return [*(one.gradient for one in self._bundles), *(one for one in alone if one is not None)]
