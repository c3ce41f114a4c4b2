"""Linear maps, embeddings and attention of BinaryBERT and TernaryBERT against their published code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

from bebertlab.api import ATTENTION_SITES, Architecture, QuantizerOptions, QuantSpec, Site, Tap
from bebertlab.model.attention import SelfAttention, additive_mask
from bebertlab.model.embedding import QuantizedEmbedding
from bebertlab.model.linear import QuantizedLinear
from bebertlab.model.module_factory import ModuleFactory
from bebertlab_binarybert import Bwn, Laq, Lsq, Twn, Uniform

if TYPE_CHECKING:
    from tests.conftest import Golden

Case = dict[str, Any]
Tensors = Mapping[str, Tensor]


def weights_of(case: Case, t: Tensors, clip: str, published: bool) -> QuantizerOptions | None:
    """The quantizer of a case's weights; None where they are of 32 bits."""
    rows = case.get("granularity") == "row" or "row-wise weights" in (case.get("note") or "")
    shared: dict[str, Any] = {"granularity": "row" if rows else "tensor", "as_published": published}
    method, symmetric = case.get("weight_quant"), case.get("symmetric", True)
    bits: Any = case.get("weight_bits")
    match method:
        case None if bits == 32:
            return None
        case "bwn":
            return Bwn(**shared)
        case "twn":
            return Twn(**shared)
        case "twn with clipping":
            return Twn(clip=fixed_clip(t, clip), **shared)
        case "laq":
            return Laq(bits=bits, **shared)
        case "uniform":
            return Uniform(bits=bits, symmetric=symmetric, **clips_of(t, clip), **shared)
        case "lsq":
            return Lsq(bits=bits, symmetric=symmetric, as_published=published)
    raise ValueError(f"{case['name']}: there are no weights '{method}' here")


def activations_of(case: Case, t: Tensors, clip: str, symmetric: bool, published: bool) -> QuantizerOptions | None:
    """The quantizer of a case's activations; None where they are of 32 bits. TernaryBERT's code has one and no name."""
    bits, method = case["input_bits"], case.get("input_quant")
    if bits == 32:
        return None
    match method:
        case "lsq":
            return Lsq(bits=bits, symmetric=symmetric, as_published=published)
        case "uniform" | None:
            return Uniform(bits=bits, symmetric=symmetric, as_published=published, **clips_of(t, clip))
    raise ValueError(f"{case['name']}: there are no activations '{method}' here")


def clips_of(t: Tensors, name: str) -> dict[str, Any]:
    """Options for the clips of a uniform quantizer: those without a gradient stay, as all of TernaryBERT's do."""
    return {} if f"grad_{name}" in t else {"learnable": False, "clip": fixed_clip(t, name)}


def fixed_clip(t: Tensors, name: str) -> float:
    """The upper of two clips that mirror each other, 2.5 where the file stores none."""
    return float(t[name][1]) if name in t else 2.5


def comparable(t: Tensors, published: bool) -> bool:
    """Whether this mode equals the published code for a case.

    bebertlab differs where a weight is exactly 0, where an output of the published code is NaN, and at steps below
    1e-5.
    """
    zeros = "weight" in t and not bool((t["weight"] != 0).all())
    steps = [x for name, x in t.items() if "clip" in name and not name.startswith("grad_") and x.numel() == 1]
    differs = zeros or any(x.isnan().any() for x in t.values()) or any(float(step) < 1e-5 for step in steps)
    return published or not differs


def cases_of(vectors: Golden, published: bool) -> Iterator[tuple[Case, dict[str, Tensor]]]:
    for case in vectors.cases:
        if comparable(t := vectors.below(case["name"]), published):
            yield case, t


def load_parameters(module: nn.Module, names: Mapping[str, str], t: Tensors, case: Case) -> dict[str, nn.Parameter]:
    """Parameters by published name, with what the file stores of them; a step that the first batch sets is not set."""
    parameters = {theirs: module.get_parameter(path) for path, theirs in names.items()}
    with torch.no_grad():
        for path, theirs in names.items():
            step = path.endswith(".step")
            if not (step and case["step_init"]):
                parameters[theirs].copy_(t[theirs])
            if step:
                module.get_buffer(path.removesuffix("step") + "initialised").fill_(not case["step_init"])
    return parameters


def names_of(layer: nn.Module, weight_clip: str) -> dict[str, str]:
    """The published name of every parameter: what a quantizer learns is called a clip, a step as well."""
    clips = {"weight_quantizer": weight_clip, "input_quantizer": "input_clip_val"}
    paths = [path for path, _ in layer.named_parameters()]
    return {path: clips.get(path.split(".")[-2], path.split(".")[-1]) for path in paths}


def close(actual: Tensor | None, expected: Tensor, tolerance: dict[str, Any], what: str) -> None:
    assert actual is not None, what
    torch.testing.assert_close(actual, expected, equal_nan=True, msg=partial("{}: {}".format, what), **tolerance)


def quant_linear(golden: Callable[[str], Golden]) -> Golden:
    return golden("quant_linear").of("BinaryBERT", "TernaryBERT", "BEBERT/binarybert")


