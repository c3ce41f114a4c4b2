"""Many comparisons with one baseline in few sentences; the table has the evidence."""

from __future__ import annotations

from collections.abc import Sequence

from bebertlab.interfaces.events import StudyRecord
from bebertlab.interfaces.values import identity
from bebertlab.report.answers import Answer, Comparison, Conclusion
from bebertlab.report.cells import said_at
from bebertlab.report.labels import count, listing, short_names, signed, unit, value_label
from bebertlab.report.statistics import MINIMUM_SEEDS

MANY = 6  #: up to so many comparisons have a sentence each


def is_many(found: Answer) -> bool:
    """Whether an answer has too many comparisons for a sentence each, all with the same value."""
    return len(found.comparisons) > MANY and same_baseline(found)


def same_baseline(found: Answer) -> bool:
    """Whether all comparisons of an answer are with one value."""
    return len({identity(made.baseline) for made in found.comparisons}) == 1


def many(study: StudyRecord, found: Answer, places: int = 2) -> tuple[str, ...]:
    """One sentence for all comparisons of a verdict, best first."""
    groups: dict[str, list[Comparison]] = {heading: [] for heading in _headings(study, found)}
    for made in sorted(found.comparisons, key=_difference, reverse=study.maximize):
        groups[_heading(study, found, made)].append(made)
    said = [
        f"{heading}: {_listed(study, group, places)} {unit(study.objective)}."
        for heading, group in groups.items()
        if group
    ]
    return (*said, *_all_differing(study, found))


def differing(study: StudyRecord, made: Comparison) -> str:
    """What pairs of a comparison differ in beside the compared option; empty where that is nothing."""
    names = short_names(study.axes)
    said = []
    for side, across in ((made.value, made.own), (made.baseline, made.across)):
        only = [f"{names.get(axis, axis)} {value_label(value)}" for axis, value in across.items()]
        said += [f"{value_label(side)} has {listing(only)} only"] if only else []
    return listing(said)


def compared_label(study: StudyRecord, made: Comparison) -> str:
    """The compared value, and under which values of other options where there are several such comparisons."""
    at = said_at(study, made.at)
    return f"{value_label(made.value)} at {at}" if at else value_label(made.value)


def _all_differing(study: StudyRecord, found: Answer) -> list[str]:
    groups: dict[str, list[str]] = {}
    for made in found.comparisons:
        if made.across or made.own:
            groups.setdefault(differing(study, made), []).append(compared_label(study, made))
    said = [f"The pairs of {listing(values)} differ in more: {words}." for words, values in groups.items()]
    loose = [compared_label(study, made) for made in found.comparisons if not made.paired]
    return [*said, f"Not paired, their points differ in other options too: {listing(loose)}."] if loose else said


def _headings(study: StudyRecord, found: Answer) -> tuple[str, ...]:
    """What is said of a group, in the order of the report."""
    baseline = value_label(found.comparisons[0].baseline)
    compared = count(len(found.comparisons), "comparison")
    return (
        f"Better than {baseline}",
        f"Worse than {baseline}",
        f"No difference from {baseline} shown",
        f"No difference from {baseline} shown once corrected for {compared}",
        f"The same mean score as {baseline} in every seed",
        f"Minus {baseline}, without spread over seeds, so nothing is claimed",
        f"Minus {baseline}, and no claim with fewer than {MINIMUM_SEEDS} seeds",
    )


def _heading(study: StudyRecord, found: Answer, made: Comparison) -> str:
    better, worse, not_shown, not_after, same, no_spread, too_few = _headings(study, found)
    if made.verdict is Conclusion.SHOWN:
        return better if (_difference(made) > 0) is study.maximize else worse
    return {
        Conclusion.NOT_SHOWN: not_shown,
        Conclusion.NOT_AFTER_CORRECTION: not_after,
        Conclusion.SAME: same,
        Conclusion.NO_SPREAD: no_spread,
        Conclusion.TOO_FEW: too_few,
    }[made.verdict]


def _difference(made: Comparison) -> float:
    return made.estimate.interval.mean


def _listed(study: StudyRecord, group: Sequence[Comparison], places: int) -> str:
    return ", ".join(f"{compared_label(study, made)} {signed(_difference(made), places)}" for made in group)
