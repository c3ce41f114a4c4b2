from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

from bebertlab.training import optimizers as module
from bebertlab.training.bert_adam import BertAdam
from bebertlab.training.optimizers import Group
from bebertlab.training.schedule import rate_factor, warmup_constant, warmup_linear

if TYPE_CHECKING:
    from tests.conftest import Golden

#: by the published code's names; 'none' has no warm-up
SCHEDULES = {"warmup_linear": warmup_linear, "warmup_constant": warmup_constant}


def constant(case: dict[str, Any]) -> bool:
    return case["t_total"] < 0 or case["schedule"] in {None, "none"}


def factor_of(case: dict[str, Any], step: int) -> float:
    if constant(case):
        return rate_factor("constant", step, case["steps"], 0.0)
    return SCHEDULES[case["schedule"]](step, case["t_total"], max(case["warmup"], 0.0))


def groups_of(case: dict[str, Any], parameters: Sequence[nn.Parameter]) -> list[Group]:
    return [
        Group(
            parameters=tuple(parameters[i] for i in group["idx"]),
            learning_rate=group.get("lr", case["lr"]),
            weight_decay=group.get("weight_decay", case["default_weight_decay"]),
        )
        for group in case["param_groups"]
    ]


@pytest.mark.parametrize("small", [0, module.SMALL], ids=["separate", "flattened"])
def test_every_step_equals_that_of_the_published_code(
    small: int, golden: Callable[[str], Golden], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SMALL", small)
    vectors = golden("optimizer").of("BinaryBERT", "BEBERT/binarybert")
    for case in vectors.cases:
        follow(case, vectors.tensors, vectors.meta["tolerance"])


def test_every_factor_equals_that_of_the_published_code(golden: Callable[[str], Golden]) -> None:
    vectors = golden("optimizer").of("BinaryBERT", "BEBERT/binarybert")
    missing = {case["schedule"] for case in vectors.cases if not constant(case)} - SCHEDULES.keys()
    for case in vectors.cases:
        if case["schedule"] not in missing:
            factors = [factor_of(case, step) for step in range(case["steps"])]
            expected = vectors.tensors[f"{case['name']}/lr_multiplier"].tolist()
            assert factors == pytest.approx(expected, rel=vectors.meta["tolerance"]["lr"]["rtol"], abs=1e-12), case[
                "name"
            ]
    if missing:
        pytest.skip(f"there is no schedule {' or '.join(sorted(missing))} here; the steps were taken with its factors")


def follow(case: dict[str, Any], tensors: dict[str, Tensor], tolerance: dict[str, Any]) -> None:
    name = case["name"]
    parameters = [
        nn.Parameter(tensors[f"{name}/p{i}_init"].clone())
        for i in sorted(i for g in case["param_groups"] for i in g["idx"])
    ]
    norm = case["max_grad_norm"] if case["max_grad_norm"] > 0 else None
    betas = (case["b1"], case["b2"])
    optimizer = BertAdam(groups_of(case, parameters), norm, betas=betas, epsilon=case["eps"])
    for step in range(case["steps"]):
        for i, parameter in enumerate(parameters):
            gradient = tensors[f"{name}/p{i}_grad"][step]
            parameter.grad = gradient.clone() if parameter.grad is None else parameter.grad.copy_(gradient)
        optimizer.step(float(tensors[f"{name}/lr_multiplier"][step]))
        for i, parameter in enumerate(parameters):
            torch.testing.assert_close(parameter.detach(), tensors[f"{name}/p{i}_after"][step], **tolerance["params"])
            moments = optimizer.moments(parameter)
            assert moments is not None
            for moment, letter in zip(moments, "mv", strict=True):
                expected = tensors[f"{name}/p{i}_{letter}"][step]
                torch.testing.assert_close(moment.view_as(expected).detach(), expected, **tolerance["moments"])


def norms_after(gradients: Sequence[Tensor], norm: float | None) -> list[float]:
    """Norms of the first moments after a step, ten times: of the gradients that were used."""
    parameters = [nn.Parameter(torch.zeros_like(gradient)) for gradient in gradients]
    optimizer = BertAdam([Group(parameters=tuple(parameters), learning_rate=0.1, weight_decay=0.0)], norm)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient.clone()
    optimizer.step(1.0)
    moments = [optimizer.moments(parameter) for parameter in parameters]
    return [10 * float(pair[0].norm()) for pair in moments if pair is not None]


@pytest.mark.parametrize("small", [0, 6, module.SMALL])
def test_each_parameter_is_clipped_by_its_norm(small: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SMALL", small)
    gradients = [torch.full((4,), 3.0), torch.full((25,), 0.1), torch.full((4, 4), 100.0)]
    assert norms_after(gradients, 1.0) == pytest.approx([1.0, 0.5, 1.0], rel=1e-4)
    assert norms_after(gradients, 2.0) == pytest.approx([2.0, 0.5, 2.0], rel=1e-4)
    assert norms_after(gradients, None) == pytest.approx([6.0, 0.5, 400.0], rel=1e-4)


def test_a_parameter_without_gradients_is_unchanged_until_it_has_one() -> None:
    reached, late = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    optimizer = BertAdam([Group(parameters=(reached, late), learning_rate=0.1, weight_decay=0.5)], 1.0)
    torch.autograd.backward(reached.sum())
    optimizer.step(1.0)
    assert late.tolist() == [1, 1, 1]
    assert optimizer.moments(late) is None
    assert reached.tolist() != [1, 1, 1]
    torch.autograd.backward((reached + late).sum())
    optimizer.step(1.0)
    assert late.tolist() != [1, 1, 1]


def test_a_scalar_parameter_with_a_late_first_gradient_trains() -> None:
    reached, step = nn.Parameter(torch.ones(3)), nn.Parameter(torch.tensor(1.0))
    optimizer = BertAdam([Group(parameters=(reached, step), learning_rate=0.1, weight_decay=0.0)], 1.0)
    torch.autograd.backward(reached.sum())
    optimizer.step(1.0)
    seen = []
    for _ in range(3):
        torch.autograd.backward(step * 2)
        optimizer.step(1.0)
        seen.append(step.item())
    assert 1.0 > seen[0] > seen[1] > seen[2]
    moments = optimizer.moments(step)
    assert moments is not None
    assert moments[0].item() == pytest.approx(1 - 0.9**3)  # of a gradient clipped to 1


def test_gradients_are_cleared_and_memory_is_released() -> None:
    small, large = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(module.SMALL))
    optimizer = BertAdam([Group(parameters=(small, large), learning_rate=0.1, weight_decay=0.0)], 1.0)
    torch.autograd.backward(small.sum() + large.sum())
    optimizer.step(1.0)
    assert small.grad is not None
    assert small.grad.tolist() == [0, 0, 0]
    assert large.grad is None
    optimizer.release()
    assert small.grad is None
    assert small.untyped_storage().nbytes() == 12
