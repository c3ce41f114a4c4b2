"""Does a packed model answer as the model that was packed?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from attrs import frozen
from torch import Tensor

from bebertlab.data.batches import batches, evaluation_tokens, group_for_evaluation
from bebertlab.data.examples import load_examples
from bebertlab.errors import UserError
from bebertlab.inference.prepare import prepare
from bebertlab.interfaces.architecture import Architecture
from bebertlab.interfaces.batch import Batch
from bebertlab.interfaces.stage import Codec
from bebertlab.interfaces.task import VALIDATION, Task
from bebertlab.model.embedding import PADDING
from bebertlab.packed.model import PackedModel
from bebertlab.packed.read import read_packed
from bebertlab.packed.write import PackSource

TOLERANCE = 1e-4  #: of a logit; models with quantized activations have no difference at all
_EXAMPLES = 256  #: of a validation split
_LENGTHS = (1, 2, 3, 5, 8, 13, 21, 34)  #: of generated inputs, besides the longest one


@frozen(kw_only=True)
class Agreement:
    """How far the answers of a packed model are those of the trained one."""

    examples: int
    difference: float  #: the largest of a logit, or of a score of an ensemble; 0 if all are equal to the bit


def check_answers(source: PackSource, folder: Path, codec: Codec, inputs: Iterable[Batch]) -> Agreement:
    """Compare what is in a folder with what was packed.

    Raises:
        UserError: an answer is another one, or differs by more than `TOLERANCE`.
    """
    packed = PackedModel.of(read_packed(folder, codec))
    twins = [prepare(model) for model in source.models]
    examples, largest = 0, 0.0
    for batch in inputs:
        expected = packed.merge(torch.stack([twin(batch).logits for twin in twins]))
        answers = packed.logits(batch)
        difference = largest_difference(answers, expected)
        # before the maximum, which leaves out NaN
        if not difference <= TOLERANCE or _predictions(answers).ne(_predictions(expected)).any():
            raise UserError(
                f"the packed model does not answer as the trained one: a logit differs by {difference:.3g}, expected at"
                f" most {TOLERANCE:g} and the same classes; nothing was written"
            )
        examples, largest = examples + len(answers), max(largest, difference)
    return Agreement(examples=examples, difference=largest)


def largest_difference(actual: Tensor, expected: Tensor) -> float:
    """The largest difference of two tensors; NaN if an element is, and 0 if they are equal, infinities included."""
    if bool((actual == expected).all()):
        return 0.0
    return float((actual - expected).abs().max())


def validation_batches(task: Task, tokenizer: Path, sizes: Architecture) -> Iterator[Batch]:
    """Examples of the validation split of a task, by the tokenizer in a folder.

    Raises:
        UserError: there is no tokenizer.json in that folder, or it cannot tokenize the texts.
    """
    examples = load_examples(task, VALIDATION, tokenizer, sizes.positions)
    first = examples.take(np.arange(min(len(examples), _EXAMPLES)))
    budget = evaluation_tokens(max(sizes.hidden, sizes.ffn))
    return batches(first, group_for_evaluation(first.tokens.lengths, budget))


def generated_batches(sizes: Architecture) -> Iterator[Batch]:
    """Inputs of random tokens where there are no texts: short ones together, and the longest one."""
    generator = torch.Generator().manual_seed(0)
    short = [length for length in _LENGTHS if length < sizes.positions]
    for lengths in filter(None, (short, [sizes.positions])):
        mask = torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]
        tokens = torch.randint(0, sizes.vocabulary, mask.shape, generator=generator)
        segments = torch.randint(0, sizes.segments, mask.shape, generator=generator)
        yield Batch(
            positions=torch.arange(len(lengths)),
            tokens=torch.where(mask, tokens, PADDING),
            segments=segments * mask,
            mask=mask,
            labels=torch.zeros(len(lengths), dtype=torch.int64),
        )


def _predictions(scores: Tensor) -> Tensor:
    """The class of each example; of a regression, whose values are compared already, nothing."""
    return scores.argmax(dim=1)
