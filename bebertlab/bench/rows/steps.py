"""How long a quantized training step takes, by the full-precision step of the same shape and length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial

from bebertlab.bench.clock import Timings, alternate
from bebertlab.bench.huggingface import HuggingFaceSteps
from bebertlab.bench.lengths import MAXIMUM_TOKENS
from bebertlab.bench.row import Finding, Goal, Row
from bebertlab.bench.scheme import SCHEMES, by_scheme, full_precision
from bebertlab.bench.setting import Setting
from bebertlab.bench.training import TOKENS, Steps, equal_setup, labels_phase
from bebertlab.model.bert import BertClassifier

_GOAL = 1.3
_YARDSTICK, _OWN = "yardstick", "own"


def _targets(family: str, tokens: int, *, quick: bool) -> tuple[Goal, ...]:
    under = f"full-precision step (Hugging Face), {tokens} tokens"
    quantized = [
        Goal(name=f"{family}.{one.name}", what=f"{one.what} step / {under}", better="lower", goal=_GOAL, quick=quick)
        for one in SCHEMES
    ]
    own = Goal(name=f"{family}.{_OWN}", what=f"our full-precision step / {under}", better="lower", quick=False)
    return (*quantized, own)


SHORT = _targets("step", TOKENS, quick=True)
LONG = _targets("step64", MAXIMUM_TOKENS, quick=False)


def short_steps(wanted: Sequence[Goal], setting: Setting) -> Iterator[Finding]:
    """The rows at about the mean length of SST-2."""
    return _rows(wanted, setting, TOKENS)


def long_steps(wanted: Sequence[Goal], setting: Setting) -> Iterator[Finding]:
    """The rows at the length to which fine-tuning pads SST-2."""
    return _rows(wanted, setting, MAXIMUM_TOKENS)


def _rows(wanted: Sequence[Goal], setting: Setting, tokens: int) -> Iterator[Finding]:
    there, missing = by_scheme(wanted, setting)
    yield from missing
    builders: dict[str, Callable[[], BertClassifier]] = {
        target.name: partial(scheme.build, setting) for target, scheme in there
    }
    builders |= {target.name: partial(full_precision, setting) for target in wanted if target.member == _OWN}
    if not builders:
        return
    timings = _timings(builders, setting, tokens)
    for target in wanted:
        if target.name in builders:
            note = f"{_spoken(timings, target.name, setting)} / {_spoken(timings, _YARDSTICK, setting)}"
            yield Row(target=target, ratio=timings.ratio(target.name, _YARDSTICK), note=note)


def _timings(builders: Mapping[str, Callable[[], BertClassifier]], setting: Setting, tokens: int) -> Timings:
    """All models take turns."""
    setup = equal_setup(setting, (setting.turns + 1) * setting.steps, tokens)
    yardstick = HuggingFaceSteps(setting, setup)
    with ExitStack() as opened:
        trained = {
            name: opened.enter_context(Steps(build(), labels_phase(), setup)) for name, build in builders.items()
        }
        runners: dict[str, HuggingFaceSteps | Steps] = {_YARDSTICK: yardstick, **trained}
        return alternate({name: partial(one.take, setting.steps) for name, one in runners.items()}, setting.turns)


def _spoken(timings: Timings, name: str, setting: Setting) -> str:
    return f"{1000 * timings.median(name) / setting.steps:.0f} ms"
