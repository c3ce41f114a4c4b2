"""Do two models of the same shapes compute the same?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from attrs import frozen
from torch import Tensor, nn

from bebertlab.inference.predict import evaluating
from bebertlab.interfaces.batch import Batch, Outputs
from bebertlab.model.bert import BertClassifier
from bebertlab.model.spec import quantizable_modules


@frozen(kw_only=True)
class Equality:
    """How far two models are apart on a batch, relative to 1 or to the values of the first one."""

    logits: float
    modules: float  #: the largest difference of a module, given what the same module of the first model was given
    module: str  #: where that is


def compare_models(
    before: BertClassifier, after: BertClassifier, batch: Batch, changed: frozenset[str] = frozenset()
) -> Equality:
    """Run both models, and each module of the second one on what its twin in the first one was given.

    The second comparison is the sharper one, and the fairer one: two activations that differ by the last bit can lie
    on both sides of the border between two levels, and from there on whole models go different ways although each of
    their modules computes the same. It leaves out the modules at the paths `changed`.
    """
    with evaluating(before), evaluating(after):
        with _recorded(before) as calls:
            outputs: Outputs = before(batch, frozenset())
        twins = dict(after.named_modules())
        differences = {
            path: _difference(given, twins[path](*inputs))
            for path, (inputs, given) in calls.items()
            if path not in changed
        }
        again: Outputs = after(batch, frozenset())
    worst = max(differences, key=lambda path: _rank(differences[path]))
    return Equality(logits=_difference(outputs.logits, again.logits), modules=differences[worst], module=worst)


@contextmanager
def _recorded(model: BertClassifier) -> Iterator[dict[str, tuple[tuple[Any, ...], Tensor]]]:
    """Inputs and output of every module that has parameters of its own, a quantizable one taken whole."""
    calls: dict[str, tuple[tuple[Any, ...], Tensor]] = {}
    handles = []
    for path, module in _units(model):

        def keep(_: nn.Module, inputs: tuple[Any, ...], output: Tensor, path: str = path) -> None:
            calls[path] = (inputs, output)

        handles.append(module.register_forward_hook(keep))
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _units(model: BertClassifier) -> Iterator[tuple[str, nn.Module]]:
    whole = quantizable_modules(model.architecture)
    for path, module in model.named_modules():
        inside = any(path.startswith(f"{one}.") for one in whole)
        if path in whole or (not inside and any(True for _ in module.parameters(recurse=False))):
            yield path, module


def _difference(before: Tensor, after: Tensor) -> float:
    return float(((after - before).abs() / before.abs().clamp(min=1.0)).max())


def _rank(difference: float) -> float:
    """Not a number is the worst of all."""
    return difference if difference == difference else float("inf")
