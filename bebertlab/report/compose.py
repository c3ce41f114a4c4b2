"""What stands in a report, in which order."""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from attrs import frozen

from bebertlab.interfaces.events import StudyRecord, TrialRecord, TrialState
from bebertlab.report.answers import Answer, answer
from bebertlab.report.cost import stage_costs
from bebertlab.report.curves import curves, hue_axis
from bebertlab.report.document import Block, Bullets, Code, Document, Figure, Note, Section, Table, Text
from bebertlab.report.labels import bounds, count, duration, listing, plus_minus, point_label, short_names, signed
from bebertlab.report.pareto import Placed, by_seconds, by_size, front
from bebertlab.report.plots_answers import curve, forest, scatter
from bebertlab.report.plots_points import against_cost, ranked
from bebertlab.report.rows import Point, points
from bebertlab.report.statistics import MINIMUM_SEEDS, interval
from bebertlab.report.steps import steps
from bebertlab.report.tables import (
    comparisons_table,
    costs_table,
    failures_table,
    front_table,
    optimism,
    points_table,
    score_places,
    steps_table,
)
from bebertlab.report.ties import ties
from bebertlab.report.wording import headlines, sentences

GENERATED = "Generated data: the text is made up by a grammar. This report says nothing about real language."

_PACKAGES = ("bebertlab", "torch", "transformers", "numpy", "optuna", "ray", "mlflow")


@frozen(kw_only=True, eq=False)
class Material:
    """Everything that sections are made of."""

    study: StudyRecord
    trials: tuple[TrialRecord, ...]
    points: tuple[Point, ...]
    answers: tuple[Answer, ...]
    places: int

    @property
    def scored(self) -> list[Point]:
        """Points with a score, best first."""
        return [point for point in self.points if point.score is not None]


def material(study: StudyRecord, trials: Sequence[TrialRecord]) -> Material:
    """Group the trials and answer the questions."""
    return Material(
        study=study,
        trials=tuple(trials),
        points=points(study, trials),
        answers=tuple(answer(study, question, trials) for question in study.questions),
        places=score_places(study, trials),
    )


def compose(study: StudyRecord, trials: Sequence[TrialRecord]) -> Document:
    """The whole report."""
    made = material(study, trials)
    sections = [
        _short(made),
        *_answers(made),
        _points(made),
        *_pareto(made),
        *_steps(made),
        *_costs(made),
        *_optimism(made),
        *_failures(made),
        _reading(made),
        _reproduce(made),
    ]
    return Document(title=study.name, lead=tuple(_lead(study)), sections=tuple(sections))


def standing(trials: Sequence[TrialRecord], planned: int | None) -> str:
    """How many trials are complete, failed and left.

    >>> standing([], 4)
    '0 of 4 trials complete, 4 unfinished'
    """
    complete = sum(trial.state is TrialState.COMPLETE for trial in trials)
    failed = sum(trial.state is TrialState.FAILED for trial in trials)
    every = max(planned or 0, len(trials))
    left = every - complete - failed
    said = f"{complete:,} of {count(every, 'trial')} complete"
    return said + (f", {failed:,} failed" if failed else "") + (f", {left:,} unfinished" if left else "")


def _lead(study: StudyRecord) -> list[Block]:
    blocks: list[Block] = [Text(words=study.description)] if study.description else []
    return [*blocks, Note(words=GENERATED)] if study.generated else blocks


def _short(made: Material) -> Section:
    items = [" ".join(map(_capital, headlines(made.study, found, made.places))) for found in made.answers]
    leads = tuple(found.question.text for found in made.answers)
    if made.scored:
        best = made.scored[0]
        items.append(
            f"Best of {count(len(made.scored), 'point')}: {point_label(best.parameters, short_names(made.study.axes))} "
            f"with {made.study.objective} {plus_minus(best.score, made.places)}"
            f"{_tied(made)}. Picked as the best of many, its mean is flattering."
        )
    items.append(_facts(made))
    return Section(title="In short", blocks=(Bullets(items=tuple(items), leads=leads),))


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


