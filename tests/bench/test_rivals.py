from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from attrs import evolve
from torch import Tensor

from bebertlab.bench.data import generated_batches
from bebertlab.bench.exported import ExportedModel
from bebertlab.bench.huggingface import model_inputs, reference_model, split_reference_model
from bebertlab.bench.models import BenchConfig
from bebertlab.bench.rivals import FP32, RIVALS, Rival

EVERY = (FP32, *RIVALS)
#: of logits, which are about 0.1 with random weights
TOLERANCE = {"fp32": 1e-6, "onnx-fp32": 1e-5, "bf16": 5e-3}


@pytest.mark.parametrize("build", [reference_model, split_reference_model])
@pytest.mark.parametrize("rival", EVERY, ids=lambda rival: rival.name)
def test_rivals_compute_about_the_same(rival: Rival, build: object, config: BenchConfig, tmp_path: Path) -> None:
    if rival.missing_reason:
        pytest.skip(rival.missing_reason)
    model = build(config.architecture).eval()  # type: ignore[operator]
    (batch,) = generated_batches(np.array([9, 4, 1]), 3, config)
    with torch.no_grad():
        expected = model(**model_inputs(batch)).logits
    answer = rival.build(ExportedModel(model, config, tmp_path))(batch)
    logits = answer if isinstance(answer, Tensor) else torch.as_tensor(cast("list[object]", answer)[0])
    torch.testing.assert_close(logits.float(), expected, atol=TOLERANCE.get(rival.name, 0.05), rtol=0.0)


def test_rivals_are_of_the_same_weights_as_the_model_they_leave_as_it_is(config: BenchConfig, tmp_path: Path) -> None:
    model = reference_model(config.architecture).eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    exported = ExportedModel(model, config, tmp_path)
    for rival in EVERY:
        if not rival.missing_reason:
            rival.build(exported)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert model.state_dict().keys() == before.keys()


def test_rival_that_is_not_installed_says_what_is_missing() -> None:
    rival = evolve(FP32, packages=("torch", "nothing_like_this"))
    assert rival.missing_reason == "not installed: pip install nothing_like_this"
    assert FP32.missing_reason == ""


def test_origin_is_the_package_that_computes() -> None:
    assert evolve(FP32, packages=("torch", "numpy")).origin == f"torch {torch.__version__}"
    assert FP32.origin == ""
