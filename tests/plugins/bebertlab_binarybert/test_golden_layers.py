"""Linear maps, embeddings and attention of BinaryBERT and TernaryBERT against their published code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

from bebertlab.api import ATTENTION_SITES, Architecture, Design, QuantizerOptions, Site, Tap
from bebertlab.nn.attention import SelfAttention, additive_mask
from bebertlab.nn.embedding import QuantizedEmbedding
from bebertlab.nn.linear import QuantizedLinear
from bebertlab.nn.parts import Parts
from bebertlab_binarybert import Bwn, Laq, Lsq, Twn, Uniform
from bebertlab_binarybert.granularity import Granularity

if TYPE_CHECKING:
    from tests.conftest import Golden

Case = dict[str, Any]


def granularity_of(case: Case) -> Granularity:
    told = case.get("granularity") or ("row" if "row-wise weights" in (case.get("note") or "") else "layer")
    return "row" if told == "row" else "tensor"


def weights_of(case: Case, published: bool) -> QuantizerOptions | None:
    """The quantizer of a case's weights; None where it is of another method."""
    shared: dict[str, Any] = {"granularity": granularity_of(case), "as_published": published}
    bits: Any = case.get("weight_bits")
    match case.get("weight_quant"):
        case "bwn":
            return Bwn(**shared)
        case "twn":
            return Twn(**shared)
        case "twn with clipping":
            return Twn(clip=2.5, **shared)
        case "laq":
            return Laq(bits=bits, **shared)
        case "uniform":
            return Uniform(bits=bits, symmetric=case.get("symmetric", True), **shared)
    return None


def activations_of(case: Case, symmetric: bool, published: bool) -> QuantizerOptions | None:
    """The quantizer of a case's activations; TernaryBERT's code, which names none, learns no clip."""
    bits, method = case["input_bits"], case.get("input_quant")
    if bits == 32:
        return None
    if method == "lsq":
        return Lsq(bits=bits, symmetric=symmetric, as_published=published)
    return Uniform(bits=bits, symmetric=symmetric, learnable=method is not None, as_published=published)


def own_tensors(vectors: Golden, case: Case) -> dict[str, Tensor]:
    prefix = case["name"] + "/"
    return {key.removeprefix(prefix): t for key, t in vectors.tensors.items() if key.startswith(prefix)}


def cases_of(vectors: Golden, published: bool, *, embeddings: bool) -> Iterator[tuple[Case, dict[str, Tensor]]]:
    """The cases of our methods; ours differs where a weight is exactly 0 or an output of the published code NaN."""
    for case in vectors.cases:
        t = own_tensors(vectors, case)
        ordinary = bool((t["weight"] != 0).all()) and not any(tensor.isnan().any() for tensor in t.values())
        if weights_of(case, published) is not None and ("ids" in t) == embeddings and (published or ordinary):
            yield case, t


def published_name(path: str) -> str:
    """Of a parameter of a linear map: what a quantizer learns is called a clip, a step as well."""
    *_, owner, name = path.split(".")
    return f"{owner.removesuffix('_quantizer')}_clip_val" if owner.endswith("_quantizer") else name


def close(found: Tensor | None, wanted: Tensor, tolerance: dict[str, Any], what: str) -> None:
    assert found is not None, what
    torch.testing.assert_close(found, wanted, equal_nan=True, msg=partial("{}: {}".format, what), **tolerance)


@pytest.mark.parametrize("published", [False, True])
def test_the_published_linear_maps(golden: Callable[[str], Golden], published: bool) -> None:
    vectors, compared = golden("quant_linear"), 0
    out, grads = vectors.meta["tolerance"]["out"], vectors.meta["tolerance"]["grads"]
    for case, t in cases_of(vectors, published, embeddings=False):
        inputs = activations_of(case, case.get("symmetric", True), published)
        layer = QuantizedLinear(t["weight"].shape[1], t["weight"].shape[0], 1, weights_of(case, published), inputs)
        own = {published_name(path): parameter for path, parameter in layer.named_parameters()}
        with torch.no_grad():
            for name, parameter in own.items():
                if "clip" not in name or not case.get("step_init"):
                    parameter.copy_(t[name])
        x = t["x"].clone().requires_grad_()
        y = layer(x)
        close(y, t["out"], out, case["name"])
        y.backward(t["gout"])
        for name, tensor in {**own, "x": x}.items():
            close(tensor.grad, t[f"grad_{name}"], grads, f"{case['name']}: {name}")
            close(tensor.detach(), t[name], out, f"{case['name']}: {name}")
        compared += 1
    assert compared