def _tied(made: Material) -> str:
    others = len(ties(made.study, made.points))
    return f"; {count(others, 'other')} not shown to be worse" if others > 0 else ""


def _facts(made: Material) -> str:
    better = "higher" if made.study.maximize else "lower"
    return (
        f"{standing(made.trials, made.study.planned)}; {count(len(made.points), 'point')}, "
        f"seeds {listing([str(seed) for seed in made.study.seeds])}; "
        f"objective {made.study.objective}, {better} is better."
    )


def _answers(made: Material) -> list[Section]:
    if not made.answers:
        return []
    found = [Section(title="Answers", blocks=(Text(words=_answers_note(made)),))]
    return found + [_answer(made, one, place) for place, one in enumerate(made.answers, start=1)]


def _answers_note(made: Material) -> str:
    seeds = len(made.study.seeds)
    note = "Differences are paired: same seed, same other options; intervals are over seeds."
    if seeds < MINIMUM_SEEDS:
        return f"{note} This run has {count(seeds, 'seed')}: with fewer than {MINIMUM_SEEDS} nothing is claimed."
    return note


def _answer(made: Material, found: Answer, place: int) -> Section:
    study, name = made.study, f"answer-{place}"
    blocks: list[Block] = [Bullets(items=tuple(map(_capital, sentences(study, found, made.places))))]
    option = short_names(study.axes).get(found.question.compare, found.question.compare)
    if found.comparisons:
        blocks.append(comparisons_table(study, found, made.places))
        caption = (
            "Differences with 95% intervals over seeds. Blue: all pairs, filled where a difference is shown. "
            "Grey: the same among the pairs with one value of another option, not corrected, to look at only."
        )
        blocks.append(Figure(name=name, svg=forest(study, found, name), caption=caption))
    if found.trend is not None and found.trend.values:
        svg = scatter(study, found.trend, option, name)
        blocks.append(Figure(name=name, svg=svg, caption="One dot per point, the mean over its seeds."))
    if found.comparisons and found.question.baseline is None and _numeric(found):
        blocks.append(_curve(made, found, option, f"{name}-curve"))
    return Section(title=found.question.text, blocks=tuple(blocks), level=3)


def _numeric(found: Answer) -> bool:
    values = [value for one in found.comparisons for value in (one.value, one.baseline)]
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _curve(made: Material, found: Answer, option: str, name: str) -> Figure:
    hue = hue_axis(made.study, but=found.question.compare)
    lines = curves(made.study, made.trials, found.question.compare, hue)
    short = short_names(made.study.axes).get(hue, "")
    caption = "Mean over all other options with its 95% interval over seeds."
    return Figure(name=name, svg=curve(made.study, lines, option, short, name), caption=caption)


def _points(made: Material) -> Section:
    tied = ties(made.study, made.points)
    text = (
        "Mean and half the 95% interval over seeds, best first. ≈ marks points that are not shown to be worse than "
        "the best. Training is the time to make every stage of the point once, shared stages included."
    )
    blocks: list[Block] = [Text(words=text), points_table(made.study, made.points, tied, made.places)]
    if len(made.scored) > 1:
        svg = ranked(made.study, made.points, "points")
        blocks.append(Figure(name="points", svg=svg, caption="Means, 95% intervals and single seeds (ticks)."))
    return Section(title="All points", blocks=tuple(blocks))


def _pareto(made: Material) -> list[Section]:
    kinds = (
        ("Score against size", by_size(made.points), "size (MiB)", "pareto-size"),
        ("Score against training time", by_seconds(made.points), "training (s)", "pareto-seconds"),
    )
    return [_pareto_section(made, *kind) for kind in kinds if len({one.cost for one in kind[1]}) > 1]


def _pareto_section(made: Material, title: str, placed: Sequence[Placed], label: str, name: str) -> Section:
    best = front(placed, maximize=made.study.maximize)
    text = "Points that no other beats at a lower or equal cost (within 1%), by their means; # is the rank among all points."
    caption = "Front points carry their rank and 95% interval; the intervals of the others are in the table."
    return Section(
        title=title,
        blocks=(
            Text(words=text),
            front_table(made.study, best, label, made.places),
            Figure(name=name, svg=against_cost(made.study, placed, best, label, name), caption=caption),
        ),
    )


