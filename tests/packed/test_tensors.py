from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from attrs import evolve

from bebertlab.accounting.size import branch_sites
from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import QuantSpec, Site
from bebertlab.model.bert import BertClassifier
from bebertlab.packed.contract import WeightCodes
from bebertlab.packed.tensors import POSITIONS, StoredTensors, model_tensors, shared_tensors, stored_parts
from bebertlab.testing.tiny import tiny_model, tiny_task
from bebertlab_binarybert.lsq import Lsq
from bebertlab_binarybert.uniform import Uniform

POOLER = "bert.pooler.dense.branches.0.weight"


def test_every_tensor_but_latent_weights_and_their_quantizers_is_stored(bibert: BertClassifier) -> None:
    stored = model_tensors(bibert, 32)
    state = bibert.state_dict()
    steps = {f"{name}_step" for name in stored.codes}
    assert set(stored.arrays) == set(state) | steps
    for name, array in stored.arrays.items():
        if name not in stored.codes and name not in steps:
            np.testing.assert_array_equal(array, state[name].numpy(), strict=True)
    assert stored.codes[POOLER] == WeightCodes(low=-1, high=1, spacing=2, columns=16)
    assert not stored.full_precision


def test_positions_that_no_input_reaches_are_left_out(bibert: BertClassifier) -> None:
    stored = model_tensors(bibert, 7)
    np.testing.assert_array_equal(stored.arrays[POSITIONS], bibert.state_dict()[POSITIONS][:7].numpy())


def test_what_has_too_many_levels_is_stored_as_quantized_values_with_a_reason() -> None:
    spec = QuantSpec(weights={Site.POOLER: Uniform(bits=12), Site.QUERY: Lsq(bits=3)}, inputs={Site.QUERY: Lsq(bits=8)})
    model = tiny_model(tiny_task(), spec).eval()
    stored = model_tensors(model, 32)
    pooler = model.get_submodule("bert.pooler.dense.branches.0")
    with torch.no_grad():
        values = pooler.quantized_weight()  # type: ignore[operator]
    np.testing.assert_array_equal(stored.arrays[POOLER], values.numpy())
    assert "12 bits" in stored.full_precision[POOLER]
    assert stored.full_precision["bert.encoder.layer.0.output.dense.weight"] == "its site has no quantizer"
    assert {name for name in stored.codes if "query" in name} == set(stored.codes)
    assert not [name for name in stored.arrays if "weight_quantizer" in name]
    assert [name for name in stored.arrays if "input_quantizer" in name]


def test_values_that_are_not_finite_are_refused(bibert: BertClassifier) -> None:
    model = BertClassifier.from_checkpoint(bibert.checkpoint())
    with torch.no_grad():
        model.classifier.bias[0] = float("nan")
    with pytest.raises(UserError, match=r"classifier\.bias has values that are not finite"):
        model_tensors(model, 32)


def test_members_share_what_is_equal_to_the_bit() -> None:
    signs = WeightCodes(low=-1, high=1, spacing=2, columns=1)
    codes = {
        "w": signs,
        "x": WeightCodes(low=0, high=1, spacing=1, columns=1),
    }
    first = StoredTensors(
        arrays={
            "a": np.zeros(1, dtype=np.float32),
            "b": np.ones(1, dtype=np.float32),
            "w": np.ones(1, dtype=np.uint8),
            "x": np.ones(1, dtype=np.uint8),
            "c": np.zeros(2),
        },
        codes=codes,
        full_precision={"b": "why"},
    )
    second = evolve(
        first,
        arrays={**first.arrays, "a": -np.zeros(1, dtype=np.float32), "c": np.zeros((2, 1))},
        codes={**codes, "x": signs},
    )
    stored = shared_tensors([first, second])
    own = {f"members.{index}.{name}" for index in (0, 1) for name in "axc"}
    assert set(stored.arrays) == {"shared.b", "shared.w"} | own
    assert set(stored.codes) == {"shared.w", "members.0.x", "members.1.x"}
    assert stored.codes["members.1.x"].low == -1
    assert stored.full_precision == {"shared.b": "why"}
    assert shared_tensors([first]) is first


def test_planes_and_their_scales_are_shared_together_or_not_at_all() -> None:
    codes = {f"{name}.weight": WeightCodes(low=-1, high=1, spacing=2, columns=1) for name in "abc"}
    arrays = {
        f"{name}.{part}": np.ones((1, 1, 8), dtype=np.uint8 if part == "weight" else np.float32)
        for name in "abc"
        for part in ("weight", "weight_step")
    }
    first = StoredTensors(arrays=arrays, codes=codes)
    other = {
        **arrays,
        "b.weight_step": 2 * arrays["b.weight_step"],
        "c.weight_offset": np.ones((1, 1), dtype=np.float32),
    }
    for members in ([first, evolve(first, arrays=other)], [evolve(first, arrays=other), first]):
        stored = shared_tensors(members).arrays
        assert {name for name in stored if name.startswith("shared.")} == {"shared.a.weight", "shared.a.weight_step"}
        assert {"members.0.b.weight", "members.1.c.weight", "members.1.c.weight_step"} <= stored.keys()


def test_parts_are_those_of_the_size_of_a_model(bibert: BertClassifier, scheme_spec: Callable[..., QuantSpec]) -> None:
    models = [bibert, tiny_model(tiny_task(), scheme_spec("bit"), seed=1).eval()]
    stored = [model_tensors(model, 32) for model in models]
    sites = [branch_sites(model.architecture, model.spec) for model in models]
    alone = [stored_parts(tensors, [part]) for tensors, part in zip(stored, sites, strict=True)]
    together = stored_parts(shared_tensors(stored), sites)
    shared = sum(a.nbytes for n, a in shared_tensors(stored).arrays.items() if n.startswith("shared."))
    assert shared
    assert sum(together.values()) == sum(sum(parts.values()) for parts in alone) - shared
    assert alone[1]["steps"] > 0
    assert alone[0]["encoder"] == 2 * (4 * 16 + 32 + 16) * 8
    assert alone[0]["scales"] == 4 * (23 + 2 * (4 * 16 + 32 + 16) + 16)
