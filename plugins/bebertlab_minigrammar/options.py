"""The options of the task `minigrammar`, and how it is put together."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import attrs
from attrs import field, frozen, validators

from bebertlab.api import (
    ACCURACY_METRICS,
    CORRELATION_METRICS,
    GENERATED,
    MATTHEWS_METRICS,
    SELECT,
    TRAIN,
    VALIDATION,
    Metric,
    Task,
    TaskOptions,
)
from bebertlab_minigrammar.acceptability import Acceptability
from bebertlab_minigrammar.entailment import Entailment
from bebertlab_minigrammar.generate import flip, generate
from bebertlab_minigrammar.grammar import Grammar
from bebertlab_minigrammar.sentiment import Sentiment
from bebertlab_minigrammar.similarity import Similarity

GrammarName = Literal["acceptability", "sentiment", "entailment", "similarity"]

_GRAMMARS: Mapping[GrammarName, Grammar] = MappingProxyType(
    {
        "acceptability": Acceptability(),
        "sentiment": Sentiment(),
        "entailment": Entailment(),
        "similarity": Similarity(),
    }
)
# as in the GLUE task of the same manner: CoLA, SST-2, MNLI, STS-B
_METRICS: Mapping[GrammarName, tuple[tuple[Metric, ...], str]] = MappingProxyType(
    {
        "acceptability": (MATTHEWS_METRICS, "matthews"),
        "sentiment": (ACCURACY_METRICS, "accuracy"),
        "entailment": (ACCURACY_METRICS, "accuracy"),
        "similarity": (CORRELATION_METRICS, "mean"),
    }
)
_size = validators.and_(validators.ge(1), validators.le(100_000))


@frozen(kw_only=True)
class Minigrammar(TaskOptions):
    """A task whose English-like sentences are made up by a small grammar, so that everything runs offline in minutes.

    A small BERT with random weights learns it in some hundred steps, well but not wholly. Labels are balanced, and
    no text stands in two splits.
    """

    kind = "minigrammar"
    revision = 2
    #: agreement across attractors, negation and contrast, quantified pairs, or shared parts of pairs
    grammar: GrammarName = "acceptability"
    size: int = field(default=4000, validator=_size)  #: training examples
    select_size: int = field(
        default=500, validator=_size
    )  #: examples that checkpoints and member weights are chosen on
    validation_size: int = field(default=1000, validator=_size)  #: examples that are reported on
    seed: int = 0  #: of the sentences; another seed is another sample of the same language
    label_noise: float = field(
        default=0.0, validator=[validators.ge(0.0), validators.le(0.5)]
    )  #: part of the training labels replaced by another one; select and validation stay clean

    def load(self) -> Task:
        """Generate the splits."""
        grammar = _GRAMMARS[self.grammar]
        metrics, score = _METRICS[self.grammar]
        # train comes last: its size changes none of the others
        sizes = {VALIDATION: self.validation_size, SELECT: self.select_size, TRAIN: self.size}
        splits = generate(grammar, sizes, self.seed)
        if self.label_noise:
            noisy = flip(splits[TRAIN].labels, grammar.levels, self.label_noise, self.seed)
            splits[TRAIN] = attrs.evolve(splits[TRAIN], labels=noisy)
        return Task(
            name=f"minigrammar/{self.grammar}",
            classes=grammar.classes,
            splits={name: splits[name] for name in (TRAIN, SELECT, VALIDATION)},
            metrics=metrics,
            score=score,
            caveats=(GENERATED,),
        )
