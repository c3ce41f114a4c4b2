"""Time of a training step: quantized, with a teacher, of the optimizer alone, and compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from statistics import median

from bebertlab.bench.data import MAXIMUM_TOKENS
from bebertlab.bench.huggingface import HuggingFaceTraining
from bebertlab.bench.measurement import MissingRow, Ratio, Row, RowResult, RowSpec, Timings, interleave, timed
from bebertlab.bench.models import SCHEMES, W1A8, BenchConfig, full_precision, match_schemes
from bebertlab.bench.training import (
    TOKENS,
    StepwiseTraining,
    distillation_phases,
    equal_length_setup,
    labels_phase,
    train_labels,
    train_options,
)
from bebertlab.config.humanize import format_duration
from bebertlab.interfaces.distillation import Phase
from bebertlab.model.bert import BertClassifier
from bebertlab.training.setup import TrainingSetup
from bebertlab.training.teacher import Teacher

_STEP_GOAL = 1.3
_REFERENCE, _FULL_PRECISION = "reference", "own"


def _step_specs(group: str, tokens: int, *, quick: bool) -> tuple[RowSpec, ...]:
    reference = f"full-precision step (Hugging Face), {tokens} tokens"
    quantized = [
        RowSpec(
            name=f"{group}.{scheme.name}",
            description=f"{scheme.description} step / {reference}",
            better="lower",
            goal=_STEP_GOAL,
            quick=quick,
        )
        for scheme in SCHEMES
    ]
    full_precision_spec = RowSpec(
        name=f"{group}.{_FULL_PRECISION}",
        description=f"our full-precision step / {reference}",
        better="lower",
        quick=False,
    )
    return (*quantized, full_precision_spec)


SHORT = _step_specs("step", TOKENS, quick=True)
LONG = _step_specs("step64", MAXIMUM_TOKENS, quick=False)


def measure_short_steps(specs: Sequence[RowSpec], config: BenchConfig) -> Iterator[RowResult]:
    """Steps on sentences of about the mean length of SST-2."""
    return _measure_steps(specs, config, TOKENS)


def measure_long_steps(specs: Sequence[RowSpec], config: BenchConfig) -> Iterator[RowResult]:
    """Steps on sentences of the length to which fine-tuning scripts pad SST-2."""
    return _measure_steps(specs, config, MAXIMUM_TOKENS)


def _measure_steps(specs: Sequence[RowSpec], config: BenchConfig, tokens: int) -> Iterator[RowResult]:
    installed, missing = match_schemes(specs, config)
    yield from missing
    builders: dict[str, Callable[[], BertClassifier]] = {
        spec.name: partial(scheme.build, config) for spec, scheme in installed
    }
    builders |= {spec.name: partial(full_precision, config) for spec in specs if spec.member == _FULL_PRECISION}
    if not builders:
        return
    timings = _time_steps(builders, config, tokens)
    for spec in specs:
        if spec.name in builders:
            note = f"{_step_time(timings, spec.name, config)} / {_step_time(timings, _REFERENCE, config)}"
            yield Row(spec=spec, ratio=timings.ratio(spec.name, _REFERENCE), note=note)


def _time_steps(builders: Mapping[str, Callable[[], BertClassifier]], config: BenchConfig, tokens: int) -> Timings:
    setup = equal_length_setup(config, config.total_steps, tokens)
    trainings: dict[str, HuggingFaceTraining | StepwiseTraining] = {_REFERENCE: HuggingFaceTraining(config, setup)}
    with ExitStack() as stack:
        for name, build in builders.items():
            trainings[name] = stack.enter_context(train_labels(build(), setup))
        blocks = {name: partial(training.train, config.steps) for name, training in trainings.items()}
        return interleave(blocks, config.repeats)


def _step_time(timings: Timings, name: str, config: BenchConfig) -> str:
    return f"{1000 * timings.median(name) / config.steps:.0f} ms"


PREDICTION = RowSpec(
    name="distillation.prediction",
    description="prediction distillation / none, W1A8 split, from the second epoch or member on",
    better="lower",
    goal=1.1,
)
TWO_STAGE = RowSpec(
    name="distillation.two-stage",
    description="two-stage distillation / none, W1A8 split, same number of steps",
    better="lower",
    goal=1.6,
)
DISTILLATION = (PREDICTION, TWO_STAGE)

_NONE = "none"


def measure_distillation(specs: Sequence[RowSpec], config: BenchConfig) -> Iterator[RowResult]:
    """Steps with each phase's losses; a distillation takes the mean of its phases, which are equally long."""
    kinds = config.codec.registry.kinds("distillation")
    phases = {spec: distillation_phases(config, spec.member) for spec in specs if spec.member in kinds}
    yield from (
        MissingRow(spec=spec, reason=f"no plugin provides the distillation '{spec.member}'")
        for spec in specs
        if spec not in phases
    )
    if not phases:
        return
    # phases of the same name have the same losses in both distillations, so they are timed once
    timings = _time_phases({phase.name: phase for each in phases.values() for phase in each}, config)
    for spec, each in phases.items():
        names = [phase.name for phase in each]
        by_phase = " + ".join(f"{name} {timings.ratio(name, _NONE).median:.2f}" for name in names)
        yield Row(spec=spec, ratio=_mean_ratio(timings, names), note=f"by phase: {by_phase}")


