"""The distillation: its phases explicitly, and compared with the published training loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pytest
import torch
from attrs import evolve
from torch import Tensor

from bebertlab.api import Batch, Outputs, Tap
from bebertlab_bibert import BibertPrediction, Direction, DirectionMatchingDistillation

if TYPE_CHECKING:
    from tests.conftest import Golden

#: switches and taps by their published names
SWITCHES = {
    "query_distill": "query",
    "key_distill": "key",
    "value_distill": "value",
    "intermediate_distill": "hidden",
    "pred_distill": "prediction",
}
TAPS = {
    "query": Tap.QUERY_SIMILARITY,
    "key": Tap.KEY_SIMILARITY,
    "value": Tap.VALUE_SIMILARITY,
    "rep": Tap.HIDDEN,
    "att": Tap.SCORES,
}
PARTS = {
    "cls_loss": ("prediction", "labels"),
    "query_loss": ("query_direction",),
    "key_loss": ("key_direction",),
    "value_loss": ("value_direction",),
    "rep_loss": ("hidden_direction",),
}


def test_all_losses_are_learned_in_one_phase() -> None:
    (phase,) = DirectionMatchingDistillation().phases()
    assert phase.losses == (BibertPrediction(labels_weight=0.5), Direction())
    assert phase.learning_rate_factor == 1.0
    assert phase.learning_rate is phase.epochs is phase.batch_size is None


def test_options_reach_the_losses() -> None:
    (phase,) = DirectionMatchingDistillation(
        query=False, labels_weight=0.0, per_example=True, include_padding=False, layers="last"
    ).phases()
    direction = Direction(query=False, per_example=True, include_padding=False, layers="last")
    assert phase.losses == (BibertPrediction(labels_weight=0.0), direction)


def test_switches_are_independent() -> None:
    off: dict[str, Any] = dict.fromkeys(SWITCHES.values(), False)
    (phase,) = DirectionMatchingDistillation(**{**off, "prediction": True}).phases()
    assert phase.losses == (BibertPrediction(),)
    (phase,) = DirectionMatchingDistillation(**{**off, "key": True}).phases()
    assert phase.losses == (Direction(**{**off_without(off), "key": True}),)
    with pytest.raises(ValueError, match="nothing would be learned"):
        DirectionMatchingDistillation(**off)


def off_without(off: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in off.items() if name != "prediction"}


def test_agrees_with_the_published_code(golden: Callable[[str], Golden]) -> None:
    vectors = golden("distill_losses").of("BiBERT", "BEBERT/BiBERT")
    for case in vectors.cases:
        compare(vectors, case)


def compare(vectors: Golden, case: dict[str, Any]) -> None:
    name, tolerance = case["name"], vectors.meta["tolerance"]
    options = DirectionMatchingDistillation(**{ours: case[theirs] for theirs, ours in SWITCHES.items()})
    regression = case["output_mode"] == "regression"
    student = outputs(vectors, "student")
    teacher = outputs(vectors, case.get("teacher_tensors", "teacher"))
    leaves = {"logits": student.logits} | {
        f"{kind}_{index}": x for kind, tap in TAPS.items() for index, x in enumerate(student.taps[tap])
    }
    for leaf in leaves.values():
        leaf.requires_grad_()
    if regression:  # the vectors have three logits, the first is the value
        student, teacher = (evolve(x, logits=x.logits[:, :1]) for x in (student, teacher))
    actual: dict[str, Tensor] = {}
    for loss in options.phases()[0].losses:
        terms = loss.build(student.logits.shape[1])(student, teacher, batch_of(vectors, regression))
        actual |= {term: value.mean() for term, value in terms.items()}
    total = torch.stack(list(actual.values())).sum()
    torch.testing.assert_close(total, vectors.tensors[f"{name}/loss"], **tolerance["loss values"])
    for part, ours in PARTS.items():
        if f"{name}/{part}" in vectors.tensors:
            value = sum((actual[term] for term in ours if term in actual), torch.tensor(0.0))
            torch.testing.assert_close(value, vectors.tensors[f"{name}/{part}"], **tolerance["loss values"])
    torch.autograd.backward(total)
    expected = {
        key.removeprefix(f"{name}/grad_"): x for key, x in vectors.tensors.items() if key.startswith(f"{name}/grad_")
    }
    assert expected
    for position, gradient in expected.items():
        torch.testing.assert_close(leaves[position].grad, gradient, **tolerance["grads"])
    assert not [
        position for position, x in leaves.items() if position not in expected and x.grad is not None and x.grad.any()
    ]


def outputs(vectors: Golden, who: str) -> Outputs:
    actual = {name.removeprefix(f"in/{who}/"): x.clone() for name, x in vectors.tensors.items() if f"in/{who}/" in name}
    taps = {
        tap: tuple(
            actual[f"{kind}_{position}"] for position in range(sum(name.startswith(f"{kind}_") for name in actual))
        )
        for kind, tap in TAPS.items()
    }
    return Outputs(logits=actual["logits"], taps=taps)


def batch_of(vectors: Golden, regression: bool) -> Batch:
    mask = vectors.tensors["in/attention_mask"].bool()
    zeros = torch.zeros_like(mask, dtype=torch.int64)
    labels = vectors.tensors["in/labels_regression" if regression else "in/labels"]
    return Batch(positions=zeros[:, 0], tokens=zeros, segments=zeros, mask=mask, labels=labels)
