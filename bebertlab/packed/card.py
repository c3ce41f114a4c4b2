"""The model card of a packed model: README.md of its folder."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from bebertlab.accounting.operations import usual_operations
from bebertlab.accounting.size import MEBIBYTE, site_bits
from bebertlab.interfaces.architecture import FULL_PRECISION_BITS, Site
from bebertlab.packed.contract import Cascade, MemberConfig, PackedConfig, Score

_CONFIDENCE = 1.959963984540054  #: standard deviations on both sides that hold 95 %
ACCURACY = "accuracy"  #: the metric whose interval is known


def card_text(config: PackedConfig, classes: Sequence[str], file_bytes: int, folder: str) -> str:
    """The model card, in Markdown with the header that the hub reads; `folder` is the name of the folder."""
    labels = ", ".join(f"{index} {name}" for index, name in enumerate(classes)) or "not named"
    regression = config.members[0].architecture.classes == 1
    rows = [
        ("task", config.task or "not known"),
        ("answers", "a number for each text" if regression else f"a class for each text: {labels}"),
        ("score", "not known" if config.score is None else score_text(config.score)),
        ("model", "; ".join(dict.fromkeys(_model_text(member) for member in config.members))),
        *([] if config.rule is None else [("ensemble", _ensemble_text(config))]),
        *([] if config.cascade is None else [("cascade", _cascade_text(config, config.cascade))]),
        ("file", f"{file_bytes / MEBIBYTE:.2f} MiB ({file_bytes} bytes)"),
        ("longest input", f"{config.members[0].architecture.positions} tokens"),
        ("written by", ", ".join([config.producer, *(f"{name} {v}" for name, v in sorted(config.plugins.items()))])),
    ]
    table = "\n".join(f"| {name} | {_escaped(text)} |" for name, text in rows)
    return _TEXT.format(table=table, folder=folder)


def score_text(score: Score) -> str:
    """A score, with the 95 % interval of a share of correct answers.

    >>> score_text(Score(metric="accuracy", value=90.0, examples=100))
    'accuracy 90.00 on 100 examples of validation (95 % interval 82.56 to 94.48)'
    >>> score_text(Score(metric="pearson", value=85.5, examples=100))
    'pearson 85.50 on 100 examples of validation'
    """
    text = f"{score.metric} {score.value:.2f} on {score.examples} examples of validation"
    if score.metric != ACCURACY:
        return text
    low, high = wilson_interval(score.value / 100, score.examples)
    return f"{text} (95 % interval {100 * low:.2f} to {100 * high:.2f})"


def cascade_text(cascade: Cascade, operations: Sequence[float]) -> str:
    """What a cascade saves and costs, by the operations of each member on a sentence.

    >>> score = Score(metric="pearson", value=85.5, examples=100)
    >>> cascade = Cascade(margin=0.3, tolerance=0, select=score, full=score, shares=(1.0, 0.25), validation=score)
    >>> print(cascade_text(cascade, [1.0, 1.0]))  # doctest: +ELLIPSIS
    below a margin of 0.3 the next member is asked, 1.25 of 2 on average (member 1 for 25.0%), which takes 62% of ...
    """
    select, full = cascade.select, cascade.full
    mean = sum(share * count for share, count in zip(cascade.shares, operations, strict=True)) / sum(operations)
    later = ", ".join(f"member {index} for {share:.1%}" for index, share in enumerate(cascade.shares) if index)
    return (
        f"below a margin of {cascade.margin:g} the next member is asked, {sum(cascade.shares):.2f} of"
        f" {len(cascade.shares)} on average ({later}), which takes {mean:.0%} of the operations; {select.metric}"
        f" {select.value:.2f} instead of {full.value:.2f} on {select.examples} examples of select, on which the margin"
        f" was chosen, and {score_text(cascade.validation)}"
    )


def wilson_interval(share: float, examples: int) -> tuple[float, float]:
    """The 95 % interval of a probability, by the share of successes in independent trials.

    Source: Wilson 1927, the score interval without correction for continuity.

    >>> tuple(round(end, 4) for end in wilson_interval(0.5, 10))
    (0.2366, 0.7634)
    """
    squared = _CONFIDENCE**2
    middle = (share + squared / (2 * examples)) / (1 + squared / examples)
    deviation = sqrt(share * (1 - share) / examples + squared / (4 * examples**2))
    half = _CONFIDENCE * deviation / (1 + squared / examples)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def _model_text(member: MemberConfig) -> str:
    """Sizes, and the bits of weights and activations by what most sites have."""
    sizes, bits = member.architecture, site_bits(member.design)
    weights = sorted({bits.weights.get(site, FULL_PRECISION_BITS) for site in Site if site in member.design.weights})
    inputs = sorted({*bits.inputs.values(), *bits.attention.values()})
    kinds = dict.fromkeys(options.kind for options in [*member.design.weights.values(), *member.design.inputs.values()])
    quantizers = f", quantizers {', '.join(kinds)}" if kinds else ""
    branches = max(member.design.branches.values(), default=1)
    return (
        f"BERT of {sizes.layers} layers, hidden size {sizes.hidden}, {sizes.heads} heads of {sizes.head_size},"
        f" feed-forward {sizes.ffn}; {_listed(weights)}-bit weights, {_listed(inputs)}-bit activations"
        + (f", {branches} branches" if branches > 1 else "")
        + quantizers
    )


def _cascade_text(config: PackedConfig, cascade: Cascade) -> str:
    return cascade_text(cascade, [usual_operations(member.architecture, member.design) for member in config.members])


def _ensemble_text(config: PackedConfig) -> str:
    weights = ", ".join(f"{member.weight:.4g}" for member in config.members)
    kind = "" if config.rule is None else config.rule.kind
    return f"{len(config.members)} members, merged by {kind}, weights {weights}"


def _listed(bits: Sequence[int]) -> str:
    return " and ".join(map(str, bits)) or str(FULL_PRECISION_BITS)


def _escaped(text: str) -> str:
    """Text in a cell of a table: in one line, and without the sign that ends a cell."""
    return " ".join(text.split()).replace("|", "\\|")


_TEXT = """---
library_name: bebertlab
pipeline_tag: text-classification
tags: [text-classification, bert, quantized, bebertlab]
---

# Packed BERT classifier

Weights are stored in their own number of bits, as bit planes.

| | |
| --- | --- |
{table}

## Use

```python
import bebertlab

model = bebertlab.load_model("{folder}")
model.predict(["a text", "another one"])
```

or `bebertlab predict {folder} texts.txt` on the command line. With transformers:

```python
import bebertlab.hub
from transformers import pipeline

classifier = pipeline("text-classification", model="{folder}")
classifier(["a text", "another one"])
```

`AutoModelForSequenceClassification` and `AutoTokenizer` load it, too. Without `import bebertlab.hub`, transformers does
not recognize the model type `bebertlab-bert`: it cannot compute with bit planes.
"""
