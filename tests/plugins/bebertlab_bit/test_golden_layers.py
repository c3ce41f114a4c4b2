"""Whole layers and attention against the published code: outputs, scales that the first batch sets, all gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bebertlab.api import Architecture, Design, Site, Tap
from bebertlab.nn.attention import SelfAttention, additive_mask
from bebertlab.nn.embedding import QuantizedEmbedding
from bebertlab.nn.linear import QuantizedLinear
from bebertlab.nn.parts import Parts
from bebertlab_bit import Bit, CentredSign, Elastic

if TYPE_CHECKING:
    from tests.conftest import Golden

CLIPS = {
    Site.ATTENTION_QUERY: "clip_query",
    Site.ATTENTION_KEY: "clip_key",
    Site.ATTENTION_VALUE: "clip_value",
    Site.ATTENTION_PROBABILITIES: "clip_attn",
}


def cases_of(vectors: Golden) -> list[dict[str, Any]]:
    """The cases that BiT's code produced."""
    sources = vectors.meta["sources"]
    found = [case for case in vectors.cases if sources[case["source"]]["repo"] == "facebookresearch/bit"]
    assert found
    return found


def tensors_of(vectors: Golden, case: dict[str, Any]) -> dict[str, Tensor]:
    prefix = case["name"] + "/"
    return {name.removeprefix(prefix): x for name, x in vectors.tensors.items() if name.startswith(prefix)}


def test_linear_layers(golden: Callable[[str], Golden]) -> None:
    vectors = golden("quant_linear")
    tolerance = vectors.meta["tolerance"]
    linear = [case for case in cases_of(vectors) if "input_bits" in case]
    assert linear
    for case in linear:
        t = tensors_of(vectors, case)
        assert (case["weight_quant"], case["input_quant"]) == ("bit_bwn", "elastic")
        activations = Elastic(bits=case["input_bits"], signed=case["symmetric"], shift=True, as_published=True)
        outputs, inputs = t["weight"].shape
        layer = QuantizedLinear(inputs, outputs, 1, CentredSign(as_published=True), activations)
        own: dict[str, Any] = {name.removeprefix("branches.0."): x for name, x in layer.named_parameters()}
        mine = {"weight": "weight", "bias": "bias", "input_quantizer.shift": "move_bias"}
        with torch.no_grad():
            for ours, theirs in mine.items():
                own[ours].copy_(t[theirs])
            if not case["step_init"]:
                own["input_quantizer.scale"].copy_(t["input_clip_val"])
                layer.get_buffer("branches.0.input_quantizer.initialised").fill_(True)
        x = t["x"].clone().requires_grad_()
        y = layer(x)
        torch.testing.assert_close(y, t["out"], **tolerance["out"])
        y.backward(t["gout"])
        own["x"] = x
        for ours, theirs in {**mine, "input_quantizer.scale": "input_clip_val", "x": "x"}.items():
            torch.testing.assert_close(own[ours].grad, t[f"grad_{theirs}"], **tolerance["grads"])
        torch.testing.assert_close(own["input_quantizer.scale"].detach(), t["input_clip_val"])


def test_embeddings(golden: Callable[[str], Golden]) -> None:
    vectors = golden("quant_linear")
    tolerance = vectors.meta["tolerance"]
    embeddings = [case for case in cases_of(vectors) if "granularity" in case]
    assert embeddings
    for case in embeddings:
        t = tensors_of(vectors, case)
        rows = "row" if case["granularity"] == "row" else "tensor"
        options = CentredSign(granularity=rows, as_published=True)  # type: ignore[arg-type] # one of two
        embedding = QuantizedEmbedding(t["weight"].shape[0], t["weight"].shape[1], 1, options)
        weight = next(embedding.parameters())
        with torch.no_grad():
            weight.copy_(t["weight"])
        torch.testing.assert_close(options.build(weight.shape)(weight), t["qweight"], **tolerance["out"])
        y = embedding(t["ids"])
        torch.testing.assert_close(y, t["out"], **tolerance["out"])
        y.backward(t["gout"])
        torch.testing.assert_close(weight.grad, t["grad_weight"], **tolerance["grads"])


def attention_design(case: dict[str, Any]) -> Design:
    probabilities = case.get("symmetric_probs")
    scheme = Bit(
        activation_bits=case["input_bits"],
        quantize_probabilities=probabilities is not None,
        signed=case["symmetric_qkv"],
        one_sided_signed=bool(probabilities),
        as_published=True,
    )
    return Design(attention=scheme.design().attention)


def test_attention(golden: Callable[[str], Golden]) -> None:
    vectors = golden("attention")
    shared, tolerances = vectors.tensors, vectors.meta["tolerance"]
    (tolerance,) = (value for what, value in tolerances.items() if "context" in what)
    heads = vectors.meta["config"]["num_attention_heads"]
    for case in cases_of(vectors):
        t = tensors_of(vectors, case)
        leaves = {name: shared[f"in/{name}"].clone().requires_grad_() for name in ("q", "k", "v")}
        width = leaves["q"].shape[2]
        sizes = Architecture(
            vocabulary=1, positions=1, hidden=width, heads=heads, head_size=width // heads, ffn=1, layers=1, classes=2
        )
        attention = SelfAttention(Parts(sizes, attention_design(case)), "bert.encoder.layer.0.attention.self").eval()
        quantizers: dict[str, Any] = dict(attention.quantizers.items())
        attention.quantizers.train(case["step_init"])
        for site, quantizer in quantizers.items():
            state = {"scale": t[CLIPS[Site(site)]], "initialised": torch.tensor(not case["step_init"])}
            quantizer.load_state_dict(state)
        kept: dict[Tap, list[Tensor]] = {Tap.SCORES: []}
        mask = additive_mask(shared["in/mask"].bool(), torch.float32)
        context = attention.attend(leaves["q"], leaves["k"], leaves["v"], mask, kept)
        torch.testing.assert_close(context, t["context"], **tolerance)
        torch.testing.assert_close(kept[Tap.SCORES][0], t["scores"], **tolerance)
        torch.autograd.backward((context, kept[Tap.SCORES][0]), (shared["in/gout_context"], shared["in/gout_scores"]))
        for name, leaf in leaves.items():
            torch.testing.assert_close(leaf.grad, t[f"grad_{name}"], **tolerances["grads"])
        assert {f"grad_{CLIPS[Site(site)]}" for site in quantizers} == {n for n in t if n.startswith("grad_clip")}
        for site, quantizer in quantizers.items():
            clip = CLIPS[Site(site)]
            torch.testing.assert_close(quantizer.scale.detach(), t[clip])
            torch.testing.assert_close(quantizer.scale.grad, t[f"grad_{clip}"], **tolerances["grads"])
