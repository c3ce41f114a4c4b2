"""The sections with results: the best model, answers, points, Pareto fronts, stages, learning curves, failures."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from statistics import fmean

from bebertlab import ranking
from bebertlab.config.humanize import format_duration
from bebertlab.interfaces.events import TrialRecord
from bebertlab.interfaces.metric_names import (
    GIGAFLOPS,
    MEMBERS_COUNT,
    SENTENCE_MILLISECONDS,
    TRAIN_STEPS,
    metric_info,
)
from bebertlab.interfaces.values import identity
from bebertlab.report.answers import Answer, Comparison
from bebertlab.report.document import Block, Bullets, Code, Figure, Section, Table, Text
from bebertlab.report.labels import (
    bounds,
    count,
    difference_unit,
    listing,
    number,
    point_label,
    short_names,
    signed,
    with_unit,
)
from bebertlab.report.narrow import details, fits_page, least_needed, narrowed
from bebertlab.report.pairs import matching_trials
from bebertlab.report.plots import hue_axis
from bebertlab.report.plots_answers import COLUMNS, forest, pairs_label, scatter, score_lines, score_plot
from bebertlab.report.plots_curves import CurveGroup, curves_plot
from bebertlab.report.plots_points import against_cost, ranked
from bebertlab.report.points import (
    CostedPoint,
    by_latency,
    by_operations,
    by_packed_size,
    by_seconds,
    by_size,
    members,
    pareto_front,
)
from bebertlab.report.report_data import ReportData
from bebertlab.report.stages import stage_costs, stage_scores
from bebertlab.report.statistics import MINIMUM_SEEDS, interval
from bebertlab.report.tables import (
    KEY_DIGITS,
    LATENCY,
    MATRIX,
    MEMBERS,
    OPERATIONS,
    PACKED,
    SIMULATED,
    STORED,
    TOTAL,
    baselines,
    comparison_costs,
    comparisons_table,
    costs_table,
    failures_table,
    front_table,
    further_metrics,
    objectives_table,
    points_table,
    selection_bias,
    stage_scores_table,
    stages_table,
)
from bebertlab.report.wording import searched_values, sentences

_COSTS = {
    MATRIX: "Matrix: word embedding, linear layers and pooler in the bits of their quantizers.",
    TOTAL: "Total: with scales and all that stays in full precision.",
    PACKED: "Packed: the file of tensors of the packed model, as it is on the disk.",
    STORED: "Stored: the model's file.",
    OPERATIONS: f"GFLOPs: {metric_info(GIGAFLOPS).description}.",
    LATENCY: f"Milliseconds a sentence: {metric_info(SENTENCE_MILLISECONDS).description}; the warnings name the CPU.",
}
_SIMULATED = (
    "no model was packed, so that sizes are computed from the bits of quantizers, and there is no file of that size."
)


def best_model(data: ReportData) -> list[Section]:
    """The best trial of the best point, with the keys under which its stages are stored."""
    best = data.best
    if best is None or not best.stages:
        return []
    score = number(best.trial.metrics[data.study.objective], data.decimals)
    picked = ", the best of its seeds" if len(best.point.trials) > 1 else ""
    text = (
        f"Point #1, {point_label(best.point.parameters, short_names(data.study.axes))}, seed {best.trial.seed}:"
        f" {data.study.objective} {score}{picked}. Its stages in the order of the recipe, and their keys in the store:"
    )
    model = _last_model(best.trial)
    blocks: list[Block] = [Text(text=text), stages_table(best.stages)]
    if model:
        blocks += [
            Text(text="To show a model, give the key of its stage and the work folder:"),
            Code(text=f"bebertlab model show {model} --work {data.study.work}", language="sh"),
        ]
    return [Section(title="Best model", blocks=tuple(blocks))]


def _last_model(trial: TrialRecord) -> str:
    """The key of the last stage that trained a model; empty where none did."""
    trained = [stage.key for stage in trial.stages if stage.metrics.get(TRAIN_STEPS)]
    return trained[-1][:KEY_DIGITS] if trained else ""


def all_points(data: ReportData) -> Section:
    """The ranked points as a table and as a plot."""
    tied = "" if data.learned.nothing else " ≈ marks points that are not shown to be worse than the best."
    text = (
        f"Mean and half the 95% interval over seeds, in the order of the means.{tied} Training is the time to build"
        " every stage of the point once, shared stages included. Majority always gives the most frequent answer of the"
        " training set, chance guesses, each class equally often."
    )
    table = points_table(data.study, data.points, data.not_shown_worse, data.decimals, best=not data.learned.nothing)
    shown = _fitting(
        table, least_needed(table, further_metrics(data.study, data.points)), first=1 + len(data.study.axes)
    )
    columns = [sentence for column, sentence in _COSTS.items() if column in table.columns] + _simulated(table)
    blocks: list[Block] = [Text(text=text), *shown, Bullets(items=(*columns, *_metric_notes(data)))]
    blocks += _infeasible(data)
    blocks += _rejected(data)
    blocks += _constant(data)
    if len(data.scored) > 1:
        svg = ranked(data.study, data.points, "points")
        blocks.append(Figure(name="points", svg=svg, caption="Means, 95% intervals and single seeds (ticks)."))
    return Section(title="All points", blocks=tuple(blocks))


def _simulated(table: Table) -> list[str]:
    """That sizes of all points, or of those that are marked, are of no file."""
    if PACKED not in table.columns:
        return [f"All sizes are simulated: {_SIMULATED}"] if TOTAL in table.columns else []
    marked = any(SIMULATED in row for row in table.rows)
    return [f"{SIMULATED.capitalize()}: {_SIMULATED}"] if marked else []


def _fitting(table: Table, groups: Sequence[Collection[str]], *, first: int) -> list[Block]:
    """A table that fits the page, and one with the columns that are left out, behind the first ones."""
    shown = narrowed(table, groups, fits_page)
    hidden = details(table, shown, first, "More columns of this table")
    return [shown] if hidden is None else [shown, hidden]


def _metric_notes(data: ReportData) -> list[str]:
    """Descriptions of the metrics of which lower values are better."""
    infos = [metric_info(name, data.study.metrics) for name in further_metrics(data.study, data.points)]
    return [f"{info.name}: {info.description}; lower is better." for info in infos if info.maximize is False]


def _infeasible(data: ReportData) -> list[Block]:
    """The constraints, and the points that break one."""
    if not data.study.constraints:
        return []
    limits = listing(list(map(str, data.study.constraints)))
    numbers = [f"#{point.number}" for point in data.points if point.broken]
    if not numbers:
        return [Text(text=f"Every point keeps the constraints, by means over seeds: {limits}.")]
    text = f"Constraints, by means over seeds: {limits}. Broken by {listing(numbers)}:"
    return [Text(text=f"{text} these points follow the others, and are never best nor on a Pareto front.")]


def _rejected(data: ReportData) -> list[Block]:
    """Points whose numbers of members and sizes differ from the searched ones, since some member does not vote."""
    numbers = [f"#{point.number}" for point in data.points if any(map(_has_rejected, point.trials.values()))]
    if not numbers:
        return []
    text = (
        f"{MEMBERS.capitalize()} and sizes are of the members that vote, means over seeds. Fewer members than searched"
        f" vote in {listing(numbers)}: the others were rejected, or not trained since the ensemble had ended."
    )
    return [Text(text=text)]


def _constant(data: ReportData) -> list[Block]:
    """Points with a model whose predictions hardly vary, where other models learned."""
    numbers = [f"#{point.number}" for point in data.constant]
    if not numbers or data.learned.nothing:
        return []
    text = f"A model of {listing(numbers)} predicts the same for (nearly) every text: it learned nothing."
    return [Text(text=text)]


def _has_rejected(trial: TrialRecord) -> bool:
    kept = members(trial.metrics)
    return kept is not None and kept < trial.metrics.get(MEMBERS_COUNT, kept)


def pareto_sections(data: ReportData) -> list[Section]:
    """Score against size, operations and times, where these differ among points whose models learned."""
    if data.learned.nothing:
        return []
    return [*_objectives_front(data), *_cost_fronts(data)]


def _objectives_front(data: ReportData) -> list[Section]:
    """The front of several objectives."""
    objectives = data.study.objectives
    if len(objectives) < 2:
        return []
    front = ranking.pareto_front(objectives, ranking.rank_points(objectives, data.trials, data.study.constraints))
    goals = listing([f"{'high' if goal.maximize else 'low'} {goal.metric}" for goal in objectives])
    text = (
        f"Points that no other beats or equals in every objective ({goals}), by means over seeds, with half the 95%"
        " interval; # is the rank."
    )
    numbers = {identity(point.parameters): point.number for point in data.points}
    table = objectives_table(data.study, front, numbers)
    return [Section(title="Pareto front of the objectives", blocks=(Text(text=text), table))]


def _cost_fronts(data: ReportData) -> list[Section]:
    sizes, packed = by_size(data.points), by_packed_size(data.points)
    measured = len(packed) == len(sizes)  # a front of measured and computed sizes would compare two things
    costs = (
        ("Score against size", packed if measured else sizes, PACKED if measured else "size (MiB)", "pareto-size"),
        ("Score against operations", by_operations(data.points), "GFLOPs", "pareto-operations"),
        ("Score against time", by_latency(data.points), LATENCY, "pareto-latency"),
        ("Score against training time", by_seconds(data.points), "training (s)", "pareto-seconds"),
    )
    return [_pareto_section(data, *cost) for cost in costs if len({costed.cost for costed in cost[1]}) > 1]


def _pareto_section(data: ReportData, title: str, costed: Sequence[CostedPoint], label: str, name: str) -> Section:
    front = pareto_front(costed, maximize=data.study.maximize)
    text = "The Pareto front: points with a better mean than all of lower or equal cost (within 1%). # is the rank."
    caption = "Points of the front have their rank and 95% interval; the intervals of the others are in the table."
    return Section(
        title=title,
        blocks=(
            Text(text=text),
            front_table(data.study, front, label, data.decimals),
            Figure(name=name, svg=against_cost(data.study, costed, front, label, name), caption=caption),
        ),
    )


_SUBGROUPS = " Grey: the pairs with one value of another option only; exploratory, without correction."


def answers(data: ReportData) -> list[Section]:
    """A section for all questions and one for each."""
    if not data.answers:
        return []
    sections = [_answer(data, answer, number) for number, answer in enumerate(data.answers, start=1)]
    return [Section(title="Answers", blocks=(Text(text=_answers_note(data)),)), *sections]


def _answers_note(data: ReportData) -> str:
    seeds = len(data.study.seeds)
    comparisons = [comparison for answer in data.answers for comparison in answer.comparisons]
    notes = _kinds(comparisons)
    if seeds < MINIMUM_SEEDS:
        notes.append(f"This run has {count(seeds, 'seed')}: no conclusion is drawn from fewer than {MINIMUM_SEEDS}.")
    return " ".join(notes) or "Nothing is compared value by value."


def _kinds(comparisons: Sequence[Comparison]) -> list[str]:
    """How differences are computed."""
    notes = []
    if any(comparison.paired for comparison in comparisons):
        fixed = any(comparison.baseline_fixed or comparison.value_fixed for comparison in comparisons)
        exception = ", except an option for which one side has one value only (named in the table)" if fixed else ""
        notes.append(
            f"A paired difference is between trials of the same seed and the same other options{exception}; its"
            " interval is over seeds."
        )
    if not all(comparison.paired for comparison in comparisons):
        notes.append(
            "A difference that is not paired is between means of points that differ in other options too; its interval"
            " is over points."
        )
    return notes


def _answer(data: ReportData, answer: Answer, number: int) -> Section:
    study, name = data.study, f"answer-{number}"
    searched = searched_values(study, answer)
    blocks: list[Block] = [Text(text=searched)] if searched else []
    blocks.append(Bullets(items=sentences(study, answer, data.decimals)))
    option = short_names(study.axes).get(answer.question.compare, answer.question.compare)
    if answer.comparisons:
        table = comparisons_table(study, answer, data.decimals)
        blocks += _fitting(table, [comparison_costs(answer)], first=1 + ("at" in table.columns))
        blocks.append(Figure(name=name, svg=forest(study, answer, name), caption=_caption(answer.comparisons)))
    if answer.trend is not None and answer.trend.values:
        svg = scatter(study, answer.trend, option, name)
        blocks.append(Figure(name=name, svg=svg, caption="One dot per point, the mean over its seeds."))
    if answer.comparisons and answer.question.baseline is None and _numeric(answer):
        blocks.append(_score_figure(data, answer, option, f"{name}-curve"))
    return Section(title=answer.question.text, blocks=tuple(blocks), level=3)


def _caption(comparisons: Sequence[Comparison]) -> str:
    caption = f"Differences over {pairs_label(comparisons)} with 95% intervals, filled where a difference is shown."
    subgroups = len(comparisons) <= COLUMNS and any(comparison.subgroups for comparison in comparisons)
    return caption + (_SUBGROUPS if subgroups else "")


def _numeric(answer: Answer) -> bool:
    values = [value for comparison in answer.comparisons for value in (comparison.value, comparison.baseline)]
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _score_figure(data: ReportData, answer: Answer, option: str, name: str) -> Figure:
    hue = hue_axis(data.study, but=answer.question.compare)
    lines = score_lines(data.study, matching_trials(answer.question, data.trials), answer.question.compare, hue)
    title = short_names(data.study.axes).get(hue, "")
    caption = "Mean over all other options with its 95% interval over seeds."
    return Figure(name=name, svg=score_plot(data.study, lines, option, title, name), caption=caption)


def stage_score_sections(data: ReportData) -> list[Section]:
    """Scores of the stages before the result."""
    scores = stage_scores(data.study, data.trials)
    if not scores:
        return []
    text = (
        "Scores of the stages before the result, on the validation split. Change is from the previous scored stage of"
        " the same trial, paired by seed; where a stage has several variants, 'with' names their options."
    )
    references = baselines(data.study, data.trials)
    return [
        Section(
            title="Score by stage",
            blocks=(Text(text=text), stage_scores_table(scores, references, data.decimals)),
        )
    ]


def learning_curves(groups: Sequence[CurveGroup]) -> list[Section]:
    """One figure for each kind of stage that trains."""
    if not groups:
        return []
    text = (
        "Training loss and the score on the select split by optimizer step. A line is the mean over trainings, the band"
        " their range; where trainings have different lengths, over those that reach a step. Stages that several trials"
        " share count once."
    )
    figures = [
        Figure(name=name, svg=curves_plot(group, name), caption=group.caption)
        for group in groups
        for name in (f"curves-{group.kind}",)
    ]
    return [Section(title="Learning curves", blocks=(Text(text=text), *figures))]


def time_by_stage(data: ReportData) -> list[Section]:
    """The time that each stage took, whether it trains or not, with and without the store."""
    costs = stage_costs(data.trials)
    if not costs:
        return []
    spent = math.fsum(cost.seconds for cost in costs)
    without_store = math.fsum(cost.seconds_without_store for cost in costs)
    text = (
        f"Every distinct stage was built once: {format_duration(spent)} of work; without the store the trials would"
        f" have taken {format_duration(without_store)}. Seconds are wall time, with the effect of other load on the"
        " machine."
    )
    return [Section(title="Time by stage", blocks=(Text(text=text), costs_table(costs)))]


def selection_bias_sections(data: ReportData) -> list[Section]:
    """How much higher scores are on the split that checkpoints are chosen on."""
    by_seed: dict[int, list[float]] = {}
    for point in data.scored:
        for seed, value in zip(point.trials, selection_bias(point), strict=False):
            by_seed.setdefault(seed, []).append(value)
    if not by_seed:
        return []
    bias = interval([fmean(values) for values in by_seed.values()])
    text = (
        "Checkpoints and member weights are chosen on the select split, which is held out from the training data; only"
        " the validation split is reported. Over all points the select score minus the validation score is"
        f" {with_unit(signed(bias.mean, data.decimals), difference_unit(data.study))} (95% interval over"
        f" {count(bias.count, 'seed')}: {bounds(bias, data.decimals)}): scores on the split of choice would have been"
        " biased by as much."
    )
    return [Section(title="Selection bias (select - validation)", blocks=(Text(text=text),))]


def failures(data: ReportData) -> list[Section]:
    """Failed trials with their errors."""
    table = failures_table(data.trials)
    if not table.rows:
        return []
    text = Text(text="These trials are in no mean; comparisons leave out the pairs that lack them.")
    return [Section(title="Failed trials", blocks=(text, table))]
