"""Whole models against the published reference code: logits, hidden states, scores, losses, gradients."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from bebertlab.interfaces.architecture import Architecture, Checkpoint, Design
from bebertlab.interfaces.batch import Batch, Tap
from bebertlab.nn.bert import BertClassifier
from bebertlab.nn.design import quantizable_modules
from bebertlab_binarybert.schemes import BinaryBert

if TYPE_CHECKING:
    from tests.conftest import Golden

MODELS = ["model_fp", "model_ternary_w2a8", "model_ternary_w2a4_lsq", "model_binary_w1a8", "model_binary_w1a4_lsq"]
_SITES = {"query": "query", "key": "key", "value": "value", "attn": "probabilities"}


def architecture_of(config: dict[str, Any]) -> Architecture:
    return Architecture(
        vocabulary=config["vocab_size"],
        positions=config["max_position_embeddings"],
        segments=config["type_vocab_size"],
        hidden=config["hidden_size"],
        heads=config["num_attention_heads"],
        head_size=config["dyna_hidden_size"] // config["num_attention_heads"],
        ffn=config["intermediate_size"],
        layers=config["num_hidden_layers"],
        classes=config["num_labels"],
        norm_epsilon=config["layer_norm_eps"],
        dropout=0.0,
        attention_dropout=0.0,
    )


def design_of(config: dict[str, Any]) -> Design:
    if "weight_bits" not in config:
        return Design()
    design = BinaryBert(weight_bits=config["weight_bits"], activation_bits=config["input_bits"]).design()
    split = 2 if config["weight_bits"] == 1 else 1
    return design.with_branches(dict.fromkeys(quantizable_modules(architecture_of(config)), split))


def our_name(reference: str, design: Design) -> str:
    """Our name of a reference parameter: its halves end in _1 and _2, its clips sit beside the weights."""
    if found := re.fullmatch(r"(.*attention\.self)\.clip_(\w+)", reference):
        return f"{found[1]}.quantizers.attention_{_SITES[found[2]]}.{_own(design)}"
    path, what = reference.rsplit(".", 1)
    if (
        not design.weights
        or "LayerNorm" in path
        or path.endswith(("position_embeddings", "type_embeddings", "classifier"))
    ):
        return reference
    half = re.fullmatch(r"(.*)_([12])", path)
    module, branch = (half[1], int(half[2]) - 1) if half else (path, 0)
    name = f"input_quantizer.{_own(design)}" if what == "input_clip_val" else what
    return f"{module}.branches.{branch}.{name}"


def _own(design: Design) -> str:
    return "step" if design.activation == "relu" else "clip"


def model_of(vectors: Golden, *, fresh: bool = False) -> BertClassifier:
    """The reference's model; fresh: without the steps, which the first batch then sets."""
    architecture, design = architecture_of(vectors.meta["config"]), design_of(vectors.meta["config"])
    tensors = dict(BertClassifier(architecture, design).state_dict())
    for name, tensor in tensors.items():
        if name.endswith(".initialised") and not fresh:
            tensors[name] = torch.ones_like(tensor)
    for key, tensor in vectors.tensors.items():
        if key.startswith("state/") and not (fresh and "clip_" in key):
            name = our_name(key.removeprefix("state/"), design)
            assert name in tensors, f"{key} would be {name}"
            tensors[name] = tensor
    return BertClassifier.from_checkpoint(Checkpoint(architecture=architecture, design=design, tensors=tensors))


def batch_of(vectors: Golden) -> Batch:
    t = vectors.tensors
    return Batch(
        positions=torch.arange(len(t["in/labels"])),
        tokens=t["in/input_ids"],
        segments=t["in/token_type_ids"],
        mask=t["in/attention_mask"].bool(),
        labels=t["in/labels"],
    )


@pytest.mark.parametrize("name", MODELS)
def test_outputs(golden: Callable[[str], Golden], name: str) -> None:
    vectors = golden(name)
    model, batch = model_of(vectors).eval(), batch_of(vectors)
    tolerance = vectors.meta["tolerance"]["logits, hidden, scores, loss"]
    outputs = model(batch, frozenset({Tap.HIDDEN, Tap.SCORES}))
    found = {"logits": outputs.logits, "loss": F.cross_entropy(outputs.logits, batch.labels)}
    found |= {f"hidden_{index}": hidden for index, hidden in enumerate(outputs.taps[Tap.HIDDEN])}
    found |= {f"att_{index}": scores for index, scores in enumerate(outputs.taps[Tap.SCORES])}
    wanted = {key.removeprefix("out/"): tensor for key, tensor in vectors.tensors.items() if key.startswith("out/")}
    assert found.keys() == wanted.keys()
    for what, tensor in wanted.items():
        torch.testing.assert_close(found[what], tensor, **tolerance)
    torch.testing.assert_close(model(batch).logits, wanted["logits"], **tolerance)


@pytest.mark.parametrize("name", MODELS)
def test_gradients(golden: Callable[[str], Golden], name: str) -> None:
    vectors = golden(name)
    model, batch = model_of(vectors), batch_of(vectors)
    torch.autograd.backward(F.cross_entropy(model(batch).logits, batch.labels))
    parameters = dict(model.named_parameters())
    wanted = {key.removeprefix("grad/"): tensor for key, tensor in vectors.tensors.items() if key.startswith("grad/")}
    assert wanted
    for reference, gradient in wanted.items():
        found = parameters[our_name(reference, model.design)].grad
        assert found is not None
        close_to_the_largest(found, gradient, vectors.meta["tolerance"]["grads"], reference)


def close_to_the_largest(found: Tensor, wanted: Tensor, tolerance: dict[str, Any], what: str) -> None:
    # the bias of the keys has no effect: its gradient is float noise around 0
    largest = max(float(wanted.abs().max()) * tolerance["atol_fraction_of_max"], 1e-7)
    difference = (found - wanted).abs()
    assert (difference <= largest + tolerance["rtol"] * wanted.abs()).all(), f"{what} is off by {difference.max()}"


def test_steps_that_the_first_batch_sets(golden: Callable[[str], Golden]) -> None:
    vectors = golden("model_ternary_w2a4_lsq")
    model = model_of(vectors, fresh=True).train()
    logits = model(batch_of(vectors)).logits
    parameters = dict(model.named_parameters())
    steps = {key.removeprefix("fresh/"): tensor for key, tensor in vectors.tensors.items() if key.startswith("fresh/")}
    torch.testing.assert_close(logits, steps.pop("logits"), **vectors.meta["tolerance"]["logits, hidden, scores, loss"])
    assert steps
    for reference, step in steps.items():
        found = parameters[our_name(reference, model.design)].detach()
        torch.testing.assert_close(found, step, rtol=1e-5 if "layer.0" in reference else 1e-4, atol=1e-6)


def test_a_wrong_design_is_far_off(golden: Callable[[str], Golden]) -> None:
    """The tolerance tells one flag from the other: symmetric where the reference is asymmetric."""
    vectors = golden("model_ternary_w2a8")
    model = model_of(vectors).eval()
    for name, module in model.named_modules():
        if name.endswith("attention_probabilities"):
            setattr(module, "symmetric", True)  # noqa: B010 - its type is not known here
    with torch.no_grad():
        logits = model(batch_of(vectors)).logits
    assert float((logits - vectors.tensors["out/logits"]).abs().max()) > 0.005
