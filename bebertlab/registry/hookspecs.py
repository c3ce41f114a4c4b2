"""Every hook: when it is asked, and what it may return. A plugin implements any of them with `@hookimpl`.

A hook of a role returns options classes; each is asked once, when the registry is built. Observers return nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from bebertlab.interfaces.distillation import DistillationOptions
    from bebertlab.interfaces.encoder import EncoderOptions
    from bebertlab.interfaces.ensemble import EnsembleOptions, MergerOptions
    from bebertlab.interfaces.events import StageEvent, StudyRecord, TrialRecord
    from bebertlab.interfaces.importer import ImporterOptions
    from bebertlab.interfaces.loss import LossOptions
    from bebertlab.interfaces.quantizer import QuantizerOptions
    from bebertlab.interfaces.scheme import SchemeOptions
    from bebertlab.interfaces.splitter import SplitterOptions
    from bebertlab.interfaces.stage import StageGroupOptions, StageOptions
    from bebertlab.interfaces.task import TaskOptions

PROJECT = "bebertlab"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def bebertlab_quantizers() -> Iterable[type[QuantizerOptions]]:  # type: ignore[empty-body]
    """Quantizers of weights or activations."""


@hookspec
def bebertlab_schemes() -> Iterable[type[SchemeOptions]]:  # type: ignore[empty-body]
    """Whole low-bit designs: which quantizer at which site."""


@hookspec
def bebertlab_splitters() -> Iterable[type[SplitterOptions]]:  # type: ignore[empty-body]
    """Transforms of a checkpoint into one of another architecture and the same function."""


@hookspec
def bebertlab_losses() -> Iterable[type[LossOptions]]:  # type: ignore[empty-body]
    """Losses with or without a teacher."""


@hookspec
def bebertlab_distillations() -> Iterable[type[DistillationOptions]]:  # type: ignore[empty-body]
    """Procedures: the phases in which a student learns, each with its losses and learning rate."""


@hookspec
def bebertlab_ensembles() -> Iterable[type[EnsembleOptions]]:  # type: ignore[empty-body]
    """Ensemble strategies: what each member trains on and weighs."""


@hookspec
def bebertlab_mergers() -> Iterable[type[MergerOptions]]:  # type: ignore[empty-body]
    """Rules that merge the logits of members."""


@hookspec
def bebertlab_tasks() -> Iterable[type[TaskOptions]]:  # type: ignore[empty-body]
    """Data, splits and metrics."""


@hookspec
def bebertlab_encoders() -> Iterable[type[EncoderOptions]]:  # type: ignore[empty-body]
    """Sources of full-precision weights and vocabulary."""


@hookspec
def bebertlab_importers() -> Iterable[type[ImporterOptions]]:  # type: ignore[empty-body]
    """Readers of checkpoints that published code wrote."""


@hookspec
def bebertlab_stages() -> Iterable[type[StageOptions] | type[StageGroupOptions]]:  # type: ignore[empty-body]
    """Stages of a recipe, and groups of stages."""


@hookspec
def bebertlab_study_started(study: StudyRecord) -> None:
    """A study starts or goes on; told before any trial. Observers run in the driver's process only."""


@hookspec
def bebertlab_trial_started(study: StudyRecord, trial: TrialRecord) -> None:
    """A trial was handed to a worker; told again when it is handed out again after a kill."""


@hookspec
def bebertlab_stage_started(event: StageEvent) -> None:
    """A stage is about to run; not told for stored stages."""


@hookspec
def bebertlab_stage_progress(event: StageEvent) -> None:
    """A stage went on: `event.fraction` and `event.text`. Told now and then."""


@hookspec
def bebertlab_stage_finished(event: StageEvent) -> None:
    """A stage finished, or was found in the store (`event.stored`)."""


@hookspec
def bebertlab_trial_finished(study: StudyRecord, trial: TrialRecord) -> None:
    """A trial is complete or failed."""


@hookspec
def bebertlab_study_finished(study: StudyRecord, trials: tuple[TrialRecord, ...], report: tuple[str, ...]) -> None:
    """Nothing is left to run or the user stopped it; `report` holds the paths of the written report files."""
