"""A model of more branches that computes the same."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from attrs import evolve, field, frozen, validators
from torch import Tensor

from bebertlab.artifacts.model import read_model, write_model
from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Checkpoint
from bebertlab.interfaces.splitter import SplitterOptions
from bebertlab.interfaces.stage import Context, Inputs, StageOptions, stage_input
from bebertlab.interfaces.task import SELECT
from bebertlab.nn.bert import BertClassifier
from bebertlab.stages.equality import compare
from bebertlab.train.batches import batches, group_for_evaluation
from bebertlab.train.examples import load_examples


@frozen(kw_only=True)
class SplitStage(StageOptions):
    """Split the quantized weights of a model into summed branches, and check that it still computes the same.

    The check runs both models in double precision, on a batch of the select split. The logits have to agree; where
    they do not, every module has to agree on the same inputs: then all that differs is on which side of a border
    between two activation levels the last bit of a number fell.
    """

    kind = "split"
    draws = False
    model: str = stage_input()  #: stage whose model is split
    splitter: SplitterOptions = field()  #: how
    tolerance: float = field(
        default=1e-5, validator=validators.gt(0)
    )  #: of logits or modules, relative to 1 or to theirs

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
        same = compare(_model(before, context.device), _model(after, context.device), batch)
        if not (same.logits <= self.tolerance or same.modules <= self.tolerance):
            raise UserError(
                f"{context.stage}: splitter '{self.splitter.kind}' changed the logits by {same.logits:.3g} (the most at"
                f" {same.module}, by {same.modules:.3g}), more than the tolerance of {self.tolerance:g};"
                " it does not keep the function of this model's scheme"
            )
        model = BertClassifier.from_checkpoint(_cast(after, torch.float32))
        found = {"split/logit_difference": same.logits, "split/module_difference": same.modules}
        write_model(model, source.folder, context, metrics=found)


def _cast(checkpoint: Checkpoint, dtype: torch.dtype) -> Checkpoint:
    tensors: Mapping[str, Tensor] = {
        name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in checkpoint.tensors.items()
    }
    return evolve(checkpoint, tensors=tensors)


def _model(checkpoint: Checkpoint, device: str) -> BertClassifier:
    model = BertClassifier(checkpoint.architecture, checkpoint.design).double()
    model.load_state_dict(checkpoint.tensors)
    return model.to(device)
