"""The result of a recipe: everything that is reported about a model or an ensemble, from its stored outputs."""

from __future__ import annotations

from bebertlab.artifacts.baselines import baseline_metrics, learning_warnings, variety_metrics
from bebertlab.artifacts.metrics import combined_metrics, read_metrics
from bebertlab.artifacts.outputs import has_probabilities, read_scores, score_metrics
from bebertlab.data.overlap import overlaps
from bebertlab.interfaces.metric_names import (
    GIGAFLOPS,
    MEMBERS_COUNT,
    MEMBERS_KEPT,
    SIZE_MATRIX,
    SIZE_STORED,
    SIZE_TOTAL,
)
from bebertlab.interfaces.stage import Artifact, Context
from bebertlab.interfaces.task import GENERATED, VALIDATION

#: names of metrics that every result has, besides those of the task on each evaluated split; further ones show whether
#: it can be trusted
RESULT_METRICS = (MEMBERS_COUNT, MEMBERS_KEPT, SIZE_MATRIX, SIZE_TOTAL, SIZE_STORED, GIGAFLOPS)


def result_metrics(artifact: Artifact, context: Context) -> dict[str, float]:
    """Everything that is reported about a model or a merged ensemble; no model runs.

    The task's metrics on every evaluated split (`validation/score`), those of the majority class and of chance
    (`majority/...`, `chance/...`), how much the predictions vary, `RESULT_METRICS`, the truncated texts, and the texts
    that are in two splits. Warns where nothing was learned, and of caveats of the task.

    Raises:
        UserError: the artifact has no outputs for the splits of the task.
    """
    task, outputs = context.task, read_scores(artifact, context.task)
    scores = score_metrics(outputs, task, probabilities=has_probabilities(artifact))
    predictions = task.predict(outputs[VALIDATION])
    learned = {**baseline_metrics(task), **variety_metrics(task, predictions)}
    # no warning of generated data: whoever uses such a task chose it
    caveats = [caveat.sentence for caveat in task.caveats if caveat.kind != GENERATED.kind]
    for text in (*learning_warnings({**scores, **learned}, task), *caveats):
        context.warn(text)
    stored = read_metrics(artifact.folder)
    members = {name: stored.get(name, 1) for name in (MEMBERS_COUNT, MEMBERS_KEPT)}
    return {**scores, **learned, **members, **combined_metrics([artifact], context), **_overlap_metrics(context)}


def _overlap_metrics(context: Context) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for overlap in overlaps(context.task, cache=context.cache):
        metrics |= overlap.metrics()
        if (sentence := overlap.warning(generated=context.task.generated)) is not None:
            context.warn(sentence)
    return metrics
