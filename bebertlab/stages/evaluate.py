"""The numbers that a recipe comes to."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen
from safetensors.torch import load_file

from bebertlab.artifacts.baselines import baseline_metrics, variety_metrics, warn_of_answers
from bebertlab.artifacts.metrics import most_truncated, read_metrics, read_size, write_metrics
from bebertlab.artifacts.model import LOGITS_FILE, evaluated_splits
from bebertlab.data.overlap import overlaps
from bebertlab.interfaces.stage import Codec, Composition, Context, Inputs, QuantSpecs, StageOptions, stage_input
from bebertlab.interfaces.task import VALIDATION
from bebertlab.stages.merge import SCORES_FILE


@frozen(kw_only=True)
class EvaluateStage(StageOptions):
    """Evaluate a model or a merged ensemble on whole splits, and count what it takes.

    Beside the scores stand those of the majority class and of guessing, and how much the answers vary.
    Texts that lose their end and texts that stand in two splits are counted too; warns of caveats of the task.
    """

    kind = "evaluate"
    revision = 4
    deterministic = True
    of: str = stage_input()  #: stage with a model, or a merge stage

    def composition(self, inputs: QuantSpecs, codec: Codec) -> Composition:
        """No model and no parts."""
        return Composition()

    def run(self, inputs: Inputs, context: Context) -> None:
        """Write the metrics: of every evaluated split, members and sizes."""
        source = inputs.one("of")
        merged = source.folder / SCORES_FILE
        scores = load_file(merged if merged.exists() else source.folder / LOGITS_FILE)
        values = {
            f"{split}/{name}": value
            for split in evaluated_splits(context.task)
            for name, value in context.task.evaluate(split, scores[split].numpy()).items()
        }
        predictions = context.task.predict(scores[VALIDATION].numpy())
        learned = {**baseline_metrics(context.task), **variety_metrics(context.task, predictions)}
        for text in warn_of_answers({**values, **learned}, context.task):
            context.warn(text)
        stored = read_metrics(source.folder)
        found = [_members(stored), read_size(source, context), most_truncated([stored]), _overlap_metrics(context)]
        write_metrics(
            {**values, **learned, **{name: value for part in found for name, value in part.items()}}, context.folder
        )


def _members(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: metrics.get(name, 1) for name in ("members/count", "members/kept")}


def _overlap_metrics(context: Context) -> dict[str, float]:
    """How far the splits overlap; warns of that and of the caveats of the task."""
    task = context.task
    for caveat in task.caveats:
        context.warn(caveat)
    found: dict[str, float] = {}
    for overlap in overlaps(task):
        found |= overlap.metrics()
        if (sentence := overlap.warning(generated=task.generated)) is not None:
            context.warn(sentence)
    return found
