from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bebertlab.bench.data import generated_batches
from bebertlab.bench.models import BIBERT, PACKED_SCHEMES, BenchConfig, BenchScheme
from bebertlab.bench.packed import build_trained, load_packed, pack_scheme
from bebertlab.inference.prepare import prepare


@pytest.mark.parametrize("scheme", PACKED_SCHEMES, ids=lambda scheme: scheme.name)
def test_packed_model_answers_as_the_one_it_was_packed_from(
    scheme: BenchScheme, config: BenchConfig, tmp_path: Path
) -> None:
    pack_scheme(scheme, config, tmp_path / "packed")
    (batch,) = generated_batches(np.array([9, 4]), 2, config)
    expected = prepare(build_trained(scheme, config))(batch).logits
    assert torch.equal(load_packed(tmp_path / "packed", config).logits(batch), expected)


def test_members_of_an_ensemble_have_different_weights(config: BenchConfig, tmp_path: Path) -> None:
    report = pack_scheme(BIBERT, config, tmp_path / "packed", members=2)
    (batch,) = generated_batches(np.array([9]), 1, config)
    first, second = load_packed(tmp_path / "packed", config).member_logits(batch)
    assert not torch.equal(first, second)
    assert report.parts["encoder"] == 2 * pack_scheme(BIBERT, config, tmp_path / "single").parts["encoder"]


def test_packed_model_has_all_positions(config: BenchConfig, tmp_path: Path) -> None:
    pack_scheme(BIBERT, config, tmp_path / "packed")
    assert load_packed(tmp_path / "packed", config).architecture.positions == config.architecture.positions