@pytest.mark.parametrize("published", [False, True])
def test_linear_maps_equal_the_published_ones(golden: Callable[[str], Golden], published: bool) -> None:
    vectors = quant_linear(golden)
    out, grads = vectors.meta["tolerance"]["out"], vectors.meta["tolerance"]["grads"]
    for case, t in cases_of(vectors, published):
        if "ids" in t:  # an embedding
            continue
        inputs = activations_of(case, t, "input_clip_val", case.get("symmetric", True), published)
        weights, (outputs, width) = weights_of(case, t, "weight_clip_val", published), t["weight"].shape
        layer = QuantizedLinear(width, outputs, 1, weights, inputs)
        parameters = load_parameters(layer, names_of(layer, "weight_clip_val"), t, case)
        x = t["x"].clone().requires_grad_()
        y = layer(x)
        close(y, t["out"], out, case["name"])
        y.backward(t["gout"])
        for name, tensor in {**parameters, "x": x}.items():
            close(tensor.grad, t[f"grad_{name}"], grads, f"{case['name']}: {name}")
            close(tensor.detach(), t[name], out, f"{case['name']}: {name}")


@pytest.mark.parametrize("published", [False, True])
def test_embeddings_equal_the_published_ones(golden: Callable[[str], Golden], published: bool) -> None:
    vectors = quant_linear(golden)
    out, grads = vectors.meta["tolerance"]["out"], vectors.meta["tolerance"]["grads"]
    for case, t in cases_of(vectors, published):
        if "ids" not in t:
            continue
        options = weights_of(case, t, "embed_clip_val", published)
        embedding = QuantizedEmbedding(t["weight"].shape[0], t["weight"].shape[1], 1, options)
        parameters = load_parameters(embedding, names_of(embedding, "embed_clip_val"), t, case)
        y = embedding(t["ids"])
        close(y, t["out"], out, case["name"])
        if options is not None:
            table = embedding.get_submodule("branches.0.weight_quantizer")(parameters["weight"])
            close(table, t["qweight"], out, case["name"])
        y.backward(t["gout"])
        for name, tensor in parameters.items():
            close(tensor.grad, t[f"grad_{name}"], grads, f"{case['name']}: {name}")
            close(tensor.detach(), t[name], out, f"{case['name']}: {name}")


#: the published names of what the quantizers inside attention learn
CLIPS = dict(zip(ATTENTION_SITES, ("clip_query", "clip_key", "clip_value", "clip_attn"), strict=True))


def attention_of(case: Case, t: Tensors, heads: int, width: int, published: bool) -> SelfAttention:
    sizes = Architecture(
        vocabulary=1,
        positions=1,
        hidden=width,
        heads=heads,
        head_size=width // heads,
        ffn=1,
        layers=1,
        classes=1,
        attention_dropout=0.0,
    )
    quantizers = {}
    for site, clip in CLIPS.items():
        symmetric = case.get("symmetric_probs" if site is Site.ATTENTION_PROBABILITIES else "symmetric_qkv", True)
        quantizers[site] = activations_of(case, t, clip, symmetric, published)
    spec = QuantSpec(attention={site: options for site, options in quantizers.items() if options is not None})
    return SelfAttention(ModuleFactory(sizes, spec), "bert.encoder.layer.0.attention.self")


@pytest.mark.parametrize("published", [False, True])
def test_attention_equals_the_published_one(golden: Callable[[str], Golden], published: bool) -> None:
    vectors = golden("attention").of("BinaryBERT", "TernaryBERT", "BEBERT/binarybert")
    (outputs,) = (tolerance for what, tolerance in vectors.meta["tolerance"].items() if "context" in what)
    shared, heads = vectors.below("in"), vectors.meta["config"]["num_attention_heads"]
    for case, t in cases_of(vectors, published):
        q, k, v = inputs = [shared[x].clone().requires_grad_() for x in ("q", "k", "v")]
        attention = attention_of(case, t, heads, q.shape[2], published)
        paths = [path for path, _ in attention.quantizers.named_parameters()]
        parameters = load_parameters(
            attention.quantizers, {path: CLIPS[Site(path.split(".")[0])] for path in paths}, t, case
        )
        taps: dict[Tap, list[Tensor]] = {Tap.SCORES: []}
        context = attention.attend(q, k, v, additive_mask(shared["mask"].bool(), torch.float32), taps)
        scores = taps[Tap.SCORES][0]
        close(context, t["context"], outputs, case["name"])
        close(scores, t["scores"], outputs, case["name"])
        torch.autograd.backward((context, scores), (shared["gout_context"], shared["gout_scores"]))
        for what, tensor in {**dict(zip(("q", "k", "v"), inputs, strict=True)), **parameters}.items():
            close(tensor.grad, t[f"grad_{what}"], vectors.meta["tolerance"]["grads"], f"{case['name']}: {what}")
        for clip, parameter in parameters.items():
            close(parameter.detach(), t[clip], outputs, f"{case['name']}: {clip}")
