"""Losses of the training loops of BinaryBERT and TernaryBERT against their published code, value and gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from attrs import evolve
from torch import Tensor

from bebertlab.api import Batch, LossOptions, Outputs, Tap
from bebertlab.training.labels import LabelsOptions
from bebertlab_binarybert import AttentionDistanceOptions, HiddenDistanceOptions, Prediction

if TYPE_CHECKING:
    from tests.conftest import Golden

TAPS = {"rep": Tap.HIDDEN, "att": Tap.SCORES}
PARTS = {"cls_loss": "prediction", "rep_loss": "hidden", "att_loss": "attention"}


def losses_of(case: dict[str, Any], *, one_logit_is_left_out: bool) -> list[LossOptions]:
    """The losses of a case; labels without distillation."""
    losses: list[LossOptions] = []
    if case.get("distill_logit", case.get("pred_distill")):
        temperature = case.get("temperature", 1.0)
        losses.append(Prediction(temperature=temperature, as_published=one_logit_is_left_out))
    if case.get("distill_rep_attn", case.get("intermediate_distill")):
        losses += [HiddenDistanceOptions(), AttentionDistanceOptions()]
    return losses or [LabelsOptions()]


def test_losses_equal_the_published_ones(golden: Callable[[str], Golden]) -> None:
    vectors = golden("distill_losses").of("BinaryBERT", "TernaryBERT", "BEBERT/binarybert")
    for case in vectors.cases:
        compare(vectors, case, losses_of(case, one_logit_is_left_out=vectors.code(case) != "TernaryBERT"))


def compare(vectors: Golden, case: dict[str, Any], losses: list[LossOptions]) -> None:
    name, tolerance = case["name"], vectors.meta["tolerance"]
    student, teacher = outputs(vectors, "student"), outputs(vectors, case.get("teacher_tensors", "teacher"))
    leaves = {"logits": student.logits}
    leaves |= {f"{kind}_{position}": x for kind, tap in TAPS.items() for position, x in enumerate(student.taps[tap])}
    for leaf in leaves.values():
        leaf.requires_grad_()
    regression = case.get("output_mode") == "regression"
    if regression:  # the vectors have several logits, the first is the value
        student, teacher = (evolve(x, logits=x.logits[:, :1]) for x in (student, teacher))
    batch, actual = batch_of(vectors, regression=regression), dict[str, Tensor]()
    for loss in losses:
        actual |= {k: v.mean() for k, v in loss.build(student.logits.shape[1])(student, teacher, batch).items()}
    total = torch.stack([*actual.values()]).sum()
    wanted = {"loss": total} | {part: actual.get(ours, torch.tensor(0.0)) for part, ours in PARTS.items()}
    for part, value in wanted.items():
        if f"{name}/{part}" not in vectors.tensors:
            assert not value, part  # switched off
            continue
        torch.testing.assert_close(value, vectors.tensors[f"{name}/{part}"], **tolerance["loss values"], msg=name)
    torch.autograd.backward(total)
    start = f"{name}/grad_"
    gradients = {key.removeprefix(start): x for key, x in vectors.tensors.items() if key.startswith(start)}
    assert gradients
    for position, leaf in leaves.items():
        gradient = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
        expected = gradients.get(position, torch.zeros_like(leaf))
        compared = gradient[:, : expected.shape[1]] if position == "logits" else gradient
        torch.testing.assert_close(compared, expected, **tolerance["grads"], msg=f"{name}: {position}")


def outputs(vectors: Golden, who: str) -> Outputs:
    start = f"in/{who}/"
    actual = {key.removeprefix(start): x.clone() for key, x in vectors.tensors.items() if key.startswith(start)}
    taps = {
        tap: tuple(
            actual[f"{kind}_{position}"] for position in range(sum(key.startswith(f"{kind}_") for key in actual))
        )
        for kind, tap in TAPS.items()
    }
    return Outputs(logits=actual["logits"], taps=taps)


def batch_of(vectors: Golden, *, regression: bool) -> Batch:
    mask = vectors.tensors["in/attention_mask"].bool()
    blank = torch.zeros_like(mask, dtype=torch.int64)
    labels = vectors.tensors["in/labels_regression" if regression else "in/labels"]
    return Batch(positions=torch.arange(len(mask)), tokens=blank, segments=blank, mask=mask, labels=labels)
