"""The names of all metrics, with their meaning, unit and better direction.

A name is `group/what`. Constants and functions here are the only definitions of these names; stages write them, and
reports, MLflow and the checks of a study's objective read them. `METRICS` lists them for the documentation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from attrs import evolve, frozen

PERCENT = "%"  #: the unit of most scores; differences of percentages are points


@frozen(kw_only=True)
class MetricInfo:
    """The description of a metric, or of all metrics whose names match a pattern."""

    name: str  #: e.g. "cost/gigaflops"; a pattern has fields in braces, e.g. "cost/{stage}_seconds"
    unit: str = ""  #: "%", "MiB", "s" ...; empty for counts and ratios
    maximize: bool | None = None  #: whether higher is better; None if neither direction is
    decimals: int = 2  #: digits after the decimal point in reports
    description: str = ""

    def matches(self, name: str) -> bool:
        """Whether a name equals this name or matches this pattern.

        >>> MetricInfo(name="cost/{stage}_seconds").matches("cost/members_seconds")
        True
        """
        literal = re.split(r"\{\w+\}", self.name)
        return re.fullmatch("(.+)".join(map(re.escape, literal)), name) is not None


# scores: of a split, of a whole model
SCORE = "score"  #: repeats the main metric of a task, the same name for every task
VALIDATION_SCORE = "validation/score"
SELECT_SCORE = "select/score"

# cost of a model
MEMBERS_COUNT = "members/count"
MEMBERS_KEPT = "members/kept"
SIZE_MATRIX = "size/matrix_mebibytes"
SIZE_TOTAL = "size/total_mebibytes"
SIZE_STORED = "size/stored_mebibytes"
SIZE_PACKED = "size/packed_mebibytes"
GIGAFLOPS = "cost/gigaflops"
COST_SECONDS = "cost/seconds"
SENTENCE_MILLISECONDS = "cost/sentence_milliseconds"

# how a packed model was checked
PACKED_EXAMPLES = "packed/examples"
PACKED_DIFFERENCE = "packed/logit_difference"
PACKED_FULL_PRECISION = "packed/full_precision_matrices"
PACKED_POSITIONS = "packed/positions_left_out"

# training
TRAIN_SECONDS = "train/seconds"
TRAIN_STEPS = "train/steps"
TRAIN_TEACHER_SECONDS = "train/teacher_seconds"
TRAIN_LOSS = "train/loss"  #: while a stage trains
TRAIN_LEARNING_RATE = "train/learning_rate"  #: while a stage trains
TEACHER_BETTER = "teacher/better_than_majority"

# members of an ensemble
MEMBER_TRAINED = "member/trained"
MEMBER_KEPT = "member/kept"
MEMBER_WEIGHT = "member/weight"
MEMBER_ERROR = "member/error"

# baselines
MAJORITY = "majority"
CHANCE = "chance"

# a whole study, in MLflow
TRIALS_COMPLETE = "trials/complete"
TRIALS_FAILED = "trials/failed"

_TRUNCATED = "truncated/"
_PERCENT = "_percent"
_OVERLAP = "overlap/"


def split_metric(split: str, name: str) -> str:
    """A metric of a split.

    >>> split_metric("validation", "accuracy")
    'validation/accuracy'
    """
    return f"{split}/{name}"


def stage_seconds(stage: str) -> str:
    """The seconds of a stage or of all members of a group, among the metrics of a trial.

    >>> stage_seconds("members")
    'cost/members_seconds'
    """
    return f"cost/{stage}_seconds"


def curve_metric(stage: str, value: str) -> str:
    """A value that a stage reports while it trains, in the run of its trial in MLflow; its axis is the optimizer step.

    >>> curve_metric("members.0", TRAIN_LOSS)
    'curve/members.0/train/loss'
    """
    return f"curve/{stage}/{value}"


def baseline_metric(baseline: str, metric: str) -> str:
    """The value of a metric for a baseline, `MAJORITY` or `CHANCE`.

    >>> baseline_metric(MAJORITY, VALIDATION_SCORE)
    'majority/validation_score'
    """
    return f"{baseline}/{metric.replace('/', '_')}"


def variety(split: str) -> str:
    """How much the predictions on a split vary.

    >>> variety("validation")
    'variety/validation'
    """
    return f"variety/{split}"


def label_variety(split: str) -> str:
    """How much the labels of a split vary.

    >>> label_variety("validation")
    'variety/validation_labels'
    """
    return f"variety/{split}_labels"


def truncated(split: str) -> str:
    """How many texts of a split are truncated.

    >>> truncated("train")
    'truncated/train'
    """
    return f"{_TRUNCATED}{split}"


def truncated_percent(split: str) -> str:
    """The same in percent of all texts of the split.

    >>> truncated_percent("train")
    'truncated/train_percent'
    """
    return f"{_TRUNCATED}{split}{_PERCENT}"


def is_truncated(name: str) -> bool:
    """Whether a name is one of `truncated` or `truncated_percent`."""
    return name.startswith(_TRUNCATED)


def truncated_splits(names: Iterable[str]) -> list[str]:
    """The splits of which names have a count of truncated texts, sorted.

    >>> truncated_splits(["truncated/train", "truncated/train_percent", "size/total_mebibytes"])
    ['train']
    """
    return sorted(name.removeprefix(_TRUNCATED) for name in names if is_truncated(name) and not name.endswith(_PERCENT))


def splitter_metric(name: str) -> str:
    """A metric that a splitter reports.

    >>> splitter_metric("modules")
    'split/modules'
    """
    return f"split/{name}"


def overlap(first: str, second: str, kind: str) -> str:
    """How many examples two splits share; `kind` is same, shared or short.

    >>> overlap("train", "validation", "same")
    'overlap/train_validation_same'
    """
    return f"{_OVERLAP}{first}_{second}_{kind}"


def overlap_parts(name: str) -> tuple[str, str, str] | None:
    """The arguments of `overlap` that give a name; None for other names.

    >>> overlap_parts("overlap/train_validation_mismatched_same")
    ('train', 'validation_mismatched', 'same')
    """
    if not name.startswith(_OVERLAP):
        return None
    first, _, others = name.removeprefix(_OVERLAP).partition("_")
    second, _, kind = others.rpartition("_")
    return first, second, kind


#: of splits: the metrics of shipped tasks
TASK_METRICS = (
    MetricInfo(name=SCORE, unit=PERCENT, maximize=True, description="the main metric of the task, repeated"),
    MetricInfo(name="accuracy", unit=PERCENT, maximize=True, description="correct predictions"),
    MetricInfo(name="matthews", unit=PERCENT, maximize=True, description="Matthews correlation"),
    MetricInfo(name="f1", unit=PERCENT, maximize=True, description="harmonic mean of precision and recall of class 1"),
    MetricInfo(name="pearson", unit=PERCENT, maximize=True, description="linear correlation"),
    MetricInfo(name="spearman", unit=PERCENT, maximize=True, description="rank correlation"),
    MetricInfo(name="mean", unit=PERCENT, maximize=True, description="mean of the two metrics of the task"),
    MetricInfo(
        name="ece",
        unit=PERCENT,
        maximize=False,
        description="expected calibration error: mean distance of confidence and accuracy, bins of equal counts",
    ),
    MetricInfo(
        name="brier",
        maximize=False,
        decimals=4,
        description="Brier score: mean squared distance of the probabilities from the correct class, 0 to 2",
    ),
)

#: every other metric, in the order of the documentation
OTHER_METRICS = (
    MetricInfo(name=MEMBERS_COUNT, decimals=0, description="members of the ensemble; 1 for a single model"),
    MetricInfo(name=MEMBERS_KEPT, decimals=0, description="members that vote; the others were rejected"),
    MetricInfo(
        name=SIZE_MATRIX,
        unit="MiB",
        maximize=False,
        description="word embedding, linear layers and pooler in the bits of their quantizers",
    ),
    MetricInfo(
        name=SIZE_TOTAL, unit="MiB", maximize=False, description="with scales and all that stays in full precision"
    ),
    MetricInfo(name=SIZE_STORED, unit="MiB", maximize=False, description="the file of tensors in the store"),
    MetricInfo(
        name=SIZE_PACKED, unit="MiB", maximize=False, description="the file of tensors of the packed model, as measured"
    ),
    MetricInfo(
        name=GIGAFLOPS,
        unit="GFLOPs",
        maximize=False,
        description="one forward pass of 128 tokens, or of all positions of a model that has fewer; a product of a by b"
        " bits counts as a*b/64",
    ),
    MetricInfo(
        name=SENTENCE_MILLISECONDS,
        unit="ms",
        maximize=False,
        description="the packed model from the tokens of one text to its logits, as measured on one thread of a CPU:"
        " texts of validation one by one, the median over repeats of the mean over texts",
    ),
    MetricInfo(name=COST_SECONDS, unit="s", maximize=False, description="all stages of the result"),
    MetricInfo(
        name="cost/{stage}_seconds", unit="s", maximize=False, description="one stage, or all members of a group"
    ),
    MetricInfo(name=PACKED_EXAMPLES, decimals=0, description="answers of the packed model that were compared"),
    MetricInfo(
        name=PACKED_DIFFERENCE,
        maximize=False,
        decimals=6,
        description="largest difference of a logit of the packed model from the stored one",
    ),
    MetricInfo(
        name=PACKED_FULL_PRECISION,
        decimals=0,
        maximize=False,
        description="matrices that the packed model has in full precision",
    ),
    MetricInfo(
        name=PACKED_POSITIONS,
        decimals=0,
        description="rows of position embeddings that no input reaches, which the packed model leaves out",
    ),
    MetricInfo(name=TRAIN_SECONDS, unit="s", maximize=False, description="the training loop of a stage"),
    MetricInfo(name=TRAIN_STEPS, decimals=0, description="optimizer steps of a stage"),
    MetricInfo(
        name=TRAIN_TEACHER_SECONDS, unit="s", maximize=False, description="forward passes of the teacher in training"
    ),
    MetricInfo(
        name=TRAIN_LOSS, maximize=False, decimals=4, description="mean training loss since the step reported before"
    ),
    MetricInfo(name=TRAIN_LEARNING_RATE, decimals=8, description="learning rate of the weights at a step"),
    MetricInfo(
        name=TEACHER_BETTER,
        decimals=0,
        description="1 if the teacher scores more on select than the majority baseline, else 0",
    ),
    MetricInfo(name=MEMBER_TRAINED, decimals=0, description="1 if the member was trained, 0 if the ensemble had ended"),
    MetricInfo(name=MEMBER_KEPT, decimals=0, description="1 if the member votes, 0 if it was rejected"),
    MetricInfo(name=MEMBER_WEIGHT, decimals=4, description="weight of its vote"),
    MetricInfo(name=MEMBER_ERROR, maximize=False, decimals=4, description="weighted error on the train split, 0 to 1"),
    MetricInfo(
        name="majority/{split}_{metric}",
        unit=PERCENT,
        maximize=True,
        description="a metric of always predicting the most frequent label of the train split",
    ),
    MetricInfo(
        name="chance/{split}_{metric}",
        unit=PERCENT,
        maximize=True,
        description="a metric of guessing, each class equally often",
    ),
    MetricInfo(name="variety/{split}", unit=PERCENT, description="how much the predictions vary"),
    MetricInfo(name="variety/{split}_labels", unit=PERCENT, description="how much the labels vary"),
    MetricInfo(name="truncated/{split}", decimals=0, maximize=False, description="texts that are truncated"),
    MetricInfo(
        name="truncated/{split}_percent", unit=PERCENT, maximize=False, description="the same in percent of all texts"
    ),
    MetricInfo(
        name="overlap/{split}_{split}_same",
        decimals=0,
        maximize=False,
        description="examples of the second split that are also in the first",
    ),
    MetricInfo(
        name="overlap/{split}_{split}_shared",
        decimals=0,
        maximize=False,
        description="further examples of the second split that share a text with the first",
    ),
    MetricInfo(
        name="overlap/{split}_{split}_short",
        decimals=0,
        maximize=False,
        description="short phrases of the first split that occur in texts of the second",
    ),
    MetricInfo(
        name="split/logit_difference", maximize=False, decimals=6, description="largest change of a logit by a split"
    ),
    MetricInfo(
        name="split/module_difference",
        maximize=False,
        decimals=6,
        description="largest change of the output of a module by a split",
    ),
    MetricInfo(name="split/{name}", description="what the splitter reports, e.g. how many modules it splits"),
    MetricInfo(
        name="curve/{stage}/{value}",
        decimals=4,
        description="a value that a stage reports while it trains, e.g. train/loss, by optimizer step; MLflow only",
    ),
    MetricInfo(name=TRIALS_COMPLETE, decimals=0, description="complete trials, of the run of a study in MLflow"),
    MetricInfo(name=TRIALS_FAILED, decimals=0, description="failed trials, of the run of a study in MLflow"),
)

#: all, those of a task as patterns of any split
METRICS = (*(evolve(info, name=f"{{split}}/{info.name}") for info in TASK_METRICS), *OTHER_METRICS)

_BY_TASK_NAME = {info.name: info for info in TASK_METRICS}
_SUBNET = re.compile(r"(depth_[^/]+/)?width_[^/]+/")  # before the metrics of a sub-network


def metric_info(name: str, task_metrics: Iterable[MetricInfo] = ()) -> MetricInfo:
    """The description of a metric by its name.

    A metric of a split that is neither in `task_metrics` nor one of the shipped tasks counts as a percentage of which
    higher is better; any other unknown name as a plain number.

    >>> metric_info("validation/ece").maximize, metric_info("cost/members_seconds").unit, metric_info("mine/x").unit
    (False, 's', '')
    """
    inner = _SUBNET.sub("", name, count=1)
    matches = [info for info in OTHER_METRICS if info.matches(inner)]
    if matches:
        most_specific = max(matches, key=lambda info: len(info.name))
        return evolve(most_specific, name=name)
    split, _, metric = inner.partition("/")
    if split in ("select", "validation", "train") or split.startswith("validation_"):
        known = {**_BY_TASK_NAME, **{info.name: info for info in task_metrics}}
        return evolve(known.get(metric, MetricInfo(name=name, unit=PERCENT, maximize=True)), name=name)
    return MetricInfo(name=name)
