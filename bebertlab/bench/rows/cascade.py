"""The time of a cascade of two members, by the share of the sentences that reach the second one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from bebertlab.bench.data import generated_examples, sentence_lengths
from bebertlab.bench.measurement import BLOCK_SECONDS, MissingRow, Row, RowResult, RowSpec, interleave, repeated
from bebertlab.bench.models import BIBERT, BenchConfig
from bebertlab.bench.packed import load_packed, pack_scheme
from bebertlab.inference.cascade import MemberLogits, Vote, ask_members, member_logits

SHARE = 0.2  #: of the sentences; which share a trained ensemble needs is shown by `model show`
_SENTENCES = 160
CASCADE = RowSpec(
    name=f"cascade.{SHARE:g}",
    description=(
        f"cascade of two members of which the second is asked for {SHARE:.0%} of {_SENTENCES} sentences at lengths of"
        " SST-2 / one member, packed BiBERT"
    ),
    better="lower",
    goal=1.4,
    goal_shape="base",
)
CASCADE_ROWS = (CASCADE,)


def measure_cascade(specs: Sequence[RowSpec], config: BenchConfig) -> Iterator[RowResult]:
    """Random weights have no score, so that the margin is set to what reaches the share."""
    if not BIBERT.installed(config):
        yield MissingRow(spec=CASCADE, reason=BIBERT.missing_reason)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "packed"
        pack_scheme(BIBERT, config, folder, members=2)
        model = load_packed(folder, config)
    examples = generated_examples(sentence_lengths(_SENTENCES, config.seed), config.architecture, config.seed)
    first, second = (member_logits(member, examples, config.device) for member in model.members)
    if model.merger is None:
        raise AssertionError("two members are merged")
    vote = Vote(merger=model.merger, weights=model.weights, probabilities=model.probabilities)
    answer = partial(ask_members, [first, second], vote, _SENTENCES, _margin(first, vote))
    calls = {"cascade": answer, "one member": partial(ask_members, [first], vote, _SENTENCES)}
    timings = interleave(repeated(calls, config.device, at_least=BLOCK_SECONDS), config.repeats)
    note = " / ".join(f"{_SENTENCES / timings.median(name):.0f}" for name in calls) + " sentences/s"
    reached = float((answer().members == 2).mean())
    note += f"; {reached:.1%} reach the second"
    yield Row(spec=CASCADE, ratio=timings.ratio("cascade", "one member"), note=note)


def _margin(first: MemberLogits, vote: Vote) -> float:
    scores = vote.merge(first(np.arange(_SENTENCES, dtype=np.int64))[None])
    return float(np.sort(vote.margins(scores))[round(SHARE * _SENTENCES)])
