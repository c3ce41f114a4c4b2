from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from attrs import Factory, evolve, field, frozen
from safetensors.torch import load_file, save_file

from bebertlab.api import (
    EXCLUDED_FROM_KEY,
    Codec,
    Composition,
    Context,
    Inputs,
    LossOptions,
    PlannedModel,
    PlannedModels,
    Planning,
    QuantSpec,
    QuantSpecs,
    SchemeOptions,
    StageGroupOptions,
    StageOptions,
    TrainOptions,
    evaluate_and_save,
    read_model,
    set_up_training,
    stage_input,
    train_phases,
    write_metrics,
)
from bebertlab.errors import UserError
from bebertlab.interfaces.task import Task
from bebertlab.testing import ContractError, StageRunner, check_stage
from bebertlab.testing.tiny import tiny_task
from bebertlab.training.labels import NoneOptions

TASK = tiny_task(examples=24)
DRAWN = random.Random(0)


@frozen(kw_only=True)
class Nudge(StageOptions):
    """Adds a number to the bias of the classifier."""

    kind = "nudge"
    deterministic = True
    model: str = stage_input()
    amount: float = 0.5
    teacher: str | None = stage_input(optional=True)

    def composition(self, inputs: QuantSpecs, codec: Codec) -> Composition:
        return Composition(spec=inputs["model"][0])

    def plan_model(self, inputs: PlannedModels, planning: Planning) -> PlannedModel | None:
        return inputs["model"][0]

    def run(self, inputs: Inputs, context: Context) -> None:
        self.write(inputs, context, self.amount)

    def write(self, inputs: Inputs, context: Context, amount: float) -> None:
        source = inputs.one("model")
        model = read_model(source, context)
        with torch.no_grad():
            model.classifier.bias[0] += amount
        context.progress(0.5, "nudged")
        evaluate_and_save(model, source.folder, context)


@frozen(kw_only=True)
class DrawsGlobally(Nudge):
    def run(self, inputs: Inputs, context: Context) -> None:
        self.write(inputs, context, float(torch.rand(())))


@frozen(kw_only=True)
class DrawsBySeed(Nudge):
    def run(self, inputs: Inputs, context: Context) -> None:
        self.write(inputs, context, context.seed + 1)


@frozen(kw_only=True)
class ReadsUndeclared(Nudge):
    def run(self, inputs: Inputs, context: Context) -> None:
        inputs.many("data")
        self.write(inputs, context, self.amount)


@frozen(kw_only=True)
class WritesNoMetrics(Nudge):
    def run(self, inputs: Inputs, context: Context) -> None:
        (context.folder / "notes.txt").write_text("done")


@frozen(kw_only=True)
class WritesNestedMetrics(Nudge):
    def run(self, inputs: Inputs, context: Context) -> None:
        (context.folder / "metrics.json").write_text('{"select": {"score": 1.0}}')


@frozen(kw_only=True)
class WritesNotANumber(Nudge):
    def run(self, inputs: Inputs, context: Context) -> None:
        write_metrics({"calibration": float("nan")}, context.folder)


@frozen(kw_only=True)
class WritesIntoItsInput(Nudge):
    def run(self, inputs: Inputs, context: Context) -> None:
        (inputs.one("model").folder / "metrics.json").write_text("{}")
        write_metrics({"a": 1.0}, context.folder)


@frozen(kw_only=True)
class SavesAnotherModel(Nudge):
    def run(self, inputs: Inputs, context: Context) -> None:
        self.write(inputs, context, self.amount)
        path = context.folder / "model.safetensors"
        save_file({name: tensor * 2 for name, tensor in load_file(path).items()}, path)


@frozen(kw_only=True)
class ForgetsTheLogits(Nudge):
    def run(self, inputs: Inputs, context: Context) -> None:
        self.write(inputs, context, self.amount)
        (context.folder / "logits.safetensors").unlink()


@frozen(kw_only=True)
class ReportsWrongScores(Nudge):
    def run(self, inputs: Inputs, context: Context) -> None:
        source = inputs.one("model")
        evaluate_and_save(read_model(source, context), source.folder, context, metrics={"validation/score": 12.5})


@frozen(kw_only=True)
class ReportsTooMuchProgress(Nudge):
    def run(self, inputs: Inputs, context: Context) -> None:
        context.progress(50.0, "half done")
        self.write(inputs, context, self.amount)


