from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from bebertlab.data.tokenizer import ModelTokenizer
from bebertlab.interfaces.architecture import Architecture, QuantSpec
from bebertlab.interfaces.quantizer import TERNARY
from bebertlab.packed.container import Array
from bebertlab.packed.contract import (
    Cascade,
    MemberConfig,
    Score,
    WeightCodes,
    metadata,
    metadata_problem,
    section_hash,
    tensor_hash,
    vocabulary_hash,
)

SECTION = {"b": [1.5, None], "a": "\u00e9"}
TENSORS: dict[str, Array] = {"x": np.ones(1, dtype=np.float32), "y": np.array(True)}


def test_hashes_are_those_that_any_program_computes(tokenizer: ModelTokenizer, templates: Path) -> None:
    assert section_hash(SECTION) == hashlib.sha256(b'{"a":"\\u00e9","b":[1.5,null]}').hexdigest()
    assert tensor_hash(TENSORS["x"]) == hashlib.sha256(b"\x00\x00\x80\x3f").hexdigest()
    vocabulary = json.loads((templates / "packed/tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    text = json.dumps(vocabulary, sort_keys=True, separators=(",", ":"))
    assert vocabulary_hash(tokenizer) == hashlib.sha256(text.encode()).hexdigest()


def test_a_section_that_was_read_and_written_again_has_the_same_hash() -> None:
    assert section_hash(json.loads(json.dumps(SECTION, indent=3))) == section_hash(SECTION)


@pytest.mark.parametrize("field", ["format", "bit_order", "sha256:x", "sha256:y", "sha256:config.json:bebertlab"])
def test_every_field_of_the_metadata_counts(field: str) -> None:
    written = metadata(SECTION, TENSORS, "producer")
    assert metadata_problem(written, SECTION, TENSORS) == ""
    assert metadata_problem({**written, field: "0"}, SECTION, TENSORS) != ""
    del written[field]
    assert metadata_problem(written, SECTION, TENSORS) != ""


def test_codes_give_their_alphabet() -> None:
    codes = WeightCodes.of(TERNARY, 7)
    assert codes == WeightCodes(low=-1, high=1, spacing=1, columns=7)
    assert codes.alphabet() == TERNARY
    with pytest.raises(ValueError, match="columns"):
        WeightCodes.of(TERNARY, 0)


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_the_weight_of_a_member_is_a_number_that_is_not_negative(weight: float) -> None:
    sizes = Architecture(vocabulary=1, positions=1, hidden=1, heads=1, head_size=1, ffn=1, layers=1, classes=1)
    with pytest.raises(ValueError, match="weight"):
        MemberConfig(architecture=sizes, design=QuantSpec(), weight=weight)


SCORE = Score(metric="accuracy", value=90.0, examples=10)


@pytest.mark.parametrize("shares", [(1.0, 1.5), (1.0, 0.2, 0.3), (0.5, -0.1)])
def test_each_member_of_a_cascade_is_asked_for_a_part_of_those_before(shares: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="'shares' must be in"):
        Cascade(margin=0.1, tolerance=0.1, select=SCORE, full=SCORE, shares=shares, validation=SCORE)


@pytest.mark.parametrize("margin", [-1.0, float("inf"), float("nan")])
def test_a_stored_margin_is_finite(margin: float) -> None:
    with pytest.raises(ValueError, match="'margin' must be finite"):
        Cascade(margin=margin, tolerance=0.1, select=SCORE, full=SCORE, shares=(1.0, 0.5), validation=SCORE)
