"""A file of version 1 of the format is read by every later version, with the same answers.

`version_1` is an ensemble of two models of one layer: BiT with weights of several quantizers, one of which has an
offset and one too many levels to be packed, and BiBERT. Never write it again.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bebertlab.config.codec import OptionsCodec
from bebertlab.interfaces.batch import Batch
from bebertlab.packed.model import UNPACKING, PackedModel
from bebertlab.packed.modules import PackedMatrix
from bebertlab.packed.read import PackedFile, read_packed

FOLDER = Path(__file__).parent / "version_1"
PAGE = Path(__file__).parents[2] / "docs/reference/packed-format.md"


@pytest.fixture(scope="module")
def file(codec: OptionsCodec) -> PackedFile:
    return read_packed(FOLDER, codec)


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    data: dict[str, Any] = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))
    return data


def test_its_description_is_read(file: PackedFile) -> None:
    assert [member.weight for member in file.members] == [0.75, 1.5]
    assert (file.task, file.classes) == ("tiny", ("blame", "praise"))
    assert file.score is not None
    assert (file.score.value, file.score.examples) == (75.0, 32)
    assert len(file.full_precision) == 1
    matrices = [matrix for member in file.members for matrix in member.matrices.values()]
    assert {matrix.alphabet.bits for matrix in matrices} == {1, 2, 3}
    assert any(matrix.offset is not None for matrix in matrices)


@pytest.mark.parametrize("unpacking", UNPACKING)
def test_its_answers_are_what_they_were(unpacking: Any, file: PackedFile, expected: dict[str, Any]) -> None:  # noqa: ANN401
    tokens = torch.tensor(expected["tokens"])
    batch = Batch(
        positions=torch.arange(len(tokens)),
        tokens=tokens,
        segments=torch.zeros_like(tokens),
        mask=tokens > 0,
        labels=torch.zeros(len(tokens), dtype=torch.int64),
    )
    model = PackedModel.of(file, unpacking=unpacking)
    # softmax and erf are those of the machine
    np.testing.assert_allclose(model.member_logits(batch).numpy(), expected["member_logits"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(model.logits(batch).numpy(), expected["scores"], rtol=0, atol=1e-5)


def test_the_documented_reader_gives_the_same_values(file: PackedFile) -> None:
    code = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)[-1]
    functions, _, _ = code.partition("\nvalues = ")
    assert len([line for line in functions.splitlines() if line.strip()]) <= 40
    namespace: dict[str, Any] = {}
    exec(compile(functions, str(PAGE), "exec"), namespace)
    values = namespace["read_values"](FOLDER)
    for index, member in enumerate(file.members):
        for prefix, matrix in member.matrices.items():
            name = f"{prefix}weight"
            actual = values.pop(f"members.{index}.{name}", None)
            actual = values[f"shared.{name}"] if actual is None else actual
            np.testing.assert_array_equal(actual, PackedMatrix(matrix).codes().decode().numpy(), strict=True)
        for name, array in member.tensors.items():
            actual = values.pop(f"members.{index}.{name}", None)
            actual = values[f"shared.{name}"] if actual is None else actual
            np.testing.assert_array_equal(actual, array, strict=True)
    assert all(name.startswith("shared.") for name in values)
