"""Comparing two models of the same sizes: whether they compute the same function."""

from __future__ import annotations

from collections.abc import Container, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from attrs import frozen
from torch import Tensor, nn

from bebertlab.inference.prepare import prepare
from bebertlab.interfaces.batch import Batch
from bebertlab.model.bert import BertClassifier
from bebertlab.model.spec import quantizable_modules


@frozen(kw_only=True)
class Equality:
    """Largest differences of two models on a batch, relative to the first one's values, or absolute below 1."""

    logits: float
    modules: float  #: of a module on the input of the same module of the first model
    module: str  #: path of the module that differs most


def compare_models(
    before: BertClassifier, after: BertClassifier, batch: Batch, changed: frozenset[str] = frozenset()
) -> Equality:
    """Compare the logits of both models, and each module of the second one with that of the first on the same input.

    The second comparison is stricter and more robust: activations that differ in the last bit can be rounded to
    different levels, after which whole models diverge although each of their modules computes the same. Modules at the
    paths `changed` are excluded from it.
    """
    first, second = prepare(before), prepare(after)
    with _record_calls(first.network, quantizable_modules(before.architecture)) as calls:
        expected = first(batch).logits
    modules = dict(second.network.named_modules())
    with torch.no_grad():
        differences = {
            path: _difference(output, modules[path](*inputs))
            for path, (inputs, output) in calls.items()
            if path not in changed
        }
    worst = max(differences, key=lambda path: _rank(differences[path]))
    return Equality(logits=_difference(expected, second(batch).logits), modules=differences[worst], module=worst)


@contextmanager
def _record_calls(
    network: nn.Module, quantizable: Container[str]
) -> Iterator[dict[str, tuple[tuple[Any, ...], Tensor]]]:
    """Inputs and output of every quantizable module, and of every other one with parameters."""
    calls: dict[str, tuple[tuple[Any, ...], Tensor]] = {}
    handles = []

    def record(path: str, _: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        calls[path] = (inputs, output)

    for path, module in _compared_modules(network, "", quantizable):
        handles.append(module.register_forward_hook(partial(record, path)))
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _compared_modules(module: nn.Module, path: str, quantizable: Container[str]) -> Iterator[tuple[str, nn.Module]]:
    if path in quantizable or any(True for _ in module.parameters(recurse=False)):
        yield path, module
    if path not in quantizable:
        for name, child in module.named_children():
            yield from _compared_modules(child, f"{path}.{name}" if path else name, quantizable)


def _difference(before: Tensor, after: Tensor) -> float:
    return float(((after - before).abs() / before.abs().clamp(min=1.0)).max())


def _rank(difference: float) -> float:
    # NaN is the largest difference
    return difference if difference == difference else float("inf")