@frozen(kw_only=True)
class NamesAnotherSpec(Nudge):
    def composition(self, inputs: QuantSpecs, codec: Codec) -> Composition:
        scheme = codec.load("bitnet", SchemeOptions)  # type: ignore[type-abstract]
        return Composition(spec=scheme.spec())


@frozen(kw_only=True)
class PlansAnotherLength(Nudge):
    def plan_model(self, inputs: PlannedModels, planning: Planning) -> PlannedModel | None:
        (model,) = inputs["model"]
        return None if model is None else evolve(model, maximum_tokens=7)


@frozen(kw_only=True)
class LoadsWhatIsNotInItsKey(Nudge):
    def composition(self, inputs: QuantSpecs, codec: Codec) -> Composition:
        return Composition(spec=QuantSpec())

    def run(self, inputs: Inputs, context: Context) -> None:
        context.codec.load("prediction", LossOptions)  # type: ignore[type-abstract]
        self.write(inputs, context, self.amount)


@frozen(kw_only=True)
class DrawsWhenPlanned(Nudge):
    def prepare(self, inputs: Mapping[str, tuple[StageOptions, ...]], task: Task, codec: Codec) -> DrawsWhenPlanned:
        np.random.rand()
        return self


@frozen(kw_only=True)
class PlansDifferently(Nudge):
    def prepare(self, inputs: Mapping[str, tuple[StageOptions, ...]], task: Task, codec: Codec) -> PlansDifferently:
        return evolve(self, amount=DRAWN.random())


@frozen(kw_only=True)
class Raises(Nudge):
    def run(self, inputs: Inputs, context: Context) -> None:
        raise ZeroDivisionError("no example")


@frozen(kw_only=True)
class HidesAnOption(Nudge):
    kind = "nudge"
    mode: Literal["add", "subtract"] = field(default="add", metadata=EXCLUDED_FROM_KEY)


def _following(steps: int) -> int:
    return steps + 1


@frozen(kw_only=True)
class ChangesItsOptions(Nudge):
    kind = "nudge"
    steps: int = field(default=3, converter=_following)


def test_a_stage_that_keeps_the_contract_passes(tmp_path: Path) -> None:
    artifacts = check_stage(Nudge(model="teacher"), StageRunner(tmp_path, kinds=[Nudge]), TASK)
    assert (artifacts["nudge"].folder / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (
            DrawsGlobally,
            r"writes another logits.safetensors, .* with the same seed; derive every draw from context.seed",
        ),
        (DrawsBySeed, r"with another seed; a stage that draws must not be deterministic"),
        (ReadsUndeclared, r"run\(\) reads the input 'data', which is not declared with stage_input\(\)"),
        (WritesNoMetrics, r"run\(\) writes no metrics.json; use write_metrics or evaluate_and_save"),
        (WritesNestedMetrics, r"metrics.json has {'score': 1.0} for 'select', expected a finite number"),
        (WritesNotANumber, r"metrics.json has nan for 'calibration', expected a finite number"),
        (WritesIntoItsInput, r"run\(\) changes 1/metrics.json; it may only write into context.folder"),
        (SavesAnotherModel, r"the stored model gives other logits on select, by up to"),
        (ForgetsTheLogits, r"run\(\) writes a model without its logits; use evaluate_and_save"),
        (ReportsWrongScores, r"validation/score is 12.5, the stored logits have"),
        (ReportsTooMuchProgress, r"run\(\) reports a progress of 50.0, expected 0 to 1"),
        (NamesAnotherSpec, r"composition\(\) names other quantizers than those of the model that run\(\) writes"),
        (PlansAnotherLength, r"plan_model\(\) says that the model reads up to 7 tokens, it reads 32"),
        (LoadsWhatIsNotInItsKey, r"it uses loss 'prediction', which is not in its key"),
        (DrawsWhenPlanned, r"planning draws random numbers; only run\(\) may"),
        (PlansDifferently, r"prepare\(\) returns another stage when asked again"),
        (Raises, r"run\(\) raises ZeroDivisionError: no example"),
        (
            HidesAnOption,
            r"option 'mode' is excluded from the key and is not a Path: another value would find",
        ),
        (ChangesItsOptions, r"its options become .*'steps': 5.* when they are written and read again"),
    ],
)
def test_a_broken_stage_is_rejected(broken: type[Nudge], problem: str, tmp_path: Path) -> None:
    runner = StageRunner(tmp_path, kinds=[broken])
    with pytest.raises((ContractError, UserError), match=problem):
        check_stage(broken(model="teacher"), runner, TASK)


