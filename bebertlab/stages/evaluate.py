"""The numbers that a recipe comes to."""

from __future__ import annotations

from attrs import frozen
from safetensors.torch import load_file

from bebertlab.artifacts.learned import baseline_metrics, variety_metrics, warn_of_answers
from bebertlab.artifacts.metrics import read_metrics, write_metrics
from bebertlab.artifacts.model import LOGITS_FILE, evaluated_splits
from bebertlab.artifacts.sizes import read_size
from bebertlab.interfaces.stage import Artifact, Context, Inputs, StageOptions, stage_input
from bebertlab.interfaces.task import VALIDATION
from bebertlab.stages.merge import SCORES_FILE


@frozen(kw_only=True)
class EvaluateStage(StageOptions):
    """Evaluate a model or a merged ensemble on whole splits, and count what it takes.

    Beside the scores stand those of the majority class and of guessing, and how much the answers vary.
    """

    kind = "evaluate"
    revision = 2
    draws = False
    of: str = stage_input()  #: stage with a model, or a merge stage

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
        write_metrics({**values, **learned, **_members(source), **read_size(source, context)}, context.folder)


def _members(source: Artifact) -> dict[str, float]:
    metrics = read_metrics(source.folder)
    return {name: metrics.get(name, 1) for name in ("members/count", "members/kept")}
