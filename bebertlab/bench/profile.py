"""Where a training step goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from attrs import frozen
from torch import nn
from torch.profiler import ProfilerActivity, profile

from bebertlab.bench.huggingface import HuggingFaceSteps
from bebertlab.bench.parts import ModelPart, by_part, mark, marked
from bebertlab.bench.rows.allocations import Extra, layer_extras
from bebertlab.bench.scheme import SCHEMES, Scheme, full_precision
from bebertlab.bench.setting import Setting
from bebertlab.bench.training import Steps, equal_setup, labels_phase
from bebertlab.errors import unknown
from bebertlab.model.bert import BertClassifier

_WARM_UP = 2


@frozen(kw_only=True)
class StepProfile:
    """One step of one model."""

    what: str  #: for people
    milliseconds: float  #: without the profiler
    shares: Mapping[
        tuple[ModelPart, bool], float
    ]  #: of the time with the profiler, by part and whether backward; 1 in all
    extras: Mapping[str, Extra]  #: by linear map of a layer; empty where nothing is quantized


def profile_steps(
    only: Sequence[str], setting: Setting, tell: Callable[[str], None] = lambda what: None
) -> list[StepProfile]:
    """The steps of full precision and of every scheme that is installed, or of these names.

    Raises:
        UserError: there is no such scheme, or no plugin has it.
    """
    names = [scheme.name for scheme in SCHEMES]
    for name in only:
        if name not in names:
            raise unknown("scheme of the benchmark", name, names)
    chosen = [one for one in SCHEMES if one.name in only or (not only and one.installed(setting))]
    before = torch.get_num_threads()
    torch.set_num_threads(setting.threads)
    try:
        tell("full precision")
        profiles = [profile_yardstick(setting), profile_own(setting)]
        for scheme in chosen:
            tell(scheme.what)
            profiles.append(profile_scheme(scheme, setting))
    finally:
        torch.set_num_threads(before)
    return profiles


def profile_yardstick(setting: Setting) -> StepProfile:
    """Hugging Face's full-precision step."""
    steps = _profiled_steps(setting)
    setup = equal_setup(setting, _WARM_UP + 2 * steps)
    yardstick = HuggingFaceSteps(setting, setup)
    return _profile("full precision (Hugging Face)", yardstick, yardstick.model, setting)


def profile_own(setting: Setting) -> StepProfile:
    """Our full-precision step."""
    return _profile_training("full precision (ours)", full_precision(setting), setting)


def profile_scheme(scheme: Scheme, setting: Setting) -> StepProfile:
    """The step of a low-bit model."""
    return _profile_training(scheme.what, scheme.build(setting), setting)


def _profile_training(what: str, model: BertClassifier, setting: Setting) -> StepProfile:
    steps = _profiled_steps(setting)
    setup = equal_setup(setting, _WARM_UP + 2 * steps)
    with Steps(model, labels_phase(), setup) as training:
        run: Any = training.run
        run.objective = _Marked(run.objective, ModelPart.LOSS)
        run.optimizer.step = _Marked(run.optimizer.step, ModelPart.OPTIMIZER)
        return _profile(what, training, model, setting)


def _profiled_steps(setting: Setting) -> int:
    return 2 if setting.quick else 5


def _profile(what: str, training: Steps | HuggingFaceSteps, model: nn.Module, setting: Setting) -> StepProfile:
    steps = _profiled_steps(setting)
    training.take(_WARM_UP)
    milliseconds = 1000 * training.take(steps) / steps
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if setting.on_gpu else [])]
    with marked(model), profile(activities=activities) as profiler:
        seconds = training.take(steps)
    times = dict(by_part(profiler.events(), on_gpu=setting.on_gpu))
    idle = 1e6 * seconds - sum(times.values())
    times[ModelPart.PYTHON, False] = times.get((ModelPart.PYTHON, False), 0.0) + max(idle, 0.0)
    total = sum(times.values())
    shares = {place: time / total for place, time in times.items()}
    extras = layer_extras(model, setting) if isinstance(model, BertClassifier) and model.spec.weights else {}
    return StepProfile(what=what, milliseconds=milliseconds, shares=shares, extras=extras)


class _Marked:
    """Something to call, whose operations belong to a part; all else is as it was."""

    def __init__(self, inner: Any, part: ModelPart) -> None:  # noqa: ANN401 - whatever it is
        self._inner, self._part = inner, part

    def __call__(self, *arguments: object) -> Any:  # noqa: ANN401 - whatever it gives
        """Call it."""
        with mark(self._part):
            return self._inner(*arguments)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever it has
        return getattr(self._inner, name)
