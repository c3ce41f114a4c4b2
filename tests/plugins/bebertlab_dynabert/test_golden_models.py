"""Slices and sub-networks against the published code: logits, hidden states, scores and neurons."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
from attrs import evolve
from torch import Tensor, nn

from bebertlab.api import Batch, BertClassifier, Checkpoint, Codec, ImporterOptions, Tap
from bebertlab.model.slice import SubNetwork, kept_layers, slice_depth, slice_width

if TYPE_CHECKING:
    from tests.conftest import Golden

Cases = Callable[[str], list[dict[str, Any]]]
TAPS = frozenset({Tap.HIDDEN, Tap.SCORES})


def sliced(whole: Checkpoint, case: dict[str, Any]) -> BertClassifier:
    return BertClassifier.from_checkpoint(
        slice_depth(slice_width(whole, case.get("width_mult", 1.0)), case.get("depth_mult", 1.0))
    )


def outputs(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """Everything that a file may store of a case, by its names."""
    neurons = []
    for path, module in model.named_modules():
        if path.endswith(".intermediate"):
            module.register_forward_hook(lambda _, inputs, output: neurons.append(output))
    with torch.no_grad():
        actual = model.eval()(batch, TAPS)
        # the fused attention, used where no inner tensors are requested
        torch.testing.assert_close(model(batch, frozenset()).logits, actual.logits, atol=1e-5, rtol=1e-5)
    named = {"logits": actual.logits}
    for name, tensors in (("hidden", actual.taps[Tap.HIDDEN]), ("att", actual.taps[Tap.SCORES])):
        named |= {f"{name}_{index}": tensor for index, tensor in enumerate(tensors)}
    return named | {f"intermediate_{index}": tensor for index, tensor in enumerate(neurons)}


@pytest.mark.parametrize("shared", [False, True], ids=["slice", "sub-network"])
def test_widths_and_depths_equal_the_published_ones(
    vectors: Golden, cases: Cases, whole: Checkpoint, batch: Batch, shared: bool
) -> None:
    for case in cases("part"):
        width, depth = case.get("width_mult", 1.0), case.get("depth_mult", 1.0)
        if shared:
            model: nn.Module = SubNetwork(BertClassifier.from_checkpoint(whole), width=width, depth=depth)
        else:
            model = sliced(whole, case)
        actual = outputs(model, batch)
        expected = vectors.below(case["name"])
        assert "logits" in expected
        for name, tensor in expected.items():
            torch.testing.assert_close(actual[name], tensor, **vectors.meta["tolerance"]["outputs"])


def test_sizes_equal_the_published_ones(vectors: Golden, whole: Checkpoint) -> None:
    for case in vectors.cases:
        if "heads" in case:
            sizes = sliced(whole, case).architecture
            assert (sizes.heads, sizes.ffn) == (case["heads"], case["intermediate"])
        if "kept_layers" in case:
            assert list(kept_layers(whole.architecture.layers, case["depth_mult"])) == case["kept_layers"]


def test_another_width_changes_the_outputs(vectors: Golden, whole: Checkpoint, batch: Batch) -> None:
    case = next(c for c in vectors.cases if c.get("width_mult", 1.0) < 1)
    actual = outputs(BertClassifier.from_checkpoint(whole), batch)
    assert float((actual["logits"] - vectors.tensors[f"{case['name']}/logits"]).abs().max()) > 0.005


def test_a_published_checkpoint_is_an_ordinary_model_folder(vectors: Golden, whole: Checkpoint, codec: Codec) -> None:
    importer: ImporterOptions = codec.load({"kind": "huggingface"}, ImporterOptions)  # type: ignore[type-abstract]
    written = {"finetuning_task": "cola", "output_intermediate": True, "pruned_heads": {}}  # in addition to the sizes
    actual = importer.read(whole.tensors, {**vectors.meta["config"], **written})
    assert evolve(actual.architecture, dropout=0.0) == evolve(whole.architecture, dropout=0.0)
    assert actual.tensors.keys() == whole.tensors.keys()
    assert all(torch.equal(actual.tensors[name], tensor) for name, tensor in whole.tensors.items())