def _steps(made: Material) -> list[Section]:
    found = steps(made.study, made.trials)
    if not found:
        return []
    text = (
        "Scores of the stages on the way to the result, on the validation split. Change is from the scored stage "
        "before it in the same trial, paired by seed; where a stage has several variants, 'with' says which."
    )
    blocks = (Text(words=text), steps_table(found, made.places))
    return [Section(title="What every step costs", blocks=blocks)]


def _costs(made: Material) -> list[Section]:
    found = stage_costs(made.trials)
    if not found:
        return []
    spent = math.fsum(one.seconds for one in found)
    saved = math.fsum(one.without_store for one in found)
    text = (
        f"Every distinct stage was made once: {duration(spent)} of work; without the store the trials would have taken "
        f"{duration(saved)}. Seconds were measured while other trials ran beside, on one machine."
    )
    return [Section(title="Training time", blocks=(Text(words=text), costs_table(found)))]


def _optimism(made: Material) -> list[Section]:
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


def _failures(made: Material) -> list[Section]:
    table = failures_table(made.trials)
    if not table.rows:
        return []
    text = Text(words="These trials are in no mean; comparisons leave out the pairs that lack them.")
    return [Section(title="Failed trials", blocks=(text, table))]


def _reading(made: Material) -> Section:
    items = (
        "Intervals are 95% t-intervals over seeds. They say how a result moves when training is repeated with another "
        "seed on this data; they do not cover other data sets.",
        "Pairs of one seed share models, so they are averaged first and each seed counts once.",
        f"A value 'beats' another only with at least {MINIMUM_SEEDS} seeds, an interval that excludes zero and a "
        "p-value below 0.05 after Holm's correction over the comparisons of the question. Else no difference is shown, "
        "which does not say that there is none.",
        "'Detectable' is the true difference that a study with this spread and number of seeds would show four times "
        "in five.",
        "≈ compares a point with the best one by a t-test with the residual spread of all points after taking out "
        "their means and those of the seeds, corrected (Holm) for the number of points.",
        *_shared_note(made),
    )
    return Section(title="How to read this", blocks=(Bullets(items=items),))


def _shared_note(made: Material) -> list[str]:
    """Stages that are the same for every seed hide their part of the spread."""
    seeds: dict[str, set[int]] = {}
    names: dict[str, str] = {}
    for trial in made.trials:
        for event in trial.stages:
            seeds.setdefault(event.key, set()).add(trial.seed)
            names[event.key] = event.stage
    shared = list(dict.fromkeys(names[key] for key, found in seeds.items() if len(found) > 1))
    if not shared:
        return []
    return [f"The seeds share {listing(shared)}: the intervals do not cover how these would vary."]


def _reproduce(made: Material) -> Section:
    study = made.study
    identity = Table(
        columns=("what", "value"),
        rows=(("study", f"{study.name}@{study.digest[:8]}"), *study.identity.items(), *_versions()),
    )
    axes = Table(
        columns=("searched", "values"),
        rows=tuple((path, _values(values)) for path, values in study.axes.items()),
    )
    blocks: list[Block] = [
        Text(words="The resolved study stands below and beside this report as study.yaml. To run it again:"),
        Code(text="bebertlab study run study.yaml", language="sh"),
        identity,
    ]
    if axes.rows:
        blocks.append(axes)
    blocks.append(Code(text=study.resolved, language="yaml", folded="The resolved study"))
    return Section(title="How to reproduce", blocks=tuple(blocks))


def _values(values: Sequence[object]) -> str:
    from bebertlab.report.labels import value_label

    shown = [value_label(value) for value in values[:12]]
    return ", ".join(shown) + (f" ... ({len(values)} values)" if len(values) > 12 else "")


def _versions() -> list[tuple[str, str]]:
    found = [("python", platform.python_version())]
    for name in _PACKAGES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return found
