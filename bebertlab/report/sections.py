"""All points, and those on the Pareto fronts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from bebertlab.config.humanize import format_duration
from bebertlab.interfaces.events import TrialRecord
from bebertlab.interfaces.values import identity
from bebertlab.ranking import pareto_front, rank_points
from bebertlab.report.answers import Answer, Comparison
from bebertlab.report.cells import counted
from bebertlab.report.document import Block, Bullets, Figure, Section, Text
from bebertlab.report.labels import bounds, count, listing, short_names, signed
from bebertlab.report.plots import curves, hue_axis
from bebertlab.report.plots_answers import COLUMNS, curve, forest, over, scatter
from bebertlab.report.plots_points import against_cost, ranked
from bebertlab.report.points import Placed, by_operations, by_seconds, by_size, front, members
from bebertlab.report.report_data import Material
from bebertlab.report.statistics import MINIMUM_SEEDS, interval
from bebertlab.report.steps import stage_costs, steps
from bebertlab.report.tables import (
    GIGAFLOPS,
    MATRIX,
    MEMBERS,
    STORED,
    TOTAL,
    baselines,
    comparisons_table,
    costs_table,
    failures_table,
    front_table,
    objectives_table,
    optimism,
    points_table,
    steps_table,
)
from bebertlab.report.wording import sentences

_COSTS = {
    MATRIX: "Matrix: word embedding, linear layers and pooler in the bits of their quantizers.",
    TOTAL: "Total: with scales and all that stays in full precision.",
    STORED: "Stored: the model's file.",
    GIGAFLOPS: "GFLOPs: one sentence of 128 tokens, or of all positions of a model that has fewer; a product of a by b"
    " bits counts as a*b/64.",
}


def all_points(made: Material) -> Section:
    """The ranked points as a table and as a plot."""
    marked = "" if made.learned.nothing else " ≈ marks points that are not shown to be worse than the best."
    text = (
        f"Mean and half the 95% interval over seeds, in the order of the means.{marked} Training is the time to make "
        "every stage of the point once, shared stages included. Majority always gives the most frequent answer of the "
        "training set, chance guesses, each class equally often."
    )
    table = points_table(made.study, made.points, made.ties, made.places, best=not made.learned.nothing)
    costs = [said for column, said in _COSTS.items() if column in table.columns]
    blocks: list[Block] = [Text(words=" ".join([text, *costs])), table]
    blocks += _rejected(made)
    blocks += _constant(made)
    if len(made.scored) > 1:
        svg = ranked(made.study, made.points, "points")
        blocks.append(Figure(name="points", svg=svg, caption="Means, 95% intervals and single seeds (ticks)."))
    return Section(title="All points", blocks=tuple(blocks))


def _rejected(made: Material) -> list[Block]:
    """Points of which some member has no vote, so that members and sizes are not those that were searched."""
    found = [f"#{point.number}" for point in made.points if any(map(_has_rejected, point.trials.values()))]
    if not found:
        return []
    words = (
        f"{MEMBERS.capitalize()} and sizes are of those that vote, means over seeds. Fewer than were asked for vote in "
        f"{listing(found)}: the others were rejected, or not trained as the ensemble had ended."
    )
    return [Text(words=words)]


def _constant(made: Material) -> list[Block]:
    """Points with a model whose answers hardly vary, where others learned something."""
    found = [f"#{point.number}" for point in made.constant]
    if not found or made.learned.nothing:
        return []
    return [
        Text(words=f"A model of {listing(found)} gives the same answer to (nearly) every text: it learned nothing.")
    ]


def _has_rejected(trial: TrialRecord) -> bool:
    kept = members(trial.metrics)
    return kept is not None and kept < trial.metrics.get("members/count", kept)


def fronts(made: Material) -> list[Section]:
    """Score against size, operations and training time, where these differ among points that learned something."""
    if made.learned.nothing:
        return []
    return [*_objectives_front(made), *_cost_fronts(made)]


def _objectives_front(made: Material) -> list[Section]:
    """The front of several objectives."""
    objectives = made.study.objectives
    if len(objectives) < 2:
        return []
    front = pareto_front(objectives, rank_points(objectives, made.trials))
    goals = listing([f"{'high' if goal.maximize else 'low'} {goal.metric}" for goal in objectives])
    text = f"Points that no other beats or equals in every objective ({goals}), by means over seeds; # is the rank."
    ranks = {identity(point.parameters): point.number for point in made.points}
    table = objectives_table(made.study, front, ranks)
    return [Section(title="Pareto front of the objectives", blocks=(Text(words=text), table))]


def _cost_fronts(made: Material) -> list[Section]:
    kinds = (
        ("Score against size", by_size(made.points), "size (MiB)", "pareto-size"),
        ("Score against operations", by_operations(made.points), "GFLOPs", "pareto-operations"),
        ("Score against training time", by_seconds(made.points), "training (s)", "pareto-seconds"),
    )
    return [_pareto_section(made, *kind) for kind in kinds if len({one.cost for one in kind[1]}) > 1]


def _pareto_section(made: Material, title: str, placed: Sequence[Placed], label: str, name: str) -> Section:
    best = front(placed, maximize=made.study.maximize)
    text = "Points that no other beats at a lower or equal cost (within 1%), by their means; # is the rank."
    caption = "Front points carry their rank and 95% interval; the intervals of the others are in the table."
    return Section(
        title=title,
        blocks=(
            Text(words=text),
            front_table(made.study, best, label, made.places),
            Figure(name=name, svg=against_cost(made.study, placed, best, label, name), caption=caption),
        ),
    )


_PARTS = " Grey: the same among the pairs with one value of another option, not corrected, to look at only."


def answers(made: Material) -> list[Section]:
    """A section for all questions and one for each."""
    if not made.answers:
        return []
    found = [Section(title="Answers", blocks=(Text(words=_answers_note(made)),))]
    return found + [_answer(made, one, place) for place, one in enumerate(made.answers, start=1)]


def _answers_note(made: Material) -> str:
    seeds = len(made.study.seeds)
    comparisons = [one for found in made.answers for one in found.comparisons]
    said = [words for words, true in _kinds(comparisons) if true]
    if seeds < MINIMUM_SEEDS:
        said.append(f"This run has {count(seeds, 'seed')}: with fewer than {MINIMUM_SEEDS} nothing is claimed.")
    return " ".join(said) or "Nothing is compared value by value."


def _kinds(comparisons: Sequence[Comparison]) -> tuple[tuple[str, bool], ...]:
    """What may be said of how differences are made, and whether some are made so."""
    across = any(one.across or one.own for one in comparisons)
    but = ", except an option for which one side has one value only (named in the table)" if across else ""
    return (
        (
            f"A paired difference is between trials of the same seed and the same other options{but}; its interval is "
            "over seeds.",
            any(one.paired for one in comparisons),
        ),
        (
            "One that is not paired is between means of points that differ in other options too; its interval is over "
            "points.",
            not all(one.paired for one in comparisons),
        ),
    )


def _answer(made: Material, found: Answer, place: int) -> Section:
    study, name = made.study, f"answer-{place}"
    blocks: list[Block] = [Bullets(items=sentences(study, found, made.places))]
    option = short_names(study.axes).get(found.question.compare, found.question.compare)
    if found.comparisons:
        blocks.append(comparisons_table(study, found, made.places))
        blocks.append(Figure(name=name, svg=forest(study, found, name), caption=_caption(found.comparisons)))
    if found.trend is not None and found.trend.values:
        svg = scatter(study, found.trend, option, name)
        blocks.append(Figure(name=name, svg=svg, caption="One dot per point, the mean over its seeds."))
    if found.comparisons and found.question.baseline is None and _numeric(found):
        blocks.append(_curve(made, found, option, f"{name}-curve"))
    return Section(title=found.question.text, blocks=tuple(blocks), level=3)


def _caption(shown: Sequence[Comparison]) -> str:
    said = f"Differences over {over(shown)} with 95% intervals, filled where a difference is shown."
    return said + (_PARTS if len(shown) <= COLUMNS and any(one.parts for one in shown) else "")


def _numeric(found: Answer) -> bool:
    values = [value for one in found.comparisons for value in (one.value, one.baseline)]
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _curve(made: Material, found: Answer, option: str, name: str) -> Figure:
    hue = hue_axis(made.study, but=found.question.compare)
    lines = curves(made.study, counted(found.question, made.trials), found.question.compare, hue)
    short = short_names(made.study.axes).get(hue, "")
    caption = "Mean over all other options with its 95% interval over seeds."
    return Figure(name=name, svg=curve(made.study, lines, option, short, name), caption=caption)


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
        f"Every distinct stage was made once: {format_duration(spent)} of work; without the store the trials would "
        f"have taken {format_duration(saved)}. Seconds are wall time, with whatever else the machine did at that time."
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
    shown = interval([fmean(values) for values in by_seed.values()])
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
