"""A narrower model out of a wider one."""

from __future__ import annotations

from attrs import field, frozen, validators

from bebertlab.artifacts.model import read_model, write_model
from bebertlab.interfaces.stage import Context, Inputs, StageOptions, stage_input
from bebertlab.nn.bert import BertClassifier
from bebertlab.nn.width import slice_width


@frozen(kw_only=True)
class SliceStage(StageOptions):
    """Keep a part of the attention heads and feed-forward neurons of a full-precision model; it is not trained."""

    kind = "slice"
    draws = False
    model: str = stage_input()  #: stage whose model is sliced
    width: float = field(validator=[validators.gt(0), validators.le(1)])  #: part of heads and neurons that stays

    def run(self, inputs: Inputs, context: Context) -> None:
        """Write the sliced model."""
        source = inputs.one("model")
        checkpoint = slice_width(read_model(source, context).checkpoint(), self.width)
        write_model(BertClassifier.from_checkpoint(checkpoint), source.folder, context)
