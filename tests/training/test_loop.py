from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bebertlab.data.examples import Examples
from bebertlab.errors import EXIT_TRIALS_FAILED, TrainingDiverged, UserError
from bebertlab.inference.predict import predict
from bebertlab.interfaces.batch import Batch, Outputs, Tap
from bebertlab.interfaces.distillation import Phase
from bebertlab.interfaces.ensemble import SampleWeights, Sampling
from bebertlab.interfaces.loss import LossOptions
from bebertlab.interfaces.task import Task
from bebertlab.model.bert import BertClassifier
from bebertlab.testing.tiny import tiny_model, tiny_task
from bebertlab.training import run
from bebertlab.training.labels import LabelsOptions
from bebertlab.training.loop import fit
from bebertlab.training.objective import LossValue, PhaseLoss
from bebertlab.training.optimizers import Optimizer
from bebertlab.training.selection import Evaluation, Selection
from bebertlab.training.setup import TrainingSetup
from bebertlab.training.teacher import Teacher

SetUpTraining = Callable[..., TrainingSetup]
MakeLoss = Callable[..., LossOptions]
HIDDEN = frozenset({Tap.HIDDEN})
EVALUATION = Evaluation(value=1.0, measure="score", best=False)


def same(first: BertClassifier, second: BertClassifier) -> bool:
    return all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


def score(model: BertClassifier, setup: TrainingSetup) -> float:
    return setup.task.evaluate("select", predict(model, setup.select).numpy())["score"]


def test_a_model_learns(set_up_training: SetUpTraining, labels_phase: Phase) -> None:
    task = tiny_task(examples=192)
    model, setup = tiny_model(task), set_up_training(task=task, train_epochs=12, train_learning_rate=0.01)
    training = fit(model, labels_phase, setup)
    assert score(model, setup) >= 85  # 42 % of the lines are positive
    assert training.steps == 12 * 192 // 16
    assert training.seconds > 0
    assert training.teacher_seconds is None


def test_a_model_learns_by_the_optimizer_of_the_papers(set_up_training: SetUpTraining, labels_phase: Phase) -> None:
    task = tiny_task(examples=192)
    model = tiny_model(task)
    setup = set_up_training(task=task, train_epochs=16, train_learning_rate=0.0015, train_optimizer="bertadam")
    fit(model, labels_phase, setup)
    assert score(model, setup) >= 85
    adamw = tiny_model(task)
    fit(adamw, labels_phase, set_up_training(task=task, train_epochs=12, train_learning_rate=0.01))
    assert not same(model, adamw)


def test_a_constant_learning_rate_is_constant(
    task: Task, set_up_training: SetUpTraining, labels_phase: Phase, monkeypatch: pytest.MonkeyPatch
) -> None:
    factors: list[float] = []
    monkeypatch.setattr(Optimizer, "step", lambda self, factor: factors.append(factor))
    fit(tiny_model(task), labels_phase, set_up_training(train_warmup=0.0, train_schedule="constant"))
    assert factors == [1.0] * 12


