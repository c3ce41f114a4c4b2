"""The result of a recipe."""

from __future__ import annotations

from attrs import frozen

from bebertlab.api import (
    RESULT_METRICS,
    Codec,
    Composition,
    Context,
    Inputs,
    QuantSpecs,
    StageOptions,
    result_metrics,
    stage_input,
    write_metrics,
)


@frozen(kw_only=True)
class EvaluateStage(StageOptions):
    """Score a model or a merged ensemble on whole splits from its stored outputs, and count its sizes and operations.

    Next to the scores are those of the majority class and of chance, and how much the predictions vary. Truncated
    texts and texts that occur in two splits are counted too; warns of caveats of the task. No model is run.
    """

    kind = "evaluate"
    revision = 5
    deterministic = True
    scores_splits = True
    metric_names = RESULT_METRICS
    of: str = stage_input()  #: stage with a model, or a merge stage

    def composition(self, inputs: QuantSpecs, codec: Codec) -> Composition:
        """No model and no parts."""
        return Composition()

    def run(self, inputs: Inputs, context: Context) -> None:
        """Write the metrics."""
        write_metrics(result_metrics(inputs.one("of"), context), context.folder)
