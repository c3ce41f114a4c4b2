"""Ternary weight splitting against the published code: of tensors, and of whole models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

from bebertlab.api import BertClassifier, Checkpoint, Outputs, Tap
from bebertlab_binarybert import BinaryBertImporter, Bwn, Twn
from bebertlab_binarybert.tws import split_all, split_weight, ternary_modules

if TYPE_CHECKING:
    from tests.conftest import Golden


def test_split_tensors_equal_the_published_ones(golden: Callable[[str], Golden]) -> None:
    vectors = golden("tws_tensors").of("BinaryBERT", "BEBERT/binarybert")
    tolerance = vectors.meta["tolerance"]
    for case in vectors.cases:
        prefix = case["name"] + "/"
        t = vectors.below(case["name"])
        ternary = Twn(granularity="row" if case["granularity"] == "row" else "tensor")
        binary = Bwn(granularity=ternary.granularity).build(t["v"].shape)
        first, second = (half.float() for half in split_weight(t["v"], ternary))
        actual = {"v1": first, "v2": second, "twn": ternary.build(t["v"].shape)(t["v"])}
        actual |= {"bwn1": binary(first), "bwn2": binary(second)}
        for name, tensor in actual.items():
            close = torch.isclose(tensor, t[name], **tolerance["v1, v2" if name.startswith("v") else "twn, bwn"])
            assert (close | (t[name].isnan() & (tensor == 0))).all(), f"{prefix}{name}"
        summed = actual["bwn1"] + actual["bwn2"]
        assert torch.allclose(summed, actual["twn"], **tolerance["identity bwn1 + bwn2 = twn"]), prefix
        if "a" in t:
            large = ternary.build(t["v"].shape).encode(t["v"]).levels != 0
            expected = t["a"].float().expand_as(t["v"])[large]
            assert torch.allclose((first / t["v"])[large], expected, atol=1e-5), prefix


@pytest.fixture(scope="module")
def vectors(golden: Callable[[str], Golden]) -> Golden:
    return golden("tws_model").of("BinaryBERT", "BEBERT/binarybert")


def checkpoints(vectors: Golden, case: Mapping[str, Any]) -> tuple[Checkpoint, Checkpoint]:
    """The ternary model of a case and its split, both as the published code stored them."""
    clips = vectors.below(f"clip_{case['name']}")
    copied = {
        name.replace(".input_clip_val", f"{half}.input_clip_val"): clip
        for name, clip in clips.items()
        for half in (("_1", "_2") if name.endswith(".input_clip_val") else ("",))
    }
    read = BinaryBertImporter().read
    before = read(vectors.below("ternary") | clips, case["config_ternary"])
    return before, read(vectors.below("split") | copied, case["config_split"])


def split_of(ternary: Checkpoint) -> Checkpoint:
    return split_all(ternary, ternary_modules(ternary, "tws"))


def outputs_of(vectors: Golden, checkpoint: Checkpoint) -> dict[str, Tensor]:
    outputs: Outputs = BertClassifier.from_checkpoint(checkpoint).eval()(
        vectors.batch(), frozenset({Tap.HIDDEN, Tap.SCORES})
    )
    actual = {f"hidden_{position}": tensor for position, tensor in enumerate(outputs.taps[Tap.HIDDEN])}
    actual |= {f"att_{position}": tensor for position, tensor in enumerate(outputs.taps[Tap.SCORES])}
    return {"logits": outputs.logits, **actual}


def test_whole_models_are_split_equally(vectors: Golden) -> None:
    for case in vectors.cases:
        before, published = checkpoints(vectors, case)
        after = split_of(before)
        assert (after.architecture, after.spec) == (published.architecture, published.spec)
        assert after.tensors.keys() == published.tensors.keys()
        tolerance = vectors.meta["tolerance"]["split state"]
        for name, expected in published.tensors.items():
            if expected.is_floating_point():
                assert torch.allclose(after.tensors[name], expected, **tolerance), f"{case['name']}: {name}"


def test_outputs_before_and_after_the_split_equal_the_published_ones(vectors: Golden) -> None:
    for case in vectors.cases:
        before, published = checkpoints(vectors, case)
        tolerance = vectors.meta["tolerance"]["outputs"]
        models = (("ternary", before), ("split", published), ("split", split_of(before)))
        for who, checkpoint in models:
            expected = vectors.below(f"{case['name']}/{who}")
            actual = outputs_of(vectors, checkpoint)
            assert expected
            for what, tensor in expected.items():
                assert torch.allclose(actual[what], tensor, **tolerance), f"{case['name']}/{who}/{what}"
