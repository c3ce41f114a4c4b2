"""Answers as sentences, which claim no more than the interval over seeds allows.

Up to `MOST_SENTENCES` comparisons have a sentence each; more of them with one baseline are listed by their conclusion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from bebertlab.config.humanize import format_duration
from bebertlab.interfaces.events import Question, StudyRecord
from bebertlab.interfaces.values import identity
from bebertlab.report.answers import Answer, Comparison, Conclusion, Trend
from bebertlab.report.labels import (
    bounds,
    count,
    difference_unit,
    listing,
    number,
    plus_minus,
    short_names,
    signed,
    value_label,
    with_unit,
)
from bebertlab.report.pairs import cell_label, condition
from bebertlab.report.statistics import MINIMUM_SEEDS

MOST_SENTENCES = 6


@frozen(kw_only=True)
class Terms:
    """Terms that the sentences about one question share."""

    option: str  #: short name of the compared option
    unit: str  #: of differences
    maximize: bool
    decimals: int  #: of the objective

    def size(self, difference: float) -> str:
        """A difference without its sign."""
        return with_unit(number(abs(difference), self.decimals), self.unit)


def sentences(study: StudyRecord, answer: Answer, decimals: int = 2) -> tuple[str, ...]:
    """The condition of the question, each comparison with its evidence, and the training time if it has a `cost`."""
    if answer.obstacle:
        return (f"Not answered: {answer.obstacle}.",)
    terms = _terms(study, answer.question, decimals)
    if answer.trend is not None:
        return (*_condition(study, answer), _trend(terms, answer.trend))
    if is_grouped(answer):
        return (*_condition(study, answer), *grouped(study, answer, decimals))
    compared = [
        _at(study, comparison) + _sentence(terms, answer.question, comparison, _differing(study, answer, comparison))
        for comparison in answer.comparisons
    ]
    return (*_condition(study, answer), *compared, *_training_time(study, answer, evidence=True))


def headlines(study: StudyRecord, answer: Answer, decimals: int = 2) -> tuple[str, ...]:
    """The same without the evidence."""
    if answer.obstacle or answer.trend is not None or is_grouped(answer):
        return sentences(study, answer, decimals)
    terms = _terms(study, answer.question, decimals)
    compared = [
        f"{_at(study, comparison)}{_short(terms, answer.question, comparison)}{_caveat(study, answer, comparison)}."
        for comparison in answer.comparisons
    ]
    return (*_condition(study, answer), *compared, *_training_time(study, answer, evidence=False))


def searched_values(study: StudyRecord, answer: Answer) -> str:
    """What was compared in this run, e.g. "Compared: ensemble.kind single, boosting."; empty without an answer."""
    if answer.obstacle or answer.trend is not None:
        return ""
    option = short_names(study.axes).get(answer.question.compare, answer.question.compare)
    return f"Compared: {option} {', '.join(map(value_label, answer.values))}."


def conclusion_label(comparison: Comparison, *, maximize: bool) -> str:
    """A conclusion in a table cell."""
    if comparison.conclusion is not Conclusion.SHOWN:
        return {
            Conclusion.NOT_SHOWN: "not shown",
            Conclusion.NOT_AFTER_CORRECTION: "not after correction",
            Conclusion.SAME: "the same",
            Conclusion.NO_SPREAD: "no spread",
            Conclusion.TOO_FEW: f"too few {_counted(comparison)}s",
        }[comparison.conclusion]
    return "better" if (comparison.estimate.interval.mean > 0) is maximize else "worse"


def differing(study: StudyRecord, comparison: Comparison) -> str:
    """The options besides the compared one in which the trials of a pair differ; empty if there are none."""
    names = short_names(study.axes)

    def fixed(value: object, axes: Mapping[str, Any]) -> str:
        only = [f"{names.get(axis, axis)} {value_label(fixed_value)}" for axis, fixed_value in axes.items()]
        return f"{value_label(value)} has {listing(only)} only" if only else ""

    sides = (fixed(comparison.value, comparison.value_fixed), fixed(comparison.baseline, comparison.baseline_fixed))
    return listing([side for side in sides if side])


def compared_label(study: StudyRecord, comparison: Comparison) -> str:
    """The compared value, and its cell where there are several such comparisons."""
    at = cell_label(study, comparison.at)
    return f"{value_label(comparison.value)} at {at}" if at else value_label(comparison.value)


def _condition(study: StudyRecord, answer: Answer) -> list[str]:
    sentence = condition(study, answer.question)
    return [sentence] if sentence else []


def _terms(study: StudyRecord, question: Question, decimals: int) -> Terms:
    return Terms(
        option=short_names(study.axes).get(question.compare, question.compare),
        unit=difference_unit(study),
        maximize=study.maximize,
        decimals=decimals,
    )


def _at(study: StudyRecord, comparison: Comparison) -> str:
    at = cell_label(study, comparison.at)
    return f"At {at}: " if at else ""


def _sentence(terms: Terms, question: Question, comparison: Comparison, differing: str) -> str:
    evidence = "; ".join(filter(None, [_evidence(terms, comparison), differing]))
    return f"{_claim(terms, comparison, *_sides(terms, question, comparison))} ({evidence})."


def _caveat(study: StudyRecord, answer: Answer, comparison: Comparison) -> str:
    """A restriction of the conclusion that is stated even without its evidence."""
    caveat = _differing(study, answer, comparison) if comparison.paired else "not paired"
    return f" ({caveat})" if caveat else ""


def _differing(study: StudyRecord, answer: Answer, comparison: Comparison) -> str:
    """The options in which pairs differ, unless the sentence on the condition names them."""
    text = differing(study, comparison)
    return "" if text in condition(study, answer.question) else text


def _short(terms: Terms, question: Question, comparison: Comparison) -> str:
    compared, baseline = _sides(terms, question, comparison)
    if comparison.conclusion in (Conclusion.NOT_SHOWN, Conclusion.NOT_AFTER_CORRECTION):
        sign = "+" if comparison.estimate.interval.mean > 0 else ""
        difference = sign + plus_minus(comparison.estimate.interval, terms.decimals)
        return f"{compared} and {baseline}: no difference shown ({difference})"
    return _claim(terms, comparison, compared, baseline)


def _sides(terms: Terms, question: Question, comparison: Comparison) -> tuple[str, str]:
    compared, baseline = value_label(comparison.value), value_label(comparison.baseline)
    named = question.baseline is not None
    return (compared, baseline) if named else (f"{terms.option} {compared}", f"{terms.option} {baseline}")


def _claim(terms: Terms, comparison: Comparison, compared: str, baseline: str) -> str:
    difference = comparison.estimate.interval.mean
    measured = f"{compared} minus {baseline}: {with_unit(signed(difference, terms.decimals), terms.unit)}"
    if comparison.conclusion is Conclusion.SHOWN:
        better = (difference > 0) is terms.maximize
        return f"{compared} is {'better' if better else 'worse'} than {baseline} by {terms.size(difference)}"
    return {
        Conclusion.NOT_SHOWN: f"{compared} and {baseline}: no difference shown; {measured}",
        Conclusion.NOT_AFTER_CORRECTION: f"{compared} and {baseline}: no difference shown after correction for the"
        f" number of comparisons; {measured}",
        Conclusion.SAME: f"{compared} and {baseline} have the same mean score in every seed",
        Conclusion.NO_SPREAD: f"{measured} in every seed; no conclusion without spread over seeds",
        Conclusion.TOO_FEW: f"{measured}; no conclusion with fewer than {MINIMUM_SEEDS} {_counted(comparison)}s",
    }[comparison.conclusion]


def _evidence(terms: Terms, comparison: Comparison) -> str:
    shown = comparison.estimate.interval
    parts = []
    if comparison.conclusion is Conclusion.SHOWN and shown.low is not None and shown.high is not None:
        # as the sentence gives the difference, without its sign
        low, high = sorted((abs(shown.low), abs(shown.high)))
        parts.append(f"95% interval {number(low, terms.decimals)} to {number(high, terms.decimals)}")
    elif shown.low is not None:
        parts.append(f"95% interval {bounds(shown, terms.decimals)}")
    if comparison.paired:
        parts.append(f"{count(shown.count, 'seed')}, {count(comparison.pairs, 'pair')}")
    else:
        parts.append("not paired: the points differ in other options too")
    detectable = comparison.estimate.detectable
    if comparison.conclusion in (Conclusion.NOT_SHOWN, Conclusion.NOT_AFTER_CORRECTION) and detectable is not None:
        parts.append(f"minimum detectable difference: {number(detectable, terms.decimals)}")
    return "; ".join(parts)


def _counted(comparison: Comparison) -> str:
    return "seed" if comparison.paired else "point"


def _training_time(study: StudyRecord, answer: Answer, *, evidence: bool) -> list[str]:
    """Training time compared with that of the baseline, or of the value before."""
    baseline = answer.question.baseline
    ratios = [
        f"{compared_label(study, comparison)}: {number(comparison.cost.ratio.mean)}x the training time of"
        f" {value_label(comparison.baseline)}{_seconds(comparison) if evidence else ''}"
        for comparison in answer.comparisons
        if comparison.cost is not None
        and comparison.cost.ratio is not None
        and (baseline is None or identity(comparison.baseline) == identity(baseline))
    ]
    return [f"Training of {answer.question.cost}: {'; '.join(ratios)}."] if ratios else []


def _seconds(comparison: Comparison) -> str:
    cost = comparison.cost
    if cost is None or cost.ratio is None:
        return ""
    within = "" if cost.ratio.low is None else f"; 95% interval {bounds(cost.ratio, sign=False)}"
    return f" ({format_duration(cost.compared_seconds)} and {format_duration(cost.baseline_seconds)} per trial{within})"


def _trend(terms: Terms, trend: Trend) -> str:
    shown = trend.correlation
    if shown is None:
        return f"Not answered: too few points for a trend over {terms.option}."
    direction = "rises" if shown.mean > 0 else "falls"
    finding = f"The score {direction} with" if shown.excludes_zero else "No trend shown over"
    return (
        f"{finding} {terms.option}: rank correlation {signed(shown.mean)} over {count(shown.count, 'point')} "
        f"(95% interval {bounds(shown)}); an association, since the points differ in other options too."
    )


def is_grouped(answer: Answer) -> bool:
    """Whether an answer has too many comparisons for a sentence each, all with the same baseline."""
    return len(answer.comparisons) > MOST_SENTENCES and has_one_baseline(answer)


def has_one_baseline(answer: Answer) -> bool:
    """Whether all comparisons of an answer are with one value."""
    return len({identity(comparison.baseline) for comparison in answer.comparisons}) == 1


def grouped(study: StudyRecord, answer: Answer, decimals: int = 2) -> tuple[str, ...]:
    """One sentence for all comparisons of a conclusion, best first; the table has the evidence."""
    groups: dict[str, list[Comparison]] = {heading: [] for heading in _headings(answer)}
    for comparison in sorted(answer.comparisons, key=_difference, reverse=study.maximize):
        groups[_heading(study, answer, comparison)].append(comparison)
    listed = [
        f"{heading}: {with_unit(_differences(study, group, decimals), difference_unit(study))}."
        for heading, group in groups.items()
        if group
    ]
    return (*listed, *_all_differing(study, answer))


def _all_differing(study: StudyRecord, answer: Answer) -> list[str]:
    groups: dict[str, list[str]] = {}
    for comparison in answer.comparisons:
        if comparison.baseline_fixed or comparison.value_fixed:
            groups.setdefault(differing(study, comparison), []).append(compared_label(study, comparison))
    parts = [f"The pairs of {listing(values)} differ in other options too: {text}." for text, values in groups.items()]
    unpaired = [compared_label(study, comparison) for comparison in answer.comparisons if not comparison.paired]
    return (
        [*parts, f"Not paired, their points differ in other options too: {listing(unpaired)}."] if unpaired else parts
    )


def _headings(answer: Answer) -> tuple[str, ...]:
    """The conclusion that each group of comparisons shares, in the order of the report."""
    baseline = value_label(answer.comparisons[0].baseline)
    return (
        f"Better than {baseline}",
        f"Worse than {baseline}",
        f"No difference from {baseline} shown",
        f"No difference from {baseline} shown after correction for {count(len(answer.comparisons), 'comparison')}",
        f"The same mean score as {baseline} in every seed",
        f"Difference from {baseline}, the same in every seed (no conclusion without spread over seeds)",
        f"Difference from {baseline} (no conclusion with fewer than {MINIMUM_SEEDS} seeds)",
    )


def _heading(study: StudyRecord, answer: Answer, comparison: Comparison) -> str:
    better, worse, not_shown, not_after_correction, same, no_spread, too_few = _headings(answer)
    if comparison.conclusion is Conclusion.SHOWN:
        return better if (_difference(comparison) > 0) is study.maximize else worse
    return {
        Conclusion.NOT_SHOWN: not_shown,
        Conclusion.NOT_AFTER_CORRECTION: not_after_correction,
        Conclusion.SAME: same,
        Conclusion.NO_SPREAD: no_spread,
        Conclusion.TOO_FEW: too_few,
    }[comparison.conclusion]


def _difference(comparison: Comparison) -> float:
    return comparison.estimate.interval.mean


def _differences(study: StudyRecord, group: Sequence[Comparison], decimals: int) -> str:
    return ", ".join(
        f"{compared_label(study, comparison)} {signed(_difference(comparison), decimals)}" for comparison in group
    )