def _mean_ratio(timings: Timings, names: Sequence[str]) -> Ratio:
    repeats = zip(*(timings[name] for name in names), strict=True)
    return Ratio.of([sum(seconds) / len(names) / none for seconds, none in zip(repeats, timings[_NONE], strict=True)])


def _time_phases(phases: Mapping[str, Phase], config: BenchConfig) -> Timings:
    # as wide as a branch of the student, whose attention scores are compared with the teacher's (as in BinaryBERT)
    teacher = Teacher(full_precision(config, width=0.5), device=config.device)
    setup = equal_length_setup(config, config.total_steps, teacher=teacher)
    with ExitStack() as stack:
        trainings = {
            name: stack.enter_context(StepwiseTraining(W1A8.build(config), phase, setup))
            for name, phase in {_NONE: labels_phase(), **phases}.items()
        }
        blocks = {name: partial(training.train, config.steps) for name, training in trainings.items()}
        return interleave(blocks, config.repeats)


OPTIMIZER = (
    RowSpec(
        name="optimizer.w1a8",
        description=f"optimizer / whole training step, W1A8 split, {TOKENS} tokens",
        better="lower",
        goal=0.12,
    ),
)


class Stopwatch:
    """Wraps a function and adds up the seconds of its calls."""

    def __init__(self, call: Callable[..., object], device: str) -> None:
        self._call, self._device = call, device
        self.seconds = 0.0

    def __call__(self, *arguments: object) -> None:  # noqa: D102
        self.seconds += timed(lambda: self._call(*arguments), self._device)


def measure_optimizer(specs: Sequence[RowSpec], config: BenchConfig) -> Iterator[Row]:
    """Time to clip the gradients, update the weights and clear the gradients."""
    setup = equal_length_setup(config, config.total_steps)
    with train_labels(W1A8.build(config), setup) as training:
        stopwatch = Stopwatch(training.run.optimizer.step, config.device)
        training.run.optimizer.step = stopwatch  # type: ignore[assignment,method-assign]
        training.train(config.steps)
        repeats = [_time_optimizer(training, stopwatch, config.steps) for _ in range(config.repeats)]
    ratio = Ratio.of([update / step for update, step in repeats])
    update, step = (1000 * median(seconds) / config.steps for seconds in zip(*repeats, strict=True))
    yield from (Row(spec=spec, ratio=ratio, note=f"{update:.0f} ms / {step:.0f} ms") for spec in specs)


def _time_optimizer(training: StepwiseTraining, stopwatch: Stopwatch, steps: int) -> tuple[float, float]:
    """Seconds of the updates, and of the whole steps."""
    stopwatch.seconds = 0.0
    seconds = training.train(steps)
    return stopwatch.seconds, seconds


COMPILE = (
    RowSpec(
        name="compile.speed",
        description=f"step / compiled step, W1A8 split, {TOKENS} tokens",
        better="higher",
        quick=False,
    ),
)


def measure_compile(specs: Sequence[RowSpec], config: BenchConfig) -> Iterator[Row]:
    """The speedup of torch.compile, and the number of steps after which it outweighs the time of compilation."""
    steps = config.total_steps + config.steps
    with (
        train_labels(W1A8.build(config), equal_length_setup(config, steps)) as eager,
        train_labels(W1A8.build(config), _compiled_setup(config, steps)) as compiled,
    ):
        compilation = compiled.train(config.steps) - eager.train(config.steps)
        blocks = {"eager": partial(eager.train, config.steps), "compiled": partial(compiled.train, config.steps)}
        timings = interleave(blocks, config.repeats)
    saved = (timings.median("eager") - timings.median("compiled")) / config.steps
    break_even = f"break-even after {compilation / saved:.0f} steps" if saved > 0 else "no break-even"
    note = f"compilation takes {format_duration(compilation, rough=True)}; {break_even}"
    yield from (Row(spec=spec, ratio=timings.ratio("eager", "compiled"), note=note) for spec in specs)


def _compiled_setup(config: BenchConfig, steps: int) -> TrainingSetup:
    return equal_length_setup(config, steps, options=train_options(config, compile=True))
