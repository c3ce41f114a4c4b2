"""A training stage with its own loop: sharpness-aware minimization, arXiv:2010.01412.

Every step climbs to where the loss near the weights is highest, and descends with the gradient of that point.
"""

from time import perf_counter

import torch
from attrs import field, frozen, validators

from bebertlab.api import (
    Batch,
    BertClassifier,
    Codec,
    Composition,
    Context,
    Inputs,
    PlannedModel,
    PlannedModels,
    Planning,
    QuantSpecs,
    SchemeOptions,
    StageOptions,
    Training,
    TrainOptions,
    batches,
    derive_seed,
    evaluate_and_save,
    hookimpl,
    label_losses,
    read_model,
    seeded,
    set_up_training,
    stage_input,
    student_composition,
)


@frozen(kw_only=True)
class SamStage(StageOptions):
    """Train a model on gold labels towards a flat minimum; of `train`: the rate, epochs and batch size."""

    kind = "sam"
    model: str = stage_input()  #: stage whose model is trained
    scheme: SchemeOptions | None = None  #: what is quantized where; null keeps the model's own
    radius: float = field(default=0.05, validator=validators.gt(0))  #: length of the climb, in the L2 norm
    train: TrainOptions = field(factory=TrainOptions)  #: the `train` of the recipe gives the defaults

    def composition(self, inputs: QuantSpecs, codec: Codec) -> Composition:
        return student_composition(self.scheme, inputs)  # its quantizers enter the key in the store

    def plan_model(self, inputs: PlannedModels, planning: Planning) -> PlannedModel | None:
        return inputs["model"][0]  # tokenizer and sizes stay

    def run(self, inputs: Inputs, context: Context) -> None:
        """Write the trained model."""
        source, start, steps = inputs.one("model"), perf_counter(), 0
        model = read_model(source, context, self.scheme)
        setup = set_up_training(context, self.train, source.folder)
        optimizer = torch.optim.AdamW(model.parameters(), lr=self.train.learning_rate)
        with seeded(derive_seed(context.seed, "dropout"), context.device):
            for epoch in range(self.train.epochs):
                plan = setup.sampler.epoch("sam", epoch, self.train.batch_size)
                for batch in batches(setup.train, plan, device=context.device):
                    self.step(model.train(), batch, optimizer)
                    steps += 1
                context.progress((epoch + 1) / self.train.epochs, f"epoch {epoch + 1}/{self.train.epochs}")
        training = Training(steps=steps, seconds=perf_counter() - start)
        evaluate_and_save(model, source.folder, context, training=training)

    def step(self, model: BertClassifier, batch: Batch, optimizer: torch.optim.Optimizer) -> None:
        label_losses(model(batch).logits, batch.labels).mean().backward()
        slopes = {weight: weight.grad for weight in model.parameters() if weight.grad is not None}
        norm = torch.stack([slope.norm() for slope in slopes.values()]).norm().clamp(min=1e-12)
        before = {weight: weight.detach().clone() for weight in slopes}
        with torch.no_grad():
            for weight, slope in slopes.items():
                weight += self.radius / norm * slope
        optimizer.zero_grad()
        label_losses(model(batch).logits, batch.labels).mean().backward()
        with torch.no_grad():
            for weight, value in before.items():
                weight.copy_(value)
        optimizer.step()
        optimizer.zero_grad()


@hookimpl
def bebertlab_stages() -> list[type[StageOptions]]:
    return [SamStage]
