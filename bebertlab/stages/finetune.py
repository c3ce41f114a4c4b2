"""Full-precision training on gold labels."""

from __future__ import annotations

from itertools import chain

from attrs import field, frozen

from bebertlab.artifacts.model import open_session, write_model
from bebertlab.interfaces.architecture import Design
from bebertlab.interfaces.stage import Codec, Composition, Context, Designs, Inputs, StageOptions
from bebertlab.interfaces.task import TRAIN
from bebertlab.nn.bert import BertClassifier
from bebertlab.stages.none import NoneOptions
from bebertlab.train.options import TrainOptions
from bebertlab.train.phases import train_phases
from bebertlab.train.seed import derive_seed


@frozen(kw_only=True)
class FinetuneStage(StageOptions):
    """Train the recipe's encoder on the gold labels of its task."""

    kind = "finetune"
    revision = 5
    train: TrainOptions = field(factory=TrainOptions)  #: how it trains

    def composition(self, inputs: Designs, codec: Codec) -> Composition:
        """A full-precision model, trained without a teacher."""
        return Composition(design=Design(), parts=(NoneOptions(),))

    def run(self, inputs: Inputs, context: Context) -> None:
        """Write the tokenizer and the trained model."""
        split = context.task.splits[TRAIN]
        tokenizer = context.encoder.tokenizer(chain(split.texts, split.pairs or ()))
        tokenizer.save_pretrained(context.folder)
        seed = derive_seed(context.seed, "encoder")
        checkpoint = context.encoder.checkpoint(len(tokenizer), context.task.outputs, seed)
        model = BertClassifier.from_checkpoint(checkpoint)
        session = open_session(context, self.train, context.folder)
        training = train_phases(model, NoneOptions().phases(), session)
        write_model(model, context.folder, context, training=training)
