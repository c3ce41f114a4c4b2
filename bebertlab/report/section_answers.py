"""The answers to a study's questions: sentences, tables of differences and their plots."""

from __future__ import annotations

from collections.abc import Sequence

from bebertlab.report.answers import Answer, Comparison
from bebertlab.report.cells import counted
from bebertlab.report.curves import curves, hue_axis
from bebertlab.report.document import Block, Bullets, Figure, Section, Text
from bebertlab.report.labels import count, short_names
from bebertlab.report.material import Material
from bebertlab.report.plots_answers import COLUMNS, curve, forest, over, scatter
from bebertlab.report.statistics import MINIMUM_SEEDS
from bebertlab.report.tables import comparisons_table
from bebertlab.report.wording import sentences

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
