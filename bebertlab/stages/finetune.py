"""Full-precision training on gold labels."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from bebertlab.artifacts.model import evaluate_and_save, set_up_training
from bebertlab.data.tokenizer import set_maximum_tokens, training_tokenizer
from bebertlab.interfaces.architecture import QuantSpec
from bebertlab.interfaces.stage import (
    Codec,
    Composition,
    Context,
    Inputs,
    PlannedModel,
    Planning,
    QuantSpecs,
    StageOptions,
)
from bebertlab.model.bert import BertClassifier
from bebertlab.stages.none import NoneOptions
from bebertlab.training.loop import train_phases
from bebertlab.training.options import TrainOptions
from bebertlab.training.seed import derive_seed


@frozen(kw_only=True)
class FinetuneStage(StageOptions):
    """Train the recipe's encoder on the gold labels of its task."""

    kind = "finetune"
    revision = 5
    train: TrainOptions = field(factory=TrainOptions)  #: how it trains

    def composition(self, inputs: QuantSpecs, codec: Codec) -> Composition:
        """A full-precision model, trained without a teacher."""
        return Composition(spec=QuantSpec(), parts=(NoneOptions(),))

    def plan_model(
        self, inputs: Mapping[str, tuple[PlannedModel | None, ...]], planning: Planning
    ) -> PlannedModel | None:
        """The encoder; check that it can read the task."""
        return planning.encoder()

    def run(self, inputs: Inputs, context: Context) -> None:
        """Write the tokenizer and the trained model."""
        tokenizer = training_tokenizer(context.encoder, context.task)
        tokenizer.save_pretrained(context.folder)
        set_maximum_tokens(context.folder, context.encoder.maximum_tokens)
        seed = derive_seed(context.seed, "encoder")
        checkpoint = context.encoder.checkpoint(len(tokenizer), context.task.outputs, seed)
        model = BertClassifier.from_checkpoint(checkpoint)
        setup = set_up_training(context, self.train, context.folder)
        training = train_phases(model, NoneOptions().phases(), setup)
        evaluate_and_save(model, context.folder, context, training=training)