def test_layers_are_compiled_after_the_first_step(
    task: Task, set_up_training: SetUpTraining, labels_phase: Phase, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[nn.Module] = []

    def compiled(layer: nn.Module, *given: Any) -> Tensor:  # noqa: ANN401 - of a layer
        runs.append(layer)
        output: Tensor = layer(*given)
        return output

    model = tiny_model(task)
    encoder = model.bert.encoder
    monkeypatch.setattr(run, "compile_layers", lambda _: setattr(encoder, "compiled", compiled))
    fit(model, labels_phase, set_up_training(train_compile=False))
    assert runs == []
    steps = fit(model, labels_phase, set_up_training(train_compile=True)).steps
    assert runs == [*encoder.layer] * (steps - 1)
    assert encoder.compiled is None


def test_regression_learns(set_up_training: SetUpTraining, labels_phase: Phase) -> None:
    task = tiny_task(regression=True, examples=192)
    model, setup = tiny_model(task), set_up_training(task=task, train_epochs=12, train_learning_rate=0.01)
    untrained = score(model, setup)
    fit(model, labels_phase, setup)
    assert score(model, setup) > untrained / 2  # the squared error, negative


def test_equal_seeds_give_equal_models_after_any_other_draws(
    task: Task, set_up_training: SetUpTraining, labels_phase: Phase
) -> None:
    models = [tiny_model(task) for _ in range(3)]
    for model, seed in zip(models, (0, 0, 1), strict=True):
        torch.rand(3)
        fit(model, labels_phase, set_up_training(seed=seed))
    assert same(models[0], models[1])
    assert not same(models[0], models[2])


def test_training_leaves_the_global_generators_unchanged(
    task: Task, set_up_training: SetUpTraining, labels_phase: Phase
) -> None:
    before = torch.get_rng_state()
    fit(tiny_model(task), labels_phase, set_up_training())
    assert torch.equal(torch.get_rng_state(), before)


def test_the_best_epoch_is_kept(
    task: Task, set_up_training: SetUpTraining, labels_phase: Phase, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores: list[float] = []
    evaluate = Task.evaluate

    def recorded(self: Task, split: str, rows: NDArray[np.floating[Any]]) -> dict[str, float]:
        values = evaluate(self, split, rows)
        scores.append(values["score"])
        return values

    monkeypatch.setattr(Task, "evaluate", recorded)
    model, setup = tiny_model(task), set_up_training(train_epochs=3, train_evaluations=2, train_learning_rate=0.02)
    fit(model, labels_phase, setup)
    assert len(scores) == 6
    assert score(model, setup) == max(scores)


def test_a_phase_with_one_evaluation_keeps_its_last_state(
    task: Task, set_up_training: SetUpTraining, labels_phase: Phase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Task, "evaluate", lambda *_: pytest.fail("evaluated"))
    fit(tiny_model(task), labels_phase, set_up_training(train_epochs=1))


def test_a_phase_overrides_the_training_options(task: Task, set_up_training: SetUpTraining) -> None:
    phase = Phase(name="p", losses=(LabelsOptions(),), epochs=3, batch_size=48, learning_rate=1e-9)
    model = tiny_model(task)
    assert fit(model, phase, set_up_training()).steps == 6
    for after, before in zip(model.parameters(), tiny_model(task).parameters(), strict=True):
        torch.testing.assert_close(after, before, atol=1e-7, rtol=0)


def test_the_factor_multiplies_the_learning_rate(task: Task, set_up_training: SetUpTraining) -> None:
    models = [tiny_model(task), tiny_model(task)]
    losses = (LabelsOptions(),)
    fit(models[0], Phase(name="p", losses=losses, learning_rate_factor=2.5), set_up_training(train_learning_rate=1e-3))
    fit(models[1], Phase(name="p", losses=losses, learning_rate=2.5e-3), set_up_training())
    assert same(*models)


def test_where_only_logits_are_read_the_teacher_runs_once(
    task: Task, set_up_training: SetUpTraining, imitate: MakeLoss, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Teacher, "answer", lambda *_: pytest.fail("ran on a batch"))
    teacher = Teacher(tiny_model(task, seed=7))
    student = tiny_model(task)
    setup = set_up_training(teacher=teacher, train_epochs=8)
    far = (predict(student, setup.train) - teacher.logits(setup.train)).square().mean()
    training = fit(student, Phase(name="p", losses=(imitate(),)), setup)
    near = (predict(student, setup.train) - teacher.logits(setup.train)).square().mean()
    assert near < far / 4
    assert training.teacher_seconds is not None


def test_the_teachers_logits_are_those_of_the_examples_of_the_batch(
    task: Task, set_up_training: SetUpTraining, imitate: MakeLoss, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = set_up_training(teacher=Teacher(tiny_model(task, seed=7)))
    expected = predict(tiny_model(task, seed=7), setup.train)
    compute = PhaseLoss.value
    seen: list[int] = []

    def compared(self: PhaseLoss, student: Outputs, teacher: Outputs | None, batch: Batch) -> LossValue:
        assert teacher is not None
        assert torch.equal(teacher.logits, expected[batch.positions])
        seen.extend(batch.positions.tolist())
        return compute(self, student, teacher, batch)

    monkeypatch.setattr(PhaseLoss, "value", compared)
    fit(tiny_model(task), Phase(name="p", losses=(imitate(),)), setup)
    assert sorted(seen) == sorted([*range(96), *range(96)])


def test_where_taps_are_read_the_teacher_runs_on_the_same_batch(
    task: Task, set_up_training: SetUpTraining, imitate: MakeLoss, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Teacher, "logits", lambda *_: pytest.fail("computed all logits"))
    setup = set_up_training(teacher=Teacher(tiny_model(task, seed=7)), train_epochs=1)
    training = fit(tiny_model(task), Phase(name="p", losses=(imitate(taps=HIDDEN),)), setup)
    assert training.teacher_seconds is not None
    assert training.teacher_seconds > 0


def test_a_teacher_with_dropout_runs_in_every_step_and_repeats(
    task: Task, set_up_training: SetUpTraining, imitate: MakeLoss, monkeypatch: pytest.MonkeyPatch
) -> None:
    phase = Phase(name="p", losses=(imitate(),))
    models = [tiny_model(task) for _ in range(3)]
    fit(models[2], phase, set_up_training(teacher=Teacher(tiny_model(task, seed=7))))
    monkeypatch.setattr(Teacher, "logits", lambda *_: pytest.fail("computed all logits"))
    for model in models[:2]:
        fit(model, phase, set_up_training(teacher=Teacher(tiny_model(task, seed=7)), train_teacher_dropout=True))
    assert same(models[0], models[1])
    assert not same(models[0], models[2])


def test_a_teacher_that_no_loss_reads_does_not_run(
    task: Task, set_up_training: SetUpTraining, labels_phase: Phase
) -> None:
    teacher = Teacher(tiny_model(task, seed=7))
    models = [tiny_model(task), tiny_model(task)]
    assert fit(models[0], labels_phase, set_up_training(teacher=teacher)).teacher_seconds is None
    fit(models[1], labels_phase, set_up_training())
    assert teacher.seconds == 0.0
    assert same(*models)


def test_a_phase_on_hidden_states_leaves_the_head_unchanged(
    task: Task, set_up_training: SetUpTraining, imitate: MakeLoss, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Task, "evaluate", lambda *_: pytest.fail("scored"))
    setup = set_up_training(teacher=Teacher(tiny_model(task, seed=7)), train_weight_decay=0.5)
    model = tiny_model(task)
    fit(model, Phase(name="p", losses=(imitate(logits=False, taps=HIDDEN),)), setup)
    before = tiny_model(task).state_dict()
    moved = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert "bert.encoder.layer.1.output.dense.weight" in moved
    assert not {name for name in moved if name.startswith(("classifier", "bert.pooler"))}


def test_a_loss_that_needs_a_teacher_names_what_is_missing(
    task: Task, set_up_training: SetUpTraining, imitate: MakeLoss
) -> None:
    with pytest.raises(UserError, match="student: phase 'p' has a loss that needs a teacher"):
        fit(tiny_model(task), Phase(name="p", losses=(imitate(),)), set_up_training())


def test_reweighting_is_refused_for_losses_without_example_weights(
    task: Task, set_up_training: SetUpTraining, imitate: MakeLoss
) -> None:
    assignment = SampleWeights(sampling=Sampling.REWEIGHT, weights=np.full(96, 1 / 96))
    setup = set_up_training(teacher=Teacher(tiny_model(task)), round=assignment)
    with pytest.raises(UserError, match="one value for the whole batch"):
        fit(tiny_model(task), Phase(name="p", losses=(imitate(whole=True),)), setup)


def test_reweighting_by_equal_weights_has_no_effect_and_by_others_has(
    task: Task, set_up_training: SetUpTraining, labels_phase: Phase
) -> None:
    models = [tiny_model(task) for _ in range(3)]
    skewed = np.arange(96) / np.arange(96).sum()
    rounds = [None] + [SampleWeights(sampling=Sampling.REWEIGHT, weights=w) for w in (np.full(96, 1 / 96), skewed)]
    for model, assignment in zip(models, rounds, strict=True):
        fit(model, labels_phase, set_up_training(round=assignment))
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)
    assert not same(models[0], models[2])


@pytest.mark.parametrize(("share", "steps"), [(1.0, 6), (0.5, 3), (0.25, 2), (0.01, 1)])
def test_a_share_of_the_examples_costs_that_share(
    task: Task,
    set_up_training: SetUpTraining,
    labels_phase: Phase,
    monkeypatch: pytest.MonkeyPatch,
    share: float,
    steps: int,
) -> None:
    chosen = np.arange(96) < max(1, round(96 * share))
    factors: list[float] = []
    computed: list[Tensor] = []
    evaluated: list[bool] = []

    def evaluate(self: Selection, *, last: bool) -> Evaluation:
        evaluated.append(last)
        return EVALUATION

    monkeypatch.setattr(Selection, "consider", evaluate)
    monkeypatch.setattr(Optimizer, "step", lambda self, factor: factors.append(factor))
    forward = BertClassifier.forward

    def counted(model: BertClassifier, batch: Batch, taps: frozenset[Tap]) -> Outputs:
        if model.training:
            computed.append(batch.positions)
        outputs: Outputs = forward(model, batch, taps)
        return outputs

    monkeypatch.setattr(BertClassifier, "forward", counted)
    assignment = SampleWeights(sampling=Sampling.SUBSET, weights=chosen / chosen.sum())
    setup = set_up_training(round=assignment, train_warmup=0.5, train_evaluations=3)
    assert fit(tiny_model(task), labels_phase, setup).steps == 2 * steps
    assert sorted(torch.cat(computed).tolist()) == sorted(2 * np.flatnonzero(chosen).tolist())
    assert evaluated == [False] * (2 * min(3, steps) - 1) + [True]
    # up during the first half of these steps, and down to 0 at their end
    assert factors == pytest.approx([min(step, 2 * steps - step) / steps for step in range(2 * steps)])


def test_a_teacher_runs_on_the_chosen_examples_only(
    task: Task, set_up_training: SetUpTraining, imitate: MakeLoss, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    find = predict

    def counted(model: BertClassifier, examples: Examples, **given: Any) -> Tensor:  # noqa: ANN401
        sizes.append(len(examples))
        return find(model, examples, **given)

    monkeypatch.setattr("bebertlab.training.teacher.predict", counted)
    chosen = np.arange(96) % 4 == 1
    phases = [Phase(name=name, losses=(imitate(),)) for name in ("a", "b")]
    models, teacher = [tiny_model(task) for _ in range(2)], tiny_model(task, seed=1)
    for model, weights in zip(models, (chosen, np.ones(96)), strict=True):
        assignment = SampleWeights(sampling=Sampling.SUBSET, weights=weights / weights.sum())
        setup = set_up_training(teacher=Teacher(teacher), round=assignment)
        for phase in phases:
            fit(model, phase, setup)
    assert sizes == [24, 96]
    assert all(torch.isfinite(tensor).all() for tensor in models[0].state_dict().values())


def test_a_loss_that_is_not_finite_stops_the_training(
    task: Task, set_up_training: SetUpTraining, explode: MakeLoss
) -> None:
    phase = Phase(name="boom", losses=(explode(step=5),))
    with pytest.raises(
        TrainingDiverged, match=r"student: phase 'boom': the loss of step 5 of 12 is (inf|nan)"
    ) as caught:
        fit(tiny_model(task), phase, set_up_training())
    assert caught.value.exit_code == EXIT_TRIALS_FAILED


def test_the_last_steps_are_checked_too(task: Task, set_up_training: SetUpTraining, explode: MakeLoss) -> None:
    with pytest.raises(TrainingDiverged, match="step 12 of 12"):
        fit(tiny_model(task), Phase(name="p", losses=(explode(step=12),)), set_up_training())
