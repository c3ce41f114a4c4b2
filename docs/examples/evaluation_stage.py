"""An evaluation stage: everything that `evaluate` reports, and the calibration error.

It takes the place of `evaluate` in a recipe; a study can compare its trials by `calibration/validation_error`.
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from attrs import field, frozen, validators
from numpy.typing import NDArray

from bebertlab.api import (
    RESULT_METRICS,
    VALIDATION,
    Codec,
    Composition,
    Context,
    Inputs,
    QuantSpecs,
    StageOptions,
    Task,
    UserError,
    hookimpl,
    read_scores,
    result_metrics,
    stage_input,
    write_metrics,
)

ERROR = f"calibration/{VALIDATION}_error"


@frozen(kw_only=True)
class CalibrationStage(StageOptions):
    """Evaluate a model or an ensemble, and how far its confidence is from its accuracy (ECE, arXiv:1706.04599)."""

    kind = "calibration"
    deterministic = True  # recipes with other seeds share its result for the same input
    scores_splits = True  # `validation/score` and the other metrics of the task are among its metrics
    metric_names = (*RESULT_METRICS, ERROR)  # what else trials can be compared by
    of: str = stage_input()  #: stage with a model, or a merge stage
    bins: int = field(default=15, validator=validators.ge(2))  #: of equal width, from confidence 0 to 1

    def prepare(self, inputs: Mapping[str, tuple[StageOptions, ...]], task: Task, codec: Codec) -> Self:
        if not task.classes:
            raise UserError(f"task '{task.name}' is a regression, whose predictions have no confidence")
        return self

    def composition(self, inputs: QuantSpecs, codec: Codec) -> Composition:
        return Composition()  # neither a model nor parts

    def run(self, inputs: Inputs, context: Context) -> None:
        """Write the metrics; no model runs, the scores are those that the input stored."""
        source = inputs.one("of")
        scores = read_scores(source, context.task)[VALIDATION]
        error = calibration_error(probabilities(scores), context.task.splits[VALIDATION].labels, self.bins)
        write_metrics({**result_metrics(source, context), ERROR: error}, context.folder)


def probabilities(scores: NDArray[Any]) -> NDArray[Any]:
    """Probabilities (N, C): those of an ensemble that averaged probabilities, or the softmax of logits."""
    if (scores >= 0).all() and np.allclose(scores.sum(axis=1), 1):
        return scores
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def calibration_error(probabilities: NDArray[Any], labels: NDArray[Any], bins: int) -> float:
    """The mean of |accuracy - confidence| in percent over bins of confidence, weighted by their examples."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(bin_of, weights=right - confidence, minlength=bins)
    return float(100 * np.abs(gaps).sum() / len(labels))


@hookimpl
def bebertlab_stages() -> list[type[StageOptions]]:
    return [CalibrationStage]
