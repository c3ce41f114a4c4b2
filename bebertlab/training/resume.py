"""Saving the state of a training from time to time, and continuing from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from bebertlab.interfaces.distillation import Phase
from bebertlab.interfaces.training_state import TrainingState
from bebertlab.training.result import Training
from bebertlab.training.setup import TrainingSetup

_PHASE = "phase"


class Checkpoints:
    """The saved state of a training of several phases; without a place to keep it, nothing is saved.

    A state has the current phase, and the durations and curves of the phases before.
    """

    def __init__(self, setup: TrainingSetup, phases: Sequence[Phase], model: nn.Module) -> None:
        self._states = setup.states
        self._names = [phase.name for phase in phases]
        self._machine = machine(setup.device)
        self._saved = self._states.begin() if self._states else None
        self.finished: list[Training] = []  #: the phases before the current one
        if self._saved is None or self._states is None:
            return
        problem = self._problem(self._saved, model)
        if problem is None:
            self.finished = [Training.of_data(data) for data in self._saved.data["finished"]]
        else:
            self._saved = None
            self._states.reject(problem)

    def resumed(self) -> TrainingState | None:
        """The state that the current phase continues from; None: it begins."""
        saved, self._saved = self._saved, None
        return None if saved is None else saved.part(_PHASE)

    def save_if_due(self, state: Callable[[], TrainingState]) -> None:
        """Save the state of the current phase if it is time to."""
        if self._states is not None and self._states.is_due():
            finished = [training.data() for training in self.finished]
            data = {"phases": self._names, "finished": finished, "machine": self._machine}
            self._states.save(TrainingState.joined({_PHASE: state()}, **data))

    def _problem(self, saved: TrainingState, model: nn.Module) -> str | None:
        """Why the training cannot continue from a state."""
        data = saved.data
        if data["phases"] != self._names:
            return f"it has other phases ({', '.join(data['phases'])})"
        if data["machine"] != self._machine:
            return f"it was saved on {data['machine']}, and this is {self._machine}, which may round differently"
        return _mismatch(saved.part(_PHASE).part("model").tensors, tensors_of(model))


def machine(device: str) -> str:
    """The kind of machine that torch computes on: the results of another kind may differ in their last bits."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    capability = torch.backends.cpu.get_cpu_capability()
    return f"a CPU with {capability} and {torch.get_num_threads()} threads"


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """All parameters and buffers of a model, also buffers that are not part of its files."""
    return {name: tensor.detach() for name, tensor in (*model.named_parameters(), *model.named_buffers())}


def restore_tensors(model: nn.Module, saved: Mapping[str, Tensor]) -> None:
    """Give the parameters and buffers of a model the saved values, in place."""
    for name, tensor in tensors_of(model).items():
        tensor.copy_(saved[name])


def _mismatch(saved: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> str | None:
    if saved.keys() != own.keys():
        return "it has other tensors than the model"
    for name, tensor in own.items():
        if (tensor.shape, tensor.dtype) != (saved[name].shape, saved[name].dtype):
            return f"{name} has another shape or type than that of the model"
    return None
