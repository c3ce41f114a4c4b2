from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

from bebertlab.bench.data import generated_batches
from bebertlab.bench.exported import ExportedModel
from bebertlab.bench.huggingface import model_inputs, reference_model
from bebertlab.bench.models import BenchConfig


def test_export_takes_any_number_of_sentences_and_tokens(config: BenchConfig, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    exported = ExportedModel(reference_model(config.architecture), config, tmp_path)
    predict = exported.by_onnxruntime()
    for lengths in ([3], [7, 30, 2]):
        (batch,) = generated_batches(np.array(lengths), len(lengths), config)
        with torch.no_grad():
            expected = exported.module(**model_inputs(batch)).logits
        logits = torch.as_tensor(cast("list[object]", predict(batch))[0])
        torch.testing.assert_close(logits, expected, atol=1e-5, rtol=0.0)
    assert not exported.module.training


def test_model_is_in_evaluation_mode_and_nothing_is_exported_before_it_is_needed(
    config: BenchConfig, tmp_path: Path
) -> None:
    exported = ExportedModel(reference_model(config.architecture).train(), config, tmp_path)
    assert not exported.module.training
    assert not [*tmp_path.iterdir()]