@frozen(kw_only=True)
class Seeds(StageGroupOptions):
    """Trains the same model with several seeds."""

    kind = "seeds"
    model: str = stage_input()
    count: int = 2
    train: TrainOptions = Factory(lambda: TrainOptions(epochs=1))

    def expand(self, name: str) -> Mapping[str, StageOptions]:
        return {f"{name}.{seed}": self.stage(seed) for seed in range(self.count)}

    def stage(self, seed: int) -> StageOptions:
        return Again(model=self.model, train=self.train, seed=seed)


@frozen(kw_only=True)
class Again(StageOptions):
    kind = "again"
    model: str = stage_input()
    train: TrainOptions = field(factory=TrainOptions)

    def run(self, inputs: Inputs, context: Context) -> None:
        source = inputs.one("model")
        model = read_model(source, context)
        setup = set_up_training(context, self.train, source.folder)
        training = train_phases(model, NoneOptions().phases(), setup)
        evaluate_and_save(model, source.folder, context, training=training)


@frozen(kw_only=True)
class ForgetsTrain(Seeds):
    def stage(self, seed: int) -> StageOptions:
        return Again(model=self.model, seed=seed)


@frozen(kw_only=True)
class NamesUnknownStages(Seeds):
    def stage(self, seed: int) -> StageOptions:
        return Again(model="nobody", train=self.train, seed=seed)


@frozen(kw_only=True)
class NamesItsStagesOtherwise(Seeds):
    def expand(self, name: str) -> Mapping[str, StageOptions]:
        return {f"seed{seed}": self.stage(seed) for seed in range(self.count)}


@frozen(kw_only=True)
class IsEmpty(Seeds):
    def expand(self, name: str) -> Mapping[str, StageOptions]:
        return {}


def test_a_group_that_keeps_the_contract_passes(tmp_path: Path) -> None:
    runner = StageRunner(tmp_path, kinds=[Seeds, Again])
    assert list(check_stage(Seeds(model="teacher"), runner, TASK)) == ["group.0", "group.1"]


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (ForgetsTrain, r"option 'train' reaches none of the stages of the group"),
        (NamesUnknownStages, r"group.0 reads nobody, which is neither an input nor of the group"),
        (NamesItsStagesOtherwise, r"stage seed0 is not named group.<name>"),
        (IsEmpty, r"expand\(\) returns no stage"),
    ],
)
def test_a_broken_group_is_rejected(broken: type[Seeds], problem: str, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=problem):
        check_stage(broken(model="teacher"), StageRunner(tmp_path, kinds=[broken, Again]), TASK)


def test_a_broken_stage_of_a_group_is_named(tmp_path: Path) -> None:
    @frozen(kw_only=True)
    class Broken(Nudge):
        def run(self, inputs: Inputs, context: Context) -> None:
            write_metrics({"a": float("inf")}, context.folder)

    @frozen(kw_only=True)
    class GroupOfBroken(Seeds):
        def stage(self, seed: int) -> StageOptions:
            return Broken(model=self.model, amount=seed + self.train.epochs)

    runner = StageRunner(tmp_path, kinds=[GroupOfBroken, Broken])
    with pytest.raises(ContractError, match=r"^group.0: metrics.json has inf for 'a'"):
        check_stage(GroupOfBroken(model="teacher"), runner, TASK)


def test_inputs_can_be_given_and_plain_data_names_the_stage(tmp_path: Path) -> None:
    runner = StageRunner(tmp_path, kinds=[Nudge])
    teacher = runner.run({"kind": "finetune", "train": {"epochs": 1}}, TASK)
    first = runner.run(Nudge(model="m"), TASK, model=teacher)
    check_stage({"kind": "nudge", "model": "m"}, runner, TASK, model=first)
    elsewhere = StageRunner(tmp_path / "other", runner.codec)
    with pytest.raises(UserError, match="was not made by this runner"):
        check_stage(Nudge(model="m"), elsewhere, TASK, model=teacher)
