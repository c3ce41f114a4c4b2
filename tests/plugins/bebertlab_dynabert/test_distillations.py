from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pytest
import torch
from attrs import evolve

from bebertlab.api import Artifact, Batch, Codec, DistillationOptions, Outputs, Phase, Tap, Task, resolve_phases
from bebertlab.model.slice import kept_layers
from bebertlab.testing.stage_runner import StageRunner
from bebertlab.training.labels import LabelsOptions
from bebertlab.training.objective import PhaseLoss
from bebertlab.training.options import TrainOptions
from bebertlab_binarybert import HiddenDistanceOptions, Prediction
from bebertlab_dynabert import DepthDistillation, LabelsDistillation, ReorderStage, WidthDistillation
from bebertlab_stages.slice import SliceStage
from bebertlab_stages.training import DistillStage

if TYPE_CHECKING:
    from tests.conftest import Golden

Metrics = Callable[[Artifact], Mapping[str, float]]


def phase_of(distillation: DistillationOptions, codec: Codec) -> Phase:
    (phase,) = resolve_phases(distillation, codec)
    return phase


def test_widths_learn_predictions_and_weakly_hidden_states(codec: Codec) -> None:
    phase = phase_of(WidthDistillation(), codec)
    assert phase.subnets == ((1.0, 1.0), (0.75, 1.0), (0.5, 1.0), (0.25, 1.0))
    assert phase.losses == (Prediction(reduction="classes"), HiddenDistanceOptions(weight=0.1))


def test_depths_learn_predictions_and_hidden_states_equally(codec: Codec) -> None:
    phase = phase_of(DepthDistillation(as_published=True), codec)
    assert len(phase.subnets) == 12
    assert (phase.subnets[0], phase.subnets[-1]) == ((1.0, 1.0), (0.25, 0.5))
    assert phase.losses == (Prediction(reduction="classes", as_published=True), HiddenDistanceOptions())


def test_the_last_training_needs_no_teacher(codec: Codec) -> None:
    phase = phase_of(LabelsDistillation(widths=(0.5,), depths=(1.0, 0.5)), codec)
    assert phase.subnets == ((0.5, 1.0), (0.5, 0.5))
    assert phase.losses == (LabelsOptions(),)


@pytest.mark.parametrize(
    "options", [{"widths": ()}, {"widths": (2.0,)}, {"prediction_weight": 0.0}, {"hidden_weight": -1.0}]
)
def test_invalid_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        WidthDistillation(**options)


def distillation_of(case: dict[str, Any]) -> DistillationOptions:
    """The distillation with the weights of a golden case."""
    width = "width_lambda1" in case
    weights = [case[f"{'width' if width else 'depth'}_lambda{number}"] for number in (1, 2)]
    kind = WidthDistillation if width else DepthDistillation
    return kind(prediction_weight=weights[0], hidden_weight=weights[1], as_published=True)


def states(vectors: Golden, who: str) -> tuple[torch.Tensor, ...]:
    actual = vectors.below(f"in/{who}")
    return tuple(
        actual[f"rep_{position}"].clone() for position in range(sum(name.startswith("rep_") for name in actual))
    )


def test_agrees_with_the_published_code(golden: Callable[[str], Golden], codec: Codec) -> None:
    vectors = golden("distill_losses").of("DynaBERT")
    for case in vectors.cases:
        compare(vectors, case, codec)


def compare(vectors: Golden, case: dict[str, Any], codec: Codec) -> None:
    t, name = vectors.tensors, case["name"]
    outputs = 1 if case.get("output_mode") == "regression" else t["in/student/logits"].shape[1]
    whole = states(vectors, who := case.get("teacher_tensors", "teacher"))
    kept = (*kept_layers(len(whole) - 1, case.get("depth_mult", 1.0)), len(whole) - 1)
    teacher = Outputs(
        logits=t[f"in/{who}/logits"][:, :outputs], taps={Tap.HIDDEN: tuple(whole[layer] for layer in kept)}
    )
    logits = t["in/student/logits"].clone().requires_grad_()
    student_states = tuple(state.requires_grad_() for state in states(vectors, "student")[: len(kept)])
    student = Outputs(logits=logits[:, :outputs], taps={Tap.HIDDEN: student_states})
    tokens = t["in/attention_mask"].long()
    batch = Batch(positions=tokens[:, 0], tokens=tokens, segments=tokens, mask=tokens.bool(), labels=t["in/labels"])
    loss = PhaseLoss(phase_of(distillation_of(case), codec).losses, outputs)(student, teacher, batch)
    torch.autograd.backward(loss)
    torch.testing.assert_close(loss.detach(), t[f"{name}/loss"], **vectors.meta["tolerance"]["loss values"])
    actual = {"logits": logits.grad} | {f"rep_{position}": state.grad for position, state in enumerate(student_states)}
    for what, gradient in actual.items():
        expected = t.get(f"{name}/grad_{what}")
        assert gradient is not None
        expected = torch.zeros_like(gradient) if expected is None else expected
        torch.testing.assert_close(gradient, expected, **vectors.meta["tolerance"]["grads"])


def test_a_teacher_becomes_one_model_of_every_width_and_depth(
    bench: StageRunner, task: Task, teacher: Artifact, train: TrainOptions, metrics: Metrics
) -> None:
    ordered = bench.run(ReorderStage(model="t"), task, model=teacher)
    first = WidthDistillation(widths=(1.0, 0.5))
    width = bench.run(
        DistillStage(model="o", teacher="t", distillation=first, train=train), task, model=ordered, teacher=teacher
    )
    second = DepthDistillation(widths=(1.0, 0.5), depths=(1.0, 0.5))
    depth = bench.run(
        DistillStage(model="w", teacher="w", distillation=second, train=train), task, model=width, teacher=width
    )
    actual = metrics(depth)
    for part in ((1.0, 1.0), (0.5, 1.0), (1.0, 0.5), (0.5, 0.5)):
        sliced = metrics(bench.run(SliceStage(model="d", width=part[0], depth=part[1]), task, model=depth))
        assert actual[f"depth_{part[1]:g}/width_{part[0]:g}/validation/score"] == sliced["validation/score"]
    assert "width_0.5/validation/score" in metrics(width)


def test_regression_learns_the_values_of_the_teacher_unless_as_published(codec: Codec) -> None:
    hidden = torch.zeros(2, 3, 4)
    student = Outputs(logits=torch.tensor([[1.0], [3.0]]), taps={Tap.HIDDEN: (hidden, hidden)})
    teacher = evolve(student, logits=torch.tensor([[1.0], [1.0]]))
    tokens = torch.ones(2, 3, dtype=torch.int64)
    batch = Batch(positions=tokens[:, 0], tokens=tokens, segments=tokens, mask=tokens.bool(), labels=torch.zeros(2))
    for as_published, expected in ((False, 2.0), (True, 0.0)):
        phase = phase_of(WidthDistillation(as_published=as_published), codec)
        assert float(PhaseLoss(phase.losses, 1)(student, teacher, batch)) == expected
