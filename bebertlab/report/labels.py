"""The format of names, values and numbers, the same in every table, sentence and plot."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from bebertlab.interfaces.events import StudyRecord
from bebertlab.interfaces.metric_names import PERCENT, MetricInfo, metric_info
from bebertlab.report.statistics import Interval

MISSING = "-"
#: options that the field writes as one word, W1A8
_BITS = {"weight_bits": "W", "activation_bits": "A"}


def short_names(paths: Iterable[str]) -> dict[str, str]:
    """Each path's last parts, as few as distinguish it from the others.

    >>> short_names(["members.size", "members.ensemble.kind", "task.size"])
    {'members.size': 'members.size', 'members.ensemble.kind': 'ensemble.kind', 'task.size': 'task.size'}
    """
    listed = list(paths)
    return {path: _short(path, listed) for path in listed}


def value_label(value: object) -> str:
    """A searched value in a few characters.

    >>> value_label({"kind": "uniform", "bits": 4}), value_label(0.00012345678), value_label(True)
    ('uniform(bits=4)', '0.0001235', 'true')
    >>> value_label({"kind": "pact", "clip": 4, "weight_bits": 1, "activation_bits": 8})
    'pact W1A8 (clip=4)'
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return _part_label(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(value_label, value)) + "]"
    return str(value)


def point_label(parameters: Mapping[str, object], names: Mapping[str, str]) -> str:
    """A point's searched values by short name.

    >>> point_label({"members.size": 2}, {"members.size": "size"})
    'size=2'
    """
    given = [f"{short}={value_label(parameters[path])}" for path, short in names.items() if path in parameters]
    return " ".join(given) or "(nothing searched)"


def decimals_for(values: Iterable[float]) -> int:
    """Decimals that show three or four digits of the largest value.

    >>> decimals_for([84.2, 3.1]), decimals_for([0.91]), decimals_for([1234.0])
    (2, 4, 0)
    """
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    if largest >= 1000:
        return 0
    return 2 if largest >= 1.5 or largest == 0 else 4


def number(value: float | None, decimals: int = 2) -> str:
    """A number, or a dash for none. A value that rounds to zero has no sign.

    >>> number(-0.001), number(None), number(1234567.0, 0)
    ('0.00', '-', '1,234,567')
    """
    return MISSING if value is None else f"{value:z,.{decimals}f}"


def amount(value: float | None) -> str:
    """A size or cost: two decimals, of less than one three digits; a dash for none.

    >>> amount(417.647), amount(0.34), amount(0.0083886), amount(None)
    ('417.65', '0.340', '0.00839', '-')
    """
    return number(value) if value is None or value >= 1 else f"{value:#.3g}"


def signed(value: float, decimals: int = 2) -> str:
    """A difference with its sign; one that rounds to zero has none.

    >>> signed(1.5), signed(-0.001)
    ('+1.50', '0.00')
    """
    return number(value, decimals) if float(f"{value:z.{decimals}f}") == 0 else f"{value:+,.{decimals}f}"


def plus_minus(shown: Interval | None, decimals: int = 2) -> str:
    """A mean with half its interval.

    >>> plus_minus(Interval(84.0, 82.0, 86.0, 3)), plus_minus(Interval(84.0, None, None, 1))
    ('84.00 ± 2.00', '84.00')
    """
    if shown is None:
        return MISSING
    return number(shown.mean, decimals) + ("" if shown.half is None else f" ± {number(shown.half, decimals)}")


def bounds(shown: Interval, decimals: int = 2, *, sign: bool = True) -> str:
    """The interval alone.

    >>> bounds(Interval(1.0, -0.5, 2.5, 3))
    '-0.50 to +2.50'
    """
    if shown.low is None or shown.high is None:
        return "no interval"
    write = signed if sign else number
    return f"{write(shown.low, decimals)} to {write(shown.high, decimals)}"


def difference_unit(study: StudyRecord) -> str:
    """The unit of differences of a study's objective: those of percentages are points."""
    unit = _objective(study).unit
    return "points" if unit == PERCENT else unit


def objective_label(study: StudyRecord) -> str:
    """A study's objective with its unit, as at the axis of a plot: "validation/score (%)"."""
    unit = _objective(study).unit
    return f"{study.objective} ({unit})" if unit else study.objective


def with_unit(value: str, unit: str) -> str:
    """A value with its unit, if it has one.

    >>> with_unit("1.50", "points"), with_unit("1.50", "")
    ('1.50 points', '1.50')
    """
    return f"{value} {unit}" if unit else value


def _objective(study: StudyRecord) -> MetricInfo:
    return metric_info(study.objective, study.metrics)


def count(amount: int, noun: str) -> str:
    """A number with its noun.

    >>> count(1, "seed"), count(3, "seed")
    ('1 seed', '3 seeds')
    """
    return f"{amount:,} {noun}" + ("" if amount == 1 else "s")


def listing(parts: Sequence[str], last: str = "and") -> str:
    """Items joined as in a sentence.

    >>> listing(["a", "b", "c"]), listing(["a", "b"], "or")
    ('a, b and c', 'a or b')
    """
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {last} {parts[-1]}" if parts else ""


def _part_label(value: Mapping[str, object]) -> str:
    bits = "".join(f"{letter}{value[name]}" for name, letter in _BITS.items() if name in value)
    inner = ", ".join(f"{name}={value_label(item)}" for name, item in value.items() if name not in ("kind", *_BITS))
    if bits:
        return " ".join(filter(None, [str(value.get("kind", "")), bits, f"({inner})" if inner else ""]))
    return f"{value.get('kind', '')}({inner})" if inner else str(value.get("kind", "{}"))


def _short(path: str, paths: Sequence[str]) -> str:
    parts = path.split(".")
    least = 2 if parts[-1] == "kind" and len(parts) > 1 else 1
    for length in range(least, len(parts)):
        ending = "." + ".".join(parts[-length:])
        if sum(("." + other).endswith(ending) for other in paths) == 1:
            return ending[1:]
    return path
