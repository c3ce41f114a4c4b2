"""A model of more branches that computes the same."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from attrs import evolve, field, frozen, validators
from torch import Tensor

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Checkpoint
from bebertlab.interfaces.batch import Batch, Outputs
from bebertlab.interfaces.splitter import SplitterOptions
from bebertlab.interfaces.stage import Context, Inputs, StageOptions, stage_input
from bebertlab.interfaces.task import SELECT
from bebertlab.nn.bert import BertClassifier
from bebertlab.stages.model import read_model, write_model
from bebertlab.train.batches import batches, group_for_evaluation
from bebertlab.train.examples import load_examples
from bebertlab.train.predict import evaluating


@frozen(kw_only=True)
class SplitStage(StageOptions):
    """Split the quantized weights of a model into summed branches, and check that it still computes the same.

    The check runs both models in double precision, on a batch of the select split. In single precision
    rounding errors of 1e-7 move some activations over the edge between two levels, which shows in the logits.
    """

    kind = "split"
    model: str = stage_input()  #: stage whose model is split
    splitter: SplitterOptions = field()  #: how
    tolerance: float = field(default=1e-5, validator=validators.gt(0))  #: of logits, relative to 1 or to theirs

    def run(self, inputs: Inputs, context: Context) -> None:
        """Write the split model.

        Raises:
            UserError: the split model computes something else.
        """
        source = inputs.one("model")
        before = _cast(read_model(source, context).checkpoint(), torch.float64)
        after = self.splitter.build().split(before)
        examples = load_examples(context.task, SELECT, source.folder, context.encoder.maximum_tokens)
        grouping = group_for_evaluation(examples.tokens.lengths, context.device)
        batch = next(batches(examples, grouping, device=context.device))
        difference = _difference(_logits(before, batch, context.device), _logits(after, batch, context.device))
        if not difference <= self.tolerance:
            raise UserError(
                f"{context.stage}: splitter '{self.splitter.kind}' changed the logits by {difference:.3g}, more than"
                f" the tolerance of {self.tolerance:g}; it does not keep the function of this model's scheme"
            )
        model = BertClassifier.from_checkpoint(_cast(after, torch.float32))
        write_model(model, source.folder, context, metrics={"split/logit_difference": difference})


def _cast(checkpoint: Checkpoint, dtype: torch.dtype) -> Checkpoint:
    tensors: Mapping[str, Tensor] = {
        name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in checkpoint.tensors.items()
    }
    return evolve(checkpoint, tensors=tensors)


def _logits(checkpoint: Checkpoint, batch: Batch, device: str) -> Tensor:
    model = BertClassifier(checkpoint.architecture, checkpoint.design).double()
    model.load_state_dict(checkpoint.tensors)
    with evaluating(model.to(device)):
        outputs: Outputs = model(batch, frozenset())
    return outputs.logits


def _difference(before: Tensor, after: Tensor) -> float:
    return float(((after - before).abs() / before.abs().clamp(min=1.0)).max())
