from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
from attrs import evolve
from torch import Tensor

from bebertlab.api import Batch, Codec, Outputs, Tap, resolve_phases
from bebertlab.training.labels import LabelsOptions
from bebertlab.training.objective import PhaseLoss
from bebertlab_binarybert import AttentionDistanceOptions, HiddenDistanceOptions, Prediction
from bebertlab_bit import BitDistillation

if TYPE_CHECKING:
    from tests.conftest import Golden


def losses_of(codec: Codec, **options: Any) -> tuple[Any, ...]:  # noqa: ANN401 - passed on to the options
    (phase,) = resolve_phases(BitDistillation(**options), codec)
    return phase.losses


def test_predictions_hidden_states_and_optionally_scores_are_learned(codec: Codec) -> None:
    assert losses_of(codec) == (Prediction(), HiddenDistanceOptions())
    assert losses_of(codec, attention=True) == (Prediction(), HiddenDistanceOptions(), AttentionDistanceOptions())
    assert losses_of(codec, prediction=False) == (HiddenDistanceOptions(),)


def test_options_reach_the_losses(codec: Codec) -> None:
    prediction, hidden, attention = losses_of(
        codec, attention=True, include_padding=False, temperature=2.0, reduction="classes", as_published=True
    )
    assert prediction == Prediction(temperature=2.0, reduction="classes", as_published=True)
    assert (hidden, attention) == (
        HiddenDistanceOptions(include_padding=False),
        AttentionDistanceOptions(include_padding=False),
    )


def test_the_phase_has_the_learning_rate_of_the_stage() -> None:
    (phase,) = BitDistillation().phases()
    assert (phase.learning_rate_factor, phase.learning_rate, phase.epochs) == (1.0, None, None)


def test_a_distillation_without_losses_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing would be learned"):
        BitDistillation(prediction=False, hidden=False)


def outputs_of(vectors: Golden, who: str) -> Outputs:
    def layers(kind: str) -> tuple[Tensor, ...]:
        start = f"in/{who}/{kind}_"
        numbers = sorted(int(name.removeprefix(start)) for name in vectors.tensors if name.startswith(start))
        return tuple(vectors.tensors[f"{start}{number}"].clone().requires_grad_() for number in numbers)

    taps = {Tap.HIDDEN: layers("rep"), Tap.SCORES: layers("att")}
    return Outputs(logits=vectors.tensors[f"in/{who}/logits"].clone().requires_grad_(), taps=taps)


#: flags of the published code and of bebertlab, by term of the loss
FLAGS = {
    "cls_loss": ("distill_logit", "prediction"),
    "rep_loss": ("distill_rep", "hidden"),
    "att_loss": ("distill_attn", "attention"),
}


def test_agrees_with_the_published_training_loop(golden: Callable[[str], Golden], codec: Codec) -> None:
    vectors = golden("distill_losses").of("bit")
    for case in vectors.cases:
        compare(vectors, case, codec)


def compare(vectors: Golden, case: dict[str, Any], codec: Codec) -> None:
    t, tolerance = vectors.below(case["name"]), vectors.meta["tolerance"]
    regression = case.get("output_mode") == "regression"
    student, teacher = outputs_of(vectors, "student"), outputs_of(vectors, case.get("teacher_tensors", "teacher"))
    all_logits = student.logits
    if regression:  # the vectors have several logits, the first is the value
        student, teacher = (evolve(x, logits=x.logits[:, :1]) for x in (student, teacher))
    batch, classes = batch_of(vectors, regression), student.logits.shape[1]
    parts = [part for part, (flag, _) in FLAGS.items() if case[flag]]
    flags = {ours: part in parts for part, (_, ours) in FLAGS.items()}
    chosen = losses_of(codec, as_published=True, **flags) if parts else (LabelsOptions(),)
    if parts:
        for options, part in zip(chosen, parts, strict=True):
            (term,) = options.build(classes)(student, teacher, batch).values()
            torch.testing.assert_close(term.mean().detach(), t[part], **tolerance["loss values"])
    loss = PhaseLoss(chosen, classes)(student, teacher, batch)
    torch.testing.assert_close(loss.detach(), t["loss"], **tolerance["loss values"])
    torch.autograd.backward(loss)
    leaves = {f"rep_{position}": x for position, x in enumerate(student.taps[Tap.HIDDEN])}
    leaves |= {f"att_{position}": x for position, x in enumerate(student.taps[Tap.SCORES])}
    for name, leaf in (leaves | {"logits": all_logits}).items():
        gradient = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
        expected = t.get(f"grad_{name}", torch.zeros_like(leaf))  # tensors that do not affect the loss have none
        torch.testing.assert_close(gradient[:, : expected.shape[1]], expected, **tolerance["grads"])


def batch_of(vectors: Golden, regression: bool) -> Batch:
    mask = vectors.tensors["in/attention_mask"].bool()
    zeros = torch.zeros_like(mask, dtype=torch.int64)
    labels = vectors.tensors["in/labels_regression" if regression else "in/labels"]
    return Batch(positions=torch.arange(len(mask)), tokens=zeros, segments=zeros, mask=mask, labels=labels)
