from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from attrs import evolve

from bebertlab.errors import UserError
from bebertlab.interfaces.architecture import Architecture, QuantSpec
from bebertlab.model.bert import BertClassifier, MetaStates
from bebertlab.packed.contract import MemberConfig
from bebertlab.packed.expected import check_stored
from bebertlab.packed.tensors import model_tensors
from bebertlab.testing.tiny import tiny_model, tiny_task


@pytest.mark.parametrize("kind", ["bibert", "bit", "binarybert", "ternarybert", "bebert-bibert"])
def test_the_tensors_of_every_kind_of_model_are_expected(kind: str, scheme_spec: Callable[..., QuantSpec]) -> None:
    model = tiny_model(tiny_task(), scheme_spec(kind)).eval()
    stored = model_tensors(model, 32)
    member = MemberConfig(architecture=model.architecture, design=model.spec)
    check_stored(member, stored.arrays, stored.codes, MetaStates())
    for name in (name for name in stored.arrays if ".layer.1." not in name and "LayerNorm" not in name):
        fewer = {other: array for other, array in stored.arrays.items() if other != name}
        if not name.endswith("weight_offset"):
            with pytest.raises(UserError, match=r"is missing|expected \["):
                check_stored(member, fewer, stored.codes, MetaStates())


def test_flags_are_zero_or_one(scheme_spec: Callable[..., QuantSpec]) -> None:
    model = tiny_model(tiny_task(), scheme_spec("bit")).eval()
    stored = model_tensors(model, 32)
    name = next(name for name, array in stored.arrays.items() if array.dtype == np.bool_)
    arrays: dict[str, Any] = {**stored.arrays, name: np.array(2, dtype=np.uint8).view(np.bool_)}
    member = MemberConfig(architecture=model.architecture, design=model.spec)
    with pytest.raises(UserError, match="neither 0 nor 1"):
        check_stored(member, arrays, stored.codes, MetaStates())


@pytest.mark.parametrize(
    "sizes",
    [
        {"layers": 10**7},
        {"hidden": 10**7, "heads": 1, "head_size": 10**7},
        {"ffn": 10**7},
        {"vocabulary": 10**7},
        {"positions": 10**7},
        {"segments": 10**7},
        {"classes": 10**7},
    ],
)
def test_wrong_sizes_cost_neither_time_nor_memory(sizes: dict[str, Any], bibert: BertClassifier) -> None:
    stored = model_tensors(bibert, 32)
    wrong: Architecture = evolve(bibert.architecture, **sizes)
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises(UserError):
        check_stored(MemberConfig(architecture=wrong, design=bibert.spec), stored.arrays, stored.codes, MetaStates())
    seconds, (_, most) = time.perf_counter() - start, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2**22
    assert seconds < 5
