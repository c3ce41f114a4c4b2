"""AdamW over few long vectors instead of many small tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

import torch
from attrs import frozen
from torch import Tensor, nn

from bebertlab.interfaces.capabilities import ParameterGroup
from bebertlab.interfaces.training_state import TrainingState
from bebertlab.training.options import TrainOptions

_BETAS = (0.9, 0.999)
_EPSILON = 1e-8
_STATE = ("first", "second", "count")  # names of the tensors of a vector


@frozen(kw_only=True, eq=False)
class Group:
    """Parameters with the same rate and decay."""

    parameters: tuple[nn.Parameter, ...]
    learning_rate: float
    weight_decay: float


def parameter_groups(
    model: nn.Module, quantizers: Iterable[ParameterGroup], options: TrainOptions, learning_rate: float
) -> tuple[Group, ...]:
    """The groups of a model: matrices decay, biases, norms and other vectors do not; quantizers name their parameters.

    The rate of a quantizer's parameters is the same in every phase, as in BinaryBERT.
    """
    quantized = [
        Group(
            parameters=group.parameters,
            learning_rate=options.quantizer_learning_rate if group.learning_rate is None else group.learning_rate,
            weight_decay=options.quantizer_weight_decay if group.weight_decay is None else group.weight_decay,
        )
        for group in quantizers
        if not group.no_decay_group
    ]
    taken = {id(parameter) for group in quantized for parameter in group.parameters}
    others = [parameter for parameter in model.parameters() if id(parameter) not in taken]
    matrices = tuple(parameter for parameter in others if parameter.ndim > 1)
    vectors = tuple(parameter for parameter in others if parameter.ndim <= 1)
    return _merged(
        [
            Group(parameters=matrices, learning_rate=learning_rate, weight_decay=options.weight_decay),
            Group(parameters=vectors, learning_rate=learning_rate, weight_decay=0.0),
            *quantized,
        ]
    )


def _merged(groups: Sequence[Group]) -> tuple[Group, ...]:
    """One group for each pair of rate and decay: a model has a quantizer at every site."""
    merged: dict[tuple[float, float], list[nn.Parameter]] = {}
    for group in groups:
        trained = (parameter for parameter in group.parameters if parameter.requires_grad)
        merged.setdefault((group.learning_rate, group.weight_decay), []).extend(trained)
    return tuple(
        Group(parameters=tuple(parameters), learning_rate=rate, weight_decay=decay)
        for (rate, decay), parameters in merged.items()
        if parameters
    )


@frozen(kw_only=True, eq=False)
class Moments:
    """The state of Adam for some vectors."""

    first: Sequence[Tensor]
    second: Sequence[Tensor]
    counts: Sequence[Tensor]  #: steps for the bias correction of the moments, including the next one


def fused_adamw(
    vectors: Sequence[Tensor],
    moments: Moments,
    group: Group,
    factor: float,
    *,
    betas: tuple[float, float],
    epsilon: float,
    divisor: Tensor | None,
) -> None:
    """Update vectors by their gradients, divided by `divisor`, at `factor` times the rate of their group.

    The kernel of `torch.optim.AdamW` without that class, whose first use imports the compiler of torch: two seconds in
    every worker.
    """
    with torch.no_grad():
        torch._fused_adamw_(
            [*vectors],
            [vector.grad for vector in vectors if vector.grad is not None],
            [*moments.first],
            [*moments.second],
            [],
            [*moments.counts],
            lr=factor * group.learning_rate,
            beta1=betas[0],
            beta2=betas[1],
            weight_decay=group.weight_decay,
            eps=epsilon,
            amsgrad=False,
            maximize=False,
            grad_scale=divisor,
        )


class Optimizer:
    """AdamW (betas 0.9 and 0.999, epsilon 1e-8) with the gradient's global norm clipped.

    A small model has dozens of tensors of a few thousand elements, whose kernel launches cost more than the arithmetic.
    So after the first backward pass the small parameters of a group become views of one vector, and their gradients
    views of another. Parameters that do not affect the first loss stay separate: without a gradient they are
    neither updated nor decayed.
    """

    def __init__(self, groups: Sequence[Group], gradient_norm: float | None) -> None:
        self._groups = groups
        self._gradient_norm = gradient_norm
        self._flat: list[FlatParameters] = []
        self._separate: list[nn.Parameter] = []
        self._tables = Tables()
        self._vectors: list[_Vectors] = []

    def step(self, factor: float) -> None:
        """Update all parameters by their gradients, at `factor` times their rates, and clear the gradients."""
        self._vectors = self._vectors or self._begin()
        gradients = self._gradients()
        divisor = None
        if self._gradient_norm is not None and gradients:
            # the fused step divides by it: one pass less over the gradients, and on a GPU no wait for the norm
            norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients]))
            divisor = (norm / self._gradient_norm).clamp(min=1.0)
        for vectors in self._vectors:
            vectors.update(factor, divisor)
        self.clear()

    def clear(self) -> None:
        """Clear the gradients."""
        for flat in self._flat:
            flat.gradient.zero_()
        for parameter in self._separate if self._vectors else parameters_of(self._groups):
            self._tables.clear(parameter)

    def state(self) -> TrainingState:
        """The moments of all parameters after the first step, and which parameters are flat."""
        tensors = {f"{i}.{name}": t for i, vectors in enumerate(self._vectors) for name, t in vectors.state().items()}
        return TrainingState(tensors=tensors, data={"flat": [vectors.flat for vectors in self._vectors]})

    def restore(self, state: TrainingState) -> None:
        """Continue from a state; the parameters have their values already."""
        self._vectors = self._begin(state.data["flat"])
        for index, vectors in enumerate(self._vectors):
            vectors.restore(starting_with(f"{index}.", state.tensors))

    def release(self) -> None:
        """Give every parameter its own memory again and drop the gradients; the optimizer cannot be used afterwards."""
        for flat in self._flat:
            flat.release()
        for parameter in self._separate:
            parameter.grad = None
        self._flat, self._separate, self._vectors, self._tables = [], [], [], Tables()

    def _begin(self, positions: Sequence[Sequence[int]] | None = None) -> list[_Vectors]:
        """Flatten the small parameters, or those at the positions that a state has for each group."""
        vectors = []
        for index, group in enumerate(self._groups):
            chosen = small_positions(group.parameters) if positions is None else positions[index]
            flat, separate = flatten(group.parameters, chosen)
            self._flat += flat
            self._separate += separate
            vectors.append(_Vectors(group, [*(parameters.vector for parameters in flat), *separate], chosen))
        return vectors

    def _gradients(self) -> list[Tensor]:
        separate = [self._tables.densify(parameter) for parameter in self._separate]
        return [*(flat.gradient for flat in self._flat), *(gradient for gradient in separate if gradient is not None)]


class _Vectors:
    """Flat and large parameters of a group, with their moments."""

    def __init__(self, group: Group, vectors: Sequence[nn.Parameter], flat: Sequence[int]) -> None:
        self._group, self._vectors = group, vectors
        self.flat = [*flat]  #: positions in the group of the parameters that are flat
        self._states: dict[Tensor, tuple[Tensor, Tensor, Tensor]] = {}  # two moments, and the steps so far

    def update(self, factor: float, divisor: Tensor | None) -> None:
        """Update the vectors that have a gradient."""
        updated: list[Tensor] = [vector for vector in self._vectors if vector.grad is not None]
        if not updated:
            return
        firsts, seconds, counts = (list(column) for column in zip(*map(self._state, updated), strict=True))
        torch._foreach_add_(counts, 1)
        state = Moments(first=firsts, second=seconds, counts=counts)
        fused_adamw(updated, state, self._group, factor, betas=_BETAS, epsilon=_EPSILON, divisor=divisor)

    def state(self) -> dict[str, Tensor]:
        """The moments and counts of the vectors that were updated."""
        updated = [(i, self._states[vector]) for i, vector in enumerate(self._vectors) if vector in self._states]
        return {f"{i}.{name}": tensor for i, state in updated for name, tensor in zip(_STATE, state, strict=True)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Continue from a state."""
        for index, vector in enumerate(self._vectors):
            own = starting_with(f"{index}.", tensors)
            if own:
                first, second, count = (own[name].to(vector.device) for name in _STATE)
                self._states[vector] = first, second, count

    def _state(self, vector: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if vector not in self._states:
            count = torch.zeros((), device=vector.device)
            self._states[vector] = torch.zeros_like(vector), torch.zeros_like(vector), count
        return self._states[vector]


SMALL = 2**15  #: elements below which parameters are flattened into one vector; larger ones are updated separately

_LINE = 16  # elements of a cache line


class FlatParameters:
    """Parameters and their gradients in contiguous memory; each begins on a cache line, for the products that read it.

    The parameters become views of `vector`, and their gradients views of `gradient`, until `release`.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters = parameters
        starts = list(accumulate((-(-p.numel() // _LINE) * _LINE for p in parameters), initial=0))
        self.vector = nn.Parameter(parameters[0].new_zeros(starts[-1]))
        #: (parameters,) elements of each, padded to the end of its cache line
        self.lengths = torch.tensor(starts, device=self.vector.device).diff()
        self.gradient = torch.zeros_like(self.vector)
        self.vector.grad = self.gradient
        self.gradients: list[Tensor] = []  #: of each parameter
        for p, start in zip(parameters, starts, strict=False):
            values = self.vector.data[start : start + p.numel()].view_as(p)
            gradient = self.gradient[start : start + p.numel()].view_as(p)
            values.copy_(p.data)
            if p.grad is not None:
                gradient.copy_(p.grad)
            p.data, p.grad = values, gradient
            self.gradients.append(gradient)

    def elements_of(self, parameter: nn.Parameter) -> slice | None:
        """The elements of `vector` that are a parameter; None for other parameters."""
        for flattened, gradient in zip(self.parameters, self.gradients, strict=True):
            if flattened is parameter:
                start = gradient.storage_offset()
                return slice(start, start + gradient.numel())
        return None

    def release(self) -> None:
        """Give every parameter its own memory again and drop the gradients."""
        for parameter in self.parameters:
            parameter.data = parameter.data.clone()
            parameter.grad = None


class Tables:
    """Dense memory for sparse gradients, kept between steps, so that only the rows of a batch are written."""

    def __init__(self) -> None:
        self._memory: dict[nn.Parameter, Tensor] = {}
        self._rows: dict[nn.Parameter, Tensor] = {}

    def densify(self, parameter: nn.Parameter) -> Tensor | None:
        """Make the gradient of a parameter dense; returns its rows that are not zero, None without a gradient."""
        gradient = parameter.grad
        if gradient is None or not gradient.is_sparse:
            return gradient
        gradient = gradient.coalesce()
        rows = self._rows[parameter] = gradient.indices()[0]
        if parameter not in self._memory:
            self._memory[parameter] = torch.zeros_like(parameter)
        parameter.grad = self._memory[parameter].index_copy_(0, rows, gradient.values())
        return gradient.values()

    def clear(self, parameter: nn.Parameter) -> None:
        """Drop the gradient of a parameter."""
        parameter.grad = None
        if (rows := self._rows.pop(parameter, None)) is not None:
            self._memory[parameter].index_fill_(0, rows, 0.0)


def small_positions(parameters: Sequence[nn.Parameter]) -> list[int]:
    """The positions of the small parameters that have a gradient, which are flattened.

    A parameter without a gradient is neither updated nor decayed, which is impossible for a part of a vector.
    """
    return [
        position
        for position, p in enumerate(parameters)
        if p.grad is not None and not p.grad.is_sparse and p.numel() < SMALL
    ]


def flatten(
    parameters: Sequence[nn.Parameter], positions: Iterable[int]
) -> tuple[list[FlatParameters], list[nn.Parameter]]:
    """Flatten the parameters at these positions; the others stay separate."""
    chosen = frozenset(positions)
    small = [p for position, p in enumerate(parameters) if position in chosen]
    return [FlatParameters(small)] if small else [], [p for i, p in enumerate(parameters) if i not in chosen]


def parameters_of(groups: Iterable[Group]) -> Iterator[nn.Parameter]:
    """All parameters of some groups."""
    for group in groups:
        yield from group.parameters


def starting_with(start: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with a text, by the rest of their names."""
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}