@pytest.mark.parametrize("published", [False, True])
def test_the_published_embeddings(golden: Callable[[str], Golden], published: bool) -> None:
    vectors, compared = golden("quant_linear"), 0
    for case, t in cases_of(vectors, published, embeddings=True):
        embedding = QuantizedEmbedding(t["weight"].shape[0], t["weight"].shape[1], 1, weights_of(case, published))
        weight = embedding.get_parameter("branches.0.weight")
        with torch.no_grad():
            weight.copy_(t["weight"])
        y = embedding(t["ids"])
        close(y, t["out"], vectors.meta["tolerance"]["out"], case["name"])
        table = embedding.get_submodule("branches.0.weight_quantizer")(weight)
        close(table, t["qweight"], vectors.meta["tolerance"]["out"], case["name"])
        y.backward(t["gout"])
        close(weight.grad, t["grad_weight"], vectors.meta["tolerance"]["grads"], case["name"])
        compared += 1
    assert compared


#: the published names of what the quantizers inside attention learn
CLIPS = dict(zip(ATTENTION_SITES, ("clip_query", "clip_key", "clip_value", "clip_attn"), strict=True))


def attention_of(case: Case, heads: int, width: int) -> SelfAttention:
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
    if case["input_bits"] < 32:
        for site in ATTENTION_SITES:
            one_sided = site is Site.ATTENTION_PROBABILITIES
            symmetric = case["symmetric_probs" if one_sided else "symmetric_qkv"]
            quantizers[site] = activations_of(case, symmetric, published=False)
    design = Design(attention={site: options for site, options in quantizers.items() if options is not None})
    return SelfAttention(Parts(sizes, design), "bert.encoder.layer.0.attention.self")


def test_the_published_attention(golden: Callable[[str], Golden]) -> None:
    vectors, t = golden("attention"), golden("attention").tensors
    outputs, gradients = vectors.meta["tolerance"].values()
    cases = [c for c in vectors.cases if c.get("input_bits") == 32 or c.get("input_quant") in ("uniform", "lsq")]
    assert cases
    for case in cases:
        name = case["name"]
        q, k, v = inputs = [t[f"in/{x}"].clone().requires_grad_() for x in ("q", "k", "v")]
        attention = attention_of(case, vectors.meta["config"]["num_attention_heads"], q.shape[2])
        own = {CLIPS[Site(full.split(".")[0])]: p for full, p in attention.quantizers.named_parameters()}
        with torch.no_grad():
            for clip, parameter in own.items():
                if not case.get("step_init"):
                    parameter.copy_(t[f"{name}/{clip}"])
        taps: dict[Tap, list[Tensor]] = {Tap.SCORES: []}
        context = attention.attend(q, k, v, additive_mask(t["in/mask"].bool(), torch.float32), taps)
        close(context, t[f"{name}/context"], outputs, name)
        close(taps[Tap.SCORES][0], t[f"{name}/scores"], outputs, name)
        torch.autograd.backward((context, taps[Tap.SCORES][0]), (t["in/gout_context"], t["in/gout_scores"]))
        for what, tensor in {**dict(zip(("q", "k", "v"), inputs, strict=True)), **own}.items():
            close(tensor.grad, t[f"{name}/grad_{what}"], gradients, f"{name}: {what}")
        for clip, parameter in own.items():
            close(parameter.detach(), t[f"{name}/{clip}"], outputs, f"{name}: {clip}")
