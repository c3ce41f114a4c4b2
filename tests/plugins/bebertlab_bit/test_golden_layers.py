"""Whole layers and attention against the published code: outputs, scales that the first batch sets, all gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bebertlab.api import Architecture, QuantSpec, Site, Tap
from bebertlab.model.attention import SelfAttention, additive_mask
from bebertlab.model.embedding import QuantizedEmbedding
from bebertlab.model.linear import QuantizedLinear
from bebertlab.model.module_factory import ModuleFactory
from bebertlab_bit import Bit, CentredSign, Elastic

if TYPE_CHECKING:
    from tests.conftest import Golden

CLIPS = {
    Site.ATTENTION_QUERY: "clip_query",
    Site.ATTENTION_KEY: "clip_key",
    Site.ATTENTION_VALUE: "clip_value",
    Site.ATTENTION_PROBABILITIES: "clip_attn",
}


def weights_of(case: dict[str, Any]) -> CentredSign | None:
    """The quantizer of a case's weights; None where they are of 32 bits."""
    method = case.get("weight_quant")
    if method is None and case["weight_bits"] == 32:
        return None
    if method != "bit_bwn":
        raise ValueError(f"{case['name']}: there are no weights '{method}' here")
    rows = case.get("granularity") == "row" or "row-wise weights" in (case.get("note") or "")
    return CentredSign(granularity="row" if rows else "tensor", as_published=True)


def inputs_of(case: dict[str, Any]) -> CentredSign | Elastic | None:
    """The quantizer of a case's activations; None where they are of 32 bits."""
    bits, method = case["input_bits"], case.get("input_quant")
    if bits == 32:
        return None
    if method == "bwn":
        return CentredSign(shift=True, as_published=True)
    if method != "elastic":
        raise ValueError(f"{case['name']}: there are no activations '{method}' here")
    return Elastic(bits=bits, signed=case["symmetric"], shift=True, as_published=True)


def test_linear_layers_equal_the_published_ones(golden: Callable[[str], Golden]) -> None:
    vectors = golden("quant_linear").of("bit")
    tolerance = vectors.meta["tolerance"]
    for case in vectors.cases:
        t = vectors.below(case["name"])
        if "ids" in t:  # an embedding
            continue
        outputs, inputs = t["weight"].shape
        layer = QuantizedLinear(inputs, outputs, 1, weights_of(case), inputs_of(case))
        parameters: dict[str, Any] = {name.removeprefix("branches.0."): x for name, x in layer.named_parameters()}
        scale, shift = parameters.pop("input_quantizer.scale", None), parameters.pop("input_quantizer.shift", None)
        parameters |= {} if scale is None else {"input_clip_val": scale}
        parameters |= {} if shift is None else {"move_bias": shift}
        with torch.no_grad():
            for name, parameter in parameters.items():
                if parameter is not scale or not case["step_init"]:
                    parameter.copy_(t[name])
            if scale is not None:
                layer.get_buffer("branches.0.input_quantizer.initialised").fill_(not case["step_init"])
        x = t["x"].clone().requires_grad_()
        y = layer(x)
        torch.testing.assert_close(y, t["out"], **tolerance["out"])
        y.backward(t["gout"])
        for name, tensor in {**parameters, "x": x}.items():
            torch.testing.assert_close(tensor.grad, t[f"grad_{name}"], **tolerance["grads"])
        if scale is not None:
            torch.testing.assert_close(scale.detach(), t["input_clip_val"])


def test_embeddings_equal_the_published_ones(golden: Callable[[str], Golden]) -> None:
    vectors = golden("quant_linear").of("bit")
    tolerance = vectors.meta["tolerance"]
    for case in vectors.cases:
        t = vectors.below(case["name"])
        if "ids" not in t:
            continue
        options = weights_of(case)
        embedding = QuantizedEmbedding(t["weight"].shape[0], t["weight"].shape[1], 1, options)
        weight = next(embedding.parameters())
        with torch.no_grad():
            weight.copy_(t["weight"])
        if options is not None:
            torch.testing.assert_close(options.build(weight.shape)(weight), t["qweight"], **tolerance["out"])
        y = embedding(t["ids"])
        torch.testing.assert_close(y, t["out"], **tolerance["out"])
        y.backward(t["gout"])
        torch.testing.assert_close(weight.grad, t["grad_weight"], **tolerance["grads"])


def attention_spec(case: dict[str, Any]) -> QuantSpec:
    """A case of 32 bits has no further settings; `symmetric_probs: null` means unquantized probabilities."""
    probabilities = case.get("symmetric_probs", False)
    scheme = Bit(
        activation_bits=case["input_bits"],
        activations=case.get("input_quant", "elastic"),
        quantize_probabilities=probabilities is not None,
        signed=case.get("symmetric_qkv", True),
        one_sided_signed=bool(probabilities),
        as_published=True,
    )
    return QuantSpec(attention=scheme.spec().attention)


def test_attention_equals_the_published_one(golden: Callable[[str], Golden]) -> None:
    vectors = golden("attention").of("bit")
    shared, tolerances = vectors.below("in"), vectors.meta["tolerance"]
    (tolerance,) = (value for what, value in tolerances.items() if "context" in what)
    heads = vectors.meta["config"]["num_attention_heads"]
    for case in vectors.cases:
        t = vectors.below(case["name"])
        leaves = {name: shared[name].clone().requires_grad_() for name in ("q", "k", "v")}
        width = leaves["q"].shape[2]
        sizes = Architecture(
            vocabulary=1, positions=1, hidden=width, heads=heads, head_size=width // heads, ffn=1, layers=1, classes=2
        )
        attention = SelfAttention(
            ModuleFactory(sizes, attention_spec(case)), "bert.encoder.layer.0.attention.self"
        ).eval()
        attention.quantizers.train(case.get("step_init", False))
        scaled = {
            CLIPS[Site(site)]: quantizer
            for site, quantizer in attention.quantizers.items()
            if "scale" in dict(quantizer.named_parameters())
        }
        for clip, quantizer in scaled.items():
            quantizer.load_state_dict({"scale": t[clip], "initialised": torch.tensor(not case["step_init"])})
        kept: dict[Tap, list[Tensor]] = {Tap.SCORES: []}
        mask = additive_mask(shared["mask"].bool(), torch.float32)
        context = attention.attend(leaves["q"], leaves["k"], leaves["v"], mask, kept)
        torch.testing.assert_close(context, t["context"], **tolerance)
        torch.testing.assert_close(kept[Tap.SCORES][0], t["scores"], **tolerance)
        torch.autograd.backward((context, kept[Tap.SCORES][0]), (shared["gout_context"], shared["gout_scores"]))
        for name, leaf in leaves.items():
            torch.testing.assert_close(leaf.grad, t[f"grad_{name}"], **tolerances["grads"])
        assert {f"grad_{clip}" for clip in scaled} == {name for name in t if name.startswith("grad_clip")}
        for clip, quantizer in scaled.items():
            scale = quantizer.get_parameter("scale")
            torch.testing.assert_close(scale.detach(), t[clip])
            torch.testing.assert_close(scale.grad, t[f"grad_{clip}"], **tolerances["grads"])
