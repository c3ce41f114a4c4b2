"""The result of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

from attrs import evolve, frozen

from bebertlab.api import (
    RESULT_METRICS,
    SENTENCE_MILLISECONDS,
    SIZE_PACKED,
    Codec,
    Composition,
    Context,
    Inputs,
    QuantSpecs,
    StageOptions,
    Task,
    UserError,
    latency_metrics,
    read_metrics,
    result_metrics,
    stage_input,
    write_metrics,
)
from bebertlab_stages.pack import PackStage


@frozen(kw_only=True)
class EvaluateStage(StageOptions):
    """Score a model or a merged ensemble on whole splits from its stored outputs, and count its sizes and operations.

    Next to the scores are those of the majority class and of chance, and how much the predictions vary. Truncated
    texts and texts that occur in two splits are counted too; warns of caveats of the task. No model is run, unless the
    time of the packed one is measured.
    """

    kind = "evaluate"
    revision = 5
    deterministic = True
    scores_splits = True
    metric_names = (*RESULT_METRICS, SIZE_PACKED, SENTENCE_MILLISECONDS)
    of: str = stage_input()  #: stage with a model, a merge stage, or a stage that packed one of them
    packed: str | None = stage_input(optional=True)  #: stage that packed `of`; filled in where `of` names that stage
    #: latency: milliseconds for a text by the packed model, on one thread of this machine's CPU; null: nothing
    measure: Literal["latency"] | None = None

    def prepare(self, inputs: Mapping[str, tuple[StageOptions, ...]], task: Task, codec: Codec) -> Self:
        """Fill in what was packed, and check that there is something to measure."""
        (source,) = inputs["of"]
        if isinstance(source, PackStage):
            return evolve(self, of=source.of, packed=self.of)
        if self.measure is not None and self.packed is None:
            raise UserError(f"measure: {self.measure} is of a packed model; let `of` name a stage of kind 'pack'")
        for stage in inputs.get("packed", ()):
            if not isinstance(stage, PackStage) or stage.of != self.of:
                raise UserError(
                    f"`packed` names '{self.packed}', expected a stage of kind 'pack' that packs '{self.of}'"
                )
        return self

    def result_names(self) -> tuple[str, ...]:
        """Those of every result, and what is measured of the packed model."""
        measured = [] if self.packed is None else [SIZE_PACKED]
        return (*RESULT_METRICS, *measured, *([] if self.measure is None else [SENTENCE_MILLISECONDS]))

    def composition(self, inputs: QuantSpecs, codec: Codec) -> Composition:
        """No model and no parts."""
        return Composition()

    def run(self, inputs: Inputs, context: Context) -> None:
        """Write the metrics."""
        metrics = result_metrics(inputs.one("of"), context)
        packed = inputs.optional("packed")
        if packed is not None:
            metrics[SIZE_PACKED] = read_metrics(packed.folder)[SIZE_PACKED]
            if self.measure is not None:
                metrics |= latency_metrics(packed, context)
        write_metrics(metrics, context.folder)
