from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bebertlab.bench.contenders import Contenders
from bebertlab.bench.data import generated_batches
from bebertlab.bench.models import BIBERT, W1A4, BenchConfig
from bebertlab.bench.rivals import DYNAMIC_INT8, FP32


def test_contenders_answer_and_are_built_once(config: BenchConfig, tmp_path: Path) -> None:
    contenders = Contenders(config, tmp_path)
    (batch,) = generated_batches(np.array([5, 3]), 2, config)
    names = [
        contenders.scheme(BIBERT),
        contenders.scheme(W1A4),
        contenders.rival(FP32),
        contenders.rival(DYNAMIC_INT8, split=True),
    ]
    assert names == ["bibert", "w1a4", "fp32", "dynamic, split"]
    for name in names:
        logits = contenders.predict(name)(batch)
        assert isinstance(logits, Tensor)
        assert logits.shape == (2, 2)
    first = contenders.predict("bibert")
    assert contenders.predict(contenders.scheme(BIBERT)) is first
    assert len({path.name for path in tmp_path.iterdir() if path.name == "bibert"}) == 1


def test_rivals_of_a_shape_have_the_same_weights(config: BenchConfig, tmp_path: Path) -> None:
    contenders = Contenders(config, tmp_path)
    (batch,) = generated_batches(np.array([5]), 1, config)
    whole, int8 = (contenders.predict(contenders.rival(rival))(batch) for rival in (FP32, DYNAMIC_INT8))
    assert isinstance(whole, Tensor)
    torch.testing.assert_close(int8, whole, atol=0.05, rtol=0.0)
