"""Texts that lose their end, counted and said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bebertlab.interfaces.stage import Context
from bebertlab.train.examples import Examples

TRUNCATED = "truncated/"  #: what the names of these metrics begin with
PERCENT = "_percent"

_WARNED = 1.0  #: percent of a split's texts above which users are warned


def truncation_metrics(read: Mapping[str, Examples], maximum_tokens: int, context: Context) -> dict[str, float]:
    """How many texts of each split had more than `maximum_tokens` tokens, and the percentage of all; warns of many."""
    found: dict[str, float] = {}
    for split, examples in read.items():
        count = examples.tokens.truncated
        percent = 100.0 * count / len(examples)
        found |= {f"{TRUNCATED}{split}": count, f"{TRUNCATED}{split}{PERCENT}": percent}
        if percent > _WARNED:
            texts = "texts" if context.task.splits[split].pairs is None else "pairs of texts"
            context.warn(
                f"{split}: {count:,} of {len(examples):,} {texts} have more than {maximum_tokens} tokens"
                " (maximum_tokens of the encoder or the loaded model) and lose their end"
            )
    return found


def most_truncated(models: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Of the metrics of several models, the highest count of each split: their tokenizers may differ."""
    found: dict[str, float] = {}
    for metrics in models:
        for name, value in metrics.items():
            if name.startswith(TRUNCATED):
                found[name] = max(value, found.get(name, 0.0))
    return found
