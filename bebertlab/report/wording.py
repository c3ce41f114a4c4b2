"""Answers in words: what is claimed is what the interval over seeds allows, and no more."""

from __future__ import annotations

from attrs import frozen

from bebertlab.config.humanize import format_duration
from bebertlab.interfaces.events import Question, StudyRecord
from bebertlab.interfaces.values import identity
from bebertlab.report.answers import Answer, Comparison, Conclusion, Trend
from bebertlab.report.cells import condition, said_at
from bebertlab.report.labels import (
    bounds,
    count,
    number,
    plus_minus,
    short_names,
    signed,
    unit,
    value_label,
)
from bebertlab.report.statistics import MINIMUM_SEEDS
from bebertlab.report.summaries import compared_label, differing, is_many, many


@frozen(kw_only=True)
class Words:
    """What sentences about one study share."""

    option: str  #: short name of the compared option
    unit: str
    maximize: bool
    places: int  #: decimals of the objective


def sentences(study: StudyRecord, found: Answer, places: int = 2) -> tuple[str, ...]:
    """One sentence per comparison after that of the question's condition, and one about cost where it is asked for.

    Many comparisons with one value are told by their verdicts, without evidence and cost: these are in the table.
    """
    if found.obstacle:
        return (f"Not answered: {found.obstacle}.",)
    words = _words(study, found.question, places)
    if found.trend is not None:
        return (*_condition(study, found), _trend(words, found.trend))
    if is_many(found):
        return (*_condition(study, found), *many(study, found, places))
    said = [
        _at(study, made) + _comparison(words, found.question, made, _differing(study, found, made))
        for made in found.comparisons
    ]
    return (*_condition(study, found), *said, *_cost(study, found))


def headlines(study: StudyRecord, found: Answer, places: int = 2) -> tuple[str, ...]:
    """The same in few words, the evidence left out."""
    if found.obstacle or found.trend is not None or is_many(found):
        return sentences(study, found, places)
    words = _words(study, found.question, places)
    said = [
        _at(study, made) + _short(words, found.question, made) + _aside(study, found, made)
        for made in found.comparisons
    ]
    return (*_condition(study, found), *(f"{one}." for one in said), *_short_cost(study, found))


def _condition(study: StudyRecord, found: Answer) -> list[str]:
    said = condition(study, found.question)
    return [said] if said else []


def verdict_label(comparison: Comparison, *, maximize: bool) -> str:
    """A verdict in a table cell."""
    if comparison.verdict is not Conclusion.SHOWN:
        return {
            Conclusion.NOT_SHOWN: "not shown",
            Conclusion.NOT_AFTER_CORRECTION: "not after correction",
            Conclusion.SAME: "the same",
            Conclusion.NO_SPREAD: "no spread",
            Conclusion.TOO_FEW: f"too few {_unit_of_count(comparison)}s",
        }[comparison.verdict]
    return "better" if (comparison.estimate.interval.mean > 0) is maximize else "worse"


def _words(study: StudyRecord, question: Question, places: int) -> Words:
    return Words(
        option=short_names(study.axes).get(question.compare, question.compare),
        unit=unit(study.objective),
        maximize=study.maximize,
        places=places,
    )


def _at(study: StudyRecord, made: Comparison) -> str:
    at = said_at(study, made.at)
    return f"At {at}: " if at else ""


def _comparison(words: Words, question: Question, made: Comparison, differing: str) -> str:
    evidence = "; ".join(filter(None, [_evidence(words, made), differing]))
    return f"{_claim(words, question, made, *_sides(words, question, made))} ({evidence})."


def _aside(study: StudyRecord, found: Answer, made: Comparison) -> str:
    """What a claim without its evidence must not be read without."""
    words = _differing(study, found, made) if made.paired else "not paired"
    return f" ({words})" if words else ""


def _differing(study: StudyRecord, found: Answer, made: Comparison) -> str:
    """What pairs differ in beside the compared option, unless the sentence on the condition has said it."""
    words = differing(study, made)
    return "" if words in condition(study, found.question) else words


def _short(words: Words, question: Question, made: Comparison) -> str:
    ours, theirs = _sides(words, question, made)
    if made.verdict in (Conclusion.NOT_SHOWN, Conclusion.NOT_AFTER_CORRECTION):
        sign = "+" if made.estimate.interval.mean > 0 else ""
        difference = sign + plus_minus(made.estimate.interval, words.places)
        return f"{ours} and {theirs}: no difference shown ({difference})"
    return _claim(words, question, made, ours, theirs)


