"""What it took: the steps on the way, training time, optimism and failures."""

from __future__ import annotations

import math

from bebertlab.report.baselines import baselines
from bebertlab.report.cost import stage_costs
from bebertlab.report.document import Section, Text
from bebertlab.report.labels import bounds, count, duration, signed
from bebertlab.report.material import Material
from bebertlab.report.statistics import interval
from bebertlab.report.steps import steps
from bebertlab.report.tables import costs_table, failures_table, optimism, steps_table


def step_scores(made: Material) -> list[Section]:
    """Scores of the stages before the result."""
    found = steps(made.study, made.trials)
    if not found:
        return []
    text = (
        "Scores of the stages on the way to the result, on the validation split. Change is from the scored stage "
        "before it in the same trial, paired by seed; where a stage has several variants, 'with' says which."
    )
    references = baselines(made.study, made.trials)
    blocks = (Text(words=text), steps_table(found, references, made.places))
    return [Section(title="What every step costs", blocks=blocks)]


def training_time(made: Material) -> list[Section]:
    """Seconds by stage, with and without the store."""
    found = stage_costs(made.trials)
    if not found:
        return []
    spent = math.fsum(one.seconds for one in found)
    saved = math.fsum(one.without_store for one in found)
    text = (
        f"Every distinct stage was made once: {duration(spent)} of work; without the store the trials would have taken "
        f"{duration(saved)}. Seconds are wall time, with whatever else the machine did at that time."
    )
    return [Section(title="Training time", blocks=(Text(words=text), costs_table(found)))]


def select_optimism(made: Material) -> list[Section]:
    """How far the select split flatters."""
    by_seed: dict[int, list[float]] = {}
    for point in made.scored:
        for seed, value in zip(point.trials, optimism(point), strict=False):
            by_seed.setdefault(seed, []).append(value)
    if not by_seed:
        return []
    shown = interval([math.fsum(values) / len(values) for values in by_seed.values()])
    text = (
        "Checkpoints and member weights are chosen on the select split, carved from the training data; only the "
        "validation split is reported. Over all points the select score minus the validation score is "
        f"{signed(shown.mean, made.places)} points (95% interval over {count(shown.count, 'seed')}: "
        f"{bounds(shown, made.places)}): what reporting on the split of choice would have flattered."
    )
    return [Section(title="Optimism", blocks=(Text(words=text),))]


def failures(made: Material) -> list[Section]:
    """Failed trials with their errors."""
    table = failures_table(made.trials)
    if not table.rows:
        return []
    text = Text(words="These trials are in no mean; comparisons leave out the pairs that lack them.")
    return [Section(title="Failed trials", blocks=(text, table))]