def _sides(words: Words, question: Question, made: Comparison) -> tuple[str, str]:
    ours, theirs = value_label(made.value), value_label(made.baseline)
    return (ours, theirs) if question.baseline is not None else (f"{words.option} {ours}", f"{words.option} {theirs}")


def _claim(words: Words, question: Question, made: Comparison, ours: str, theirs: str) -> str:
    difference = made.estimate.interval.mean
    measured = f"{ours} minus {theirs} is {signed(difference, words.places)} {words.unit}"
    if made.verdict is Conclusion.SHOWN:
        size = f"{number(abs(difference), words.places)} {words.unit}"
        if (difference > 0) is words.maximize:
            return f"{ours} beats {theirs} by {size}"
        return (
            f"{ours} is {size} worse than {theirs}" if question.baseline is None else f"{theirs} beats {ours} by {size}"
        )
    return {
        Conclusion.NOT_SHOWN: f"{ours} and {theirs}: no difference shown; {measured}",
        Conclusion.NOT_AFTER_CORRECTION: f"{ours} and {theirs}: no difference shown once corrected for the number of "
        f"comparisons; {measured}",
        Conclusion.SAME: f"{ours} and {theirs} reached the same mean score in every seed",
        Conclusion.NO_SPREAD: f"{measured} in every seed; without spread over seeds nothing is claimed",
        Conclusion.TOO_FEW: f"{measured}; no claim with fewer than {MINIMUM_SEEDS} {_unit_of_count(made)}s",
    }[made.verdict]


def _evidence(words: Words, made: Comparison) -> str:
    shown = made.estimate.interval
    parts = []
    if made.verdict is Conclusion.SHOWN and shown.low is not None and shown.high is not None:
        # a shown difference is said by its size, whichever side won
        low, high = sorted((abs(shown.low), abs(shown.high)))
        parts.append(f"95% interval {number(low, words.places)} to {number(high, words.places)}")
    elif shown.low is not None:
        parts.append(f"95% interval {bounds(shown, words.places)}")
    if made.paired:
        parts.append(f"{count(shown.count, 'seed')}, {count(made.pairs, 'pair')}")
    else:
        parts.append("not paired: the points differ in other options too")
    if made.verdict in (Conclusion.NOT_SHOWN, Conclusion.NOT_AFTER_CORRECTION) and made.estimate.detectable is not None:
        parts.append(f"a study like this shows differences of about {number(made.estimate.detectable, words.places)}")
    return "; ".join(parts)


def _unit_of_count(made: Comparison) -> str:
    return "seed" if made.paired else "point"


def _cost(study: StudyRecord, found: Answer) -> list[str]:
    """Training seconds against the baseline's, or against the value before."""
    said = [_times(study, made) + _seconds(made) for made in _with_cost(found)]
    return [f"Training seconds in {found.question.cost}: {'; '.join(said)}."] if said else []


def _short_cost(study: StudyRecord, found: Answer) -> list[str]:
    said = [_times(study, made) for made in _with_cost(found)]
    return [f"Training seconds in {found.question.cost}: {', '.join(said)}."] if said else []


def _with_cost(found: Answer) -> list[Comparison]:
    baseline = found.question.baseline
    costly = [made for made in found.comparisons if made.cost is not None and made.cost.ratio is not None]
    return [made for made in costly if baseline is None or identity(made.baseline) == identity(baseline)]


def _times(study: StudyRecord, made: Comparison) -> str:
    mean = made.cost.ratio.mean if made.cost and made.cost.ratio else 0.0
    return f"{compared_label(study, made)} takes {number(mean)} times those of {value_label(made.baseline)}"


def _seconds(made: Comparison) -> str:
    if made.cost is None or made.cost.ratio is None:
        return ""
    within = "" if made.cost.ratio.low is None else f", 95% interval {bounds(made.cost.ratio, sign=False)}"
    return f" ({format_duration(made.cost.ours)} against {format_duration(made.cost.theirs)} a trial{within})"


def _trend(words: Words, trend: Trend) -> str:
    shown = trend.correlation
    if shown is None:
        return f"Not answered: too few points to see a trend over {words.option}."
    direction = "rises" if shown.mean > 0 else "falls"
    seen = (
        f"the score {direction} with {words.option}" if shown.excludes_zero else f"no trend over {words.option} shown"
    )
    return (
        f"{seen[0].upper()}{seen[1:]}: rank correlation {signed(shown.mean)} over {count(shown.count, 'point')} "
        f"(95% interval {bounds(shown)}); an association, the points differ in other options too."
    )
